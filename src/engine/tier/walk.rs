//! Walks over an in-process store: sweeps, counts, and what has expired.
//!
//! Looking at a million entries takes some 100 ms, and whoever does it at one go holds up the event loop, or every
//! other cache's calls on the engine's thread. So a walk goes in steps, with a round of the engine's
//! thread between two. It takes the store's lock for some entries, never for a step. What it is about to remove is
//! hidden meanwhile (marks.rs), so nobody needs to wait for its end but who asked for the number. A small store is
//! walked where the call is.
//!
//! The store moves entries where it is full or has holes, and a walk may pass over what moves. No sweep misses it: what
//! moves is looked at then, and goes if it is hidden. A count may be wrong by as many.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::engine::base::key;
use crate::engine::base::pattern::Pattern;
use crate::engine::store::record::Life;
use crate::engine::store::segments::Cursor;
use crate::engine::task::timers::Timers;
use crate::engine::tier::marks::Mark;
use crate::engine::tier::memory::Memory;

/// A store that has no more entries than this is walked at once: less than a millisecond.
const SMALL: usize = 2_000;
/// Entries that a step looks at. A walk is given its time and asks no clock, so a step is counted and not timed.
const STEP: usize = 5_000;
/// Entries that are looked at under one lock: some microseconds.
const HELD: usize = 64;
/// The removal of an entry counts as so many looks.
const REMOVAL: usize = 5;
/// Between two steps, in which the engine's other work goes on.
const PAUSE: Duration = Duration::from_millis(1);
/// How many entries a step of the walk in the background looks at, and the pause between two steps: 200,000 entries a
/// second at the most.
const BACKGROUND_STEP: usize = 2_000;
const STEP_PAUSE: Duration = Duration::from_millis(10);
/// And between two walks: an idle process wakes once a second for it.
const WALK_PAUSE: Duration = Duration::from_secs(1);

impl Memory {
    pub fn is_small(&self) -> bool {
        self.store.lock().records() <= SMALL
    }

    /// Hides what matches; to be swept (`swept`, `sweep_at_once`) by whoever raised it. `open`: until it is closed,
    /// whatever is written meanwhile too.
    pub fn raise(&self, pattern: &Pattern, open: bool) -> Arc<Mark> {
        let _guard = self.updates.lock();
        self.marks.raise(pattern.clone(), open)
    }

    /// From here on an open mark hides what was written until now.
    pub fn close(&self, mark: &Mark) {
        let _guard = self.updates.lock();
        self.marks.close(mark);
    }

    /// Removes what a closed mark hides, in steps; how many of the caller's entries there were. Whoever waits for the
    /// walk of another sweep needs none of its own where that began behind its mark.
    pub async fn swept(&self, mark: &Mark, timers: &Timers) -> u64 {
        let _turn = self.walks.lock().await;
        if !mark.is_swept() {
            let over = self.marks.closed();
            self.walk(timers, |key, life| self.is_dropped(key, life, timers.now_ms())).await;
            self.marks.lift(&over);
        }
        mark.removed()
    }

    /// As `swept`, on this thread and without a break.
    pub fn sweep_at_once(&self, mark: &Mark, now: u64) -> u64 {
        if !mark.is_swept() {
            let over = self.marks.closed();
            self.walk_at_once(|key, life| self.is_dropped(key, life, now), now);
            self.marks.lift(&over);
        }
        mark.removed()
    }

    /// Drops everything; how many entries there were. They are gone for every reader; their memory is freed in the
    /// background.
    pub fn clear(&self, now: u64) -> usize {
        let entries = self.store.lock().len();
        {
            let _guard = self.updates.lock();
            self.marks.raise_floor();
        }
        if self.is_small() {
            self.walk_at_once(|key, life| self.is_dropped(key, life, now), now);
            self.settle();
        } else {
            self.stirred.raise();
        }
        entries
    }

    /// How many of the caller's keys there are behind a prefix, counted in steps.
    pub async fn count(&self, prefix: &str, timers: &Timers) -> u64 {
        let mut count = 0;
        let now = timers.now_ms();
        let look = |key: &str, life: &Life| {
            count += u64::from(self.counts(prefix, key, life, now));
            false
        };
        self.walk(timers, look).await;
        count
    }

