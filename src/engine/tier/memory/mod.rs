//! The in-process tier: a bounded map from stored keys to values, shared by every environment of the process.
//!
//! The store (src/engine/store) keeps it within its bound of bytes and decides what to evict (S3-FIFO); it knows no
//! time, so each entry carries its deadline and is checked when read. What walks the map does so a little at a time
//! (walk.rs); what a sweep is about to remove is hidden meanwhile (marks.rs).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::{Given as Value, Kept};
use crate::engine::store::entries::{Given, Store};
use crate::engine::store::record::Life;
use crate::engine::task::signal::Signal;
use crate::engine::tier::budget::{Bounded, Budget};
use crate::engine::tier::marks::Marks;
use crate::engine::value::entry::Meta;

mod updates;

/// What is kept at a key.
#[derive(Clone)]
pub struct Entry {
    pub value: Kept,
    /// When it goes, of the monotonic clock in milliseconds; `u64::MAX` for never. An entry with grace is stale before
    /// that.
    pub deadline: u64,
    /// When it was put away; in the near cache, when the read that found it was sent.
    pub since: u64,
    pub meta: Option<Arc<Meta>>,
    /// Of which sweeps it knows: see marks.rs.
    pub stamp: u64,
}

impl Entry {
    /// Until when it is fresh.
    pub fn fresh_until(&self) -> u64 {
        let extra = self.meta.as_ref().map_or(0, |meta| meta.extra_ms);
        Life { deadline: self.deadline, since: self.since, stamp: self.stamp, extra }.fresh_until()
    }

    /// Milliseconds until it goes, `u64::MAX` for never.
    pub fn left(&self, now: u64) -> u64 {
        if self.deadline == u64::MAX { u64::MAX } else { self.deadline.saturating_sub(now) }
    }
}

/// The in-process tier of one engine.
pub struct Memory {
    pub(super) store: Mutex<Store>,
    /// Guards read-modify-write (increment, expire) against each other, against plain writes of the same key, and
    /// against a sweep that begins: what is written with an old stamp is written before it.
    pub(super) updates: Mutex<()>,
    pub(super) marks: Marks,
    /// One walk at a time does for all the sweeps that wait.
    pub(super) walks: futures_util::lock::Mutex<()>,
    /// The walk in the background has something to do.
    pub(super) stirred: Arc<Signal>,
    evictions: AtomicU64,
    pub(super) expired: AtomicU64,
    /// What it is to tell how much was put away; none where its bound is its own.
    budget: Option<Arc<Budget>>,
}

/// What `getStats().memory` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub entries: usize,
    pub bytes: u64,
    pub max_bytes: u64,
    pub evictions: u64,
    pub expired: u64,
}

/// Why an increment could not be. The counter stays as it was.
#[derive(Debug, PartialEq, Eq)]
pub enum Uncountable {
    NotAnInteger,
    /// The sum is a 64-bit integer, but none that JavaScript can hold.
    Unsafe,
}

/// Values of so many bytes may lie outside of the store's segments.
const LONG: usize = 4 << 10;

/// The largest integer that JavaScript can hold, 2^53 - 1; and the smallest, with a minus.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Whether JavaScript can hold it.
pub fn is_safe(number: i64) -> bool {
    (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&number)
}

impl Memory {
    pub fn new(max_bytes: u64) -> Self {
        Self::make(max_bytes, None)
    }

    /// A tier whose bound the budget sets.
    pub fn within(budget: &Arc<Budget>) -> Self {
        Self::make(budget.max(), Some(budget.clone()))
    }

    fn make(max_bytes: u64, budget: Option<Arc<Budget>>) -> Self {
        Self {
            store: Mutex::new(Store::new(max_bytes)),
            updates: Mutex::new(()),
            marks: Marks::default(),
            walks: futures_util::lock::Mutex::new(()),
            stirred: Arc::default(),
            evictions: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            budget,
        }
    }

    /// Much went: what it leaves is for others to take.
    pub(super) fn settle(&self) {
        if let Some(budget) = &self.budget {
            budget.balance();
        }
    }

    fn insert(&self, given: Given<'_>, now: u64) {
        let key = given.key;
        let (done, grown) = {
            let mut store = self.store.lock();
            let before = store.weight();
            let done = store.insert(given, &|key, life| self.is_over(key, life, now));
            (done, store.weight().saturating_sub(before) as u64)
        };
        if done.evicted > 0 {
            self.evictions.fetch_add(done.evicted, Relaxed);
        }
        if let Some(replaced) = done.replaced {
            self.count_hidden(key, &replaced, now);
        }
        if let Some(budget) = &self.budget {
            // Its tables and segments grow by more than an entry at a time.
            budget.spend(done.bytes.max(grown));
        }
    }

    /// Whether an entry that the store is about to move is expired or hidden; it goes then, and is counted here.
    pub(super) fn is_over(&self, key: &str, life: &Life, now: u64) -> bool {
        let hidden = self.marks.hides(key, life.stamp);
        if hidden {
            self.count_hidden(key, life, now);
        } else if life.deadline <= now {
            self.expired.fetch_add(1, Relaxed);
        }
        hidden || life.deadline <= now
    }

    /// Removes the entry at a key if it is such.
    pub(super) fn remove_if(&self, key: &str, is_such: impl FnOnce(&Life) -> bool, now: u64) -> Option<Life> {
        self.store.lock().remove_if(key, is_such, &|key, life| self.is_over(key, life, now))
    }

    fn live(&self, key: &str, now: u64) -> Option<Entry> {
        let found = self.store.lock().read(key)?;
        if !self.lives(key, &found.life, now) {
            return None;
        }
        let Life { deadline, since, stamp, .. } = found.life;
        Some(Entry { value: found.value, deadline, since, meta: found.meta, stamp })
    }

