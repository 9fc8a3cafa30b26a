//! The servers of a cluster: which ones there are, and to which of them the keys of each slot go.
//!
//! **The problem.** Callers on several threads ask for the server of a key at each call, while the cluster changes.
//! What was read from a server, and what is to be undone on it, must never be taken for another's.
//!
//! **The approach.** A table of 16,384 places, read without a lock. A server that was seen once keeps its place for
//! good, so a reference to it never dangles, and one that comes back finds what is to be undone on it. What a server
//! holds is found by way of the table alone: when a slot moves, nobody finds what its old owner holds of it. So only
//! hot values in JavaScript, which know no table, must end with the move; and what the new owner holds from an earlier
//! time.
//!
//! What is to be undone (journal.rs) goes with its slot: the new owner must not be read before.
//!
//! Where replicas are read, each is a server of its own, and stays one: a replica that becomes the primary is dialled
//! anew as such, and no connection ever turns from one into the other.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use once_cell::sync::OnceCell;
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};

use crate::engine::fleet::endpoint::{AddressMap, Endpoint};
use crate::engine::fleet::server::Server;
use crate::engine::fleet::slot::{Past, SLOTS, Slots, slot_of};
use crate::engine::fleet::topology::{MAX_NODES, Node, Topology};
use crate::engine::net::target::Target;

/// Where nobody serves a slot.
const NOBODY: u16 = 0;

pub struct Cluster {
    /// By slot, the place of its owner.
    owners: Box<[AtomicU16]>,
    /// By place, how many slots it has; at first those that nobody serves.
    shares: Box<[AtomicU16]>,
    /// By place, from 1 on.
    servers: Box<[OnceCell<Arc<Server>>]>,
    known: Mutex<Known>,
    /// Who had which slots; who changes an owner holds it.
    past: Mutex<Past>,
    /// How often a slot got another owner.
    changes: AtomicU64,
    has_left: AtomicBool,
    pub map: AddressMap,
    /// How its servers are dialled, wherever they are.
    pub access: Target,
    /// Where they are read: those of each primary that serves slots, by its place.
    replicas: Option<RwLock<Replicas>>,
}

type Replicas = HashMap<u16, Vec<Arc<Server>>>;

#[derive(Default)]
struct Known {
    topology: Topology,
    places: HashMap<Endpoint, u16>,
    /// Those of replicas.
    read_at: HashMap<Endpoint, u16>,
}

/// What a new topology changed.
#[derive(Default)]
pub struct Applied {
    /// Anything at all.
    pub changed: bool,
    /// The slots whose owner is another one, or none.
    pub slots: Slots,
    /// Slots that nobody served have an owner.
    pub found: bool,
    /// Servers that lost slots, and servers that got them.
    pub lost: Vec<Arc<Server>>,
    pub won: Vec<Arc<Server>>,
    /// Servers that got slots which they had before: what they hold of these is of that time.
    pub again: Vec<Arc<Server>>,
    /// Servers that have no slots any more, and replicas that are none any more.
    pub idle: Vec<Arc<Server>>,
    /// Replicas that there were not before.
    pub replicas: Vec<Arc<Server>>,
}

impl Cluster {
    /// `replicas`: whether they are read.
    pub fn new(access: Target, map: AddressMap, replicas: bool) -> Self {
        Self {
            owners: (0..SLOTS).map(|_| AtomicU16::new(NOBODY)).collect(),
            shares: (0..=MAX_NODES).map(|place| AtomicU16::new(if place == 0 { SLOTS } else { 0 })).collect(),
            servers: (0..MAX_NODES).map(|_| OnceCell::new()).collect(),
            known: Mutex::default(),
            past: Mutex::default(),
            changes: AtomicU64::new(0),
            has_left: AtomicBool::new(false),
            map,
            access,
            replicas: replicas.then(RwLock::default),
        }
    }

    /// The place of the server that serves a key; 0 where nobody does.
    pub fn place_of(&self, key: &str) -> u16 {
        self.owner(slot_of(key.as_bytes()))
    }

    pub fn owner(&self, slot: u16) -> u16 {
        self.owners.get(usize::from(slot)).map_or(NOBODY, |owner| owner.load(Ordering::SeqCst))
    }

