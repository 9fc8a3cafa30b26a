//! Engines: one for each Redis that this process uses, shared by all its caches and threads, on one thread of ours.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_channel::mpsc::unbounded;
use once_cell::sync::{Lazy, OnceCell};
use parking_lot::Mutex;

use crate::engine::base::clock::Clock;
use crate::engine::base::random::Random;
use crate::engine::cache::job::Link;
use crate::engine::cache::options::Options;
use crate::engine::cache::shared::Shared;
use crate::engine::drive::{self, Lookout};
use crate::engine::fleet::server::{Gate, Server};
use crate::engine::front::{Front, Reach};
use crate::engine::net::seeds::Seeds;
use crate::engine::net::target::Habits;
use crate::engine::node::machine::Node;
use crate::engine::node::steps::{Driven, Steps};
use crate::engine::task::executor::Tasks;
use crate::engine::tier::memory::Memory;

/// One Redis (or none) and the in-process tier beside it.
struct Engine {
    /// The event loop that drives it, by its number, and its steps, where one does.
    steps: Mutex<Option<(u32, Weak<Steps>)>>,
    shared: Arc<Shared>,
    /// Empty without Redis, and where its thread could not be started yet.
    link: OnceCell<Link>,
    /// Hears where the primary is, where sentinels say it.
    _lookout: Option<Lookout>,
    /// Until somebody drives them.
    tasks: Mutex<Option<Tasks>>,
    /// When that was tried last, in milliseconds of the clock.
    tried: AtomicU64,
}

/// How long an event loop may take to answer what is under way before its node moves all the same: it may be blocked.
const LONGEST_HAND_OVER: Duration = Duration::from_millis(50);
/// So often it is tried again, in milliseconds, to start what a process out of file descriptors could not.
const RETRY: u64 = 1_000;

impl Engine {
    /// `owner`: an event loop that does the I/O of the engine itself.
    fn start(options: &Options, owner: Option<u32>) -> (Arc<Self>, Option<Arc<Steps>>) {
        let tasks = Tasks::new(Instant::now());
        let shared = Shared::new(options, tasks.spawner().clone(), Clock::System, Random::System);
        // Expired entries go in the background. Without the thread for it they go when they are read, or evicted.
        let nears = shared.fleet.servers().map(|server| server.near.store());
        for store in std::iter::once(&shared.memory).chain(nears) {
            let timers = tasks.spawner().timers().clone();
            tasks.spawner().spawn(Memory::sweep(Arc::downgrade(store), timers));
        }
        let (link, tried) = (OnceCell::new(), AtomicU64::new(Clock::System.now_ms()));
        let _lookout = drive::look_out(&shared);
        let mut engine = Self { _lookout, shared, link, tasks: Mutex::default(), tried, steps: Mutex::default() };
        let fleet = &engine.shared.fleet;
        let server = if fleet.is_empty() { None } else { fleet.servers().next().cloned() };
        match (server, owner) {
            (None, _) => _ = drive::start_alone(tasks),
            (Some(server), Some(owner)) => {
                let (link, steps) = steps(&engine.shared, &server, tasks);
                let _ = engine.link.set(link);
                *engine.steps.get_mut() = Some((owner, Arc::downgrade(&steps)));
                return (Arc::new(engine), Some(steps));
            }
            (Some(_), None) => {
                *engine.tasks.get_mut() = Some(tasks);
                engine.connect();
            }
        }
        (Arc::new(engine), None)
    }

    /// The event loop that drove it has ended, and nobody had asked for its node before.
    fn is_orphan(&self) -> bool {
        let is_orphaned =
            |steps: &Weak<Steps>| steps.upgrade().is_none_or(|steps| steps.is_gone() && !steps.is_spread());
        // The thread drives all of a cluster.
        self.shared.fleet.cluster().is_none() && self.steps.lock().as_ref().is_some_and(|(_, steps)| is_orphaned(steps))
    }

    /// A further cache. Where another event loop drives the engine, its node moves to the thread, which serves both.
    fn join(&self, owner: Option<u32>) -> Option<Arc<Steps>> {
        if self.shared.fleet.is_empty() {
            return None;
        }
        let mut driven = self.steps.lock();
        let steps = driven.as_ref().and_then(|(by, steps)| Some((*by, steps.upgrade()?)));
        match steps.filter(|(_, steps)| !steps.is_spread()) {
            Some((by, steps)) if Some(by) == owner => return Some(steps),
            Some((_, steps)) => {
                steps.hand_over(drive::go_on);
                drive::later(LONGEST_HAND_OVER, move || steps.seize());
            }
            None => _ = self.connect(),
        }
        *driven = None;
        None
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
            let trouble = drive::no_thread(why);
            self.shared.errors.count(trouble.kind);
            self.shared.outages.begin(0, &self.shared.clock);
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

/// What tells engines apart; none in memory mode.
type Which = Option<(Seeds, Habits)>;

static ENGINES: Lazy<Mutex<HashMap<Which, Weak<Engine>>>> = Lazy::new(Mutex::default);

/// Opens a cache: on the engine that already serves its target, or on a new one.
pub fn open(options: &Options) -> Front {
    open_for(options, None).0
}

/// As `open`, for the event loop `owner`, which wants to do the I/O of its engine itself. Steps: it does.
pub fn open_for(options: &Options, owner: Option<u32>) -> (Front, Option<Arc<Steps>>) {
    // TLS is the thread's.
    let owner = owner.filter(|_| options.seeds.as_ref().is_some_and(|seeds| !seeds.speaks_tls()));
    let (engine, steps) = engine(options, owner);
    (Front::new(&engine.shared.clone(), engine, options), steps)
}

/// The node of `server`, for an event loop, and where its callers hand over their work.
fn steps(shared: &Arc<Shared>, server: &Arc<Server>, tasks: Tasks) -> (Link, Arc<Steps>) {
    let (sender, jobs) = unbounded();
    tasks.spawner().drive();
    let node = Node::new(shared.clone(), server.clone(), tasks, Instant::now());
    (Link::new(server.clone(), sender), Arc::new(Steps::new(Driven { node, jobs }, drive::go_on)))
}

/// The engine that already serves the target of these options, or a new one.
fn engine(options: &Options, owner: Option<u32>) -> (Arc<Engine>, Option<Arc<Steps>>) {
    let key = options.seeds.clone().map(|seeds| (seeds, options.habits));
    let mut engines = ENGINES.lock();
    engines.retain(|_, engine| engine.strong_count() > 0);
    let (engine, steps) = match engines.get(&key).and_then(Weak::upgrade) {
        Some(engine) if !engine.is_orphan() => {
            let steps = engine.join(owner);
            (engine, steps)
        }
        _ => {
            let (engine, steps) = Engine::start(options, owner);
            engines.insert(key, Arc::downgrade(&engine));
            (engine, steps)
        }
    };
    engine.shared.allow(options);
    (engine, steps)
}
