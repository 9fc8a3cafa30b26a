//! The machines on which the servers run: one, or those of a cluster.

use std::collections::BTreeMap;

use holdfast::engine::fleet::slot::slot_of;

use crate::history::{MILLI, Nanos};
use crate::server::cluster::{Membership, NODES, PRIMARIES, View};
use crate::server::{Reply, Server};
use crate::world::World;

/// How long it takes until somebody hears of what has changed.
pub(super) const HEARING: [Nanos; 2] = [MILLI / 10, 3 * MILLI];
/// One in so many hears of it late, so much later.
pub(super) const LATE_ONE_IN: u64 = 4;
pub(super) const LATE: [Nanos; 2] = [5 * MILLI, 400 * MILLI];
/// How long a primary that is gone has no heir.
pub(super) const VACANT: [Nanos; 2] = [MILLI, 60 * MILLI];

pub struct Machine {
    pub server: Server,
    /// Its process stands still.
    pub stopped: bool,
    /// Nobody listens.
    pub down: bool,
    pub down_since: Nanos,
    /// When slots went to another node.
    pub left: BTreeMap<u16, Nanos>,
}

impl Machine {
    pub fn alone(seed: u64) -> Self {
        Self { server: Server::new(seed), stopped: false, down: false, down_since: 0, left: BTreeMap::new() }
    }

    /// Those of a cluster: its primaries, and behind them their replicas, at which nobody dials.
    pub fn cluster(mut seed: impl FnMut() -> u64) -> Vec<Self> {
        let node = |at| {
            let mut machine = Self { down: at >= PRIMARIES, ..Self::alone(seed()) };
            machine.server.cluster = Some(Membership::new(at));
            machine
        };
        (0..NODES).map(node).collect()
    }

    pub fn serves(&self) -> bool {
        !self.stopped && !self.down
    }
}

impl World {
    /// The machine that has a key, as one sees it who knows all: the owner of its slot, and of one that is on its way
    /// whoever has the key.
    pub(in crate::world) fn machine_of(&self, key: &str) -> usize {
        let Some(truth) = &self.truth else { return self.primary };
        let slot = slot_of(key.as_bytes());
        let owner = truth.owner(slot).or_else(|| self.unserved_by(slot)).unwrap_or(0);
        let leaving = self.machines[owner].server.cluster.as_ref().and_then(|node| node.leaving.get(&slot));
        match leaving {
            Some(to) if !self.machines[owner].server.has(key.as_bytes(), self.server_ms()) => *to,
            _ => owner,
        }
    }

    /// A primary is gone, and nobody has its place yet.
    pub(in crate::world) fn is_vacant(&self) -> bool {
        let Some(truth) = &self.truth else {
            return self.schedule.settings.sentinels && self.machines[self.primary].down;
        };
        let mut used = self.schedule.plan.used.iter();
        used.any(|slot| truth.owner(*slot).is_some_and(|owner| self.machines[owner].down))
    }

    /// Who served a slot that nobody serves now.
    fn unserved_by(&self, slot: u16) -> Option<usize> {
        let mut truth: View = self.truth.clone()?;
        truth.serve_again(slot);
        truth.owner(slot)
    }

    /// The servers' own clock.
    pub(in crate::world) fn cycle(&mut self) {
        let (ms, mut any) = (self.server_ms(), false);
        for machine in self.machines.iter_mut().filter(|machine| machine.serves()) {
            any = true;
            machine.server.cycle(ms);
            if self.evicting > 0 {
                machine.server.evict(0, ms);
            }
        }
        if any {
            self.answer();
        }
    }

    /// A command of somebody who finds each key, and may do all.
    pub(in crate::world) fn command(&mut self, key: &str, words: &[&[u8]]) -> Reply {
        let (at, ms) = (self.machine_of(key), self.server_ms());
        self.machines[at].server.execute(words, ms)
    }
}
