//! The world of one schedule: its time, its processes and environments, the network and the server. Everything that
//! happens is an event at a moment; events of one moment happen in the order in which they were planned.

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast::engine::base::clock::{self, Clock, Told as ToldTime};
use holdfast::engine::base::random::Random;

use crate::agenda::Agenda;
use crate::bound::Bounds;
use crate::history::{Event as Told, History, MICRO, MILLI, Mishap, Nanos, Place, Record};
use crate::schedule::{PLACES, Schedule, Topology};
use crate::server::Snapshot;
use crate::server::cluster::View;
use crate::story::{Trace, who};
use crate::world::calls::{ClientRun, Wait};
use crate::world::computing::{Computing, Go};
use crate::world::environment::Environment;
use crate::world::fleet::machine::Machine;
use crate::world::fleet::sentinels;
use crate::world::mailbox::Waiting;
use crate::world::network::{Connection, Way, between};
use crate::world::process::Process;

mod calls;
mod computing;
mod environment;
mod faults;
mod fleet;
mod foreign;
mod mailbox;
mod network;
mod process;
mod rest;
#[cfg(test)]
mod tests;
mod traffic;

/// How long a thread takes to wake up, or one turn of an event loop to follow another.
const WAKE_UP: [Nanos; 2] = [2 * MICRO, 60 * MICRO];
/// No schedule takes so long: a call that has not settled then never does.
const LONGEST: Nanos = 300_000 * MILLI;
/// Events of one schedule: more than any has, unless it goes in a circle.
const MAX_EVENTS: usize = 2_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The engine's thread of a process goes on.
    Drive(usize),
    /// A turn of an environment's event loop.
    Turn(usize),
    /// A piece arrives on a connection.
    Arrive(usize, Way),
    /// A dial of a process succeeds, or fails: of which of its nodes, and its number.
    Dialled(usize, usize, u32),
    /// The next step of a client.
    Step(usize),
    /// A computation of an environment goes on.
    Computing(usize, Go),
    /// A fault begins, or ends.
    Fault(usize, bool),
    /// The next key of a slot goes from one node of a cluster to another one.
    Migrate(usize, usize, usize),
    /// A replica takes over.
    Promote(usize),
    /// A node hears what its cluster is like.
    Hear(usize),
    /// The server's own clock: it drops some of what has expired.
    Cycle,
    /// Once everything is over: reads until nothing is left to be undone, and then a last look.
    Chase(usize),
    /// Everybody looks.
    Look,
}

/// The processes of a schedule.
const PROCESSES: usize = 2;
/// Places of the agenda: processes, environments, and the server's clock.
const TURNS: usize = PROCESSES;
const CYCLE: usize = TURNS + PLACES.len();

impl Event {
    /// Its place in the agenda, of those that go on again and again.
    fn place(self) -> Option<usize> {
        match self {
            Self::Drive(process) => Some(process),
            Self::Turn(environment) => Some(TURNS + environment),
            Self::Cycle => Some(CYCLE),
            _ => None,
        }
    }
}

pub struct World {
    schedule: Schedule,
    random: Random,
    base: Instant,
    /// What the engines' clocks say.
    told: Arc<ToldTime>,
    now: Nanos,
    agenda: Agenda<Event, { CYCLE + 1 }>,
    machines: Vec<Machine>,
    /// The one server, or the one that is the primary.
    primary: usize,
    /// A cluster as it is, whatever its nodes know.
    truth: Option<View>,
    /// Faults that leave slots without a node.
    unserved: usize,
    /// Of a cluster: whether each process was in redis mode.
    was_up: Vec<bool>,
    processes: Vec<Process>,
    environments: Vec<Environment>,
    connections: Vec<Connection>,
    /// When pieces of what is sent arrive: room that is used again.
    moments: Vec<Nanos>,
    clients: Vec<ClientRun>,
    /// Clients and functions that go on in the next turn of their environment.
    due: Vec<Vec<Event>>,
    waits: Waiting<Wait>,
    computing: Computing,
    records: Vec<Record>,
    seqs: Vec<u32>,
    told_events: Vec<Told>,
    ended: Vec<Place>,
    mishaps: Vec<Mishap>,
    bounds: Bounds,
    /// By fault: what the server is to come back with.
    snapshots: Vec<Snapshot>,
    /// Faults that make it evict keys.
    evicting: usize,
    /// Faults that leave dials without an answer.
    unanswered: usize,
    /// When each fault began, and which machine it befell.
    began: Vec<Nanos>,
    victims: Vec<usize>,
    /// Faults that have not ended, and clients that have not.
    faults_left: usize,
    calm: bool,
    rest: rest::Rest,
    trace: Option<Trace>,
}

/// Runs a schedule; with a trace of what happened beside the calls, where that is asked for.
pub fn run(schedule: &Schedule, traced: bool) -> (History, Trace) {
    let mut world = World::new(schedule.clone());
    world.trace = traced.then(Vec::new);
    world.live()
}

