//! What a kind of schedule is made of, and the usual one.

use crate::history::Place;
use crate::schedule::{Kind, Name, PLACES};

/// A TTL that no schedule outlives, in milliseconds.
const LONG: u64 = 20_000;
const LONGS: &[u64] = &[LONG];

/// `ops`, `foreign` and `faults` are weights; `pause`, `lasts`, `lag`, `computes` and `timeout_ms` are milliseconds,
/// from the least to the most.
pub struct Theme {
    pub name: &'static str,
    pub ops: &'static [(Name, f64)],
    pub faults: &'static [(Kind, f64)],
    /// How many faults.
    pub count: [u64; 2],
    /// On a cluster, how many are changes of it, and which.
    pub changing: f64,
    pub changes: &'static [(Kind, f64)],
    /// Which processes they befall.
    pub faulty: &'static [usize],
    /// When a thread ends or replies lag; and when all else begins.
    pub at: [u64; 2],
    pub when: [u64; 2],
    pub lasts: [u64; 2],
    pub lag: [u64; 2],
    pub timeout_ms: [u64; 2],
    pub keys: [u64; 2],
    pub counters: usize,
    /// Clients beyond the first of each place, and where they may be.
    pub more: [u64; 2],
    pub more_of: &'static [Place],
    /// Calls of one turn, and whether each turn has that many.
    pub bursts: [u64; 2],
    pub bursts_always: bool,
    pub pause: [u64; 2],
    pub computes: [u64; 2],
    /// How many TTLs are short, and the others.
    pub short: f64,
    pub longs: &'static [u64],
    pub tagged: f64,
    /// How many computations ask for a lease.
    pub locked: f64,
    /// How many computations serve stale values, fail, or refresh early.
    pub stale: f64,
    pub foreign: &'static [(Name, f64)],
    pub foreign_always: bool,
    pub foreigners: usize,
    pub foreign_steps: [u64; 2],
    /// How many schedules have two caches of other options, namespaces or codecs beside each other.
    pub several: f64,
    /// How many have a `nearCache.maxAge`, and which.
    pub aged: f64,
    pub ages: [u64; 2],
}

pub const MIXED: Theme = Theme {
    name: "mixed",
    ops: &[
        (Name::Get, 8.0),
        (Name::GetMany, 2.0),
        (Name::Set, 4.0),
        (Name::Del, 2.0),
        (Name::Compute, 3.0),
        (Name::Increment, 1.0),
        (Name::Invalidate, 1.0),
        (Name::Sync, 3.0),
        (Name::Sweep, 0.3),
        (Name::Expire, 0.5),
    ],
    faults: &[
        (Kind::Stop, 1.0),
        (Kind::Blackhole, 1.0),
        (Kind::Stall, 1.0),
        (Kind::Deafen, 1.0),
        (Kind::Cut, 1.0),
        (Kind::Kill, 1.0),
        (Kind::Freeze, 1.0),
        (Kind::Lag, 0.5),
        (Kind::Scripts, 0.3),
    ],
    count: [0, 2],
    changing: 0.6,
    changes: &[
        (Kind::Move, 3.0),
        (Kind::Migrate, 3.0),
        (Kind::Failover, 2.0),
        (Kind::Unserve, 0.5),
        (Kind::ClusterDown, 0.3),
    ],
    faulty: &[0, 1],
    at: [0, 40],
    when: [0, 40],
    lasts: [5, 70],
    lag: [3, 15],
    timeout_ms: [30, 60],
    keys: [1, 3],
    counters: 1,
    more: [0, 2],
    more_of: &PLACES,
    bursts: [1, 3],
    bursts_always: false,
    pause: [0, 8],
    computes: [0, 12],
    short: 0.15,
    longs: LONGS,
    tagged: 0.15,
    locked: 0.9,
    stale: 0.0,
    foreign: &[(Name::Set, 3.0), (Name::Del, 2.0)],
    foreign_always: false,
    foreigners: 1,
    foreign_steps: [2, 10],
    several: 0.1,
    aged: 0.15,
    ages: [1, 20],
};
