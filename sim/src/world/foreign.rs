//! The foreign client, and the judge's own looks: commands at the servers themselves, without a connection.

use std::collections::BTreeSet;

use holdfast::engine::fleet::slot::{slot_of, tag_for};

use crate::history::SPACES;
use crate::history::{Event as Told, Key, Mode, Outcome, Verb, stored_tag};
use crate::server::Reply;
use crate::world::World;
use crate::world::fleet::machine::Machine;

impl World {
    /// As a key is stored.
    pub(super) fn stored(&self, key: Key) -> String {
        let name = &self.schedule.plan.names[key];
        let space = SPACES[self.schedule.plan.space_of(key)];
        if space.is_empty() { name.clone() } else { format!("{space}:{name}") }
    }

    /// What Redis holds at a key.
    pub(super) fn held(&mut self, key: Key) -> Option<Vec<u8>> {
        let name = self.stored(key);
        match self.command(&name, &[b"GET", name.as_bytes()]) {
            Reply::Bulk(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn left(&mut self, key: Key) -> i64 {
        let name = self.stored(key);
        match self.command(&name, &[b"PTTL", name.as_bytes()]) {
            Reply::Int(left) => left,
            _ => -2,
        }
    }

    /// Reads of keys that nobody has read before: one of each slot that is used.
    pub(super) fn fresh(&mut self, name: impl Fn(&str) -> String) -> Vec<Verb> {
        let plan = &mut self.schedule.plan;
        let first = plan.names.len();
        if plan.cluster {
            let keys = plan.keys.iter().chain(&plan.counters).map(|key| plan.names[*key].clone());
            let tags = (0..SPACES.len()).flat_map(|space| (0..2).map(move |tag| stored_tag(space, tag)));
            let lie = |stored: &String| plan.used.contains(&slot_of(stored.as_bytes()));
            let tags: BTreeSet<String> =
                keys.chain(tags).filter(lie).map(|stored| tag_for(stored.as_bytes())).collect();
            plan.names.extend(tags.iter().map(|tag| name(&format!("{{{tag}}}"))));
        } else {
            plan.names.push(name(""));
        }
        (first..plan.names.len()).map(|key| Verb::Sync { key }).collect()
    }

    /// Whether a server that the next step of the foreign client calls stands still.
    pub(super) fn foreign_waits(&self, client: usize, step: usize) -> bool {
        let away = |key: &Key| !self.machines[self.machine_of(&self.stored(*key))].serves();
        self.schedule.clients[client].steps[step].calls.iter().any(|verb| match verb {
            Verb::Set { key, .. } | Verb::Probe { key } => away(key),
            Verb::Del { keys } => keys.iter().any(away),
            _ => self.machines.iter().any(|machine| machine.stopped) || self.is_vacant(),
        })
    }

    /// Processes of a cluster may have changed their mode: those of its servers decide that, taken together.
    pub(super) fn note_modes(&mut self) {
        if self.truth.is_none() {
            return;
        }
        for process in 0..self.processes.len() {
            let up = self.processes[process].state().mode == Mode::Redis;
            if self.was_up[process] != up {
                self.was_up[process] = up;
                self.told_events.push(Told { process, fallback: !up, at: self.now });
            }
        }
    }

    /// A call of the foreign client; none where the server refuses it.
    pub(super) fn execute(&mut self, verb: &Verb) -> Option<Outcome> {
        let ms = self.server_ms();
        match verb {
            Verb::Set { key, value, ttl, .. } => {
                let (name, value) = (self.stored(*key), value.to_string());
                let px = ttl.unwrap_or(60_000).to_string();
                let words: [&[u8]; 5] = [b"SET", name.as_bytes(), value.as_bytes(), b"PX", px.as_bytes()];
                (!self.command(&name, &words).is_error()).then_some(Outcome::Done)
            }
            Verb::Del { keys } => {
                let mut refused = false;
                for key in keys {
                    let name = self.stored(*key);
                    refused |= self.command(&name, &[b"DEL", name.as_bytes()]).is_error();
                }
                (!refused).then_some(Outcome::Done)
            }
            Verb::Flush => {
                let mut refused = false;
                let takes = |machine: &&mut Machine| !machine.server.replica && machine.server.names.is_none();
                for machine in self.machines.iter_mut().filter(takes) {
                    refused |= machine.server.execute(&[b"FLUSHALL"], ms).is_error();
                }
                (!refused).then_some(Outcome::Done)
            }
            Verb::Probe { key } => {
                let found = self.held(*key);
                Some(Outcome::Found(found, self.left(*key)))
            }
            _ => unreachable!("no call of the foreign client"),
        }
    }
}
