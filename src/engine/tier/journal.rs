//! The journal: what an outage leaves to be undone in Redis before anything is read from it again.
//!
//! **The problem.** While Redis is away the in-process tier answers, writes and deletes included. When Redis is back it
//! still has what was there before: a value that was deleted meanwhile would return from the dead. A write whose reply
//! never came may have happened, or may still happen.
//!
//! **The approach.** Each key that is written or deleted during an outage, or whose write is unknown, goes into the
//! journal, whatever was done to it: all that matters is that what Redis has of it is not to be trusted. On recovery
//! (conversation/undo/replay.rs) these keys are unlinked before any read is admitted, so they are misses and are
//! computed or read anew. Values are never written back: another process may have newer ones.
//!
//! What `delPattern` and `clear` named are patterns: covers.rs says what becomes of them.
//!
//! Bounded in keys and bytes, as an outage is not bounded in time. When it overflows, a cache with a namespace has that
//! cleared instead; one with raw keys shares its database with others, so what does not fit is lost, and said so.
//!
//! **The limit.** It lives in memory: if the process dies before Redis is back, only the TTL of old values bounds it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use futures_channel::oneshot;
use parking_lot::Mutex;

use crate::engine::base::error::Trouble;
use crate::engine::base::key::Prefix;
use crate::engine::base::mutant;
use crate::engine::base::pattern::Pattern;
use crate::engine::task::signal::{Signal, Watched};
use crate::engine::tier::budget::{Measure, Noted};
use crate::engine::tier::cover::{Covered, Passed, Picked, Swept, Walk};
use crate::engine::tier::covers::{Covers, MAX_EXCEPTION_BYTES, MAX_EXCEPTIONS};

/// The most keys, and the most bytes of keys, some 40 MB in all with what a set of them needs. A simulator fills it.
pub const MAX_KEYS: usize = if cfg!(feature = "simulation") { 12 } else { 100_000 };
pub const MAX_BYTES: usize = 16 << 20;
/// The most patterns (of `delPattern`), and bytes of them; beyond that, an overflow, they are one for each namespace.
pub const MAX_PATTERNS: usize = if cfg!(feature = "simulation") { 4 } else { 1_000 };
pub const MAX_PATTERN_BYTES: usize = 1 << 20;

#[derive(Default)]
struct Inner {
    /// As they are stored.
    keys: BTreeSet<Box<str>>,
    bytes: usize,
    covers: Covers,
    /// Keys of raw caches that did not fit.
    lost: u64,
    /// Keys that are to be unlinked although the server is in use: they came with a slot.
    owed: Vec<Box<str>>,
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
    /// Patterns that hide keys; spares calls the lock while there are none.
    standing: AtomicUsize,
    owing: AtomicBool,
    /// How often any of them went, and how often a whole namespace took the place of what did not fit.
    went: AtomicU64,
    widened: AtomicU64,
    /// There is a pattern to be swept, for the task that does so while Redis is in use.
    pub stirred: Signal,
}

impl Journal {
    /// What Redis has at a stored key is not to be trusted.
    pub fn note(&self, prefix: &Prefix, key: &str) -> Noted {
        if mutant::lacks("journal") {
            return Noted::Kept;
        }
        let mut inner = self.inner.lock();
        if inner.keys.contains(key) {
            return Noted::Kept;
        }
        if inner.keys.len() >= MAX_KEYS || inner.bytes + key.len() > MAX_BYTES {
            let is_swept = inner.covers.awaits(&Pattern::everything(prefix));
            return if is_swept { Noted::Kept } else { self.overflow(&mut inner, prefix) };
        }
        // Even if all of the namespace is to be swept: a sweep may miss what moves to another server, a key does not.
        self.add(&mut inner, key)
    }

    fn add(&self, inner: &mut Inner, key: &str) -> Noted {
        inner.bytes += key.len();
        inner.keys.insert(key.into());
        self.count(inner);
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
        self.add(&mut inner, key)
    }

    /// A key of a slot that this server has now, for whose old value nobody answers: a miss until it is unlinked.
    pub fn owe(&self, key: &str) -> Noted {
        let noted = self.distrust(key);
        self.inner.lock().owed.push(key.into());
        self.owing.store(true, Ordering::SeqCst);
        self.stirred.raise();
        noted
    }

