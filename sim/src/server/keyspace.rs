//! The keys of the databases: what lies there, when it goes, and the walk of SCAN.
//!
//! **Expiry is lazy.** An entry whose time is up lies there until somebody touches it or the server's cycle meets it;
//! only then it goes, and only then whoever read it is told. A replica leaves that to its master, and says that there
//! is nothing.
//!
//! **SCAN** walks over a table of buckets whose number is a power of two, in the order of their reversed bits, as
//! Redis' dictScan does: a cursor stays good when the table grows or shrinks between two steps, and an element that is
//! there throughout is met at least once. The place of a key is its hash with the server's seed, so a restart changes
//! it.

use std::collections::BTreeMap;

use crate::server::Id;
use crate::server::Server;

#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Text(Vec<u8>),
    /// Nothing that the engine writes: HSET of a foreign client.
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub data: Data,
    /// When it goes, in milliseconds of the server's time: it is there still at that moment, and not later.
    pub until: Option<u64>,
}

impl Entry {
    pub fn text(text: &[u8], until: Option<u64>) -> Self {
        Self { data: Data::Text(text.to_vec()), until }
    }

    pub fn is_due(&self, now: u64) -> bool {
        self.until.is_some_and(|until| now > until)
    }
}

/// Buckets of a table that is all but empty.
const MIN_BUCKETS: u64 = 4;

#[derive(Clone)]
pub struct Database {
    pub entries: BTreeMap<Vec<u8>, Entry>,
    /// Of the table that SCAN walks over.
    buckets: u64,
}

impl Default for Database {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), buckets: MIN_BUCKETS }
    }
}

impl Database {
    /// Grows as soon as there are more keys than buckets, shrinks when nine tenths are empty.
    fn resize(&mut self) {
        let keys = self.entries.len() as u64;
        let fitting = keys.next_power_of_two().max(MIN_BUCKETS);
        if keys > self.buckets || keys * 10 < self.buckets {
            self.buckets = fitting;
        }
    }

    /// Keys of the buckets from the cursor on, until `count` of them were met; where the next step begins.
    fn step(&mut self, seed: u64, cursor: u64, count: usize) -> (u64, Vec<Vec<u8>>) {
        self.resize();
        let bits = self.buckets.trailing_zeros();
        let place = |bucket: u64| (bucket & (self.buckets - 1)).reverse_bits() >> (64 - bits);
        let mut keys: Vec<_> = self.entries.keys().map(|key| (place(hash(seed, key)), key)).collect();
        keys.sort();
        let begin = place(cursor);
        // Redis looks at ten empty buckets for each key that was asked for, and no more.
        let longest = begin.saturating_add((count as u64).saturating_mul(10)).saturating_add(1);
        let mut met = Vec::new();
        let mut at = begin;
        let mut keys = keys.into_iter().skip_while(|(place, _)| *place < begin).peekable();
        while at < self.buckets && at < longest && (at == begin || met.len() < count) {
            while let Some((_, key)) = keys.next_if(|(place, _)| *place == at) {
                met.push(key.clone());
            }
            at += 1;
        }
        (if at < self.buckets { at.reverse_bits() >> (64 - bits) } else { 0 }, met)
    }
}

/// FNV-1a (Fowler, Noll, Vo) of the key behind the seed, with its bits mixed.
fn hash(seed: u64, key: &[u8]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325 ^ seed;
    for byte in key {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    hash ^ (hash >> 29) ^ (hash >> 47)
}

impl Server {
    pub(super) fn database(&mut self, at: usize) -> &mut Database {
        if self.databases.len() <= at {
            self.databases.resize_with(at + 1, Database::default);
        }
        // It is there now.
        &mut self.databases[at]
    }

    pub(super) fn selected(&self, id: Id) -> usize {
        self.clients.get(id).map_or(0, |client| client.database)
    }

    /// What a client finds at a key; what is due goes first.
    pub(super) fn entry(&mut self, id: Id, key: &[u8]) -> Option<&mut Entry> {
        let database = self.selected(id);
        if self.expire(database, key) {
            return None;
        }
        self.database(database).entries.get_mut(key)
    }

    /// Deletes what lies at a key if its time is up; whether it is.
    pub(super) fn expire(&mut self, database: usize, key: &[u8]) -> bool {
        let now = self.now;
        let due = self.database(database).entries.get(key).is_some_and(|entry| entry.is_due(now));
        if due && !self.is_replica() {
            self.delete(database, key);
        }
        due
    }

    /// Deletes what lies at a key and tells who read it; whether there was anything.
    pub(super) fn delete(&mut self, database: usize, key: &[u8]) -> bool {
        let was = self.database(database).entries.remove(key).is_some();
        if was {
            self.changed(key);
        }
        was
    }

    /// Puts an entry where any other was, and tells who read the key.
    pub(super) fn put(&mut self, id: Id, key: &[u8], entry: Entry) {
        let database = self.selected(id);
        let entries = &mut self.database(database).entries;
        match entries.get_mut(key) {
            Some(place) => *place = entry,
            None => {
                entries.insert(key.to_vec(), entry);
            }
        }
        self.changed(key);
    }

    /// One step of a client's SCAN.
    pub(super) fn walk(&mut self, id: Id, cursor: u64, count: usize) -> (u64, Vec<Vec<u8>>) {
        let (seed, database) = (self.hash_seed, self.selected(id));
        self.database(database).step(seed, cursor, count)
    }
}
