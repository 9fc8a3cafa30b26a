//! What is counted: per cache what its callers did, per engine what Redis did.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::engine::base::error::Kind;

/// Counters of one cache. Relaxed: they are read for people, never to decide.
#[derive(Debug, Default)]
pub struct Counters {
    pub hits_near: AtomicU64,
    pub hits_redis: AtomicU64,
    pub hits_memory: AtomicU64,
    pub misses: AtomicU64,
    pub sets: AtomicU64,
    pub deletes: AtomicU64,
    pub computes: AtomicU64,
    pub coalesced: AtomicU64,
    pub decode_errors: AtomicU64,
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}

/// Reads a counter.
pub fn read(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

/// Failures by kind.
#[derive(Debug, Default)]
pub struct Errors([AtomicU64; Kind::ALL.len()]);

impl Errors {
    pub fn count(&self, kind: Kind) {
        add(&self.0[kind as usize], 1);
    }

    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.into_iter().map(|kind| (kind, read(&self.0[kind as usize])))
    }
}

/// What the server says of itself, for `getStats()`.
#[derive(Debug, Default, Clone)]
pub struct ServerStats {
    pub used_memory: Option<u64>,
    pub max_memory: Option<u64>,
    pub max_memory_policy: Option<String>,
    pub keys: Option<u64>,
}
