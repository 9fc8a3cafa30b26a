//! What changes in a cluster while it is used: slots that go to another node, primaries that are replaced, slots that
//! nobody serves, and nodes that hear of it late.

use crate::history::{MILLI, Mishap, Nanos};
use crate::schedule::{Fault, Kind};
use crate::server::Snapshot;
use crate::server::cluster::{Node, PRIMARIES, node_at};
use crate::world::fleet::machine::{HEARING, LATE, LATE_ONE_IN, Machine, VACANT};
use crate::world::fleet::sentinels;
use crate::world::network::between;
use crate::world::{Event, World};

/// How long it takes from one key of a slot to the next one.
const KEY: [Nanos; 2] = [MILLI / 10, 2 * MILLI];
/// A slot comes back to a node that had it after this at the earliest. Calls that were sent there before it left, and
/// meet it there again, have overtaken those that met it elsewhere: a limit of every client that sends calls before
/// others are answered (docs/cluster.md).
const RETURNS: Nanos = 100 * MILLI;

impl World {
    /// Where a port leads. Behind that of the URL is any of the nodes.
    pub(in crate::world) fn dialled_machine(&self, port: u16) -> usize {
        if self.schedule.settings.sentinels {
            return sentinels::machine_at(port);
        }
        match node_at(port) {
            Some(node) if node < self.machines.len() => node,
            _ if self.truth.is_some() => self.random.bits() as usize % PRIMARIES,
            _ => 0,
        }
    }

    /// The slot that a fault is about.
    fn slot(&self, fault: &Fault) -> u16 {
        let used = &self.schedule.plan.used;
        used.get(fault.slot % used.len().max(1)).copied().unwrap_or(0)
    }

    /// Who owns a slot, and another node that is well.
    fn owner_and_other(&self, slot: u16, fault: &Fault) -> Option<(Node, Node)> {
        let truth = self.truth.as_ref()?;
        let owner = truth.owner(slot)?;
        let has_just_left = |at: Node| self.machines[at].left.get(&slot).is_some_and(|left| self.now < left + RETURNS);
        let fits = |at: &Node| *at != owner && !self.machines[*at].down && !has_just_left(*at);
        let others: Vec<Node> = (0..self.machines.len()).filter(fits).collect();
        // A move that somebody has not heard of yet is not over: a node that heard of neither it nor the next one would
        // send callers in circles for ever.
        let known = |machine: &Machine| machine.server.cluster.as_ref().is_none_or(|node| !node.is_moving(slot));
        let fresh = !self.machines[owner].down && !self.is_moving(owner) && self.machines.iter().all(known);
        Some((owner, *others.get(fault.machine % others.len().max(1)).filter(|_| fresh)?))
    }

    /// A slot by its place among those that are used.
    fn mask(&self, slot: u16) -> u64 {
        self.schedule.plan.used.iter().position(|used| *used == slot).map_or(0, |at| 1 << at)
    }

    /// Whether a slot goes to a node, or leaves it.
    fn is_moving(&self, at: Node) -> bool {
        let of = |machine: usize| self.machines[machine].server.cluster.as_ref();
        of(at).is_some_and(|node| !node.leaving.is_empty() || !node.coming.is_empty())
    }

    /// Whether it lasts until `Event::Fault(_, false)`.
    pub(in crate::world) fn begin_change(&mut self, number: usize, fault: &Fault) -> bool {
        let slot = self.slot(fault);
        match fault.kind {
            Kind::Move | Kind::Migrate => {
                let Some((from, to)) = self.owner_and_other(slot, fault) else { return false };
                self.note(|| format!("-- slot {slot} goes from server {from} to server {to}"));
                if fault.kind == Kind::Move {
                    let keys = self.machines[from].server.take_slot(slot, usize::MAX, true);
                    self.machines[to].server.put_slot(keys);
                    self.given(number, from, to, true);
                    return false;
                }
                let member = |world: &mut Self, at: Node| world.machines[at].server.cluster.clone();
                if let Some(mut node) = member(self, to) {
                    node.coming.insert(slot);
                    self.machines[to].server.cluster = Some(node);
                }
                if let Some(mut node) = member(self, from) {
                    node.leaving.insert(slot, to);
                    self.machines[from].server.cluster = Some(node);
                }
                self.faults_left += 1;
                self.migrate_soon(number, from, to);
                false
            }
            Kind::Failover if self.schedule.settings.sentinels => {
                self.snapshots[number] = self.machines[self.primary].server.snapshot();
                true
            }
            Kind::Failover => {
                let lives = fault.machine < PRIMARIES && !self.machines[fault.machine].down;
                if lives {
                    self.snapshots[number] = self.machines[fault.machine].server.snapshot();
                }
                lives
            }
            Kind::Unserve => {
                self.unserved += 1;
                let (slots, from) = (self.mask(slot), self.now);
                self.mishaps.push(Mishap::Moved { slots, from, until: from });
                // Some hear late that somebody serves it again.
                let until = from + fault.lasts * MILLI + LATE[1];
                self.mishaps.push(Mishap::Unserved { slots, from, until });
                self.change(|view| view.take_away(slot));
                true
            }
            Kind::ClusterDown => {
                self.each_node(|node| node.down = true);
                true
            }
            _ => false,
        }
    }

