//! One process of the simulation: its engine, as a driver sees it. Stands still while it is frozen.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};
use std::time::Instant;

use futures_channel::mpsc::unbounded;
use holdfast::engine::base::clock::Clock;
use holdfast::engine::base::random::Random;
use holdfast::engine::cache::job::Link;
use holdfast::engine::cache::options::{DEFAULT_MAX_AGE, Given, Options};
use holdfast::engine::cache::shared::Shared;
use holdfast::engine::cache::tell::status::Mode as EngineMode;
use holdfast::engine::call::batch::{Batch, Task};
use holdfast::engine::call::reply::{Hot, Reply, Submitted};
use holdfast::engine::call::sink::{ReplyTo, Versions};
use holdfast::engine::fleet::server::Server;
use holdfast::engine::front::{Front, Reach};
use holdfast::engine::node::machine::Node;
use holdfast::engine::task::executor::Tasks;
use holdfast::engine::tier::memory::Memory;

use crate::history::{Mishap, Mode, Nanos, SPACES, State};
use crate::schedule::{CachePlan, PLACES, Settings};
use crate::world::World;
use crate::world::fleet::crew::Crew;
use crate::world::fleet::line::{Deed, Line};
use crate::world::fleet::sentinels;
use crate::world::fleet::woken::Woken;
use crate::world::mailbox::Mailbox;

/// Jobs that are handed over before replies are looked for again, as on the engine's thread.
pub const MAX_JOBS: usize = 64;

/// The engine of a process, and what its driver holds.
pub struct Process {
    pub shared: Arc<Shared>,
    /// The nodes that it drives: one, or, behind the first one, those of a cluster.
    pub lines: Vec<Line>,
    pub crew: Option<Crew>,
    way: Arc<Way>,
    woken: Arc<Woken>,
    waker: Waker,
    /// When its tasks ran last: at that moment only what was woken since can go on.
    polled: Option<Instant>,
    pub frozen: bool,
    /// Jobs lie in its queue until then: the thread is at work on others, and looks for replies between two handfuls.
    pub busy: Nanos,
    pub dead: bool,
    /// Of a cluster: the slots of the schedule's keys.
    slots: Vec<u16>,
    /// Its network passes nothing, on new connections neither.
    pub cut_off: bool,
    /// How often its journal has put a namespace in the place of keys.
    widened: u64,
    /// Of a cluster: which of its servers were up, and how often that has changed.
    ups: Vec<bool>,
    turns: u64,
    /// What it says of itself, which only its driver changes.
    state: State,
}

/// How its caches reach the node.
#[derive(Default)]
struct Way(OnceLock<Link>);

impl Reach for Way {
    fn link(&self) -> Option<&Link> {
        self.0.get()
    }
}

impl Process {
    /// `first`: the cache that opens the engine.
    pub fn new(
        first: &CachePlan,
        settings: &Settings,
        slots: Vec<u16>,
        clock: Clock,
        random: Random,
        now: Instant,
    ) -> Self {
        let options = options(first, settings);
        let tasks = Tasks::new(now);
        tasks.spawner().drive();
        let shared = Shared::new(&options, tasks.spawner().clone(), clock, random);
        let nears = shared.fleet.servers().map(|server| server.near.store());
        for store in std::iter::once(&shared.memory).chain(nears) {
            tasks.spawner().spawn(Memory::sweep(Arc::downgrade(store), tasks.spawner().timers().clone()));
        }
        let server = shared.server("").clone();
        let (sender, jobs) = unbounded();
        let way = Arc::new(Way::default());
        let _ = way.0.set(Link::new(server.clone(), sender));
        let node = Node::new(shared.clone(), server.clone(), tasks, now);
        let woken = Arc::new(Woken::default());
        let mut process = Self {
            shared,
            lines: vec![Line::new(node, server, jobs, &woken)],
            crew: None,
            way,
            waker: woken.waker(),
            woken,
            polled: None,
            frozen: false,
            busy: 0,
            dead: false,
            slots,
            cut_off: false,
            widened: 0,
            ups: Vec::new(),
            turns: 0,
            state: State { mode: Mode::Initializing, since: 0 },
        };
        process.went_on();
        process
    }

    /// Opens a cache.
    pub fn open(&self, cache: &CachePlan, settings: &Settings) -> Arc<Front> {
        let options = options(cache, settings);
        self.shared.allow(&options);
        // Another cache of the process is more patient with what the near cache holds, and keeps it there.
        let mut patient = options.clone();
        if let Some(near) = &mut patient.near {
            near.max_age = near.max_age.max(DEFAULT_MAX_AGE);
        }
        self.shared.allow(&patient);
        Arc::new(Front::new(&self.shared, self.way.clone(), &options))
    }

