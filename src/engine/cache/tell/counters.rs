//! What is counted: per cache what its callers did, per engine what Redis did.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::engine::base::error::Kind;

/// Counters of one cache. Relaxed: they are read for people, never to decide.
#[derive(Debug, Default)]
pub struct Counters {
    pub hits_near: AtomicU64,
    pub hits_redis: AtomicU64,
    pub hits_memory: AtomicU64,
    /// By who had nothing: Redis, or the in-process tier.
    pub misses_redis: AtomicU64,
    pub misses_memory: AtomicU64,
    pub sets: AtomicU64,
    pub deletes: AtomicU64,
    pub computes: AtomicU64,
    pub coalesced: AtomicU64,
    /// Computations that waited for another process's, and those of them that this process had to make itself.
    pub lease_waits: AtomicU64,
    pub lease_takeovers: AtomicU64,
    pub decode_errors: AtomicU64,
    /// Hits of Redis that were none, as their caller found out; and the most hits of it that were ever told.
    misread: AtomicU64,
    told: AtomicU64,
}

impl Counters {
    /// So many values were counted as hits, and are no values.
    pub fn misread(&self, values: u64) {
        [&self.misread, &self.misses_redis, &self.decode_errors].into_iter().for_each(|counter| add(counter, values));
    }

    /// Hits of Redis without those. Never fewer than were told before: later hits make up for what is taken back.
    pub fn hits_redis(&self) -> u64 {
        let hits = read(&self.hits_redis).saturating_sub(read(&self.misread));
        self.told.fetch_max(hits, Relaxed).max(hits)
    }
}

/// What one engine and its servers have told each other.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Bytes.
    pub received: AtomicU64,
    pub sent: AtomicU64,
    /// Pushes that name keys, the keys that they named, and pushes that name none.
    pub pushes: AtomicU64,
    pub invalidated: AtomicU64,
    pub flushes: AtomicU64,
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

    pub fn of(&self, kind: Kind) -> u64 {
        read(&self.0[kind as usize])
    }

    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.into_iter().map(|kind| (kind, self.of(kind)))
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

#[cfg(test)]
mod tests {
    use super::{Counters, add, read};

    #[test]
    fn hits_that_are_taken_back_are_made_up_for_and_never_told_away() {
        let counters = Counters::default();
        add(&counters.hits_redis, 2);
        // Nobody had looked: the first look is right.
        counters.misread(1);
        assert_eq!((counters.hits_redis(), read(&counters.misses_redis)), (1, 1));
        add(&counters.hits_redis, 1);
        assert_eq!(counters.hits_redis(), 2);
        counters.misread(1);
        assert_eq!((counters.hits_redis(), read(&counters.misses_redis)), (2, 2));
        add(&counters.hits_redis, 1);
        assert_eq!(counters.hits_redis(), 2);
        add(&counters.hits_redis, 1);
        assert_eq!((counters.hits_redis(), read(&counters.decode_errors)), (3, 2));
    }
}
