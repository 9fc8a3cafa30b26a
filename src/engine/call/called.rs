//! Which keys have a write that is called and not planned yet. Until it is, no read of its key may fill a near cache
//! (race 3 of src/engine/tier/near.rs): its reply may come before the write is planned, and a read that is called
//! behind the write would be served what it filled.
//!
//! One table for all servers of a cluster: the write may be planned on another one than it was called for, as may the
//! read. Keys share counters; a shared one makes a read fill less often.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::engine::base::mutant;
use crate::engine::base::random::Hashes;

/// 16 KiB.
const COUNTERS: usize = if cfg!(feature = "simulation") { 1 << 6 } else { 1 << 12 };

pub struct Called {
    counts: Box<[AtomicU32]>,
    hasher: Hashes,
}

impl Default for Called {
    fn default() -> Self {
        Self { counts: (0..COUNTERS).map(|_| AtomicU32::new(0)).collect(), hasher: Hashes::default() }
    }
}

impl Called {
    /// A write of a stored key is called. What is returned goes to `planned`, whatever becomes of the write.
    pub fn add(&self, key: &str) -> u32 {
        let at = self.at(key);
        self.counts[at].fetch_add(1, Ordering::SeqCst);
        at as u32
    }

    /// That write is planned, or never will be.
    pub fn planned(&self, at: u32) {
        self.counts[at as usize].fetch_sub(1, Ordering::SeqCst);
    }

    pub fn has(&self, key: &str) -> bool {
        self.counts[self.at(key)].load(Ordering::SeqCst) > 0 && !mutant::lacks("called")
    }

    fn at(&self, key: &str) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.as_bytes());
        // What looks at it takes the low bits, which the cast keeps.
        hasher.finish() as usize % COUNTERS
    }
}
