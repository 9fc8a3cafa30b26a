//! The in-process tier: a bounded map from stored keys to JSON texts, shared by every environment of the process.
//!
//! quick_cache keeps it within its bound of bytes and decides what to evict (S3-FIFO); it knows no time, so each entry
//! carries its deadline and is checked when read. What walks the map does so a little at a time (walk.rs); what a sweep
//! is about to remove is hidden meanwhile (marks.rs).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use crate::engine::base::clock::Ttl;
use crate::engine::base::heap;
use crate::engine::task::signal::Signal;
use crate::engine::tier::budget::{Bounded, Budget};
use crate::engine::tier::marks::Marks;
use crate::engine::value::entry::{Codec, Meta};

/// Bytes that an entry costs beside its heap blocks: the slot in quick_cache's slab and map (key pointer, value, links,
/// hash table). Measured: see docs/memory.md.
pub const ENTRY_OVERHEAD: usize = 144;

/// What is kept at a key.
#[derive(Clone)]
pub struct Entry {
    pub value: Arc<str>,
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
        match self.deadline {
            u64::MAX => u64::MAX,
            deadline => deadline.saturating_sub(self.extra()),
        }
    }

    /// Milliseconds until it goes, `u64::MAX` for never.
    pub fn left(&self, now: u64) -> u64 {
        if self.deadline == u64::MAX { u64::MAX } else { self.deadline.saturating_sub(now) }
    }

    fn extra(&self) -> u64 {
        self.meta.as_ref().map_or(0, |meta| meta.extra_ms)
    }
}

#[derive(Clone)]
pub(super) struct Bytes;

impl Weighter<Arc<str>, Entry> for Bytes {
    fn weight(&self, key: &Arc<str>, entry: &Entry) -> u64 {
        let meta = entry.meta.as_ref().map_or(0, |meta| heap::shared(size_of::<Meta>()) + meta.tags.weight());
        (heap::shared(key.len()) + heap::shared(entry.value.len()) + meta + ENTRY_OVERHEAD) as u64
    }
}

#[derive(Clone)]
pub(super) struct Collect;

impl Lifecycle<Arc<str>, Entry> for Collect {
    // What an insertion pushed out: counted, and dropped, after the shard's lock is released. What it replaced is among
    // it.
    type RequestState = Vec<(Arc<str>, Entry)>;

    fn on_evict(&self, pushed_out: &mut Self::RequestState, key: Arc<str>, entry: Entry) {
        pushed_out.push((key, entry));
    }
}

/// quick_cache's own hasher; in a simulation one that evicts and walks in the same order each time.
#[cfg(not(feature = "simulation"))]
type MapHashes = quick_cache::DefaultHashBuilder;
#[cfg(feature = "simulation")]
type MapHashes = crate::engine::base::random::Hashes;

pub(super) type Map = Cache<Arc<str>, Entry, Bytes, MapHashes, Collect>;

