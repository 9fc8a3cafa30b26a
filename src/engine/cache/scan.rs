//! `scan()`: a page of a cache's keys, and where the next one begins.
//!
//! **The problem.** The cursor of SCAN belongs to one server. Between two pages that server may go away, and the
//! in-process tier answers; it may come back; another may take its place, or its slots. Whoever scans is to get every
//! key that is there all the while.
//!
//! **The approach.** Each page says where the next one begins: at which server, in which of the stores that answer for
//! it, and where in that store. The caller hands that back, so nothing is kept here, and a scan that is left costs
//! nothing. Where a page finds another store in charge than the one before it, that store is begun from its first key;
//! so is a server that was started anew. A cluster's servers come one after the other, and once more if slots have
//! changed hands meanwhile, since a key may have gone from one that was to come to one that had been. So a key may
//! come twice, and what is not there any more, or not yet, may come or not.
//!
//! **The limits.** Slots that change hands in each of [`ROUNDS`] rounds: a key may be passed over. A server that is
//! away knows nothing of its keys here but those that are held in process.

use std::fmt;

use crate::engine::base::key;
use crate::engine::base::pattern::Pattern;
use crate::engine::base::text::Json;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::shared::Shared;
use crate::engine::cache::there;
use crate::engine::call::batch::Scan;
use crate::engine::call::reply::Reply;
use crate::engine::fleet::cluster::Cluster;
use crate::engine::tier::memory::Memory;

/// So often the servers of a cluster are gone through, if slots change hands each time.
const ROUNDS: u8 = 3;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The place of a server; 0 before the first.
    pub server: u16,
    store: Store,
    /// Where in the store, in its own words.
    at: String,
    /// How often slots had got other owners when this round began.
    changes: u64,
    round: u8,
}

/// What answers for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Redis,
    Memory,
    /// What the near cache held when the server went.
    Near,
}

const STORES: [(Store, &str); 3] = [(Store::Redis, "r"), (Store::Memory, "m"), (Store::Near, "n")];

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, store, at, changes, round } = self;
        let store = STORES.iter().find(|(one, _)| one == store).map_or("", |(_, name)| name);
        write!(f, "{server}.{round}.{changes}.{store}.{at}")
    }
}

impl Start {
    /// As the page before said; what is none begins the scan.
    pub fn parse(text: &str, shared: &Shared) -> Self {
        let first = || Self {
            server: 0,
            store: Store::Memory,
            at: String::new(),
            changes: shared.fleet.cluster().map_or(0, Cluster::changes),
            round: 1,
        };
        Self::read(text).unwrap_or_else(first)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '.');
        let (server, round, changes) = (parts.next()?, parts.next()?, parts.next()?);
        let (store, at) = (parts.next()?, parts.next()?);
        Some(Self {
            server: server.parse().ok()?,
            round: round.parse().ok()?,
            changes: changes.parse().ok()?,
            store: STORES.iter().find(|(_, name)| *name == store)?.0,
            at: at.into(),
        })
    }

    /// The same scan, at the first server from this one on that serves slots.
    pub fn at_server(mut self, shared: &Shared) -> Self {
        let Some(cluster) = shared.fleet.cluster() else { return self };
        let server = cluster.servers().filter(|one| cluster.is_used(one)).map(|one| one.place);
        match server.filter(|place| *place >= self.server).min() {
            Some(server) if server == self.server => self,
            server => {
                self.store = Store::Redis;
                self.at.clear();
                self.server = server.unwrap_or(0);
                self
            }
        }
    }

    /// Where SCAN goes on, at the server that calls itself `run_id`.
    pub fn cursor(&self, run_id: Option<&str>) -> &str {
        let is_its = |id: &str| id == run_id.unwrap_or_default() && self.store == Store::Redis;
        self.at.split_once(':').filter(|(id, _)| is_its(id)).map_or("0", |(_, cursor)| cursor)
    }

    /// Behind a page of SCAN that ended with this cursor; none where that was the last.
    pub fn behind_page(&self, cursor: &str, run_id: Option<&str>, shared: &Shared) -> Option<Self> {
        if cursor == "0" {
            return self.behind_server(shared);
        }
        let at = format!("{}:{cursor}", run_id.unwrap_or_default());
        Some(Self { store: Store::Redis, at, ..self.clone() })
    }

    /// At the next server of a cluster, or at the first once more; none where the scan is over.
    pub fn behind_server(&self, shared: &Shared) -> Option<Self> {
        let cluster = shared.fleet.cluster()?;
        let behind = |server| Self { server, store: Store::Redis, at: String::new(), ..self.clone() };
        let next = cluster.servers().filter(|one| cluster.is_used(one)).map(|one| one.place);
        if let Some(next) = next.filter(|place| *place > self.server).min() {
            return Some(behind(next));
        }
        let changes = cluster.changes();
        let again = changes != self.changes && self.round < ROUNDS;
        again.then(|| Self { changes, round: self.round + 1, ..behind(0) })
    }
}

/// A page of what is held in process, on this thread.
pub fn locally(cache: &Cache, scan: &Scan) -> Reply {
    let shared = cache.shared();
    let from = Start::parse(&scan.from, shared);
    let pattern = Pattern::new(&cache.prefix, &scan.glob, false);
    let now = shared.clock.now_ms();
    let is_of = |key: &str| shared.fleet.cluster().is_none() || shared.server(key).place == from.server;
    let mut keys = Vec::new();
    let store = if from.store == Store::Near { Store::Near } else { Store::Memory };
    let at = if store == from.store { from.at.parse().unwrap_or(0) } else { 0 };
    let server = shared.fleet.cluster().and_then(|cluster| cluster.server(from.server));
    let memory: &Memory = match store {
        Store::Near => server.unwrap_or(shared.fleet.first()).near.store(),
        _ => &shared.memory,
    };
    let is_asked = |key: &str| pattern.matches(key.as_bytes()) && is_of(key);
    let next = memory.page(at, scan.count, is_asked, &mut keys);
    // As a read would find them.
    keys.retain(|key| there::fresh(cache, key, now).is_some());
    let next = match next {
        Some(at) => Some(Start { store, at: at.to_string(), ..from }),
        None if store == Store::Memory && cache.has_redis && cache.near => {
            Some(Start { store: Store::Near, at: String::new(), ..from })
        }
        None => from.behind_server(shared),
    };
    page(cache, keys.iter().map(String::as_str), next.as_ref())
}

/// The reply: the keys as the caller names them, and where the next page begins.
pub fn page<'a>(cache: &Cache, stored: impl Iterator<Item = &'a str>, next: Option<&Start>) -> Reply {
    let keys: Vec<&str> = stored.filter_map(|key| key.strip_prefix(cache.prefix.as_str())).collect();
    debug_assert!(keys.iter().all(|key| !key::is_internal(key.as_bytes())));
    let next = next.map(Start::to_string);
    Reply::Value(Json::Owned(serde_json::json!({ "keys": keys, "next": next }).to_string()))
}
