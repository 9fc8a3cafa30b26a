//! A server as a node of a cluster: which slots it takes itself to serve, what it knows of the others, and what it
//! says to a command whose keys are not its own.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::engine::fleet::slot::{SLOTS, slot_of};

use crate::server::client::Transaction;
use crate::server::command::Command;
use crate::server::reply::{OK, Reply, error};
use crate::server::{FOREIGN, Id, Server};

/// Nodes, by their numbers: the primaries of the beginning, and behind them the replica of each.
pub type Node = usize;
pub const PRIMARIES: usize = 3;
pub const NODES: usize = 2 * PRIMARIES;
/// How nodes name each other.
pub const HOST: &str = "node";
const FIRST_PORT: u16 = 7_000;

pub const CLUSTERDOWN: &str = "CLUSTERDOWN Hash slot not served";
const CROSSSLOT: &str = "CROSSSLOT Keys in request don't hash to the same slot";
const TRYAGAIN: &str = "TRYAGAIN Multiple keys request during rehashing of slot";

pub fn port_of(node: Node) -> u16 {
    FIRST_PORT + node as u16
}

/// None for the port of the URL.
pub fn node_at(port: u16) -> Option<Node> {
    port.checked_sub(FIRST_PORT).map(usize::from)
}

/// The cluster as one node knows it.
#[derive(Clone, Debug)]
pub struct View {
    /// Who serves each third of the slots.
    thirds: [Node; PRIMARIES],
    /// Slots that were moved since.
    moved: BTreeMap<u16, Node>,
    /// Slots that nobody serves.
    unserved: BTreeSet<u16>,
    pub epoch: u64,
}

impl View {
    pub fn new() -> Self {
        Self { thirds: [0, 1, 2], moved: BTreeMap::new(), unserved: BTreeSet::new(), epoch: PRIMARIES as u64 }
    }

    pub fn owner(&self, slot: u16) -> Option<Node> {
        if self.unserved.contains(&slot) {
            return None;
        }
        let third = usize::from(slot) * PRIMARIES / usize::from(SLOTS);
        self.moved.get(&slot).or(self.thirds.get(third)).copied()
    }

    pub fn give(&mut self, slot: u16, to: Node) {
        self.moved.insert(slot, to);
        self.unserved.remove(&slot);
    }

    pub fn take_away(&mut self, slot: u16) {
        self.unserved.insert(slot);
    }

    pub fn serve_again(&mut self, slot: u16) {
        self.unserved.remove(&slot);
    }

    /// A replica takes the place of its primary.
    pub fn fail_over(&mut self, from: Node, to: Node) {
        self.thirds.iter_mut().chain(self.moved.values_mut()).filter(|node| **node == from).for_each(|node| *node = to);
    }

    /// Runs of slots, each with who serves it.
    pub fn ranges(&self) -> Vec<(u16, u16, Node)> {
        let mut ranges: Vec<(u16, u16, Node)> = Vec::new();
        let thirds = (0..PRIMARIES).map(|third| (third * usize::from(SLOTS)).div_ceil(PRIMARIES) as u16);
        let mut bounds: BTreeSet<u16> = thirds.collect();
        for slot in self.moved.keys().chain(&self.unserved) {
            bounds.extend([*slot, slot + 1]);
        }
        let bounds: Vec<u16> = bounds.into_iter().filter(|first| *first < SLOTS).collect();
        for (at, first) in bounds.iter().enumerate() {
            let last = bounds.get(at + 1).map_or(SLOTS - 1, |next| next - 1);
            let Some(owner) = self.owner(*first) else { continue };
            match ranges.last_mut() {
                Some((_, end, node)) if *node == owner && *end + 1 == *first => *end = last,
                _ => ranges.push((*first, last, owner)),
            }
        }
        ranges
    }
}

/// What a server knows as a node.
#[derive(Clone, Debug)]
pub struct Membership {
    pub me: Node,
    pub view: View,
    /// Slots whose keys go to another node, one after the other (MIGRATING), and those that come (IMPORTING).
    pub leaving: BTreeMap<u16, Node>,
    pub coming: BTreeSet<u16>,
    /// It says that the cluster is down.
    pub down: bool,
}

impl Membership {
    pub fn new(me: Node) -> Self {
        Self { me, view: View::new(), leaving: BTreeMap::new(), coming: BTreeSet::new(), down: false }
    }

    /// Whether it takes a slot to be on its way.
    pub fn is_moving(&self, slot: u16) -> bool {
        self.leaving.contains_key(&slot) || self.coming.contains(&slot)
    }
}

