//! What the schedules of a cluster have beyond those of one server: keys in a few slots, and faults of its own.

use std::collections::BTreeSet;

use holdfast::engine::fleet::slot::{slot_of, tag_for};

use crate::history::stored_tag;
use crate::planner::Planner;
use crate::schedule::Kind;
use crate::server::cluster::PRIMARIES;

/// Behind the names of keys: slots of the first third, twice of the second, and of the last.
pub const HASH_TAGS: &[&str] = &["{a}", "{b}", "{c}", "{f}"];

/// How many faults are those of a cluster.
const OWN: f64 = 0.6;
const KINDS: &[(Kind, f64)] =
    &[(Kind::Move, 3.0), (Kind::Migrate, 3.0), (Kind::Failover, 2.0), (Kind::Unserve, 0.5), (Kind::ClusterDown, 0.3)];

/// Which server a fault befalls, and which slot. What empties a single server is a failover here.
pub fn fault(planner: &Planner, kind: &mut Kind) -> (usize, usize) {
    if planner.chance(OWN) {
        *kind = planner.weighted(KINDS);
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
