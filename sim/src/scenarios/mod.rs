//! Faults of docs/faults.md as schedules made by hand: what the random ones also meet, here with what must be seen in
//! each case. Each runs with many seeds, so that every fault falls between other events.

mod caches;
mod cluster;
mod network;
mod sentinel;
mod server;
mod stopped;

use crate::history::{Event, History, Key, MILLI, Nanos, Place, Plan, Record, Space, Verb};
use crate::rules;
use crate::schedule::{CachePlan, ClientPlan, Fault, Kind, PART, PLACES, Schedule, Settings, Step, Topology, WINDOW};
use crate::story::{self, Trace};
use crate::world;

const SEEDS: u64 = 25;
const TIMEOUT: u64 = 50;
/// What a thread needs to wake up, beyond a deadline.
const SLACK: Nanos = MILLI;
/// The keys of a scene, and its counter.
const K0: Key = 0;
const K1: Key = 1;
const N0: Key = 2;
/// The first of the further keys of a scene.
const MORE: Key = 3;

/// A schedule made by hand.
#[derive(Clone)]
struct Scene {
    clients: Vec<ClientPlan>,
    faults: Vec<Fault>,
    /// The namespace of the caches of both threads of the first process, and whether their codec is `raw`.
    caches: [(Space, bool); 2],
    /// Keys beyond those of all scenes: their names, their namespaces, and whether they are those of codec `raw`.
    keys: Vec<(String, Space, bool)>,
    topology: Topology,
}

/// What a scene did.
struct Played {
    history: History,
    trace: Trace,
}

fn scene() -> Scene {
    let topology = Topology::Single;
    Scene { clients: Vec::new(), faults: Vec::new(), caches: [(0, false); 2], keys: Vec::new(), topology }
}

impl Scene {
    /// `lasts` and `at` in milliseconds from the beginning.
    fn fault(self, kind: Kind, at: u64, lasts: u64) -> Self {
        self.fault_of(kind, at, lasts, 0, 0)
    }

    /// One of a server, or of a slot, by their numbers: those of k1, of the tag t0, and of k0.
    fn fault_of(mut self, kind: Kind, at: u64, lasts: u64, machine: usize, slot: usize) -> Self {
        self.faults.push(Fault { kind, process: 0, at, lasts, ms: 80, machine, slot });
        self
    }

    /// The threads of the first process have these caches, each a namespace and whether its codec is `raw`.
    fn caches(mut self, caches: [(Space, bool); 2]) -> Self {
        self.caches = caches;
        self
    }

    /// There is a further key: the first one is `MORE`.
    fn key(mut self, name: &str, space: Space, raw: bool) -> Self {
        self.keys.push((name.to_owned(), space, raw));
        self
    }

    /// A client that makes calls, each so many milliseconds after the one before has settled.
    fn client(mut self, place: Place, calls: impl IntoIterator<Item = (u64, Verb)>) -> Self {
        let steps = calls.into_iter().map(|(pause, call)| Step { pause, calls: vec![call] }).collect();
        self.clients.push(ClientPlan { place, steps });
        self
    }

    /// A client that makes these calls in one turn.
    fn burst(mut self, place: Place, pause: u64, calls: Vec<Verb>) -> Self {
        self.clients.push(ClientPlan { place, steps: vec![Step { pause, calls }] });
        self
    }

    /// Plays it with many seeds; all guarantees must hold.
    fn play(self, look: impl Fn(&Played)) {
        self.play_often(SEEDS, look);
    }