impl Server {
    /// Why a node does not do a command whose keys are not its own, if it does not.
    pub(super) fn elsewhere(&self, id: Id, command: &Command, words: &[&[u8]]) -> Option<String> {
        let membership = self.cluster.as_ref().filter(|_| id != FOREIGN)?;
        let client = self.clients.get(id)?;
        let mut keys: Vec<&[u8]> = command.keys(words).collect();
        let queued: Vec<Vec<&[u8]>>;
        if let (Some(Transaction { queued: all, .. }), "exec") = (&client.transaction, command.name) {
            queued = all.iter().map(|(_, words)| words.iter().map(Vec::as_slice).collect()).collect();
            keys.extend(all.iter().zip(&queued).flat_map(|((command, _), words)| command.keys(words)));
        }
        let slot = slot_of(keys.first()?);
        if membership.down {
            return Some("CLUSTERDOWN The cluster is down".to_owned());
        }
        if keys.iter().any(|key| slot_of(key) != slot) {
            return Some(CROSSSLOT.to_owned());
        }
        let there = |key: &&[u8]| {
            let entries = self.databases.get(client.database).map(|database| &database.entries);
            entries.and_then(|entries| entries.get(*key)).is_some_and(|entry| !entry.is_due(self.now))
        };
        let missing = keys.iter().filter(|key| !there(key)).count();
        let to = |word: &str, node: Node| Some(format!("{word} {slot} {HOST}:{}", port_of(node)));
        match membership.view.owner(slot) {
            None => Some(CLUSTERDOWN.to_owned()),
            Some(owner) if owner == membership.me => {
                let leaving = membership.leaving.get(&slot).filter(|_| missing > 0)?;
                if missing < keys.len() { Some(TRYAGAIN.to_owned()) } else { to("ASK", *leaving) }
            }
            Some(_) if membership.coming.contains(&slot) && client.asking => {
                (keys.len() > 1 && missing > 0).then(|| TRYAGAIN.to_owned())
            }
            Some(owner) => to("MOVED", owner),
        }
    }

    /// Takes the keys of a slot out of it, at most so many. `told`: whoever read them is, as of a key that is deleted.
    pub fn take_slot(&mut self, slot: u16, most: usize, told: bool) -> Slot {
        self.current = FOREIGN;
        let database = self.database(0);
        let keys: Vec<_> = database.entries.keys().filter(|key| slot_of(key) == slot).take(most).cloned().collect();
        let mut taken = Vec::new();
        for key in keys {
            taken.extend(self.database(0).entries.get(&key).cloned().map(|entry| (key.clone(), entry)));
            if told {
                self.delete(0, &key);
            } else {
                self.database(0).entries.remove(&key);
            }
        }
        Slot(taken)
    }

    pub fn put_slot(&mut self, Slot(entries): Slot) {
        self.current = FOREIGN;
        for (key, entry) in entries {
            self.database(0).entries.insert(key.clone(), entry);
            self.changed(&key);
        }
    }

    /// Whether a key lies there, and is not due.
    pub fn has(&self, key: &[u8], ms: u64) -> bool {
        let entry = self.databases.first().and_then(|database| database.entries.get(key));
        entry.is_some_and(|entry| !entry.is_due(ms))
    }
}

/// Keys of a slot on their way, and what lies there.
pub struct Slot(Vec<(Vec<u8>, crate::server::keyspace::Entry)>);

impl Slot {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const DISABLED: &str = "ERR This instance has cluster support disabled";

pub fn slots(server: &mut Server, _: Id, _: &[&[u8]]) -> Reply {
    let Some(membership) = &server.cluster else { return error(DISABLED) };
    let range = |(first, last, node): (u16, u16, usize)| {
        let id = Reply::text(&format!("{:040x}", node + 1));
        let node = vec![Reply::text(HOST), Reply::Int(port_of(node).into()), id, Reply::Array(Vec::new())];
        Reply::Array(vec![Reply::Int(first.into()), Reply::Int(last.into()), Reply::Array(node)])
    };
    Reply::Array(membership.view.ranges().into_iter().map(range).collect())
}

pub fn info(server: &mut Server, _: Id, _: &[&[u8]]) -> Reply {
    let Some(membership) = &server.cluster else { return error(DISABLED) };
    let state = if membership.down { "fail" } else { "ok" };
    let epoch = membership.view.epoch;
    Reply::Verbatim(format!("cluster_state:{state}\r\ncluster_known_nodes:6\r\ncluster_current_epoch:{epoch}\r\n"))
}

/// The next command may be about a slot that comes.
pub fn asking(server: &mut Server, id: Id, _: &[&[u8]]) -> Reply {
    if server.cluster.is_none() {
        return error(DISABLED);
    }
    if let Some(client) = server.clients.get_mut(id) {
        client.asking = true;
    }
    OK
}
