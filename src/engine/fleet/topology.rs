//! A cluster at one moment, as one of its nodes described it: its nodes, and which of them owns each slot. A value:
//! parse.rs reads it from an answer, and nothing here knows a socket.
//!
//! **The problem.** Every call asks for the owner of a slot, and whatever was read from a slot is believed only while
//! its owner is the same. Answers come from nodes that know more or less of a change under way, and may contradict
//! themselves.
//!
//! **The approach.** A table of 16,384 places, 32 KB: one load a call, and what an answer says in whichever order has
//! one meaning. Of two nodes that claim a slot, the first has it. A node is *the same* while both its id and its
//! address are: a node that was replaced under the same name shares nothing with the old one, and one that moved is
//! reached by another connection, so for both what hangs on a node must end ([`Topology::diff`]).
//!
//! Neither CLUSTER SLOTS nor CLUSTER SHARDS says how recent it is. CLUSTER INFO does, sent with it: the epoch grows
//! with every failover, and a node that is cut off stays behind, so an answer of a lower epoch is an old one
//! ([`Topology::is_older_than`]).
//!
//! **Rejected.** *Ranges, sorted, and a binary search*: smaller, and slower for each call. *To ask several nodes and
//! take what most of them say*: a majority that has not heard of a failover yet outvotes those that have.
//!
//! **The limits.** Slots that are moved by hand may leave the epoch as it was, so of two answers with equal epochs
//! neither is known to be older. Then MOVED decides: a node knows best what it does not own itself.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::mutant;
use crate::engine::base::random::Hashes;
use crate::engine::fleet::endpoint::Endpoint;
use crate::engine::fleet::slot::SLOTS;
use crate::engine::net::reply::field;

/// The most nodes of a cluster that is believed in. The servers' own documentation advises against more than 1,000.
pub const MAX_NODES: usize = 1_024;
/// The most slots that an answer may claim, those that are claimed again included: bounds the work for an answer.
const MAX_CLAIMS: usize = 4 * SLOTS as usize;
/// The place of the owner of a slot that has none.
const NOBODY: u16 = u16::MAX;

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its own name, which it keeps for life; its address, where the server is too old to tell.
    pub id: Box<str>,
    pub at: Endpoint,
    pub role: Role,
    pub health: Health,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    Primary,
    /// Of the primary with this id, where it is known.
    Replica {
        of: Option<Box<str>>,
    },
}

/// How a node fares by the word of the others, the best first. CLUSTER SLOTS does not say: then it is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    Online,
    Loading,
    Failed,
}

impl Node {
    /// What makes it the same node in two topologies.
    fn identity(&self) -> (&str, &Endpoint) {
        (&self.id, &self.at)
    }
}

/// Nodes, and the owner of each slot. The default one is that of a cluster of which nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    nodes: Vec<Node>,
    /// By slot, the place of its owner among the nodes.
    owners: Vec<u16>,
    epoch: Option<u64>,
}

impl Topology {
    /// The primary that serves a slot; none while nobody does.
    pub fn owner(&self, slot: u16) -> Option<&Node> {
        self.nodes.get(usize::from(self.place(slot)?))
    }

    fn place(&self, slot: u16) -> Option<u16> {
        self.owners.get(usize::from(slot)).copied().filter(|place| *place != NOBODY)
    }

    /// All slots in their order, in runs that have the same owner, or none.
    pub fn ranges(&self) -> impl Iterator<Item = (RangeInclusive<u16>, Option<&Node>)> {
        runs(|slot| self.place(slot)).map(|(slots, _)| {
            let owner = self.owner(*slots.start());
            (slots, owner)
        })
    }

    /// In the order in which they were named: primaries with and without slots, and replicas.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn replicas_of(&self, primary: &Node) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| matches!(&node.role, Role::Replica { of: Some(id) } if *id == primary.id))
    }

    /// With the epoch that the same node told in its answer to CLUSTER INFO, if it did.
    pub fn with_epoch(self, cluster_info: &str) -> Self {
        let epoch = field(cluster_info, "cluster_current_epoch").and_then(|epoch| epoch.trim().parse().ok());
        Self { epoch, ..self }
    }

    /// Whether the other one is known to be more recent. Clusters that have no node in common are not one cluster, and
    /// have no order: a reset gives a node another id and begins its epochs anew.
    pub fn is_older_than(&self, other: &Self) -> bool {
        let (Some(own), Some(others)) = (self.epoch, other.epoch) else { return false };
        own < others
            && !mutant::lacks("epoch")
            && self.nodes.iter().any(|node| other.nodes.iter().any(|known| known.id == node.id))
    }

    /// What became of the old one.
    pub fn diff<'a>(old: &'a Self, new: &'a Self) -> Change<'a> {
        let (was, is) = (old.by_identity(), new.by_identity());
        let kept: Vec<_> = old.nodes.iter().map(|node| is.get(&node.identity()).map(|(place, _)| *place)).collect();
        let stayed = |place: u16| kept.get(usize::from(place)).copied().flatten();
        let moved = runs(|slot| (old.place(slot), new.place(slot)))
            .filter(|(_, (from, to))| from.is_some() != to.is_some() || from.and_then(stayed) != *to)
            .map(|(slots, _)| Moved { from: old.owner(*slots.start()), to: new.owner(*slots.start()), slots });
        let turned = |node: &&Node| was.get(&node.identity()).is_some_and(|(_, known)| known != node);
        Change {
            moved: moved.collect(),
            came: new.nodes.iter().filter(|node| !was.contains_key(&node.identity())).collect(),
            went: old.nodes.iter().filter(|node| !is.contains_key(&node.identity())).collect(),
            turned: new.nodes.iter().filter(turned).collect(),
        }
    }

    fn by_identity(&self) -> HashMap<(&str, &Endpoint), (u16, &Node), Hashes> {
        (0..).zip(&self.nodes).map(|(place, node)| (node.identity(), (place, node))).collect()
    }
}

