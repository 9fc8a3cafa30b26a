//! Finds a record by the hash of its key: five bytes for each place of a table.
//!
//! It is many small tables. A table that grows looks at each of its records for the hash, and of a million records that
//! would hold up the caller for a tenth of a second.

use hashbrown::HashTable;

use crate::engine::base::heap;
use crate::engine::store::segments::Place;

pub struct Index {
    tables: Box<[HashTable<Place>]>,
    len: usize,
    bytes: usize,
}

impl Index {
    /// `tables`: a power of two.
    pub fn new(tables: usize) -> Self {
        Self { tables: (0..tables).map(|_| HashTable::new()).collect(), len: 0, bytes: 0 }
    }

    /// A table's own places are chosen by the lowest bits and the highest seven.
    fn which(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.tables.len() - 1)
    }

    /// How many records it finds.
    pub fn count(&self) -> usize {
        self.len
    }

    /// Bytes of the heap.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn tables(&self) -> usize {
        self.tables.len()
    }

    /// The records of one of its tables, which is the same for a key wherever its record is.
    pub fn of_table(&self, table: usize) -> impl Iterator<Item = &Place> {
        self.tables.get(table).into_iter().flatten()
    }

    pub fn find(&self, hash: u64, is: impl FnMut(&Place) -> bool) -> Option<Place> {
        self.tables[self.which(hash)].find(hash, is).copied()
    }

    /// Puts `to` in the place of what `is`.
    pub fn replace(&mut self, hash: u64, to: Place, is: impl FnMut(&Place) -> bool) {
        let table = self.which(hash);
        if let Some(place) = self.tables[table].find_mut(hash, is) {
            *place = to;
        }
    }

    /// `rehash`: of the others, where the table grows.
    pub fn insert(&mut self, hash: u64, place: Place, rehash: impl Fn(&Place) -> u64) {
        let which = self.which(hash);
        let table = &mut self.tables[which];
        let before = heap::block(table.allocation_size());
        table.insert_unique(hash, place, rehash);
        self.bytes += heap::block(table.allocation_size()) - before;
        self.len += 1;
    }

    pub fn remove(&mut self, hash: u64, is: impl FnMut(&Place) -> bool) -> bool {
        let which = self.which(hash);
        match self.tables[which].find_entry(hash, is) {
            Ok(found) => {
                found.remove();
                self.len -= 1;
                true
            }
            Err(_) => false,
        }
    }

    /// Frees the tables, which are empty.
    pub fn reset(&mut self) {
        self.tables.iter_mut().for_each(|table| *table = HashTable::new());
        (self.len, self.bytes) = (0, 0);
    }
}

/// Which keys were evicted a short while ago: a hash for each, where a newer one has not taken its place.
#[derive(Default)]
pub struct Ghosts(Vec<u32>);

impl Ghosts {
    const LEAST: usize = 1 << 10;

    /// `len`: entries of the store, of which as many are remembered.
    pub fn add(&mut self, hash: u64, len: usize) {
        if self.0.is_empty() || self.0.len() * 4 < len {
            self.0 = vec![0; len.next_power_of_two().max(Self::LEAST)];
        }
        let (at, print) = self.place(hash);
        self.0[at] = print;
    }

    /// Whether it was there; it is forgotten.
    pub fn take(&mut self, hash: u64) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let (at, print) = self.place(hash);
        let was = self.0[at] == print;
        if was {
            self.0[at] = 0;
        }
        was
    }

    fn place(&self, hash: u64) -> (usize, u32) {
        (hash as usize & (self.0.len() - 1), (hash >> 32) as u32 | 1)
    }

    pub fn bytes(&self) -> usize {
        heap::block(size_of_val(&*self.0))
    }

    pub fn reset(&mut self) {
        self.0 = Vec::new();
    }
}