    /// Those that are still to be unlinked.
    pub fn take_owed(&self) -> Vec<Box<str>> {
        let mut inner = self.inner.lock();
        let owed = if self.owing.swap(false, Ordering::SeqCst) { std::mem::take(&mut inner.owed) } else { Vec::new() };
        owed.into_iter().filter(|key| inner.keys.contains(key)).collect()
    }

    /// `key` is about to be replaced: what would unlink it comes too late. Whether it was still to be.
    pub fn supersede(&self, key: &str) -> bool {
        if !self.owing.load(Ordering::SeqCst) {
            return false;
        }
        let mut inner = self.inner.lock();
        let before = inner.owed.len();
        inner.owed.retain(|owed| **owed != *key);
        inner.owed.len() < before
    }

    /// Takes out the keys, and copies the patterns, of what is another server's from here on. `idle`: all is. `ends`:
    /// and drops these.
    pub fn part(&self, is_others: impl Fn(&str) -> bool, [idle, ends]: [bool; 2]) -> (BTreeSet<Box<str>>, Vec<Passed>) {
        let mut inner = self.inner.lock();
        let (theirs, ours) = std::mem::take(&mut inner.keys).into_iter().partition(|key| is_others(key));
        inner.keys = ours;
        inner.bytes = inner.keys.iter().map(|key| key.len()).sum();
        let passed = if ends { std::mem::take(&mut inner.covers).patterns(idle) } else { inner.covers.patterns(idle) };
        self.count(&inner);
        (theirs, passed)
    }

    /// Nor at the keys that match. `parked`: a connected server refuses the search for them; a recovery tries it again.
    pub fn note_pattern(&self, prefix: &Prefix, pattern: Pattern, parked: bool) -> Noted {
        let mut inner = self.inner.lock();
        let everything = Pattern::everything(prefix);
        if inner.covers.contains(&everything) && !parked {
            // Anew, as what is called now is behind what was called then.
            inner.covers.note(everything, false);
        } else if !inner.covers.contains(&pattern)
            && (inner.covers.waiting() >= MAX_PATTERNS
                || inner.covers.waiting_bytes() + pattern.bytes() > MAX_PATTERN_BYTES)
        {
            return self.overflow(&mut inner, prefix);
        } else {
            inner.covers.note(pattern, parked);
        }
        self.count(&inner);
        Noted::Kept
    }

    /// A sweep that takes its place in the order of calls, for somebody who waits.
    pub fn raise(&self, pattern: Pattern) -> oneshot::Receiver<Swept> {
        self.change(|covers| covers.raise(pattern))
    }

    /// A sweep that was another server's, of slots that are this one's now.
    pub fn take_over(&self, passed: Passed) {
        self.change(|covers| covers.take_over(passed));
    }

    /// Whether a sweep is about to remove what Redis has at a key.
    pub fn covers(&self, key: &str) -> bool {
        self.is_covering() && !mutant::lacks("cover") && self.inner.lock().covers.hides(key)
    }

    pub fn is_covering(&self) -> bool {
        self.standing.load(Ordering::SeqCst) > 0
    }

    /// A key is to be written: what of a sweep comes before that.
    pub fn uncover(&self, key: &str) -> Covered {
        if !self.is_covering() || mutant::lacks("cover") {
            return Covered::No;
        }
        self.inner.lock().covers.uncover(key)
    }

    /// So many keys of the cover `id` went.
    pub fn removed(&self, id: u64, keys: u64) {
        self.inner.lock().covers.count(id, keys);
    }

    /// The walk over the server's keys that is to be made, if one is.
    pub fn walk(&self, server: Option<&str>) -> Option<Walk> {
        self.inner.lock().covers.walk(server)
    }

    /// What of a page is to go, and must be sent before anything else is.
    pub fn pick(&self, page: Vec<redis::Value>) -> Vec<Picked> {
        self.inner.lock().covers.pick(page)
    }