    /// What it says of itself.
    pub fn state(&self) -> State {
        debug_assert_eq!(self.state, self.tell(), "its driver went on, and did not say so");
        self.state
    }

    /// Its driver went on: it may say something else. No server comes and goes within one step.
    pub fn went_on(&mut self) {
        if let Some(cluster) = self.shared.fleet.cluster() {
            for (at, server) in cluster.servers().enumerate() {
                let is_up = server.standing.lock().up;
                match self.ups.get_mut(at) {
                    Some(was_up) if *was_up == is_up => continue,
                    Some(was_up) => *was_up = is_up,
                    None => self.ups.push(is_up),
                }
                self.turns += 1;
            }
        }
        self.state = self.tell();
    }

    fn tell(&self) -> State {
        if let Some(state) = self.standing(&self.slots) {
            return state;
        }
        let (mode, since) = self.shared.status.standing();
        let mode = match mode {
            EngineMode::Initializing => Mode::Initializing,
            EngineMode::Redis => Mode::Redis,
            EngineMode::Memory => Mode::Memory,
        };
        State { mode, since }
    }

    /// Calls that wait for a first connection.
    fn waiting(&self) -> usize {
        self.lines.iter().map(|line| line.node.waiting()).sum()
    }

    /// Whether a task can go on.
    pub fn is_woken(&self) -> bool {
        self.woken.is_raised()
    }

    /// When it wants to go on next.
    pub fn next_moment(&self) -> Option<Instant> {
        let router = self.crew.as_ref().and_then(|crew| crew.router.next_moment());
        self.lines.iter().filter_map(Line::next_moment).chain(router).min()
    }

    /// Goes on with what can go on: jobs, tasks, moments. What it wants done is pushed to `deeds`, each with the number
    /// of its line; whether anything went on.
    pub fn round(&mut self, now: Instant, jobs: usize, deeds: &mut Vec<(usize, Deed)>) -> bool {
        let was_woken = self.woken.take();
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        let mut went_on = self.lead(now, jobs, &mut context);
        let woken = was_woken || self.is_woken() || self.polled != Some(now);
        self.polled = Some(now);
        let jobs = if self.crew.is_some() { MAX_JOBS } else { jobs };
        for (at, line) in self.lines.iter_mut().enumerate() {
            went_on |= line.round(at, now, jobs, woken, deeds);
        }
        went_on
    }
}

/// What of the engine an environment calls: src/binding.
pub trait Native {
    fn submit(&self, batch: Batch, to: &ReplyTo) -> Submitted;
    fn run(&self, task: Task, to: &ReplyTo) -> Option<Reply>;
    fn peek(&self, key: &str, versions: &dyn Versions) -> Option<Hot>;
    /// The environment ends.
    fn end(&self, mail: &Mailbox);
}

impl Native for Front {
    fn submit(&self, batch: Batch, to: &ReplyTo) -> Submitted {
        Front::submit(self, batch, to)
    }

    fn run(&self, task: Task, to: &ReplyTo) -> Option<Reply> {
        Front::run(self, task, to)
    }

    fn peek(&self, key: &str, versions: &dyn Versions) -> Option<Hot> {
        Front::peek(self, key, Some(versions))
    }

    fn end(&self, mail: &Mailbox) {
        for server in self.shared().fleet.servers() {
            server.near.unshare(&mail.versions);
        }
        self.shared().flights.forget(mail.client).send();
    }
}

impl World {
    /// What a process holds, against its bounds.
    pub(super) fn measure(&mut self, process: usize) {
        let settings = &self.schedule.settings;
        let names = self.schedule.plan.names.len();
        // One batch may be under way whatever the window says.
        let most = PLACES.len() * (settings.window + settings.part + names);
        let one = &self.processes[process];
        let raw = settings.caches.iter().any(|cache| SPACES[cache.space].is_empty());
        let widened = one.shared.fleet.servers().map(|server| server.journal.widened()).sum();
        if widened > one.widened {
            self.mishaps.push(Mishap::Widened { process, at: self.now });
        }
        self.bounds.look(process, &one.shared, one.waiting(), (most, raw), self.now);
        self.processes[process].widened = widened;
    }

