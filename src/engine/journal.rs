//! The journal: what an outage leaves to be undone in Redis before anything is read from it again.
//!
//! **The problem.** While Redis is away the in-process tier answers, writes and deletes included. When Redis is back it still has what was there before: a value that was
//! deleted meanwhile would return from the dead. A write whose reply never came may have happened, or may still happen.
//!
//! **The approach.** Each key that is written or deleted during an outage, or whose write is unknown, goes into the journal, whatever was done to it: all that matters is that
//! what Redis has of it is not to be trusted. On recovery (redis/replay.rs) these keys are unlinked before any read is admitted, so they are misses and are computed or read anew. Values
//! are never written back: another process may have newer ones.
//!
//! Bounded in keys and bytes, as an outage is not bounded in time. When it overflows, a cache with a namespace has that cleared instead; one with raw keys shares its database with
//! others, so what does not fit is lost, and said so.
//!
//! **The limit.** It lives in memory: if the process dies before Redis is back, only the TTL of the old value bounds it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::key::Prefix;
use super::mutant;

/// The most keys, and the most bytes of keys, some 40 MB in all with what a hash set needs beside them.
pub const MAX_KEYS: usize = 100_000;
pub const MAX_BYTES: usize = 16 << 20;
/// The most patterns (of `delPattern`), and the most bytes of them; beyond that they count as an overflow.
pub const MAX_PATTERNS: usize = 1_000;
pub const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Keys to be looked for: those behind `prefix` that match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    pub prefix: Box<str>,
    pub glob: Box<str>,
    /// The cache's own keys too (`clear`).
    pub internal: bool,
}

impl Pattern {
    /// Bytes of its texts.
    fn len(&self) -> usize {
        self.prefix.len() + self.glob.len()
    }
}

#[derive(Default)]
struct Inner {
    /// As they are stored.
    keys: HashSet<Box<str>>,
    bytes: usize,
    patterns: HashSet<Pattern>,
    /// Keys of raw caches that did not fit.
    lost: u64,
}

impl Inner {
    fn lose(&mut self) -> Noted {
        self.lost += 1;
        if self.lost == 1 { Noted::FirstLost } else { Noted::Lost }
    }
}

/// The journal of one engine.
#[derive(Default)]
pub struct Journal {
    inner: Mutex<Inner>,
    /// Keys and patterns; spares reads the lock while there are none.
    len: AtomicUsize,
}

/// What became of a note.
#[must_use = "what is lost is to be told"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    Kept,
    /// It did not fit, and is the first that did not.
    FirstLost,
    Lost,
}

impl Journal {
    /// What Redis has at a stored key is not to be trusted.
    pub fn note(&self, prefix: &Prefix, key: &str) -> Noted {
        if mutant::lacks("journal") {
            return Noted::Kept;
        }
        let mut inner = self.inner.lock();
        if inner.keys.contains(key) || inner.patterns.contains(&everything(prefix)) {
            return Noted::Kept;
        }
        if inner.keys.len() >= MAX_KEYS || inner.bytes + key.len() > MAX_BYTES {
            return self.overflow(&mut inner, prefix);
        }
        inner.bytes += key.len();
        inner.keys.insert(key.into());
        self.count(&inner);
        Noted::Kept
    }

    /// As `note`, for a key that a connected Redis refused to replace and to remove. A namespace is not cleared in its
    /// place: the server would refuse that too.
    pub fn distrust(&self, key: &str) -> Noted {
        let mut inner = self.inner.lock();
        if inner.keys.contains(key) {
            return Noted::Kept;
        }
        if inner.keys.len() >= MAX_KEYS || inner.bytes + key.len() > MAX_BYTES {
            return inner.lose();
        }
        inner.keys.insert(key.into());
        inner.bytes += key.len();
        self.count(&inner);
        Noted::Kept
    }

    /// Nor what it has at the keys that match; `internal` with the cache's own.
    pub fn note_pattern(&self, prefix: &Prefix, glob: &str, internal: bool) -> Noted {
        let mut inner = self.inner.lock();
        let pattern = Pattern { prefix: prefix.as_str().into(), glob: glob.into(), internal };
        if inner.patterns.contains(&pattern) {
            return Noted::Kept;
        }
        let bytes: usize = inner.patterns.iter().map(Pattern::len).sum();
        if inner.patterns.len() >= MAX_PATTERNS || bytes + pattern.len() > MAX_PATTERN_BYTES {
            return self.overflow(&mut inner, prefix);
        }
        inner.patterns.insert(pattern);
        self.count(&inner);
        Noted::Kept
    }

    /// A whole namespace in place of its keys.
    fn overflow(&self, inner: &mut Inner, prefix: &Prefix) -> Noted {
        if prefix.is_raw() {
            return inner.lose();
        }
        inner.keys.retain(|key| !key.starts_with(prefix.as_str()));
        inner.patterns.retain(|pattern| *pattern.prefix != *prefix.as_str());
        inner.bytes = inner.keys.iter().map(|key| key.len()).sum();
        inner.patterns.insert(everything(prefix));
        self.count(inner);
        Noted::Kept
    }

    /// Whether what Redis has at `key` is not to be trusted.
    pub fn holds(&self, key: &str) -> bool {
        !self.is_empty() && self.inner.lock().keys.contains(key)
    }

    /// `key` was replaced: it can be trusted again.
    pub fn replaced(&self, key: &str) {
        if self.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        if inner.keys.remove(key) {
            inner.bytes -= key.len();
        }
        self.count(&inner);
    }

    /// Takes up to so many keys out, to unlink them.
    pub fn take_keys(&self, most: usize) -> Vec<Box<str>> {
        let mut inner = self.inner.lock();
        let keys: Vec<Box<str>> = inner.keys.iter().take(most).cloned().collect();
        for key in &keys {
            inner.keys.remove(key);
            inner.bytes -= key.len();
        }
        self.count(&inner);
        keys
    }

    /// Takes a pattern out, to remove what matches.
    pub fn take_pattern(&self) -> Option<Pattern> {
        let mut inner = self.inner.lock();
        let pattern = inner.patterns.iter().next().cloned()?;
        inner.patterns.remove(&pattern);
        self.count(&inner);
        Some(pattern)
    }

    /// They could not be unlinked: back they go.
    pub fn put_back(&self, keys: Vec<Box<str>>, pattern: Option<Pattern>) {
        let mut inner = self.inner.lock();
        for key in keys {
            let bytes = key.len();
            if inner.keys.insert(key) {
                inner.bytes += bytes;
            }
        }
        inner.patterns.extend(pattern);
        self.count(&inner);
    }

    /// How many keys did not fit since this was last asked.
    pub fn take_lost(&self) -> u64 {
        std::mem::take(&mut self.inner.lock().lost)
    }

    /// Keys and patterns.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn count(&self, inner: &Inner) {
        self.len.store(inner.keys.len() + inner.patterns.len(), Ordering::SeqCst);
    }
}

fn everything(prefix: &Prefix) -> Pattern {
    Pattern { prefix: prefix.as_str().into(), glob: "*".into(), internal: true }
}
