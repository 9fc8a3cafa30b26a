//! What the callers' threads and the engine's thread share: the state of one engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use crate::engine::base::key::Prefix;
use crate::engine::cache::counters::{Errors, Latency};
use crate::engine::cache::options::{DEFAULT_MAX_MEMORY, DEFAULT_TIMEOUT, Options};
use crate::engine::cache::status::{Mode, Status};
use crate::engine::once::flight::Flights;
use crate::engine::once::lease::Misses;
use crate::engine::once::waiting::Waiting;
use crate::engine::task::executor::Spawner;
use crate::engine::tier::budget::Budget;
use crate::engine::tier::journal::Journal;
use crate::engine::tier::memory::{Memory, Usage};
use crate::engine::tier::near::Near;

/// Where calls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// To the engine's thread: Redis is in use, or about to be.
    Connection,
    /// The in-process tier, on the caller's thread: Redis is away, or there is none.
    Local,
}

impl Gate {
    pub fn is_local(self) -> bool {
        self == Self::Local
    }
}

/// What the callers' threads and the engine's thread share.
pub struct Shared {
    pub memory: Arc<Memory>,
    pub near: Near,
    /// What bounds both, and hot values.
    pub budget: Arc<Budget>,
    /// Those who wait for another process's computation.
    pub waiting: Waiting,
    pub flights: Flights,
    pub misses: Misses,
    /// What is to be undone in Redis.
    pub journal: Journal,
    pub status: Status,
    pub errors: Errors,
    pub latency: Latency,
    /// Begins tasks, which whoever drives the engine polls.
    pub tasks: Spawner,
    /// Held for reading by a batch that runs on its caller's thread, for writing by a change of mode.
    pub gate: RwLock<Gate>,
    /// Calls handed over and not answered yet.
    queued: AtomicUsize,
    /// Long work that has its place in the order of calls, and is not done.
    long: AtomicUsize,
    /// The longest `timeoutMs` of the caches, in microseconds; see `patience`.
    patience: AtomicU64,
    /// The longest `nearCache.maxAge` of the caches, in milliseconds.
    max_age: AtomicU64,
    /// Whether an entry that outlives its TTL has been seen.
    grace: AtomicBool,
    /// The prefix of the first cache: where the handshake tries what this user may do (net/denied.rs).
    pub prefix: Prefix,
}

impl Shared {
    pub fn new(options: &Options, gate: Gate, mode: Mode, tasks: Spawner) -> Arc<Self> {
        let max_memory = options.max_memory.unwrap_or(DEFAULT_MAX_MEMORY);
        static NEXT_ID: AtomicU32 = AtomicU32::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let budget = Arc::new(Budget::new(max_memory));
        let (memory, near) = (Arc::new(Memory::within(&budget)), Near::new(&budget, id));
        budget.share(&memory, near.store());
        Arc::new(Self {
            memory,
            near,
            budget,
            waiting: Waiting::default(),
            flights: Flights::default(),
            misses: Misses::default(),
            journal: Journal::default(),
            status: Status::new(id, mode),
            errors: Errors::default(),
            latency: Latency::default(),
            tasks,
            gate: RwLock::new(gate),
            queued: AtomicUsize::new(0),
            long: AtomicUsize::new(0),
            patience: AtomicU64::new(0),
            max_age: AtomicU64::new(0),
            grace: AtomicBool::new(false),
            prefix: Prefix::new(&options.namespace),
        })
    }

    /// What the in-process tiers hold; in an outage the near cache still has what it held when Redis went. Hot values
    /// are entries of the near cache once more, so only their bytes count.
    pub fn usage(&self) -> Usage {
        let (memory, near) = (self.memory.usage(), self.near.store().usage());
        Usage {
            entries: memory.entries + near.entries,
            bytes: memory.bytes + near.bytes + self.budget.hot(),
            max_bytes: self.budget.max(),
            evictions: memory.evictions + near.evictions,
            expired: memory.expired + near.expired,
        }
    }

    pub fn in_flight(&self) -> usize {
        self.queued.load(Ordering::SeqCst)
    }

    pub fn enter(&self, calls: usize) {
        self.queued.fetch_add(calls, Ordering::SeqCst);
    }

    pub fn leave(&self, calls: usize) {
        self.queued.fetch_sub(calls, Ordering::SeqCst);
    }

    pub fn long(&self) -> usize {
        self.long.load(Ordering::SeqCst)
    }

    pub fn begin_long(&self) {
        self.long.fetch_add(1, Ordering::SeqCst);
    }

    pub fn end_long(&self) {
        self.long.fetch_sub(1, Ordering::SeqCst);
    }

    /// How long the server may take over what no caller waits for, such as a heartbeat: as long as the most patient
    /// cache allows, since a network that needs a `timeoutMs` of seconds is no outage to a PING either; never less than
    /// the default.
    pub fn patience(&self) -> Duration {
        Duration::from_micros(self.patience.load(Ordering::Relaxed)).max(DEFAULT_TIMEOUT)
    }

    /// An entry that outlives its TTL was stored or read: from here on each read asks for the time left. Until then
    /// reads omit PTTL, so the first grace entry of another process is a miss.
    pub fn note_grace(&self) {
        self.grace.store(true, Ordering::Relaxed);
    }

    pub fn has_grace(&self) -> bool {
        self.grace.load(Ordering::Relaxed)
    }

    /// The oldest, in milliseconds, that any cache takes from the near cache.
    pub fn max_age(&self) -> u64 {
        self.max_age.load(Ordering::Relaxed)
    }

    /// A cache with these options opens.
    pub fn allow(&self, options: &Options) {
        self.budget.allow(options.max_memory, options.near.and_then(|near| near.max_memory));
        if let Some(near) = options.near {
            let age = u64::try_from(near.max_age.as_millis()).unwrap_or(u64::MAX);
            self.max_age.fetch_max(age, Ordering::Relaxed);
        }
        let micros = u64::try_from(options.timeout.as_micros()).unwrap_or(u64::MAX);
        self.patience.fetch_max(micros, Ordering::Relaxed);
    }
}