    pub fn turn(&self, cursor: Vec<u8>) {
        self.inner.lock().covers.turn(cursor);
    }

    /// A walk has been over all keys; what is still to be waited for before it is over.
    pub fn all_walked(&self) -> Option<Watched> {
        self.inner.lock().covers.walked()
    }

    /// A walk is over; whether its trouble is still to be told.
    pub fn walked(&self, trouble: Option<&Trouble>) -> bool {
        self.change(|covers| covers.finish(trouble))
    }

    /// The server refuses to remove what the cover `id` is for; whether that is still to be told.
    pub fn refused(&self, id: u64, trouble: &Trouble) -> bool {
        self.change(|covers| covers.refuse(id, trouble))
    }

    /// The connection is lost. What was swept for callers joins what waits: beyond the bound, as one of a namespace.
    pub fn lose(&self) {
        self.change(|covers| {
            covers.lose();
            if covers.waiting() > MAX_PATTERNS || covers.waiting_bytes() > MAX_PATTERN_BYTES {
                self.widened.fetch_add(covers.widen_all(), Ordering::SeqCst);
            }
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Covers) -> T) -> T {
        let mut inner = self.inner.lock();
        let result = change(&mut inner.covers);
        self.count(&inner);
        result
    }

    /// A whole namespace in place of its keys.
    fn overflow(&self, inner: &mut Inner, prefix: &Prefix) -> Noted {
        if prefix.is_raw() {
            return inner.lose();
        }
        inner.keys.retain(|key| !key.starts_with(prefix.as_str()));
        inner.bytes = inner.keys.iter().map(|key| key.len()).sum();
        inner.covers.widen(Pattern::everything(prefix));
        self.widened.fetch_add(1, Ordering::SeqCst);
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
        let keys: Vec<Box<str>> = std::iter::from_fn(|| inner.keys.pop_first()).take(most).collect();
        inner.bytes -= keys.iter().map(|key| key.len()).sum::<usize>();
        self.count(&inner);
        keys
    }

    /// They could not be unlinked: back they go.
    pub fn put_back(&self, keys: Vec<Box<str>>) {
        let mut inner = self.inner.lock();
        for key in keys {
            let bytes = key.len();
            inner.bytes += if inner.keys.insert(key) { bytes } else { 0 };
        }
        self.count(&inner);
    }

    /// How many keys did not fit since this was last asked.
    pub fn take_lost(&self) -> u64 {
        std::mem::take(&mut self.inner.lock().lost)
    }

    /// How often a whole namespace took the place of keys or patterns that did not fit, since the engine was opened.
    pub fn widened(&self) -> u64 {
        self.widened.load(Ordering::SeqCst)
    }

    pub fn keys(&self) -> usize {
        self.inner.lock().keys.len()
    }

    /// How often something went that was to be undone, as it was, or is just now, or as it is another's.
    pub fn went(&self) -> u64 {
        self.went.load(Ordering::SeqCst)
    }

    /// What it holds now, each with its bound.
    pub fn measures(&self) -> [Measure; 6] {
        let inner = self.inner.lock();
        let [exceptions, exception_bytes] = inner.covers.exceptions();
        [
            ("keys of the journal", inner.keys.len(), MAX_KEYS),
            ("bytes of the journal", inner.bytes, MAX_BYTES),
            ("patterns of the journal", inner.covers.waiting(), MAX_PATTERNS),
            ("bytes of its patterns", inner.covers.waiting_bytes(), MAX_PATTERN_BYTES),
            ("exceptions of covers", exceptions, MAX_EXCEPTIONS),
            ("bytes of exceptions", exception_bytes, MAX_EXCEPTION_BYTES),
        ]
    }

    /// Keys, and patterns that wait.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn count(&self, inner: &Inner) {
        let (len, standing) = (inner.keys.len() + inner.covers.waiting(), inner.covers.standing());
        let fewer = len < self.len.swap(len, Ordering::SeqCst);
        let fewer = standing < self.standing.swap(standing, Ordering::SeqCst) || fewer;
        self.went.fetch_add(fewer.into(), Ordering::SeqCst);
        if standing > 0 {
            self.stirred.raise();
        }
    }
}