    fn play_often(self, seeds: u64, look: impl Fn(&Played)) {
        for seed in 0..seeds {
            let Self { clients, faults, caches, keys, topology } = self.clone();
            let cluster = topology == Topology::Cluster;
            // Slots 15,495, 3,300 and 15,495: servers 2 and 0. That of the tag t0, 8,093, is server 1's.
            let names = if cluster { ["k0{a}", "k1{b}", "n0{a}"] } else { ["k0", "k1", "n0"] };
            let mut names = names.map(str::to_owned).to_vec();
            names.extend(keys.iter().map(|(name, ..)| name.clone()));
            let plan = Plan {
                keys: [K0, K1].into_iter().chain(MORE..names.len()).collect(),
                counters: vec![N0],
                head: 1 << 44,
                spaces: [0; MORE].into_iter().chain(keys.iter().map(|(_, space, _)| *space)).collect(),
                homes: vec![(A, caches[0].0), (A_THREAD, caches[1].0)],
                names,
                cluster,
                used: if cluster { vec![3_300, 8_093, 15_495] } else { Vec::new() },
                ..Plan::default()
            };
            let cache = CachePlan { space: 0, raw: false, timeout_ms: TIMEOUT, near: true, stale: true };
            let settings = Settings {
                caches: [caches[0], caches[1], (0, false)].map(|(space, raw)| CachePlan { space, raw, ..cache }),
                raw_keys: [false; MORE].into_iter().chain(keys.iter().map(|(.., raw)| *raw)).collect(),
                window: WINDOW,
                part: PART,
                resp2: false,
                cluster,
                sentinels: topology == Topology::Sentinel,
                walled: false,
                tracked: None,
                max_age: None,
            };
            let schedule = Schedule { seed, index: 0, theme: "scenario", plan, clients, faults, settings };
            let (history, trace) = world::run(&schedule, true);
            let found = rules::check(&history);
            assert!(found.is_empty(), "seed {seed}:\n{}", story::story(&schedule, &history, &found, &trace));
            look(&Played { history, trace });
        }
    }
}

impl Played {
    /// The calls of the scene's clients in Holdfast.
    fn calls(&self) -> impl Iterator<Item = &Record> {
        let planned = |record: &&Record| matches!(record.client, crate::history::Client::Plan(_));
        self.history.records.iter().filter(planned).filter(|record| record.place != Place::Foreign)
    }

    /// How long the slowest call took.
    fn slowest(&self) -> Nanos {
        self.calls().map(|call| call.end.map_or(Nanos::MAX, |end| end - call.start)).max().unwrap_or(0)
    }

    /// The slowest call that began within the outage of the first process, once that was noticed.
    fn slowest_away(&self) -> Nanos {
        let Some((from, until)) = self.outage() else { return Nanos::MAX };
        let away = self.calls().filter(|call| call.start > from && call.start < until && is_first(call.place));
        away.map(|call| call.end.map_or(Nanos::MAX, |end| end - call.start)).max().unwrap_or(0)
    }

    /// When the first process noticed its first outage, and when that was over.
    fn outage(&self) -> Option<(Nanos, Nanos)> {
        let first = |fallback: bool| move |event: &&Event| event.process == 0 && event.fallback == fallback;
        let from = self.history.events.iter().find(first(true))?.at;
        let until = self.history.events.iter().filter(first(false)).find(|event| event.at > from);
        Some((from, until.map_or(Nanos::MAX, |event| event.at)))
    }

    /// How often something was noted that holds these words.
    fn noted(&self, words: &str) -> usize {
        self.trace.iter().filter(|(_, line)| line.contains(words)).count()
    }
}

fn is_first(place: Place) -> bool {
    matches!(place, Place::Environment { process: 0, .. })
}

fn get(key: Key) -> Verb {
    Verb::Get { key }
}

/// Each value is one of its own.
fn set(key: Key, value: i64) -> Verb {
    Verb::Set { key, value, ttl: Some(20_000), tag: None }
}

fn del(key: Key) -> Verb {
    Verb::Del { keys: vec![key] }
}

/// Reads and writes in turns, one every few milliseconds. `from`: the first value.
fn traffic(count: i64, from: i64) -> Vec<(u64, Verb)> {
    let call = |n: i64| match n % 5 {
        0 => set(K0, from + n * 10),
        1 => get(K0),
        2 => set(K1, from + n * 10),
        3 => get(K1),
        _ => del(K0),
    };
    (0..count).map(|n| (2, call(n))).collect()
}

/// Increments with amounts of their own.
fn counting(count: u32) -> Vec<(u64, Verb)> {
    (0..count).map(|n| (2, Verb::Increment { key: N0, amount: 1 << (2 * n) })).collect()
}

/// The event loop of the first process, its worker thread, and the second process.
const A: Place = PLACES[0];
const A_THREAD: Place = PLACES[1];
const B: Place = PLACES[2];
