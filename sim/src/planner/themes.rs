//! What each kind of schedule does more often than others, so that each fence matters often.

use super::theme::{MIXED, Theme};
use crate::history::Place;
use crate::schedule::{Kind, Name};

/// Threads end while they compute.
const ENDING: Theme = Theme {
    name: "ending",
    locked: 0.6,
    ops: &[(Name::Compute, 12.0), (Name::Get, 1.0), (Name::Del, 1.0)],
    faults: &[(Kind::End, 2.0), (Kind::Lag, 3.0)],
    count: [1, 3],
    faulty: &[0],
    at: [0, 60],
    lasts: [70, 120],
    lag: [10, 25],
    timeout_ms: [90, 120],
    computes: [0, 2],
    short: 1.0,
    keys: [1, 1],
    more: [4, 6],
    more_of: &[Place::Environment { process: 0, thread: 0 }, Place::Environment { process: 0, thread: 1 }],
    bursts: [1, 3],
    bursts_always: true,
    pause: [0, 4],
    ..MIXED
};

/// The kinds, each about as often as another.
pub const THEMES: &[Theme] = &[
    MIXED,
    Theme {
        name: "outage",
        ops: &[
            (Name::Get, 8.0),
            (Name::Set, 3.0),
            (Name::Del, 4.0),
            (Name::Compute, 1.0),
            (Name::Sync, 1.0),
            (Name::Invalidate, 0.5),
            (Name::GetMany, 1.0),
            (Name::Expire, 0.5),
        ],
        faults: &[(Kind::Stop, 2.0), (Kind::Blackhole, 3.0), (Kind::Cut, 2.0), (Kind::Kill, 1.0)],
        count: [1, 3],
        lasts: [30, 90],
        ..MIXED
    },
    Theme {
        name: "unknown",
        ops: &[(Name::Get, 6.0), (Name::Set, 6.0), (Name::Del, 3.0), (Name::Sync, 1.0)],
        faults: &[(Kind::Stall, 5.0), (Kind::Deafen, 2.0), (Kind::Stop, 1.0)],
        count: [1, 3],
        lasts: [50, 120],
        ..MIXED
    },
    Theme {
        name: "computing",
        ops: &[(Name::Compute, 8.0), (Name::Get, 5.0), (Name::Del, 4.0), (Name::Set, 1.0), (Name::Sync, 1.0)],
        faults: &[(Kind::Blackhole, 1.0), (Kind::Cut, 1.0), (Kind::Stop, 1.0), (Kind::Scripts, 0.5)],
        computes: [3, 25],
        foreign: &[(Name::Set, 1.0), (Name::Del, 4.0)],
        foreign_always: true,
        ..MIXED
    },
    Theme {
        name: "own",
        ops: &[(Name::Get, 8.0), (Name::Set, 5.0), (Name::Del, 2.0), (Name::GetMany, 1.0)],
        faults: &[(Kind::Freeze, 1.0)],
        bursts: [2, 5],
        bursts_always: true,
        pause: [0, 2],
        ..MIXED
    },
    Theme {
        name: "racing",
        ops: &[(Name::Get, 8.0), (Name::GetMany, 2.0), (Name::Sync, 4.0), (Name::Set, 1.0), (Name::Del, 0.5)],
        faults: &[(Kind::Freeze, 4.0), (Kind::Stall, 1.0), (Kind::Stop, 1.0)],
        count: [1, 3],
        lasts: [2, 14],
        foreign: &[(Name::Set, 6.0), (Name::Del, 1.0)],
        foreign_always: true,
        pause: [0, 3],
        ..MIXED
    },
    Theme {
        name: "tags",
        ops: &[
            (Name::Get, 6.0),
            (Name::Set, 4.0),
            (Name::Invalidate, 4.0),
            (Name::Compute, 3.0),
            (Name::Sync, 3.0),
            (Name::GetMany, 1.0),
        ],
        faults: &[(Kind::Blackhole, 2.0), (Kind::Cut, 1.0), (Kind::Stall, 1.0)],
        tagged: 0.8,
        ..MIXED
    },
    Theme {
        name: "sweeps",
        ops: &[
            (Name::Get, 6.0),
            (Name::Set, 5.0),
            (Name::Sweep, 3.0),
            (Name::Sync, 2.0),
            (Name::Compute, 1.0),
            (Name::Increment, 0.5),
        ],
        faults: &[(Kind::Blackhole, 2.0), (Kind::Cut, 2.0), (Kind::Stop, 1.0), (Kind::Kill, 1.0)],
        tagged: 0.3,
        ..MIXED
    },
    Theme {
        name: "neighbours",
        ops: &[(Name::Get, 8.0), (Name::Set, 5.0), (Name::Sweep, 2.0), (Name::Invalidate, 2.0), (Name::Compute, 2.0)],
        faults: &[(Kind::Blackhole, 2.0), (Kind::Cut, 2.0), (Kind::Stop, 1.0), (Kind::Kill, 1.0), (Kind::Freeze, 1.0)],
        tagged: 0.5,
        several: 1.0,
        ..MIXED
    },
    Theme {
        name: "journal",
        ops: &[
            (Name::Get, 4.0),
            (Name::Set, 6.0),
            (Name::Del, 3.0),
            (Name::Sweep, 1.0),
            (Name::Sync, 1.0),
            (Name::Invalidate, 0.5),
            (Name::Increment, 0.5),
        ],
        faults: &[(Kind::Blackhole, 3.0), (Kind::Cut, 1.0), (Kind::Stall, 1.0), (Kind::Stop, 1.0)],
        count: [1, 3],
        keys: [8, 16],
        bursts: [2, 8],
        bursts_always: true,
        lasts: [30, 90],
        several: 0.5,
        ..MIXED
    },
    Theme {
        name: "counting",
        ops: &[(Name::Increment, 8.0), (Name::Get, 5.0), (Name::Sync, 2.0)],
        faults: &[(Kind::Stop, 2.0), (Kind::Deafen, 2.0), (Kind::Stall, 2.0), (Kind::Cut, 2.0)],
        counters: 2,
        ..MIXED
    },
    Theme {
        name: "expiry",
        ops: &[(Name::Get, 8.0), (Name::Set, 4.0), (Name::Compute, 2.0), (Name::GetMany, 1.0), (Name::Expire, 1.0)],
        faults: &[(Kind::Blackhole, 1.0), (Kind::Freeze, 1.0), (Kind::Cut, 1.0)],
        short: 0.8,
        pause: [2, 12],
        ..MIXED
    },
    ENDING,
    // Others write meanwhile, so that who computes without a lease must not store.
    Theme {
        name: "orphaned",
        computes: [0, 5],
        foreign: &[(Name::Set, 2.0), (Name::Del, 3.0)],
        foreign_always: true,
        ..ENDING
    },
    Theme {
        name: "lives",
        ops: &[(Name::Expire, 4.0), (Name::Set, 2.0), (Name::Get, 1.0), (Name::Invalidate, 3.0), (Name::Sync, 0.5)],
        faults: &[(Kind::Lag, 1.0)],
        count: [1, 3],
        at: [0, 10],
        lasts: [60, 120],
        lag: [10, 25],
        timeout_ms: [60, 90],
        tagged: 0.9,
        short: 0.05,
        longs: &[20_000, 27_000, 35_000, 44_000, 54_000, 65_000, 77_000, 90_000, 104_000, 119_000, 135_000, 152_000],
        foreign: &[(Name::Set, 6.0), (Name::Probe, 6.0)],
        foreign_always: true,
        foreigners: 3,
        foreign_steps: [10, 20],
        keys: [4, 6],
        pause: [0, 6],
        ..MIXED
    },
    Theme {
        name: "stale",
        ops: &[(Name::Compute, 8.0), (Name::Get, 3.0), (Name::Set, 1.0), (Name::Del, 3.0), (Name::Sync, 3.0)],
        faults: &[(Kind::Blackhole, 1.0), (Kind::Cut, 1.0), (Kind::Freeze, 1.0), (Kind::Stop, 1.0)],
        // Refreshes run for long enough that others write their key, and somebody hears of it.
        computes: [2, 24],
        keys: [1, 2],
        short: 0.9,
        stale: 0.8,
        pause: [0, 10],
        ..MIXED
    },
    Theme {
        name: "refreshes",
        ops: &[(Name::Compute, 8.0), (Name::Sync, 6.0), (Name::Get, 1.0)],
        faults: &[(Kind::Lag, 1.0)],
        keys: [1, 1],
        computes: [8, 30],
        short: 1.0,
        stale: 1.0,
        tagged: 0.0,
        // Others write the key while it is refreshed, and somebody hears of it.
        foreign: &[(Name::Set, 2.0), (Name::Del, 3.0)],
        foreign_always: true,
        foreign_steps: [4, 12],
        more: [1, 3],
        pause: [0, 6],
        ..MIXED
    },
    Theme {
        name: "stopped",
        ops: &[(Name::Get, 8.0), (Name::Set, 1.0), (Name::Sync, 1.0), (Name::Compute, 1.0)],
        faults: &[(Kind::Freeze, 4.0), (Kind::Stop, 1.0), (Kind::Blackhole, 1.0), (Kind::Deafen, 1.0)],
        count: [1, 3],
        lasts: [1_200, 3_500],
        foreign: &[(Name::Set, 5.0), (Name::Del, 1.0)],
        foreign_always: true,
        short: 0.0,
        ..MIXED
    },
    Theme {
        name: "restarts",
        faults: &[
            (Kind::Restart, 3.0),
            (Kind::Restore, 3.0),
            (Kind::Scripts, 1.0),
            (Kind::Kill, 1.0),
            (Kind::Stop, 0.5),
        ],
        count: [1, 3],
        ..MIXED
    },
    Theme {
        name: "refusals",
        faults: &[(Kind::Oom, 3.0), (Kind::ReadOnly, 1.0), (Kind::Loading, 1.0), (Kind::Evict, 2.0), (Kind::Cut, 0.5)],
        count: [1, 3],
        ..MIXED
    },
    Theme {
        name: "deaths",
        ops: &[
            (Name::Compute, 6.0),
            (Name::Get, 5.0),
            (Name::Set, 3.0),
            (Name::Del, 2.0),
            (Name::Sync, 1.0),
            (Name::Increment, 1.0),
        ],
        faults: &[(Kind::Die, 3.0), (Kind::Blackhole, 1.0), (Kind::Stall, 1.0)],
        count: [1, 3],
        computes: [0, 20],
        ..MIXED
    },
    Theme {
        name: "spoiled",
        faults: &[
            (Kind::Tear, 2.0),
            (Kind::Drip, 1.0),
            (Kind::Extra, 2.0),
            (Kind::Missing, 2.0),
            (Kind::Hostile, 1.0),
            (Kind::Backlog, 1.0),
            (Kind::Cut, 1.0),
        ],
        count: [1, 3],
        ..MIXED
    },
    Theme {
        name: "unwilling",
        faults: &[
            (Kind::Busy, 1.0),
            (Kind::Misconf, 1.0),
            (Kind::NoReplicas, 1.0),
            (Kind::Full, 1.0),
            (Kind::Kill, 2.0),
        ],
        count: [1, 3],
        ..MIXED
    },
];
