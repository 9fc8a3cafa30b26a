//! What a sweep of an in-process store hides from the moment at which it is called, while the entries themselves go
//! little by little.
//!
//! **The problem.** `delPattern` and `clear` must look at each entry of the store, and a store of a million entries is
//! not walked within a turn of the event loop. Yet a read that is called behind the sweep must not see what it removes,
//! and a write that is called behind it must stay.
//!
//! **The approach.** Each entry carries a stamp: the count of sweeps when it was written. A sweep raises that count and
//! leaves a mark, its pattern and the count. What matches and was written before is *hidden*: it reads as missing, and
//! goes when it is met, by a read, by a write of its key, or by the walk (memory.rs), which any number of sweeps share.
//! When the walk is over the mark is lifted. Dropping the whole store needs no mark: a *floor* below which all is
//! hidden.
//!
//! **Rejected.** *A list of the keys written since*, as the covers of Redis' keys have it (covers.rs): it has a bound,
//! and a write beyond it would be lost. *A lock for as long as the walk takes*: it is the walk that takes long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::engine::base::mutant;
use crate::engine::base::pattern::Pattern;
use crate::engine::tier::heads::Heads;

/// A sweep that is not over.
pub struct Mark {
    /// They are counted.
    number: u64,
    pattern: Pattern,
    /// Entries with a smaller stamp are hidden.
    before: AtomicU64,
    /// Entries of the caller's that went.
    removed: AtomicU64,
    swept: AtomicBool,
}

impl Mark {
    /// One of the entries that it hides went.
    pub fn count(&self, key: &str) {
        if self.pattern.is_callers(key.as_bytes()) {
            self.removed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn removed(&self) -> u64 {
        self.removed.load(Ordering::Relaxed)
    }

    fn is_behind(&self, stamp: u64) -> bool {
        stamp < self.before.load(Ordering::SeqCst)
    }

    pub fn is_swept(&self) -> bool {
        self.swept.load(Ordering::SeqCst)
    }
}

/// The marks of one store.
#[derive(Default)]
pub struct Marks {
    /// Spares reads the lock while there are none.
    standing: AtomicUsize,
    list: RwLock<List>,
    sweeps: AtomicU64,
    floor: AtomicU64,
}

#[derive(Default)]
struct List {
    last: u64,
    marks: BTreeMap<u64, Arc<Mark>>,
    heads: Heads<Arc<Mark>>,
}

impl Marks {
    /// Sweeps that are not over.
    pub fn standing(&self) -> usize {
        self.standing.load(Ordering::SeqCst)
    }

    /// What an entry that is written now carries.
    pub fn stamp(&self) -> u64 {
        self.sweeps.load(Ordering::SeqCst)
    }

    /// Hides what matches. `open`: whenever it was written, until `close`; else what was written until now.
    pub fn raise(&self, pattern: Pattern, open: bool) -> Arc<Mark> {
        let before = if open { u64::MAX } else { self.next() };
        let mut list = self.list.write();
        list.last += 1;
        let mark = Arc::new(Mark {
            number: list.last,
            pattern,
            before: AtomicU64::new(before),
            removed: AtomicU64::new(0),
            swept: AtomicBool::new(false),
        });
        if !mutant::lacks("mark") {
            list.marks.insert(mark.number, mark.clone());
            list.heads.insert(&mark.pattern, mark.clone());
            self.standing.store(list.marks.len(), Ordering::SeqCst);
        }
        mark
    }

    /// From here on an open mark hides what was written until now.
    pub fn close(&self, mark: &Mark) {
        mark.before.store(self.next(), Ordering::SeqCst);
    }

    /// Hides all that was written until now.
    pub fn raise_floor(&self) {
        self.floor.store(self.next(), Ordering::SeqCst);
    }

    fn next(&self) -> u64 {
        self.sweeps.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Those that stand now and are closed: what a walk that begins now does away with.
    pub fn closed(&self) -> Vec<Arc<Mark>> {
        let closed = |mark: &&Arc<Mark>| mark.before.load(Ordering::SeqCst) != u64::MAX;
        self.list.read().marks.values().filter(closed).cloned().collect()
    }

    /// They hide nothing any more: a walk has met every entry.
    pub fn lift(&self, swept: &[Arc<Mark>]) {
        let mut list = self.list.write();
        for over in swept {
            list.marks.remove(&over.number);
            list.heads.remove(&over.pattern, |mark| mark.number == over.number);
        }
        self.standing.store(list.marks.len(), Ordering::SeqCst);
        swept.iter().for_each(|mark| mark.swept.store(true, Ordering::SeqCst));
    }

    pub fn hides(&self, key: &str, stamp: u64) -> bool {
        stamp < self.floor.load(Ordering::SeqCst)
            || self.standing.load(Ordering::SeqCst) > 0
                && self.list.read().heads.matching(key.as_bytes()).any(|mark| mark.is_behind(stamp))
    }

    /// The mark by which an entry is hidden, the oldest if there are several.
    pub fn by(&self, key: &str, stamp: u64) -> Option<Arc<Mark>> {
        if self.standing.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let list = self.list.read();
        let hiding = list.heads.matching(key.as_bytes()).filter(|mark| mark.is_behind(stamp));
        hiding.min_by_key(|mark| mark.number).cloned()
    }
}
