//! Engines: one for each Redis that this process uses, shared by all its caches and threads, on one thread of ours.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use once_cell::sync::{Lazy, OnceCell};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;

use super::budget::Budget;
use super::cache::Cache;
use super::clock::now_ms;
use super::error::{CallError, Kind, Trouble};
use super::flight::Flights;
use super::journal::Journal;
use super::key::Prefix;
use super::lease::Waiting;
use super::memory::{Memory, Usage};
use super::near::Near;
use super::options::{DEFAULT_MAX_MEMORY, DEFAULT_TIMEOUT, Options};
use super::redis::ahead::Misses;
use super::redis::target::Target;
use super::redis::{Gate, Link, supervisor};
use super::stats::{Errors, Latency};
use super::status::{Mode, Status};

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
    /// The prefix of the first cache: where the handshake tries what this user may do (redis/denied.rs).
    pub prefix: Prefix,
}

impl Shared {
    fn new(options: &Options, gate: Gate, mode: Mode) -> Arc<Self> {
        let max_memory = options.max_memory.unwrap_or(DEFAULT_MAX_MEMORY);
        static NEXT_ID: AtomicU32 = AtomicU32::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let budget = Arc::new(Budget::new(max_memory));
        let (memory, near) = (Arc::new(Memory::within(&budget)), Near::new(&budget, id));
        budget.share(Arc::downgrade(&memory), Arc::downgrade(near.store()));
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

    /// How long the server may take over what no caller waits for, such as a heartbeat: as long as the most patient cache allows, since a network that needs
    /// a `timeoutMs` of seconds is no outage to a PING either; never less than the default.
    pub fn patience(&self) -> Duration {
        Duration::from_micros(self.patience.load(Ordering::Relaxed)).max(DEFAULT_TIMEOUT)
    }

    /// An entry that outlives its TTL was stored or read: from here on each read asks for the time left. The first such entry of another process, read without, is a miss.
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

    fn allow(&self, options: &Options) {
        self.budget.allow(options.max_memory, options.near.and_then(|near| near.max_memory));
        if let Some(near) = options.near {
            let age = u64::try_from(near.max_age.as_millis()).unwrap_or(u64::MAX);
            self.max_age.fetch_max(age, Ordering::Relaxed);
        }
        let micros = u64::try_from(options.timeout.as_micros()).unwrap_or(u64::MAX);
        self.patience.fetch_max(micros, Ordering::Relaxed);
    }
}

/// One Redis (or none) and the in-process tier beside it.
pub struct Engine {
    pub shared: Arc<Shared>,
    target: Option<Target>,
    /// Empty without Redis, and where its thread could not be started yet.
    link: OnceCell<Link>,
    /// When that was tried last, in milliseconds of the clock.
    tried: AtomicU64,
}

/// So often it is tried again, in milliseconds, to start what a process out of file descriptors could not.
const RETRY: u64 = 1_000;

impl Engine {
    fn start(options: &Options) -> Arc<Self> {
        let target = options.target.clone();
        let (gate, mode) =
            if target.is_some() { (Gate::Connection, Mode::Initializing) } else { (Gate::Local, Mode::Memory) };
        let shared = Shared::new(options, gate, mode);
        let engine = Self { shared, target, link: OnceCell::new(), tried: AtomicU64::new(now_ms()) };
        if engine.has_redis() {
            engine.connect();
        } else {
            let _ = engine.sweep();
        }
        Arc::new(engine)
    }

    /// Where its calls go; `None` where the in-process tier is all there is.
    pub fn link(&self) -> Option<&Link> {
        self.target.as_ref()?;
        self.link.get().or_else(|| self.connect_later())
    }

    pub fn has_redis(&self) -> bool {
        self.target.is_some()
    }

    pub fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    #[cold]
    fn connect_later(&self) -> Option<&Link> {
        let (now, last) = (now_ms(), self.tried.load(Ordering::Relaxed));
        let due = now.saturating_sub(last) >= RETRY;
        // One of the callers tries.
        let mine = due && self.tried.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine { self.connect() } else { None }
    }

    fn connect(&self) -> Option<&Link> {
        let link = self.link.get_or_try_init(|| {
            let runtime = self.sweep()?;
            let target = self.target.clone().ok_or("there is no Redis")?;
            let (sender, jobs) = mpsc::unbounded_channel();
            runtime.spawn(supervisor::run(self.shared.clone(), target, jobs));
            Ok(Link::new(sender))
        });
        link.inspect_err(|why: &String| {
            let trouble = Trouble::new(
                Kind::Connect,
                format!("the engine's thread could not be started ({why}); is the process out of file descriptors?"),
            );
            self.shared.errors.count(trouble.kind);
            self.shared.status.down(&trouble);
            self.shared.status.probing(false);
            *self.shared.gate.write() = Gate::Local;
        })
        .ok()
    }

    /// Expired entries go in the background. Without the thread for it they go when they are read, or evicted.
    fn sweep(&self) -> Result<Handle, String> {
        let runtime = runtime()?;
        runtime.spawn(Memory::sweep(Arc::downgrade(&self.shared.memory)));
        runtime.spawn(Memory::sweep(Arc::downgrade(self.shared.near.store())));
        Ok(runtime)
    }
}

static ENGINES: Lazy<Mutex<HashMap<Option<Target>, Weak<Engine>>>> = Lazy::new(Mutex::default);

/// Opens a cache: on the engine that already serves its target, or on a new one.
pub fn open(options: Options) -> Result<Arc<Cache>, CallError> {
    let mut engines = ENGINES.lock();
    engines.retain(|_, engine| engine.strong_count() > 0);
    let engine = match engines.get(&options.target).and_then(Weak::upgrade) {
        Some(engine) => {
            if engine.has_redis() {
                engine.connect();
            }
            engine
        }
        None => {
            let engine = Engine::start(&options);
            engines.insert(options.target.clone(), Arc::downgrade(&engine));
            engine
        }
    };
    engine.shared.allow(&options);
    Ok(Cache::new(engine, &options))
}

/// The process's one thread for connections: a current-thread runtime, which was measured a third faster here than a work-stealing one, as
/// a batch needs no second thread. It lives as long as the process and never keeps it alive.
pub fn runtime() -> Result<Handle, String> {
    // Tried again where it failed: there may be file descriptors by then.
    static RUNTIME: OnceCell<Handle> = OnceCell::new();
    let start = || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            // getaddrinfo runs there; a resolver that hangs must not pile up threads.
            .max_blocking_threads(4)
            .build()
            .map_err(|e| e.kind().to_string())?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("holdfast".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .map_err(|e| e.kind().to_string())?;
        Ok(handle)
    };
    RUNTIME.get_or_try_init(start).cloned()
}