    /// Whether all that an outage left to be swept has been.
    pub(super) fn nothing_to_sweep(&self, process: usize) -> bool {
        self.processes[process].shared.fleet.servers().all(|server| !server.journal.is_covering())
    }

    /// Of which keys nothing is left to be removed: a bit for each.
    pub(super) fn removed(&self, process: usize) -> u64 {
        let servers = || self.processes[process].shared.fleet.servers();
        let held = |key: &usize| servers().any(|server| server.journal.holds(&self.stored(*key)));
        let names = 0..self.schedule.plan.names.len().min(64);
        names.filter(|key| !held(key)).map(|key| 1 << key).sum()
    }

    pub(super) fn measure_at_rest(&mut self, process: usize) {
        let idle = (0..PLACES.len()).all(|at| {
            let environment = &self.environments[at];
            Self::process_of(at) != process || environment.ended || environment.is_idle() && self.computing.is_idle(at)
        });
        let refused = |mishap: &Mishap| matches!(mishap, Mishap::Refusal { deletes: true, .. });
        let one = &self.processes[process];
        if idle && !one.dead {
            let undone = !self.mishaps.iter().any(refused);
            let mine = |at: &usize| Self::process_of(*at) == process;
            let ended = (0..PLACES.len()).filter(mine).any(|at| self.environments[at].ended);
            let gave_up = (0..PLACES.len()).filter(mine).any(|at| self.computing.has_withdrawn(at));
            let flags = [undone, ended, gave_up];
            self.bounds.look_at_rest(process, &one.shared, (one.waiting(), one.serving().collect()), flags, self.now);
        }
    }
}

fn options(cache: &CachePlan, settings: &Settings) -> Options {
    let given = Given {
        url: Some(if settings.sentinels { sentinels::URL } else { "redis://server" }.to_owned()),
        namespace: SPACES[cache.space].to_owned(),
        max_memory: Some("1mb".to_owned()),
        timeout_ms: Some(cache.timeout_ms as f64),
        near: cache.near,
        near_max_age: settings.max_age.map(|ms| ms as f64 / 1_000.0),
        codec: cache.raw.then(|| "raw".to_owned()),
        outage_stale: if cache.stale { None } else { Some(0.0) },
        ..Given::default()
    };
    Options::check(given).unwrap_or_else(|error| unreachable!("{error:?}"))
}

impl Process {
    /// The cluster's part of a round.
    pub(in crate::world) fn lead(&mut self, now: Instant, jobs: usize, context: &mut Context<'_>) -> bool {
        let mut went_on = false;
        if self.crew.is_none() && self.lines[0].node.is_spread() {
            let jobs = self.lines[0].leave();
            self.crew = self.lines[0].node.spread().map(|spread| Crew::new(spread, jobs, now));
            went_on = true;
        }
        match &mut self.crew {
            Some(crew) => crew.round(now, jobs, context, &mut self.lines, &self.woken) || went_on,
            None => went_on,
        }
    }

    /// The servers on which something is to be undone. One that serves nothing any more keeps that until it comes back.
    pub(in crate::world) fn serving(&self) -> impl Iterator<Item = &Arc<Server>> {
        let cluster = self.shared.fleet.cluster();
        let serves =
            move |server: &&Arc<Server>| cluster.is_none_or(|cluster| server.place == 0 || cluster.is_used(server));
        self.shared.fleet.servers().filter(serves)
    }

    /// How a process stands whose servers may be away one by one. Two moments with the same state have no change of
    /// any server between them (that is counted here, as a server tells since when it is so by the clock of the
    /// machine); and it is in redis mode where all servers are that have keys of the schedule.
    pub(in crate::world) fn standing(&self, slots: &[u16]) -> Option<State> {
        let cluster = self.shared.fleet.cluster()?;
        // The places of servers begin with 1: nobody's is 0.
        let up_at = |place: u16| usize::from(place).checked_sub(1).and_then(|at| self.ups.get(at));
        let is_up = |slot: &u16| up_at(cluster.owner(*slot)).is_some_and(|is_up| *is_up);
        let mode = if slots.iter().all(is_up) && !self.lines.iter().any(Line::is_away) {
            Mode::Redis
        } else if slots.iter().any(is_up)
            || self.shared.status.standing().0 != holdfast::engine::cache::tell::status::Mode::Memory
        {
            // Nobody knows where a call went.
            Mode::Partly
        } else {
            Mode::Memory
        };
        Some(State { mode, since: self.turns })
    }
}
