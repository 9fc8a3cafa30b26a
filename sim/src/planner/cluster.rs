//! What the schedules of a cluster have beyond those of one server: keys in a few slots, and faults of its own.

use std::collections::BTreeSet;

use holdfast::engine::base::random::Random;
use holdfast::engine::fleet::slot::{slot_of, tag_for};

use crate::history::stored_tag;
use crate::planner::theme::{MIXED, Theme};
use crate::planner::{Planner, themes};
use crate::schedule::{Kind, Name};
use crate::server::cluster::PRIMARIES;

/// Behind the names of keys: slots of the first third, twice of the second, and of the last.
pub const HASH_TAGS: &[&str] = &["{a}", "{b}", "{c}", "{f}"];

/// The kinds of schedules that one server cannot have.
pub const THEMES: &[Theme] = &[
    // Slots move again and again under calls that are under way.
    Theme {
        name: "moves",
        ops: &[
            (Name::Get, 8.0),
            (Name::Set, 6.0),
            (Name::Del, 2.0),
            (Name::GetMany, 1.0),
            (Name::Sync, 2.0),
            (Name::Invalidate, 0.5),
        ],
        faults: &[(Kind::Lag, 3.0), (Kind::Freeze, 1.0)],
        count: [3, 8],
        changing: 0.8,
        changes: &[(Kind::Move, 4.0), (Kind::Migrate, 3.0)],
        when: [0, 80],
        lasts: [10, 60],
        lag: [2, 12],
        keys: [1, 2],
        bursts: [2, 6],
        bursts_always: true,
        pause: [0, 4],
        tagged: 0.3,
        foreign_always: true,
        foreign_steps: [6, 16],
        ..MIXED
    },
    // What was to be done on a server, or was done in its place, while it was away, is another one's.
    Theme {
        name: "inherited",
        ops: &[
            (Name::Get, 8.0),
            (Name::Set, 6.0),
            (Name::Del, 3.0),
            (Name::Sync, 1.0),
            (Name::Sweep, 0.3),
            (Name::Increment, 0.5),
        ],
        faults: &[(Kind::Stop, 4.0), (Kind::Blackhole, 2.0), (Kind::Stall, 1.0), (Kind::Cut, 1.0)],
        count: [3, 7],
        changing: 0.5,
        changes: &[(Kind::Move, 4.0), (Kind::Migrate, 1.0), (Kind::Failover, 1.0)],
        when: [0, 150],
        lasts: [30, 90],
        keys: [1, 2],
        bursts_always: true,
        pause: [2, 14],
        foreign_always: true,
        foreign_steps: [10, 20],
        ..MIXED
    },
    // All servers are lost at once, and come back one by one: those first that have the slots of others by now. What
    // was written in process meanwhile would show when they are lost again.
    Theme {
        name: "heirs",
        ops: &[(Name::Get, 8.0), (Name::Set, 3.0), (Name::GetMany, 1.0)],
        faults: &[(Kind::Cut, 1.0)],
        count: [3, 6],
        changing: 0.5,
        changes: &[(Kind::Move, 5.0), (Kind::Failover, 1.0), (Kind::Unserve, 1.0)],
        faulty: &[0],
        when: [0, 200],
        lasts: [10, 60],
        keys: [1, 3],
        pause: [4, 20],
        tagged: 0.0,
        short: 0.0,
        foreigners: 0,
        ..MIXED
    },
    // Tokens leave the near cache while what is stored with them is sent once more.
    Theme {
        name: "aging",
        ops: &[(Name::Get, 6.0), (Name::Set, 5.0), (Name::Sync, 0.5)],
        faults: &[(Kind::Lag, 1.0)],
        count: [2, 5],
        changing: 0.6,
        changes: &[(Kind::Move, 4.0), (Kind::Migrate, 2.0)],
        when: [0, 60],
        lasts: [30, 80],
        lag: [2, 10],
        timeout_ms: [90, 120],
        keys: [2, 4],
        pause: [0, 6],
        tagged: 1.0,
        short: 0.0,
        aged: 1.0,
        ages: [1, 6],
        foreigners: 0,
        ..MIXED
    },
    // A sweep is done at some servers and still to come at others, which stand still, while slots move between them.
    Theme {
        name: "halfway",
        ops: &[(Name::Get, 6.0), (Name::Set, 6.0), (Name::Sweep, 1.5)],
        faults: &[(Kind::Stop, 1.0)],
        count: [3, 7],
        changing: 0.5,
        changes: &[(Kind::Move, 1.0)],
        when: [0, 80],
        lasts: [8, 30],
        timeout_ms: [90, 120],
        keys: [1, 3],
        pause: [0, 6],
        tagged: 0.0,
        short: 0.0,
        foreigners: 0,
        ..MIXED
    },
];
/// How many schedules of a cluster are of these kinds.
const OWN: f64 = 0.4;

/// The kind of a schedule of a cluster.
pub fn theme(random: &Random) -> &'static Theme {
    let themes = if random.part() < OWN { THEMES } else { themes::THEMES };
    &themes[random.bits() as usize % themes.len()]
}

/// Which server a fault befalls, and which slot. What empties a single server is a failover here.
pub(super) fn fault(planner: &Planner, kind: &mut Kind) -> (usize, usize) {
    if planner.chance(planner.theme.changing) {
        *kind = planner.weighted(planner.theme.changes);
    } else if matches!(kind, Kind::Restart | Kind::Restore) {
        *kind = Kind::Failover;
    }
    let any = planner.random.bits() as usize;
    (any % PRIMARIES, any / PRIMARIES % 64)
}

impl Planner {
    /// The slots in which something lies.
    pub(super) fn used(&self) -> Vec<u16> {
        if !self.cluster {
            return Vec::new();
        }
        let keys = self.groups.iter().flat_map(|group| group.keys.iter().chain(&group.counters));
        let mut slots: BTreeSet<u16> = keys.map(|key| slot_of(self.names[*key].as_bytes())).collect();
        for group in &self.groups {
            slots.extend((0..self.tags).map(|tag| slot_of(stored_tag(group.space, tag).as_bytes())));
        }
        slots.into_iter().collect()
    }

    /// A read of the server itself is one of a slot: that of a key, or of a tag.
    pub(super) fn sync_tag(&self) -> String {
        if !self.cluster {
            return String::new();
        }
        let group = &self.groups[self.at];
        let stored = if self.chance(0.3) {
            stored_tag(group.space, self.tag())
        } else {
            self.names[*self.pick(&group.keys)].clone()
        };
        format!("{{{}}}", tag_for(stored.as_bytes()))
    }
}
