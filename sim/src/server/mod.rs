//! A model of a Redis 7.0 server: a value that is handed bytes and the time, and gives bytes.
//!
//! **The problem.** The simulator needs a server that it can stop, fill, empty and restart some ten thousand times a
//! second, always the same for the same seed. A real one is a process with a clock of its own.
//!
//! **The approach.** The model knows the commands that the engine sends, says what Redis says, byte for byte where the
//! engine looks at it, and has what the engine's guarantees rest upon: expiry as lazy as Redis', the order of replies
//! and pushes, the checks that refuse a command, transactions, scripts, SCAN under change. It is itself checked against
//! a real server (tests): the same random commands to both, the same replies and pushes.
//!
//! **What differs.** Scripts are not interpreted: those that the package has are executed natively. Memory is not
//! counted: that the server is full is a switch. All that the model decides freely, Redis decides freely too: the run
//! id, which keys the expiry's cycle meets, which ones are evicted or leave the tracking table, the places of keys in
//! the table of SCAN.

mod client;
pub mod cluster;
mod command;
mod commands;
mod faults;
mod inbound;
mod keyspace;
mod process;
mod reply;
mod scripts;
mod table;
#[cfg(test)]
mod tests;
mod tracking;

use holdfast::engine::base::random::Random;

use client::Client;
pub use faults::{Acl, Faults};
use inbound::Parsed;
use keyspace::Database;
#[cfg(test)]
use keyspace::Entry;
pub use reply::Reply;
#[cfg(test)]
pub use scripts::PROBE;
use tracking::Tracking;

/// Clients that Redis makes for itself when it starts, for its scripts: the first connection has the number behind.
const NUMBERS_OF_ITS_OWN: u64 = 2;

/// Bytes of most replies that go out together.
const ROOM: usize = 256;

/// A connection, by the order in which they came, of all times: what a restart closes keeps its number here.
pub type Id = usize;

/// The foreign client and the judge, who have no connection.
pub const FOREIGN: Id = 0;

pub struct Server {
    /// What is wrong with it now: the world sets it at any time.
    pub faults: Faults,
    /// It follows another one.
    pub replica: bool,
    /// And takes writes all the same (`replica-read-only no`), which are lost: only ROLE tells it from a primary.
    pub takes_writes: bool,
    /// It is a sentinel, and names the server at this port as the primary.
    pub names: Option<u16>,
    /// What it knows as a node of a cluster; none where it is by itself.
    pub cluster: Option<cluster::Membership>,
    /// From version 7.2 on, a script's reads are remembered as those of any command are; before, each of them stands
    /// for all keys that the script was called with.
    pub tracks_script_reads: bool,
    /// Milliseconds, of the last call: time never goes back.
    now: u64,
    random: Random,
    run_id: String,
    /// Where SCAN meets a key.
    hash_seed: u64,
    databases: Vec<Database>,
    /// By their ids; the foreign client is the first.
    clients: Vec<Client>,
    /// What CLIENT ID said last.
    last_number: u64,
    scripts: scripts::Seen,
    tracking: Tracking,
    /// Whose command is executed.
    current: Id,
    /// How many commands are executed now: one, those of its transaction, those that its script calls.
    nested: u32,
}

/// What a server holds, to begin another one with.
#[derive(Clone, Default)]
pub struct Snapshot {
    databases: Vec<Database>,
}

impl Server {
    pub fn new(seed: u64) -> Self {
        let mut server = Self {
            faults: Faults::default(),
            replica: false,
            takes_writes: false,
            names: None,
            cluster: None,
            tracks_script_reads: false,
            now: 0,
            random: Random::seeded(seed),
            run_id: String::new(),
            hash_seed: 0,
            databases: Vec::new(),
            clients: vec![Client::new(0, true)],
            last_number: NUMBERS_OF_ITS_OWN,
            scripts: Vec::new(),
            tracking: Tracking::default(),
            current: FOREIGN,
            nested: 0,
        };
        server.start();
        server
    }

    fn start(&mut self) {
        self.hash_seed = self.random.bits();
        let id = [(); 3].map(|()| self.random.bits());
        self.run_id = format!("{:016x}{:016x}{:08x}", id[0], id[1], id[2] >> 32);
    }

    /// The process ended, and another one begins with what a snapshot holds, nothing by default. Its connections are
    /// closed, and what was not taken of their output is lost.
    pub fn restart(&mut self, snapshot: Snapshot, now: u64) {
        self.advance(now);
        for client in self.clients.iter_mut().skip(1) {
            client.close();
            client.output.clear();
        }
        self.databases = snapshot.databases;
        for database in &mut self.databases {
            database.entries.retain(|_, entry| !entry.is_due(now));
        }
        self.last_number = NUMBERS_OF_ITS_OWN;
        self.scripts.clear();
        self.forget_readers();
        self.start();
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot { databases: self.databases.clone() }
    }

    fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// A client connects. A server that is full says so and closes the connection.
    pub fn connect(&mut self, now: u64) -> Id {
        self.advance(now);
        let mut client = Client::new(self.last_number + 1, self.faults.password.is_none());
        if self.faults.full {
            reply::error(faults::MAXCLIENTS).write(false, &mut client.output);
            client.close();
        } else {
            self.last_number += 1;
        }
        self.clients.push(client);
        self.clients.len() - 1
    }

    /// Bytes of a client arrive, in any pieces: the commands that are whole are executed in their order.
    pub fn receive(&mut self, id: Id, bytes: &[u8], now: u64) {
        self.advance(now);
        let Some(client) = self.clients.get_mut(id).filter(|client| client.open && !client.closing) else { return };
        client.output.reserve(ROOM);
        let mut input = std::mem::take(&mut client.input);
        let bytes = if input.is_empty() {
            bytes
        } else {
            input.extend_from_slice(bytes);
            &input
        };
        let mut at = 0;
        while self.clients.get(id).is_some_and(|client| !client.closing) {
            match inbound::parse(bytes.get(at..).unwrap_or_default()) {
                Parsed::More => break,
                Parsed::Command(words, taken) => {
                    at += taken;
                    if !words.is_empty() {
                        self.process(id, &words);
                    }
                }
                Parsed::Refused(words) => self.refuse(id, words),
            }
        }
        if let Some(client) = self.clients.get_mut(id) {
            if client.closing {
                client.close();
            } else {
                client.input = bytes.get(at..).unwrap_or_default().to_vec();
            }
        }
    }

    fn refuse(&mut self, id: Id, words: String) {
        if let Some(client) = self.clients.get_mut(id) {
            reply::error(words).write(client.resp3, &mut client.output);
            client.closing = true;
        }
    }

    /// Takes what is to be sent to a client, also what was to be sent before its connection was closed.
    pub fn output(&mut self, id: Id) -> Vec<u8> {
        self.clients.get_mut(id).map(|client| std::mem::take(&mut client.output)).unwrap_or_default()
    }

    /// Whether there is something to be sent to a client.
    #[cfg(test)]
    pub fn has_output(&self, id: Id) -> bool {
        self.clients.get(id).is_some_and(|client| !client.output.is_empty())
    }

    /// The client hung up.
    pub fn closed(&mut self, id: Id) {
        if let Some(client) = self.clients.get_mut(id).filter(|_| id != FOREIGN) {
            client.close();
            client.output.clear();
        }
    }

    /// Whether the server has the connection open; what is left of its output is sent before its end.
    pub fn is_open(&self, id: Id) -> bool {
        self.clients.get(id).is_some_and(|client| client.open)
    }

    /// A command of a client that has no connection here, and may do all.
    pub fn execute(&mut self, words: &[&[u8]], now: u64) -> Reply {
        self.advance(now);
        self.reply(FOREIGN, words)
    }

    /// What lies at a key of a database, and may be due; the look changes nothing.
    #[cfg(test)]
    pub fn look(&self, database: usize, key: &[u8]) -> Option<&Entry> {
        self.databases.get(database)?.entries.get(key)
    }

    /// What Redis does ten times a second: some of the keys that are due go, and the tracking table is bounded.
    pub fn cycle(&mut self, now: u64) {
        self.advance(now);
        self.current = FOREIGN;
        self.bound_tracking();
        if self.is_replica() || self.faults.loading || self.faults.busy {
            return;
        }
        for database in 0..self.databases.len() {
            let entries = &self.database(database).entries;
            let due: Vec<_> = entries.iter().filter(|(_, e)| e.is_due(now)).map(|(key, _)| key.clone()).collect();
            for key in due {
                if self.random.bits() & 1 == 0 {
                    self.delete(database, &key);
                }
            }
        }
    }

    /// A key is evicted, as Redis does while maxmemory is reached; none where there is none.
    pub fn evict(&mut self, database: usize, now: u64) -> Option<Vec<u8>> {
        self.advance(now);
        self.current = FOREIGN;
        let keys = self.databases.get(database)?.entries.len();
        let at = if keys == 0 { return None } else { self.below(keys) };
        let key = self.databases.get(database)?.entries.keys().nth(at)?.clone();
        self.delete(database, &key);
        Some(key)
    }

    /// What it is by its own word.
    pub(super) fn says_replica(&self) -> bool {
        self.replica || self.faults.readonly
    }

    /// Whether it takes no writes, and leaves it to its primary to delete what is due.
    pub(super) fn is_replica(&self) -> bool {
        self.replica && !self.takes_writes || self.faults.readonly
    }

    /// A number from 0 to below `most`.
    fn below(&self, most: usize) -> usize {
        (self.random.bits() % (most.max(1) as u64)) as usize
    }
}