    pub fn server(&self, place: u16) -> Option<&Arc<Server>> {
        self.servers.get(usize::from(place).checked_sub(1)?)?.get()
    }

    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.servers.iter().map_while(OnceCell::get)
    }

    /// The primaries that serve slots, each with its replicas; none where these are not read.
    pub fn replicas(&self) -> Vec<(Arc<Server>, Vec<Arc<Server>>)> {
        let Some(replicas) = &self.replicas else { return Vec::new() };
        let primaries = |(place, replicas): (&u16, &Vec<_>)| Some((self.server(*place)?.clone(), replicas.clone()));
        replicas.read().iter().filter_map(primaries).collect()
    }

    pub fn reads_replicas(&self) -> bool {
        self.replicas.is_some()
    }

    /// A replica of the server at this place that `fits`: the `turn`-th of them.
    pub fn replica_of(&self, place: u16, turn: u64, fits: impl Fn(&Server) -> bool) -> Option<u16> {
        let replicas = self.replicas.as_ref()?.read();
        let fitting: Vec<u16> = replicas.get(&place)?.iter().filter(|one| fits(one)).map(|one| one.place).collect();
        fitting.get(usize::try_from(turn % fitting.len().max(1) as u64).ok()?).copied()
    }

    /// Whether the first attempt to connect to each server that serves slots is over.
    pub fn is_decided(&self) -> bool {
        self.servers().all(|server| server.standing.lock().decided || !self.is_used(server))
    }

    /// Whether a server that serves slots is away, or nobody serves one.
    pub fn is_lame(&self) -> bool {
        let is_up = |server: &Server| server.standing.lock().up;
        self.share(NOBODY) > 0 || self.servers().any(|server| self.is_used(server) && !is_up(server))
    }

    /// Whether it serves any slot; of the URL's server, whether nobody serves one.
    pub fn is_used(&self, server: &Server) -> bool {
        self.share(server.place) > 0
    }

    /// How often a slot got another owner.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    fn share(&self, place: u16) -> u16 {
        self.shares.get(usize::from(place)).map_or(0, |share| share.load(Ordering::SeqCst))
    }

    /// Of each slot, whether it serves that.
    pub fn slots_of(&self, server: &Server) -> Box<[bool]> {
        self.owners.iter().map(|owner| owner.load(Ordering::SeqCst) == server.place).collect()
    }

    /// Those that serve slots, and the replicas that are read, for those who look after them; what nobody serves is one
    /// without a name. `now` in milliseconds.
    pub fn nodes(&self, now: u64) -> Vec<Value> {
        let mut nodes = Vec::new();
        let unserved = self.share(NOBODY);
        if unserved > 0 {
            nodes.push(json!({ "address": null, "role": null, "mode": "memory", "slots": unserved }));
        }
        for server in self.servers().filter(|server| self.is_used(server)) {
            nodes.push(server.node(server.name(), Some(u32::from(self.share(server.place)))));
        }
        for (primary, replicas) in self.replicas() {
            for replica in replicas {
                let mut node = replica.node(replica.name(), Some(0));
                node["role"] = Value::from("replica");
                node["mode"] = Value::from(if replica.may_be_read(now) { "redis" } else { "memory" });
                node["of"] = Value::from(primary.name());
                nodes.push(node);
            }
        }
        nodes
    }

    /// The server at an address, made by `make` where it is seen for the first time; none where there were too many.
    pub fn at(&self, endpoint: &Endpoint, make: impl FnOnce(u16) -> Server) -> Option<Arc<Server>> {
        let mut known = self.known.lock();
        if let Some(place) = known.places.get(endpoint) {
            return self.server(*place).cloned();
        }
        let (place, cell) = self.free(&known)?;
        known.places.insert(endpoint.clone(), place);
        Some(cell.get_or_init(|| Arc::new(make(place))).clone())
    }

    /// As `at`, for a replica.
    fn replica_at(&self, endpoint: &Endpoint, make: impl FnOnce(u16) -> Server) -> Option<Arc<Server>> {
        let mut known = self.known.lock();
        if let Some(place) = known.read_at.get(endpoint) {
            return self.server(*place).cloned();
        }
        let (place, cell) = self.free(&known)?;
        known.read_at.insert(endpoint.clone(), place);
        Some(cell.get_or_init(|| Arc::new(make(place).as_replica())).clone())
    }

    /// The place of the next server; none where there were too many.
    fn free(&self, known: &Known) -> Option<(u16, &OnceCell<Arc<Server>>)> {
        let before = known.places.len() + known.read_at.len();
        Some((u16::try_from(before + 1).ok()?, self.servers.get(before)?))
    }

    /// A slot is served by this one from here on, as the one that served it before says.
    pub fn moved(&self, slot: u16, to: &Arc<Server>) -> Applied {
        let mut applied = Applied::default();
        self.give(&mut self.past.lock(), slot..=slot, Some(to), &mut applied);
        applied
    }

    /// Nobody serves a slot, as this server says that was taken to.
    pub fn unserved(&self, slot: u16, by: u16) -> Applied {
        let mut applied = Applied::default();
        if self.owner(slot) == by {
            self.give(&mut self.past.lock(), slot..=slot, None, &mut applied);
        }
        applied
    }

    /// The slots that have left a server since this was last asked, by its place.
    pub fn take_left(&self) -> Vec<(u16, Slots)> {
        let any = self.has_left.swap(false, Ordering::SeqCst);
        if any { self.past.lock().take_left() } else { Vec::new() }
    }

    /// A run of slots is this server's from here on, or nobody's.
    fn give(&self, past: &mut Past, slots: RangeInclusive<u16>, to: Option<&Arc<Server>>, applied: &mut Applied) {
        let place = to.map_or(NOBODY, |server| server.place);
        let (mut next, last) = slots.into_inner();
        let Some(cells) = self.owners.get(usize::from(next)..=usize::from(last)) else { return };
        let owner = |cell: &AtomicU16| cell.load(Ordering::SeqCst);
        for cells in cells.chunk_by(|one, other| owner(one) == owner(other)) {
            let (first, count) = (next, cells.len() as u16);
            next += count;
            // As for nearly all, whenever the cluster is asked.
            if let Some(before) = cells.first().map(owner).filter(|before| *before != place) {
                // Whoever sees the count of changes below sees them all.
                cells.iter().for_each(|cell| cell.store(place, Ordering::Release));
                self.gave(past, first..=next - 1, before, to, applied);
            }
        }
    }

    /// A run of slots that were all this one's are another one's.
    fn gave(
        &self,
        past: &mut Past,
        slots: RangeInclusive<u16>,
        before: u16,
        to: Option<&Arc<Server>>,
        applied: &mut Applied,
    ) {
        let count = slots.end() - slots.start() + 1;
        let again = to.is_some_and(|to| past.note(slots.clone(), to.place));
        let share = |of: u16| self.shares.get(usize::from(of));
        share(to.map_or(NOBODY, |to| to.place)).inspect(|share| _ = share.fetch_add(count, Ordering::SeqCst));
        share(before).inspect(|share| _ = share.fetch_sub(count, Ordering::SeqCst));
        self.changes.fetch_add(u64::from(count), Ordering::SeqCst);
        applied.changed = true;
        applied.slots.insert_run(slots.clone());
        if before != NOBODY {
            past.leave(slots, before);
            self.has_left.store(true, Ordering::SeqCst);
        }
        match self.server(before) {
            Some(from) => add(&mut applied.lost, from),
            None => applied.found = true,
        }
        if let Some(to) = to {
            add(&mut applied.won, to);
            if again {
                add(&mut applied.again, to);
            }
        }
    }

    /// What the cluster says of itself. `make`: as in `at`.
    pub fn apply(&self, topology: &Topology, make: impl Fn(u16, &Endpoint) -> Server) -> Applied {
        {
            let mut known = self.known.lock();
            if topology.is_older_than(&known.topology) {
                return Applied::default();
            }
            known.topology = topology.clone();
        }
        let mut applied = Applied::default();
        for (slots, owner) in topology.ranges() {
            let to = owner.and_then(|node| self.at(&node.at, |place| make(place, &node.at)));
            self.give(&mut self.past.lock(), slots, to.as_ref(), &mut applied);
        }
        applied.idle = applied.lost.iter().filter(|server| !self.is_used(server)).cloned().collect();
        self.list_replicas(topology, make, &mut applied);
        applied
    }

    fn list_replicas(&self, topology: &Topology, make: impl Fn(u16, &Endpoint) -> Server, applied: &mut Applied) {
        let Some(replicas) = &self.replicas else { return };
        let mut owners: Vec<&Node> = topology.ranges().filter_map(|(_, owner)| owner).collect();
        owners.sort_by_key(|node| &node.id);
        owners.dedup_by_key(|node| &node.id);
        let mut listed = Replicas::default();
        for owner in owners {
            let Some(primary) = self.at(&owner.at, |place| make(place, &owner.at)) else { continue };
            let of = topology.replicas_of(owner);
            let of = of.filter_map(|node| self.replica_at(&node.at, |place| make(place, &node.at)));
            listed.insert(primary.place, of.collect());
        }
        let before = std::mem::replace(&mut *replicas.write(), listed.clone());
        let (before, now): (Vec<_>, Vec<_>) = (all(before), all(listed));
        let has = |servers: &[Arc<Server>], one: &Arc<Server>| servers.iter().any(|other| other.place == one.place);
        applied.replicas = now.iter().filter(|one| !has(&before, one)).cloned().collect();
        let gone = before.into_iter().filter(|one| !has(&now, one));
        applied.idle.extend(gone.inspect(|one| one.is_near_until(0)));
    }
}

fn all(replicas: Replicas) -> Vec<Arc<Server>> {
    replicas.into_values().flatten().collect()
}

fn add(servers: &mut Vec<Arc<Server>>, server: &Arc<Server>) {
    // Runs of slots have one owner: mostly it is the last one.
    if !servers.iter().rev().any(|known| Arc::ptr_eq(known, server)) {
        servers.push(server.clone());
    }
}