    pub(in crate::world) fn end_change(&mut self, number: usize, fault: &Fault) {
        let slot = self.slot(fault);
        match fault.kind {
            Kind::Unserve => {
                self.unserved -= 1;
                if self.unserved == 0 {
                    let all = self.schedule.plan.used.clone();
                    self.change(|view| all.iter().for_each(|slot| view.serve_again(*slot)));
                }
                let _ = slot;
            }
            Kind::ClusterDown => self.each_node(|node| node.down = false),
            Kind::Failover if self.schedule.settings.sentinels => self.fail_over(number),
            Kind::Failover => {
                let from = fault.machine;
                if self.machines[from].down {
                    return;
                }
                if self.is_moving(from) {
                    // Who takes over would have to know.
                    self.faults_left += 1;
                    return self.plan(self.now + MILLI, Event::Fault(number, false));
                }
                self.machines[from].down = true;
                self.machines[from].stopped = false;
                self.machines[from].down_since = self.now;
                for at in 0..self.connections.len() {
                    if self.connections[at].machine == from {
                        self.cut(at);
                    }
                }
                self.faults_left += 1;
                let at = self.now + between(VACANT, &self.random);
                self.plan(at, Event::Promote(number));
            }
            _ => {}
        }
    }

    /// The replica of a primary takes over, with what it had.
    pub(in crate::world) fn promote(&mut self, number: usize) {
        if self.schedule.settings.sentinels {
            return self.take_over(number);
        }
        let from = self.schedule.faults[number].machine;
        let to = from + PRIMARIES;
        self.note(|| format!("-- server {to} takes the place of server {from}"));
        let Some(truth) = self.truth.clone() else { return };
        let owned = |slot: u16| truth.owner(slot) == Some(from);
        let used = self.schedule.plan.used.clone();
        let mask = used.iter().enumerate().filter(|(_, slot)| owned(**slot)).map(|(at, _)| 1_u64 << at).sum();
        let (snapshot, ms) = (std::mem::take(&mut self.snapshots[number]), self.server_ms());
        self.restart(to, snapshot, ms);
        for slot in used.into_iter().filter(|slot| !owned(*slot)) {
            self.machines[to].server.take_slot(slot, usize::MAX, false);
        }
        self.machines[to].down = false;
        let (down, up, snapshot) = (self.machines[from].down_since, self.now, Some(self.began[number]));
        self.mishaps.push(Mishap::Failover { slots: mask, down, up, snapshot });
        self.change(|view| view.fail_over(from, to));
        self.told_of_change(to);
        self.is_past();
    }

    fn restart(&mut self, at: Node, snapshot: Snapshot, ms: u64) {
        self.machines[at].server.restart(snapshot, ms);
    }

    fn migrate_soon(&mut self, number: usize, from: Node, to: Node) {
        let at = self.now + between(KEY, &self.random);
        self.plan(at, Event::Migrate(number, from, to));
    }

    /// The next key of a slot goes to its new owner; or the slot itself does.
    pub(in crate::world) fn migrate(&mut self, number: usize, from: Node, to: Node) {
        let slot = self.slot(&self.schedule.faults[number].clone());
        if !self.machines[from].serves() || !self.machines[to].serves() {
            return self.migrate_soon(number, from, to);
        }
        let keys = self.machines[from].server.take_slot(slot, 1, true);
        if keys.is_empty() {
            self.given(number, from, to, false);
            self.is_past();
        } else {
            self.machines[to].server.put_slot(keys);
            self.migrate_soon(number, from, to);
        }
        self.answer();
    }

    /// A slot has another owner, who knows it first. `at_once`: and so does the old one, as its keys are gone.
    fn given(&mut self, number: usize, from: Node, to: Node, at_once: bool) {
        let slot = self.slot(&self.schedule.faults[number]);
        self.note(|| format!("-- slot {slot} is server {to}'s"));
        self.mishaps.push(Mishap::Moved { slots: self.mask(slot), from: self.began[number], until: self.now });
        self.machines[from].left.insert(slot, self.now);
        self.change(|view| view.give(slot, to));
        self.told_of_change(to);
        // What a replica of the new owner lacks, it lacks of this slot too: it begins anew.
        for number in 0..self.schedule.faults.len() {
            let Fault { kind, machine, .. } = self.schedule.faults[number];
            if kind == Kind::Failover && self.began[number] > 0 && machine == to {
                self.snapshots[number] = self.machines[to].server.snapshot();
                self.began[number] = self.now;
            }
        }
        if at_once || self.random.bits().is_multiple_of(2) {
            self.told_of_change(from);
        }
        self.answer();
    }

    /// Something changes in the cluster: its nodes hear of it, one after the other.
    fn change(&mut self, change: impl FnOnce(&mut crate::server::cluster::View)) {
        let Some(truth) = &mut self.truth else { return };
        change(truth);
        truth.epoch += 1;
        for node in 0..self.machines.len() {
            let late = self.random.bits().is_multiple_of(LATE_ONE_IN);
            let at = self.now + between(if late { LATE } else { HEARING }, &self.random);
            self.plan(at, Event::Hear(node));
        }
    }

    /// A node hears of all that has changed until now.
    pub(in crate::world) fn told_of_change(&mut self, at: Node) {
        if self.schedule.settings.sentinels {
            return self.told_of_failover(at);
        }
        let (Some(truth), Some(node)) = (&self.truth, &mut self.machines[at].server.cluster) else { return };
        node.view = truth.clone();
        node.leaving.retain(|slot, _| truth.owner(*slot) == Some(at));
        node.coming.retain(|slot| truth.owner(*slot) != Some(at));
    }

    fn each_node(&mut self, change: impl Fn(&mut crate::server::cluster::Membership)) {
        self.machines.iter_mut().filter_map(|machine| machine.server.cluster.as_mut()).for_each(change);
    }
}