impl World {
    fn new(schedule: Schedule) -> Self {
        let random = Random::seeded(schedule.seed.rotate_left(32) ^ schedule.index ^ 0x5EED);
        let base = clock::origin() + Duration::from_millis(1_000);
        let told = Arc::new(ToldTime::new(base));
        let settings = &schedule.settings;
        let used = &schedule.plan.used;
        // The environments of a process stand together; its first one opens the engine.
        let process = |first: usize| {
            let (clock, random) = (Clock::Told(told.clone()), Random::seeded(random.bits()));
            Process::new(&settings.caches[first], settings, used.clone(), clock, random, base)
        };
        let processes: Vec<Process> = [0, 2].map(process).into_iter().collect();
        let environments: Vec<Environment> = PLACES
            .iter()
            .zip(&settings.caches)
            .map(|(place, cache)| {
                let Place::Environment { process, .. } = *place else { unreachable!("places are environments") };
                Environment::new(&processes[process].open(cache, settings), cache, settings)
            })
            .collect();
        let clients = schedule.clients.iter().map(|plan| ClientRun::new(plan.place)).collect();
        Self {
            machines: match schedule.topology() {
                Topology::Cluster => Machine::cluster(|| random.bits()),
                Topology::Sentinel => sentinels::machines(|| random.bits()),
                Topology::Single => vec![Machine::alone(random.bits())],
            },
            primary: 0,
            truth: settings.cluster.then(View::new),
            unserved: 0,
            was_up: vec![false; processes.len()],
            random,
            base,
            told,
            now: 0,
            agenda: Agenda::new(),
            processes,
            due: vec![Vec::new(); environments.len()],
            computing: Computing::new(environments.len()),
            environments,
            connections: Vec::new(),
            moments: Vec::new(),
            clients,
            waits: Waiting::new(),
            records: Vec::new(),
            seqs: vec![0; PLACES.len() + 1],
            told_events: Vec::new(),
            ended: Vec::new(),
            mishaps: Vec::new(),
            bounds: Bounds::default(),
            began: vec![0; schedule.faults.len()],
            victims: vec![0; schedule.faults.len()],
            snapshots: vec![Snapshot::default(); schedule.faults.len()],
            evicting: 0,
            unanswered: 0,
            faults_left: schedule.faults.len(),
            calm: false,
            rest: rest::Rest::default(),
            trace: None,
            schedule,
        }
    }

    fn live(mut self) -> (History, Trace) {
        self.prepare();
        for process in 0..self.processes.len() {
            self.drive_soon(process);
        }
        for _ in 0..MAX_EVENTS {
            let Some((at, event)) = self.agenda.next() else { break };
            if at > LONGEST {
                break;
            }
            // Calls of one turn are made one after the other: see `tick`.
            self.now = at.max(self.now);
            self.told.set(self.now);
            self.happen(event);
            self.notice();
            if self.rest.is_over() {
                break;
            }
        }
        let trace = self.trace.take().unwrap_or_default();
        (self.told(), trace)
    }

    /// Notes what happens, for a story.
    fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push((now, format!("    {}", text())));
        }
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_nanos(self.now)
    }

    /// In milliseconds of the engines' clock.
    fn ms(&self) -> u64 {
        clock::millis_of(self.instant())
    }

    /// In milliseconds of the server's.
    fn server_ms(&self) -> u64 {
        1_000_000 + (self.now + 377 * MICRO) / MILLI
    }

    fn plan(&mut self, at: Nanos, event: Event) {
        self.agenda.plan(at, event.place(), event);
    }

    fn soon(&self) -> Nanos {
        self.now + between(WAKE_UP, &self.random)
    }

    /// No two calls begin or end at the same moment: what was made first is first.
    fn tick(&mut self) {
        self.now += 1;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Drive(process) => self.drive(process),
            Event::Turn(environment) => self.turn(environment),
            Event::Arrive(connection, Way::Up) => self.serve(connection),
            Event::Arrive(connection, Way::Down) => self.drive_soon(self.connections[connection].process),
            Event::Dialled(process, line, dial) => self.dialled(process, line, dial),
            Event::Step(client) => self.step(client),
            Event::Fault(fault, true) => self.begin(fault),
            Event::Fault(fault, false) => self.end(fault),
            Event::Cycle => {
                self.cycle();
                self.plan(self.now + 10 * MILLI, Event::Cycle);
            }
            Event::Migrate(fault, from, to) => self.migrate(fault, from, to),
            Event::Promote(fault) => self.promote(fault),
            Event::Hear(node) => self.told_of_change(node),
            Event::Look => self.begin_look(),
            Event::Chase(environment) | Event::Computing(environment, _) => {
                self.due[environment].push(event);
                self.turn_soon(environment);
            }
        }
    }

    /// What happened may have woken others. Who stands still finds it when they go on, and who has ended never does.
    fn notice(&mut self) {
        for environment in 0..self.environments.len() {
            let one = &self.environments[environment];
            let goes_on = !one.ended && !self.processes[Self::process_of(environment)].frozen;
            if one.mail.has_replies() && goes_on && !self.agenda.has(TURNS + environment) {
                self.turn_soon(environment);
            }
        }
        for process in 0..self.processes.len() {
            let one = &self.processes[process];
            if one.is_woken() && !one.dead && !one.frozen && !self.agenda.has(process) {
                self.drive_soon(process);
            }
        }
    }

    /// The engine's thread goes on a moment later.
    fn drive_soon(&mut self, process: usize) {
        let at = self.soon();
        self.drive_at(process, at);
    }

    fn drive_at(&mut self, process: usize, at: Nanos) {
        self.plan(at, Event::Drive(process));
    }

    fn turn_soon(&mut self, environment: usize) {
        let at = self.soon();
        self.plan(at, Event::Turn(environment));
    }

    fn process_of(environment: usize) -> usize {
        match PLACES[environment] {
            Place::Environment { process, .. } => process,
            Place::Foreign => usize::MAX,
        }
    }
}

/// A process, as places are named.
fn name(process: usize) -> String {
    who(Place::Environment { process, thread: 0 })
}
