//! The in-process tier: a bounded map from stored keys to JSON texts, shared by every environment of the process.
//!
//! quick_cache keeps it within its bound of bytes and decides what to evict (S3-FIFO); it knows no time, so each entry carries its
//! deadline, is checked when read, and is swept by a task that walks the map a little at a time. The walk takes a shard's
//! read lock for one entry, never for a shard: a caller on the event loop never waits for a sweep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::budget::Budget;
use super::clock::{Ttl, now_ms};
use super::entry::{Codec, Meta};

/// Bytes an entry costs beside its key and value: the slot in quick_cache's slab and map (key pointer, value, links, hash table), and the headers
/// and rounding of two heap blocks. Measured: see docs/memory.md.
pub const ENTRY_OVERHEAD: u64 = 170;

/// What an entry with options costs beside that and its tags: the heap block of its `Meta`, with its counters and
/// rounding.
const META: usize = size_of::<Meta>() + 32;

/// How many entries a step of the sweeper looks at, and the pause between two steps: 200,000 entries a second at the most.
const SWEEP_STEP: usize = 10_000;
const STEP_PAUSE: Duration = Duration::from_millis(50);
/// And between two walks: an idle process wakes once a second for it.
const WALK_PAUSE: Duration = Duration::from_secs(1);

/// What is kept at a key.
#[derive(Clone)]
pub struct Entry {
    pub value: Arc<str>,
    /// When it goes, of the monotonic clock in milliseconds; `u64::MAX` for never. An entry with grace is stale before that.
    pub deadline: u64,
    /// When it was put away; in the near cache, when the read that found it was sent.
    pub since: u64,
    pub meta: Option<Arc<Meta>>,
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
struct Bytes;

impl Weighter<Arc<str>, Entry> for Bytes {
    fn weight(&self, key: &Arc<str>, entry: &Entry) -> u64 {
        let meta = entry.meta.as_ref().map_or(0, |meta| META + meta.tags.weight());
        (key.len() + entry.value.len() + meta) as u64 + ENTRY_OVERHEAD
    }
}

#[derive(Clone)]
struct Collect;

impl Lifecycle<Arc<str>, Entry> for Collect {
    // What an insertion pushed out: counted, and dropped, after the shard's lock is released. What it replaced is among it.
    type RequestState = Vec<(Arc<str>, Entry)>;

    fn on_evict(&self, pushed_out: &mut Self::RequestState, key: Arc<str>, entry: Entry) {
        pushed_out.push((key, entry));
    }
}

type Map = Cache<Arc<str>, Entry, Bytes, DefaultHashBuilder, Collect>;

/// The in-process tier of one engine.
pub struct Memory {
    map: Map,
    /// Guards read-modify-write (increment, expire) against each other and against plain writes of the same key.
    updates: parking_lot::Mutex<()>,
    evictions: AtomicU64,
    expired: AtomicU64,
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
        // Small tiers get fewer shards: a shard must hold the largest value that is to be kept, and has its share of the bound.
        let shards = (max_bytes / (8 << 20)).clamp(1, 4);
        let options = OptionsBuilder::new()
            .shards(shards as usize)
            .weight_capacity(max_bytes)
            .estimated_items_capacity((max_bytes / 512).clamp(128, 4_000_000) as usize)
            .build();
        let Ok(options) = options else { unreachable!("capacity and items are set above") };
        let map = Cache::with_options(options, Bytes, DefaultHashBuilder::default(), Collect);
        Self {
            map,
            updates: parking_lot::Mutex::new(()),
            evictions: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            budget,
        }
    }

    /// Sets the bound, and evicts what is beyond it.
    pub fn bound(&self, max_bytes: u64) {
        // The map divides it among its shards, and rounds up.
        if max_bytes.div_ceil(self.map.num_shards() as u64) != self.map.shard_capacity() {
            self.map.set_capacity(max_bytes);
        }
    }

    /// Bytes of all entries.
    pub fn weight(&self) -> u64 {
        self.map.weight()
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
        if let Some(budget) = &self.budget {
            budget.spend(bytes);
        }
    }

    fn live(&self, key: &str, now: u64) -> Option<Entry> {
        let entry = self.map.get(key)?;
        if entry.deadline > now {
            return Some(entry);
        }
        if self.map.remove_if(key, |e| e.deadline <= now).is_some() {
            self.expired.fetch_add(1, Relaxed);
        }
        None
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
        self.insert(key, Entry { value: value.into(), deadline, since: now, meta }, now);
    }

    /// The value at `key`, or, where there is none, the one that `make` makes, which stays.
    pub fn get_or_insert(&self, key: &str, make: impl FnOnce() -> Arc<str>, now: u64) -> Arc<str> {
        let _guard = self.updates.lock();
        if let Some(entry) = self.live(key, now) {
            return entry.value;
        }
        let value = make();
        self.insert(key, Entry { value: value.clone(), deadline: u64::MAX, since: now, meta: None }, now);
        value
    }

    /// Whether there was something to remove.
    pub fn remove(&self, key: &str, now: u64) -> bool {
        let _guard = self.updates.lock();
        self.map.remove(key).is_some_and(|(_, e)| e.deadline > now)
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
        self.insert(key, Entry { value: codec.of_integer(new).into(), deadline, since: now, meta: None }, now);
        Ok(new)
    }

    /// Removes the keys that satisfy `matches`; how many lived.
    pub fn remove_matching(&self, now: u64, matches: impl Fn(&str) -> bool) -> u64 {
        let mut removed = 0;
        for (key, entry) in self.map.iter() {
            if matches(&key) && self.map.remove(&*key).is_some() && entry.deadline > now {
                removed += 1;
            }
        }
        removed
    }

    pub fn count_matching(&self, now: u64, matches: impl Fn(&str) -> bool) -> usize {
        self.map.iter().filter(|(key, entry)| entry.deadline > now && matches(key)).count()
    }

    /// Drops everything; how many entries there were.
    pub fn clear(&self) -> usize {
        let entries = self.map.len();
        self.map.clear();
        if let Some(budget) = &self.budget {
            budget.balance();
        }
        entries
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

    /// Removes expired entries, for as long as the tier is in use.
    pub async fn sweep(this: std::sync::Weak<Self>) {
        loop {
            tokio::time::sleep(WALK_PAUSE).await;
            let Some(memory) = this.upgrade() else { return };
            if memory.map.is_empty() {
                continue;
            }
            let mut walk = memory.map.iter();
            loop {
                let now = now_ms();
                let mut seen = 0;
                for (key, entry) in walk.by_ref().take(SWEEP_STEP) {
                    seen += 1;
                    if entry.deadline <= now && memory.map.remove_if(&*key, |e| e.deadline <= now).is_some() {
                        memory.expired.fetch_add(1, Relaxed);
                    }
                }
                if seen < SWEEP_STEP {
                    break;
                }
                tokio::time::sleep(STEP_PAUSE).await;
            }
        }
    }
}