/// The in-process tier of one engine.
pub struct Memory {
    pub(super) map: Map,
    /// Guards read-modify-write (increment, expire) against each other, against plain writes of the same key, and
    /// against a sweep that begins: what is written with an old stamp is written before it.
    pub(super) updates: parking_lot::Mutex<()>,
    pub(super) marks: Marks,
    /// The most entries there have ever been, or more: a walk passes over the places of those that went, too.
    pub(super) slots: AtomicU64,
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
        // Small tiers get fewer shards: a shard must hold the largest value that is to be kept, and has its share of
        // the bound.
        let shards = (max_bytes / (8 << 20)).clamp(1, 4);
        let options = OptionsBuilder::new()
            .shards(shards as usize)
            .weight_capacity(max_bytes)
            .estimated_items_capacity((max_bytes / 512).clamp(128, 4_000_000) as usize)
            .build();
        let Ok(options) = options else { unreachable!("capacity and items are set above") };
        let map = Cache::with_options(options, Bytes, MapHashes::default(), Collect);
        Self {
            map,
            updates: parking_lot::Mutex::new(()),
            marks: Marks::default(),
            slots: AtomicU64::new(0),
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

    fn insert(&self, key: &str, entry: Entry, now: u64) {
        let mut pushed_out = Vec::new();
        let key: Arc<str> = key.into();
        let bytes = Bytes.weight(&key, &entry);
        self.map.insert_with_lifecycle(key.clone(), entry, &mut pushed_out);
        let evicted = pushed_out.iter().filter(|(other, e)| *other != key && e.deadline > now).count();
        if evicted > 0 {
            self.evictions.fetch_add(evicted as u64, Relaxed);
        }
        match pushed_out.iter().find(|(other, _)| *other == key) {
            Some((_, replaced)) => self.count_hidden(&key, replaced, now),
            None if pushed_out.is_empty() => _ = self.slots.fetch_add(1, Relaxed),
            None => {}
        }
        if let Some(budget) = &self.budget {
            budget.spend(bytes);
        }
    }

    fn live(&self, key: &str, now: u64) -> Option<Entry> {
        let entry = self.map.get(key)?;
        if self.marks.hides(key, entry.stamp) {
            self.drop_hidden(key, now);
            return None;
        }
        if entry.deadline > now {
            return Some(entry);
        }
        if self.map.remove_if(key, |e| e.deadline <= now).is_some() {
            self.expired.fetch_add(1, Relaxed);
        }
        None
    }

    /// Removes what lies at a key if it is hidden: who came first counts it.
    pub(super) fn drop_hidden(&self, key: &str, now: u64) {
        if let Some((_, entry)) = self.map.remove_if(key, |entry| self.marks.hides(key, entry.stamp)) {
            self.count_hidden(key, &entry, now);
        }
    }

    /// A sweep is told that an entry which it hides went.
    pub(super) fn count_hidden(&self, key: &str, entry: &Entry, now: u64) {
        if entry.deadline > now
            && let Some(mark) = self.marks.by(key, entry.stamp)
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

    pub fn get(&self, key: &str, now: u64) -> Option<Arc<str>> {
        self.fresh(key, now).map(|e| e.value)
    }

    pub fn contains(&self, key: &str, now: u64) -> bool {
        self.fresh(key, now).is_some()
    }

    pub fn ttl(&self, key: &str, now: u64) -> Option<Ttl> {
        self.fresh(key, now).map(|e| match e.fresh_until() {
            u64::MAX => Ttl::Forever,
            deadline => Ttl::Millis(deadline - now),
        })
    }

    pub fn set(&self, key: &str, value: &str, ttl: Ttl, now: u64) {
        self.put(key, value, None, ttl, now);
    }

    /// As `set`; an entry with grace is kept longer than its TTL.
    pub fn put(&self, key: &str, value: &str, meta: Option<Arc<Meta>>, ttl: Ttl, now: u64) {
        let extra = meta.as_ref().map_or(0, |meta| meta.extra_ms);
        let _guard = self.updates.lock();
        let deadline = ttl.deadline(now).saturating_add(extra);
        let stamp = self.marks.stamp();
        self.insert(key, Entry { value: value.into(), deadline, since: now, meta, stamp }, now);
    }

    /// The value at `key`, or, where there is none, the one that `make` makes, which stays.
    pub fn get_or_insert(&self, key: &str, make: impl FnOnce() -> Arc<str>, now: u64) -> Arc<str> {
        let _guard = self.updates.lock();
        if let Some(entry) = self.live(key, now) {
            return entry.value;
        }
        let value = make();
        let stamp = self.marks.stamp();
        let entry = Entry { value: value.clone(), deadline: u64::MAX, since: now, meta: None, stamp };
        self.insert(key, entry, now);
        value
    }

    /// Whether there was something to remove.
    pub fn remove(&self, key: &str, now: u64) -> bool {
        let _guard = self.updates.lock();
        let Some((_, entry)) = self.map.remove(key) else { return false };
        if self.marks.hides(key, entry.stamp) {
            self.count_hidden(key, &entry, now);
            return false;
        }
        entry.deadline > now
    }

    pub fn expire(&self, key: &str, ttl: Ttl, now: u64) -> bool {
        let _guard = self.updates.lock();
        let Some(entry) = self.fresh(key, now) else { return false };
        let deadline = ttl.deadline(now).saturating_add(entry.extra());
        self.insert(key, Entry { deadline, ..entry }, now);
        true
    }

    /// As Redis' INCRBY: the value must be a canonical 64-bit integer, and have nothing beside it.
    pub fn increment(&self, codec: Codec, key: &str, amount: i64, ttl: Ttl, now: u64) -> Result<i64, Uncountable> {
        let _guard = self.updates.lock();
        let (old, deadline) = match self.live(key, now) {
            Some(Entry { meta: Some(_), .. }) => return Err(Uncountable::NotAnInteger),
            Some(entry) => (codec.integer(&entry.value).ok_or(Uncountable::NotAnInteger)?, entry.deadline),
            None => (0, ttl.deadline(now)),
        };
        let new = old.checked_add(amount).ok_or(Uncountable::NotAnInteger)?;
        if !is_safe(new) {
            return Err(Uncountable::Unsafe);
        }
        let value = codec.of_integer(new).into();
        self.insert(key, Entry { value, deadline, since: now, meta: None, stamp: self.marks.stamp() }, now);
        Ok(new)
    }

    /// Sweeps of it that are not over.
    pub fn sweeping(&self) -> usize {
        self.marks.standing()
    }

    pub fn usage(&self) -> Usage {
        Usage {
            entries: self.map.len(),
            bytes: self.map.weight(),
            max_bytes: self.map.capacity(),
            evictions: self.evictions.load(Relaxed),
            expired: self.expired.load(Relaxed),
        }
    }
}

impl Bounded for Memory {
    fn bound(&self, max_bytes: u64) {
        // The map divides it among its shards, and rounds up.
        if max_bytes.div_ceil(self.map.num_shards() as u64) != self.map.shard_capacity() {
            self.map.set_capacity(max_bytes);
        }
    }

    fn weight(&self) -> u64 {
        self.map.weight()
    }
}