    /// As `count`, on this thread and without a break.
    pub fn count_at_once(&self, prefix: &str, now: u64) -> u64 {
        let mut count = 0;
        let look = |key: &str, life: &Life| {
            count += u64::from(self.counts(prefix, key, life, now));
            false
        };
        self.walk_at_once(look, now);
        count
    }

    /// Adds the keys that are `asked` for, from one part of the store on, until there are about `count`; the part that
    /// comes next, if any. A key that is there all the while is met by who goes through all parts.
    pub fn page(
        &self,
        from: usize,
        count: usize,
        asked: impl Fn(&str) -> bool,
        keys: &mut Vec<String>,
    ) -> Option<usize> {
        let mut part = from;
        while keys.len() < count {
            let store = self.store.lock();
            if part >= store.parts_of_keys() {
                return None;
            }
            let there = store.keys_of(part).filter(|(key, life)| asked(key) && !self.marks.hides(key, life.stamp));
            keys.extend(there.map(|(key, _)| key.to_owned()));
            part += 1;
        }
        Some(part)
    }

    fn counts(&self, prefix: &str, key: &str, life: &Life, now: u64) -> bool {
        let is_callers = |rest: &str| !key::is_internal(rest.as_bytes());
        life.deadline > now && key.strip_prefix(prefix).is_some_and(is_callers) && !self.marks.hides(key, life.stamp)
    }

    /// `visit` says whether the entry is to go.
    async fn walk(&self, timers: &Timers, mut visit: impl FnMut(&str, &Life) -> bool) {
        let (mut cursor, mut work) = (Cursor::default(), 0);
        loop {
            let now = timers.now_ms();
            let (seen, removed) = self.step(&mut cursor, HELD, &mut visit, now);
            work += seen + removed * (REMOVAL - 1);
            if seen < HELD {
                return;
            }
            if work >= STEP {
                work = 0;
                timers.sleep(PAUSE).await;
            }
        }
    }

    /// A step of a walk. What has to make room for what is left moves, unless it is over.
    fn step(
        &self,
        cursor: &mut Cursor,
        count: usize,
        visit: impl FnMut(&str, &Life) -> bool,
        now: u64,
    ) -> (usize, usize) {
        self.store.lock().walk(cursor, count, visit, &|key, life| self.is_over(key, life, now))
    }

    /// As `walk`, without a break.
    fn walk_at_once(&self, visit: impl FnMut(&str, &Life) -> bool, now: u64) {
        self.step(&mut Cursor::default(), usize::MAX, visit, now);
    }

    /// Whether it is hidden, and so to go; its sweep has counted it then.
    fn is_dropped(&self, key: &str, life: &Life, now: u64) -> bool {
        let hidden = self.marks.hides(key, life.stamp);
        if hidden {
            self.count_hidden(key, life, now);
        }
        hidden
    }

    /// Removes expired entries, and those that `clear` dropped, for as long as the store is in use.
    pub async fn sweep(this: Weak<Self>, timers: Timers) {
        let Some(stirred) = this.upgrade().map(|memory| memory.stirred.clone()) else { return };
        loop {
            let dropped = timers.within(WALK_PAUSE, stirred.raised()).await.is_ok();
            let Some(memory) = this.upgrade() else { return };
            if dropped {
                memory.walk(&timers, |key, life| memory.is_dropped(key, life, timers.now_ms())).await;
                memory.settle();
            }
            let mut cursor = Cursor::default();
            while memory.expire_some(&mut cursor, timers.now_ms()) {
                timers.sleep(STEP_PAUSE).await;
            }
        }
    }

    /// A step of the walk in the background; whether there is another one.
    fn expire_some(&self, cursor: &mut Cursor, now: u64) -> bool {
        for _ in 0..BACKGROUND_STEP / HELD {
            let (seen, removed) = self.step(cursor, HELD, |_, life| life.deadline <= now, now);
            self.expired.fetch_add(removed as u64, Relaxed);
            if seen < HELD {
                return false;
            }
        }
        true
    }
}
