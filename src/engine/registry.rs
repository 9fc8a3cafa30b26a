//! Engines: one for each Redis that this process uses, shared by all its caches and threads, on one thread of ours.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use once_cell::sync::{Lazy, OnceCell};
use parking_lot::Mutex;

use crate::engine::base::clock::Clock;
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::random::Random;
use crate::engine::cache::job::Link;
use crate::engine::cache::options::Options;
use crate::engine::cache::shared::Shared;
use crate::engine::drive;
use crate::engine::fleet::server::Gate;
use crate::engine::front::{Front, Reach};
use crate::engine::net::target::Target;
use crate::engine::task::executor::Tasks;
use crate::engine::tier::memory::Memory;

/// One Redis (or none) and the in-process tier beside it.
struct Engine {
    shared: Arc<Shared>,
    /// Empty without Redis, and where its thread could not be started yet.
    link: OnceCell<Link>,
    /// Until somebody drives them.
    tasks: Mutex<Option<Tasks>>,
    /// When that was tried last, in milliseconds of the clock.
    tried: AtomicU64,
}

/// So often it is tried again, in milliseconds, to start what a process out of file descriptors could not.
const RETRY: u64 = 1_000;

impl Engine {
    fn start(options: &Options) -> Arc<Self> {
        let tasks = Tasks::new(Instant::now());
        let shared = Shared::new(options, tasks.spawner().clone(), Clock::System, Random::System);
        // Expired entries go in the background. Without the thread for it they go when they are read, or evicted.
        let nears = shared.fleet.servers().map(|server| server.near.store());
        for store in std::iter::once(&shared.memory).chain(nears) {
            let timers = tasks.spawner().timers().clone();
            tasks.spawner().spawn(Memory::sweep(Arc::downgrade(store), timers));
        }
        let (link, tried) = (OnceCell::new(), AtomicU64::new(Clock::System.now_ms()));
        if shared.fleet.is_empty() {
            let _ = drive::start_alone(tasks);
            return Arc::new(Self { shared, link, tasks: Mutex::default(), tried });
        }
        let engine = Self { shared, link, tasks: Mutex::new(Some(tasks)), tried };
        engine.connect();
        Arc::new(engine)
    }

    #[cold]
    fn connect_later(&self) -> Option<&Link> {
        let (now, last) = (Clock::System.now_ms(), self.tried.load(Ordering::Relaxed));
        let due = now.saturating_sub(last) >= RETRY;
        // One of the callers tries.
        let mine = due && self.tried.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine { self.connect() } else { None }
    }

    fn connect(&self) -> Option<&Link> {
        let link = self.link.get_or_try_init(|| {
            let server = self.shared.fleet.servers().next().ok_or("there is no Redis")?;
            let mut waiting = self.tasks.lock();
            let tasks = waiting.take().ok_or("it was started already")?;
            drive::start(&self.shared, server, tasks).map_err(|(tasks, why)| {
                *waiting = Some(tasks);
                why
            })
        });
        link.inspect_err(|why: &String| {
            let trouble = Trouble::new(
                Kind::Connect,
                format!("the engine's thread could not be started ({why}); is the process out of file descriptors?"),
            );
            self.shared.errors.count(trouble.kind);
            self.shared.status.down(&trouble);
            self.shared.status.probing(false);
            self.shared.fleet.servers().for_each(|server| server.set_gate(Gate::Local));
        })
        .ok()
    }
}

impl Reach for Engine {
    fn link(&self) -> Option<&Link> {
        if self.shared.fleet.is_empty() {
            return None;
        }
        self.link.get().or_else(|| self.connect_later())
    }
}

static ENGINES: Lazy<Mutex<HashMap<Option<Target>, Weak<Engine>>>> = Lazy::new(Mutex::default);

/// Opens a cache: on the engine that already serves its target, or on a new one.
pub fn open(options: &Options) -> Front {
    let engine = engine(options);
    Front::new(&engine.shared.clone(), engine, options)
}

/// The engine that already serves the target of these options, or a new one.
fn engine(options: &Options) -> Arc<Engine> {
    let mut engines = ENGINES.lock();
    engines.retain(|_, engine| engine.strong_count() > 0);
    let engine = match engines.get(&options.target).and_then(Weak::upgrade) {
        Some(engine) => {
            if !engine.shared.fleet.is_empty() {
                engine.connect();
            }
            engine
        }
        None => {
            let engine = Engine::start(options);
            engines.insert(options.target.clone(), Arc::downgrade(&engine));
            engine
        }
    };
    engine.shared.allow(options);
    engine
}