    /// Whether it may be read; if not, it goes.
    fn lives(&self, key: &str, life: &Life, now: u64) -> bool {
        if self.marks.hides(key, life.stamp) {
            self.drop_hidden(key, now);
            return false;
        }
        if life.deadline > now {
            return true;
        }
        if self.remove_if(key, |life| life.deadline <= now, now).is_some() {
            self.expired.fetch_add(1, Relaxed);
        }
        false
    }

    /// Removes what lies at a key if it is hidden: who came first counts it.
    pub(super) fn drop_hidden(&self, key: &str, now: u64) {
        if let Some(life) = self.remove_if(key, |life| self.marks.hides(key, life.stamp), now) {
            self.count_hidden(key, &life, now);
        }
    }

    /// A sweep is told that an entry which it hides went.
    pub(super) fn count_hidden(&self, key: &str, life: &Life, now: u64) {
        if life.deadline > now
            && let Some(mark) = self.marks.by(key, life.stamp)
        {
            mark.count(key);
        }
    }

    /// What is there, stale or not.
    pub fn entry(&self, key: &str, now: u64) -> Option<Entry> {
        self.live(key, now)
    }

    fn fresh(&self, key: &str, now: u64) -> Option<Entry> {
        self.live(key, now).filter(|e| e.fresh_until() > now)
    }

    pub fn get(&self, key: &str, now: u64) -> Option<Kept> {
        self.fresh(key, now).map(|e| e.value)
    }

    /// Until when what is there is fresh.
    fn fresh_until(&self, key: &str, now: u64) -> Option<u64> {
        let life = self.store.lock().peek(key)?;
        Some(life.fresh_until()).filter(|&until| self.lives(key, &life, now) && until > now)
    }

    pub fn contains(&self, key: &str, now: u64) -> bool {
        self.fresh_until(key, now).is_some()
    }

    pub fn ttl(&self, key: &str, now: u64) -> Option<Ttl> {
        self.fresh_until(key, now).map(|until| match until {
            u64::MAX => Ttl::Forever,
            until => Ttl::Millis(until - now),
        })
    }

    pub fn set<'a>(&self, key: &str, value: impl Into<Value<'a>>, ttl: Ttl, now: u64) {
        self.put(key, value, None, ttl, now);
    }

    /// As `set`; an entry with grace is kept longer than its TTL.
    pub fn put<'a>(&self, key: &str, value: impl Into<Value<'a>>, meta: Option<Arc<Meta>>, ttl: Ttl, now: u64) {
        self.put_unless(key, value.into(), meta, ttl, now, |_| false);
    }

    /// As `put`, unless what is there `stays`; whether it was put.
    pub fn put_unless(
        &self,
        key: &str,
        value: Value<'_>,
        meta: Option<Arc<Meta>>,
        ttl: Ttl,
        now: u64,
        stays: impl FnOnce(&Self) -> bool,
    ) -> bool {
        let extra = meta.as_ref().map_or(0, |meta| meta.extra_ms);
        // What may lie outside of the segments is copied while nobody waits for it.
        let shared = (value.size() > LONG).then(|| value.keep());
        let _guard = self.updates.lock();
        if stays(self) {
            return false;
        }
        let deadline = ttl.deadline(now).saturating_add(extra);
        let life = Life { deadline, since: now, stamp: self.marks.stamp(), extra };
        self.insert(Given { key, value: shared.as_ref().map_or(value, Value::Kept), meta, life }, now);
        true
    }

    /// The text at `key`, or, where there is none, the one that `make` makes, which stays.
    pub fn get_or_insert(&self, key: &str, make: impl FnOnce() -> Arc<str>, now: u64) -> Arc<str> {
        let _guard = self.updates.lock();
        if let Some(text) = self.live(key, now).and_then(|entry| entry.value.json()) {
            return text;
        }
        let value = make();
        let life = Life { deadline: u64::MAX, since: now, stamp: self.marks.stamp(), extra: 0 };
        self.insert(Given { key, value: Value::Json(&value), meta: None, life }, now);
        value
    }

    /// Whether there was something to remove.
    pub fn remove(&self, key: &str, now: u64) -> bool {
        let _guard = self.updates.lock();
        self.removed(key, now)
    }

    /// As `remove`; what was there, and is nobody else's.
    pub fn take(&self, key: &str, now: u64) -> Option<Entry> {
        let _guard = self.updates.lock();
        let entry = self.live(key, now);
        self.removed(key, now);
        entry
    }

    fn removed(&self, key: &str, now: u64) -> bool {
        let Some(life) = self.remove_if(key, |_| true, now) else { return false };
        if self.marks.hides(key, life.stamp) {
            self.count_hidden(key, &life, now);
            return false;
        }
        life.deadline > now
    }

    /// Sweeps of it that are not over.
    pub fn sweeping(&self) -> usize {
        self.marks.standing()
    }

    pub fn usage(&self) -> Usage {
        let store = self.store.lock();
        Usage {
            entries: store.len(),
            bytes: store.weight() as u64,
            max_bytes: store.max() as u64,
            evictions: self.evictions.load(Relaxed),
            expired: self.expired.load(Relaxed),
        }
    }
}

impl Bounded for Memory {
    fn bound(&self, max_bytes: u64, most: u64) {
        let [max, most] = [max_bytes, most].map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        // It knows no time: what has expired goes when it is met.
        self.store.lock().bound(max, most, &|key, life| self.is_over(key, life, 0));
    }

    fn weight(&self) -> u64 {
        self.store.lock().weight() as u64
    }
}
