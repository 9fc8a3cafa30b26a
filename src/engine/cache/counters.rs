//! What is counted: per cache what its callers did, per engine what Redis did.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

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

/// How many round trips the percentiles look back on.
const WINDOW: usize = 1024;

/// The last round trips of a connection.
#[derive(Debug, Default)]
pub struct Latency(Mutex<(Vec<u32>, usize)>);

impl Latency {
    pub fn record(&self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let (samples, next) = &mut *self.0.lock();
        if samples.len() < WINDOW {
            samples.push(micros);
        } else {
            samples[*next] = micros;
            *next = (*next + 1) % WINDOW;
        }
    }

    /// p50 and p99 in milliseconds, 0 before the first round trip.
    pub fn percentiles(&self) -> (f64, f64) {
        let mut samples = self.0.lock().0.clone();
        samples.sort_unstable();
        let at = |q: f64| {
            let i = ((samples.len() as f64 * q).ceil() as usize).clamp(1, samples.len().max(1)) - 1;
            samples.get(i).map_or(0.0, |&us| f64::from(us) / 1000.0)
        };
        (at(0.50), at(0.99))
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