/// All slots, in runs for which `of` says the same.
fn runs<T: PartialEq>(of: impl Fn(u16) -> T) -> impl Iterator<Item = (RangeInclusive<u16>, T)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let first = next;
        let same = (first < SLOTS).then(|| of(first))?;
        while next < SLOTS && of(next) == same {
            next += 1;
        }
        Some((first..=next - 1, same))
    })
}

/// What is another in a new topology.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The slots that have another owner, in their order.
    pub moved: Vec<Moved<'a>>,
    pub came: Vec<&'a Node>,
    pub went: Vec<&'a Node>,
    /// Those that stayed and have another role, primary or health, as the new topology has them.
    pub turned: Vec<&'a Node>,
}

impl Change<'_> {
    /// Whether the two topologies are the same.
    pub fn is_empty(&self) -> bool {
        let Self { moved, came, went, turned } = self;
        moved.is_empty() && [came, went, turned].iter().all(|nodes| nodes.is_empty())
    }
}

/// A run of slots that had one owner and have another.
#[derive(Debug, PartialEq, Eq)]
pub struct Moved<'a> {
    pub slots: RangeInclusive<u16>,
    /// As the old topology has it.
    pub from: Option<&'a Node>,
    /// As the new one has it.
    pub to: Option<&'a Node>,
}

/// A topology that is being read. Keeps the bounds, and decides between claims.
pub(super) struct Draft {
    nodes: Vec<Node>,
    places: HashMap<Box<str>, u16, Hashes>,
    owners: Vec<u16>,
    claimed: usize,
}

impl Draft {
    pub(super) fn new() -> Self {
        let owners = vec![NOBODY; usize::from(SLOTS)];
        Self { nodes: Vec::new(), places: HashMap::default(), owners, claimed: 0 }
    }

    /// Adds a node that is not there yet, and gives its place. Who is a primary once is one: it may be named among
    /// another's replicas while it takes over.
    pub(super) fn node(&mut self, node: Node) -> Result<u16, Trouble> {
        if let Some(&place) = self.places.get(&node.id) {
            if let Some(known) = self.nodes.get_mut(usize::from(place)).filter(|_| node.role == Role::Primary) {
                known.role = Role::Primary;
            }
            return Ok(place);
        }
        let place = u16::try_from(self.nodes.len()).ok().filter(|place| usize::from(*place) < MAX_NODES);
        let place = place.ok_or_else(|| Trouble::new(Kind::Cluster, "the cluster has more than 1,024 nodes"))?;
        self.places.insert(node.id.clone(), place);
        self.nodes.push(node);
        Ok(place)
    }

    /// Gives the slots from `first` to `last` to the node at a place, or to nobody, but for those that somebody has.
    pub(super) fn claim(&mut self, first: i64, last: i64, owner: Option<u16>) -> Result<(), Trouble> {
        let slots = usize::try_from(first).ok().zip(usize::try_from(last).ok());
        let slots = slots.and_then(|(first, last)| self.owners.get_mut(first..=last)).filter(|slots| !slots.is_empty());
        let slots = slots.ok_or_else(|| {
            Trouble::new(Kind::Protocol, "the server names slots that no cluster has: they are numbered 0 to 16383")
        })?;
        self.claimed += slots.len();
        if self.claimed > MAX_CLAIMS {
            return Err(Trouble::new(Kind::Protocol, "the server names each slot of its cluster many times over"));
        }
        if let Some(owner) = owner {
            slots.iter_mut().filter(|slot| **slot == NOBODY).for_each(|slot| *slot = owner);
        }
        Ok(())
    }

    /// An answer by which no slot can be served is none: what was known before is better.
    pub(super) fn finish(self) -> Result<Topology, Trouble> {
        if self.owners.iter().all(|owner| *owner == NOBODY) {
            let message = "the cluster names no address of a node that owns slots: it has assigned none yet, \
                or its nodes do not know the names that they shall tell (cluster-announce-hostname)";
            return Err(Trouble::new(Kind::Cluster, message));
        }
        Ok(Topology { nodes: self.nodes, owners: self.owners, epoch: None })
    }
}
