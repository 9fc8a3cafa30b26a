//! The one bound of all that an engine keeps in this process: the fallback tier, the near cache, and hot values in
//! JavaScript.
//!
//! **The problem.** Each of the three grew up to a bound of its own, so a process took two and three times what
//! `maxMemory` said: in an outage the near cache still has what it held when Redis
//! went, while the fallback tier fills.
//!
//! **The approach.** They give way in a fixed order.
//!
//! 1. *Hot values* take up to half of the bound, as they need it: a hot hit costs a tenth of a near hit. JavaScript
//!    reserves room before it takes it ([`Budget::hold`]), in steps, and gives back
//!    what it no longer needs; all threads share the half.
//! 2. *The fallback tier* may have all that is left. It holds something only while Redis is away, and then it is the
//!    cache.
//! 3. *The near cache* has what those two leave, and `nearCache.maxMemory` at most.
//!
//! Shares are set anew whenever hot values reserve, and each time so many bytes were put away ([`STEP`]-th parts of the
//! bound); the near cache stays by one such step below its share, so the sum stays within the bound at any moment.
//!
//! **Rejected.** *Fixed shares*: in memory mode two of the three are empty. *One map for both tiers*: a null push drops
//! the near cache at once, and would have to walk the other's entries for that.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use once_cell::sync::OnceCell;
use parking_lot::Mutex;

use crate::engine::base::mutant;

/// Shares are set anew when this part of the bound was put away.
const STEP: u64 = 64;
/// Hot values have this part of the bound at most.
const HOT: u64 = 2;

/// What something is, how much of it there is, and how much there may be.
pub type Measure = (&'static str, usize, usize);

/// What became of a note.
#[must_use = "what is lost is to be told"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    Kept,
    /// It did not fit, and is the first that did not.
    FirstLost,
    Lost,
}

/// An in-process store whose bound the budget sets.
pub trait Bounded: Send + Sync {
    /// Sets the bound in bytes, and evicts what is beyond it. `most`: what was said, of which it is a share for now.
    fn bound(&self, max_bytes: u64, most: u64);
    /// Bytes of all entries.
    fn weight(&self) -> u64;
}

/// The bound of one engine, and who holds how much of it.
pub struct Budget {
    max: AtomicU64,
    /// The largest bound that a cache asked for by itself; 0 while none did. Then it holds, and not the default.
    said: AtomicU64,
    /// As `said`, of the near cache alone.
    near_said: AtomicU64,
    /// Bytes put away since shares were set.
    spent: AtomicU64,
    hot: Mutex<Hot>,
    fallback: OnceCell<Weak<dyn Bounded>>,
    /// The near caches, one of each server.
    nears: Mutex<Vec<Weak<dyn Bounded>>>,
    /// Held while shares are set: by one thread at a time, each from what then is.
    setting: Mutex<()>,
}

/// What hot values hold.
#[derive(Default)]
struct Hot {
    bytes: u64,
    holders: u64,
    /// One got less than its share, as others hold more than theirs.
    crowded: bool,
}

/// What the hot values of one cache, in one thread, hold. Dropped, it holds nothing.
pub struct Held {
    budget: Arc<Budget>,
    bytes: Mutex<u64>,
}

impl Budget {
    pub fn new(max: u64) -> Self {
        Self {
            max: AtomicU64::new(max),
            said: AtomicU64::new(0),
            near_said: AtomicU64::new(0),
            spent: AtomicU64::new(0),
            hot: Mutex::default(),
            fallback: OnceCell::new(),
            nears: Mutex::default(),
            setting: Mutex::default(),
        }
    }

    /// Between the fallback tier, which is one, and a near cache. Near caches have equal parts of what is left.
    pub fn share<T: Bounded + 'static>(&self, fallback: &Arc<T>, near: &Arc<T>) {
        let weak = |store: &Arc<T>| {
            let store: Weak<T> = Arc::downgrade(store);
            store as Weak<dyn Bounded>
        };
        let _ = self.fallback.set(weak(fallback));
        self.nears.lock().push(weak(near));
        self.balance();
    }

    pub fn max(&self) -> u64 {
        self.max.load(Relaxed)
    }

    /// What hot values hold.
    pub fn hot(&self) -> u64 {
        self.hot.lock().bytes
    }

    /// A cache opens. What is said holds over the default, in whichever order they come, and the largest of what is
    /// said.
    pub fn allow(&self, said: Option<u64>, near_said: Option<u64>) {
        if let Some(bytes) = said {
            let before = self.said.fetch_max(bytes, Relaxed);
            self.max.store(before.max(bytes), Relaxed);
        }
        self.near_said.fetch_max(near_said.unwrap_or(0), Relaxed);
        self.balance();
    }

    /// So many bytes were put away in one of the tiers.
    pub fn spend(&self, bytes: u64) {
        if self.spent.fetch_add(bytes, Relaxed) + bytes >= self.max() / STEP {
            self.balance();
        }
    }

    /// Sets the shares.
    pub fn balance(&self) {
        let Some(fallback) = self.fallback.get().and_then(Weak::upgrade) else { return };
        let nears: Vec<_> = self.nears.lock().iter().filter_map(Weak::upgrade).collect();
        let count = nears.len().max(1) as u64;
        let _one = self.setting.lock();
        self.spent.store(0, Relaxed);
        let hot = if mutant::lacks("budget") { 0 } else { self.hot() };
        let left = self.max().saturating_sub(hot);
        fallback.bound(left, self.max());
        let held = fallback.weight() + self.max() / STEP;
        let most = match self.near_said.load(Relaxed) {
            0 => u64::MAX,
            said => said,
        };
        for near in nears {
            near.bound(left.saturating_sub(held).min(most) / count, self.max().min(most) / count);
        }
    }

    fn hold(&self, held: &mut u64, wanted: u64) -> u64 {
        let granted = {
            let mut hot = self.hot.lock();
            let (limit, others) = (self.max() / HOT, hot.bytes - *held);
            let holders = hot.holders - u64::from(*held > 0) + 1;
            // Whoever got nothing holds nothing, and waits for a share.
            let share = limit / (holders + u64::from(hot.crowded && *held > 0));
            let free = limit.saturating_sub(others);
            let granted = if hot.crowded && *held > share { wanted.min(share).min(free) } else { wanted.min(free) };
            // Whoever holds more than a share gives it up when it next asks.
            hot.crowded = if granted < wanted.min(share) { true } else { hot.crowded && *held <= share };
            hot.holders = holders - u64::from(granted == 0);
            hot.bytes = others + granted;
            granted
        };
        let changed = *held != granted;
        *held = granted;
        if changed {
            self.balance();
        }
        granted
    }
}

impl Held {
    pub fn new(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: Mutex::new(0) }
    }

    /// Holds up to so many bytes in place of what it held; how many it may.
    pub fn hold(&self, wanted: u64) -> u64 {
        self.budget.hold(&mut self.bytes.lock(), wanted)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.hold(0);
    }
}
