//! The servers of an engine: one at an address, one that sentinels name, or those of a cluster. Whoever asks need not
//! know which: which server a key belongs to ([`Fleet::of`]), which ones there are ([`Fleet::servers`]), and where one
//! is to be found now ([`Fleet::way`]), asked anew before each dial.
//!
//! It begins with one server, that of the URL. Where this one turns out to be a cluster's node, the others join it, and
//! it stays for what nobody serves: its gate says whether any server is in use, and what it holds is nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use once_cell::sync::OnceCell;
use serde_json::Value;

use crate::engine::base::random::Random;
use crate::engine::call::called::Called;
use crate::engine::call::reply::Bounce;
use crate::engine::call::vouched::Clock;
use crate::engine::fleet::cluster::{Applied, Cluster};
use crate::engine::fleet::endpoint::{self, AddressMap, Endpoint, Redirect};
use crate::engine::fleet::sentinels::{Asked, Round};
use crate::engine::fleet::server::{Gate, Server};
use crate::engine::fleet::topology::Topology;
use crate::engine::net::seeds::Seeds;
use crate::engine::net::target::{Place, Target};
use crate::engine::task::signal::Signal;
use crate::engine::tier::budget::Budget;
use crate::engine::tier::memory::Memory;

/// The longest pause between two dials.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Where sentinels are asked first: they answer from memory, and what they say changes within a second. And in a
/// cluster, whose servers are all away for a second of a failover.
const LONGEST_WITH_OTHERS: Duration = Duration::from_secs(1);

/// How long one dial may take in all. Callers do not wait for it: a call has its own, shorter deadline.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
const DIAL_WITH_SENTINELS: Duration = Duration::from_secs(1);

/// How to get to a server.
pub enum Way {
    To(Arc<Target>),
    /// By asking these where it is.
    Ask(Round),
}

enum Whereabouts {
    At(Arc<Target>),
    /// At one of these; each dial tries the next.
    Any(Vec<Arc<Target>>, AtomicUsize),
    Asked(Box<Asked>),
}

/// One server, those of a cluster, or only the state of one where there is no Redis.
pub struct Fleet {
    server: Arc<Server>,
    /// Once it is known to be one.
    cluster: OnceCell<Cluster>,
    seeds: Option<Seeds>,
    budget: Arc<Budget>,
    clock: Arc<Clock>,
    /// Writes that are called and not planned yet.
    pub called: Arc<Called>,
    bounces: AtomicU64,
    /// Something happened to a server that the others may have to know of.
    pub stirred: Signal,
    /// None: memory mode, whose calls never leave the process.
    whereabouts: Option<Whereabouts>,
    /// How it is reached: `tcp`, `tls` or `unix`.
    kind: Option<&'static str>,
}

impl Fleet {
    /// `id`: the engine's.
    pub fn new(seeds: Option<Seeds>, budget: &Arc<Budget>, id: u32) -> Self {
        let gate = if seeds.is_some() { Gate::Connection } else { Gate::Local };
        let kind = seeds.as_ref().map(Seeds::kind);
        let whereabouts = seeds.clone().map(|seeds| match seeds {
            Seeds::Server(target) => Whereabouts::At(Arc::new(target)),
            Seeds::Sentinels(sentinels) => Whereabouts::Asked(Box::new(Asked::new(sentinels))),
            Seeds::Cluster(nodes) => Whereabouts::Any(nodes.targets().map(Arc::new).collect(), AtomicUsize::new(0)),
        });
        let (budget, clock, called) = (budget.clone(), Clock::new(id), Arc::default());
        let server = Arc::new(Server::new(0, None, gate, &budget, &clock, &called));
        let (cluster, bounces, stirred) = Default::default();
        Self { server, cluster, seeds, budget, clock, called, bounces, stirred, whereabouts, kind }
    }

    /// The server that a stored key belongs to.
    pub fn of(&self, key: &str) -> &Arc<Server> {
        match self.cluster.get() {
            None => &self.server,
            Some(cluster) => cluster.server(cluster.place_of(key)).unwrap_or(&self.server),
        }
    }

    /// All of them, the one of the URL first.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        std::iter::once(&self.server).chain(self.cluster.get().into_iter().flat_map(Cluster::servers))
    }

    /// The one of the URL: in a cluster, that of what nobody serves.
    pub fn first(&self) -> &Arc<Server> {
        &self.server
    }

    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.get()
    }

    /// It is a cluster. What its servers hold is bounded along with `fallback`. `replicas`: whether they are read.
    pub fn becomes(&self, topology: &Topology, fallback: &Arc<Memory>, replicas: bool) -> Option<Applied> {
        let seeds = self.seeds.as_ref()?;
        self.cluster.get_or_init(|| Cluster::new(seeds.server().clone(), self.address_map(), replicas));
        Some(self.apply(topology, fallback))
    }

    /// Where the addresses that a cluster names are reached from here, as far as that was given.
    pub fn address_map(&self) -> AddressMap {
        let Some(Seeds::Cluster(nodes)) = &self.seeds else { return AddressMap::default() };
        let at = |(host, port): &Place| Endpoint::new(host, *port);
        nodes.map.iter().filter_map(|(said, is)| at(said).zip(at(is))).collect()
    }

    /// Whether its servers have to be a cluster's.
    pub fn is_said_to_be_a_cluster(&self) -> bool {
        matches!(self.seeds, Some(Seeds::Cluster(_)))
    }

    /// What the cluster says of itself now.
    pub fn apply(&self, topology: &Topology, fallback: &Arc<Memory>) -> Applied {
        let Some(cluster) = self.cluster.get() else { return Applied::default() };
        cluster.apply(topology, |place, at| self.make(place, at, fallback))
    }

    /// A command was sent to a server that does not serve its key. Where it is to go, if that is known.
    pub fn bounced(&self, redirect: &Redirect, fallback: &Arc<Memory>) -> Option<(Bounce, Applied)> {
        let cluster = self.cluster.get()?;
        let to = redirect.to.as_ref().and_then(|at| cluster.at(at, |place| self.make(place, at, fallback)));
        let asks = redirect.way == endpoint::Way::Ask;
        let applied = match &to {
            Some(to) if !asks => cluster.moved(redirect.slot, to),
            _ => Applied::default(),
        };
        self.bounces.fetch_add(1, Ordering::SeqCst);
        self.stirred.raise();
        let to = to.map_or(0, |to| to.place);
        Some((Bounce { slot: redirect.slot, asks, to, unserved: false }, applied))
    }

    /// Nobody serves a slot, as the server says that was taken to.
    pub fn unserved(&self, slot: u16, by: u16) -> Applied {
        self.bounces.fetch_add(1, Ordering::SeqCst);
        self.stirred.raise();
        self.cluster.get().map_or_else(Applied::default, |cluster| cluster.unserved(slot, by))
    }

    /// Those of a cluster that calls may go to.
    pub fn in_use(&self) -> Vec<Arc<Server>> {
        self.cluster.get().map_or_else(Vec::new, |known| {
            let read = known.replicas().into_iter().flat_map(|(_, replicas)| replicas);
            known.servers().filter(|server| known.is_used(server)).cloned().chain(read).collect()
        })
    }

    /// Another server may have the place of this one.
    pub fn suspect(&self, place: u16) {
        if let Some(server) = self.cluster.get().and_then(|cluster| cluster.server(place)) {
            server.elsewhere.raise();
        }
    }

    /// How often a server has redirected a command.
    pub fn bounces(&self) -> u64 {
        self.bounces.load(Ordering::SeqCst)
    }

    fn make(&self, place: u16, at: &Endpoint, fallback: &Arc<Memory>) -> Server {
        let server = Server::new(place, Some(at.clone()), Gate::Connection, &self.budget, &self.clock, &self.called);
        self.budget.share(fallback, server.near.store());
        server.near.share_as(&self.server.near);
        server
    }

    /// Its servers, for those who look after them, at `now` in milliseconds; none where there is one, whose address is
    /// the URL's.
    pub fn nodes(&self, now: u64) -> Option<Vec<Value>> {
        match (self.cluster.get(), self.asked()) {
            (Some(cluster), _) => Some(cluster.nodes(now)),
            (None, Some(asked)) => Some(vec![self.server.node(asked.place(), None)]),
            (None, None) => None,
        }
    }

    /// Where calls of a server go. While any server is in use, callers hand all their work over.
    pub fn set_gate(&self, server: &Server, gate: Gate) {
        if server.place == 0 {
            // In a cluster it follows the others, whatever becomes of a dial to the URL's address.
            return if self.cluster.get().is_none() {
                server.set_gate(gate)
            };
        }
        if server.is_replica() {
            server.set_gate(gate);
            return self.stirred.raise();
        }
        if gate == Gate::Connection {
            self.server.set_gate(gate);
        }
        server.set_gate(gate);
        let is_used = |server: &&Arc<Server>| self.cluster.get().is_some_and(|cluster| cluster.is_used(server));
        if gate.is_local() && self.servers().skip(1).filter(is_used).all(|server| server.is_local()) {
            self.server.set_gate(gate);
        }
        self.stirred.raise();
    }

    /// Whether all that serve a slot are away.
    pub fn is_down(&self) -> bool {
        self.server.is_local()
    }

    /// The counter that hot values look at.
    pub fn clock(&self) -> usize {
        self.clock.counter
    }

    /// How a server is found now.
    pub fn way(&self, server: &Server, random: &Random) -> Option<Way> {
        if let (Some(cluster), Some(at)) = (self.cluster.get(), &server.at) {
            return Some(Way::To(Arc::new(cluster.access.at((at.host().to_owned(), at.port())))));
        }
        Some(match self.whereabouts.as_ref()? {
            Whereabouts::At(target) => Way::To(target.clone()),
            Whereabouts::Any(targets, next) => {
                Way::To(targets.get(next.fetch_add(1, Ordering::Relaxed) % targets.len())?.clone())
            }
            Whereabouts::Asked(asked) => Way::Ask(asked.round(random)),
        })
    }

    /// A sentinel named the primary, and the other sentinels; where that primary is dialled.
    pub fn named(&self, primary: &Place, others: &[Place]) -> Option<Arc<Target>> {
        let asked = self.asked()?;
        asked.others(others);
        Some(asked.named(primary))
    }

    fn asked(&self) -> Option<&Asked> {
        match self.whereabouts.as_ref()? {
            Whereabouts::Asked(asked) => Some(asked),
            Whereabouts::At(_) | Whereabouts::Any(..) => None,
        }
    }

    /// One of the sentinels, and the name that they know the primary by; none where there are none.
    pub fn sentinel(&self, random: &Random) -> Option<(Arc<Target>, String)> {
        let asked = self.asked()?;
        Some((asked.round(random).first()?, asked.name().to_owned()))
    }

    pub fn has_one_sentinel(&self) -> bool {
        self.asked().is_some_and(|asked| asked.count() == 1)
    }

    /// Whether the primary is taken to be there.
    pub fn is_at(&self, place: &Place) -> bool {
        self.asked().is_some_and(|asked| asked.is_at(place))
    }

    /// The primary is said to be there now. Where that is news, its node asks.
    pub fn hint(&self, place: &Place) {
        if !self.is_at(place) {
            self.server.elsewhere.raise();
        }
    }

    /// Whether a server may be elsewhere from one moment to the next.
    pub fn is_moving(&self) -> bool {
        self.asked().is_some()
    }

    /// The longest pause between two dials, where what went wrong may mend itself.
    pub fn longest_pause(&self) -> Duration {
        if self.is_moving() || self.cluster.get().is_some() { LONGEST_WITH_OTHERS } else { LONGEST_PAUSE }
    }

    /// How long one dial may take at least, handshake included. Behind sentinels another server may take over
    /// meanwhile.
    pub fn dial_timeout(&self) -> Duration {
        if self.is_moving() { DIAL_WITH_SENTINELS } else { DIAL_TIMEOUT }
    }

    /// How Redis is reached: `tcp`, `tls` or `unix`; none where there is none.
    pub fn kind(&self) -> Option<&'static str> {
        self.kind
    }

    /// Whether there is no Redis at all.
    pub fn is_empty(&self) -> bool {
        self.whereabouts.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Budget, Fleet, Gate, Way};
    use crate::engine::base::random::Random;
    use crate::engine::net::seeds::Seeds;
    use crate::engine::net::target::Trust;

    #[test]
    fn every_key_is_the_one_servers_and_memory_mode_has_nowhere_to_dial() {
        let (budget, random) = (Arc::new(Budget::new(1 << 20)), Random::seeded(1));
        let seeds = Seeds::parse("redis://h", Trust::default()).expect("a URL");
        for (seeds, gate) in [(Some(seeds), Gate::Connection), (None, Gate::Local)] {
            let fleet = Fleet::new(seeds.clone(), &budget, 1);
            let server = fleet.of("k");
            assert!(fleet.servers().all(|one| Arc::ptr_eq(one, server)) && Arc::ptr_eq(fleet.of("other"), server));
            assert_eq!(*server.gate.read(), gate);
            let target = match fleet.way(server, &random) {
                Some(Way::To(target)) => Some(Seeds::Server((*target).clone())),
                _ => None,
            };
            assert_eq!(target, seeds);
            assert_eq!(fleet.is_empty(), target.is_none());
        }
    }

    #[test]
    fn a_primary_is_dialled_where_the_sentinels_say_and_as_the_url_says() {
        let (budget, random) = (Arc::new(Budget::new(1 << 20)), Random::seeded(1));
        let seeds = Seeds::parse("redis+sentinel://u:p@a,b/main/2", Trust::default()).expect("a URL");
        let fleet = Fleet::new(Some(seeds), &budget, 1);
        assert!(matches!(fleet.way(fleet.of("k"), &random), Some(Way::Ask(_))));
        let primary = fleet.named(&("::1".into(), 7), &[]).map(|target| (*target).clone());
        let same = Seeds::parse("redis://u:p@[::1]:7/2", Trust::default()).expect("a URL");
        assert_eq!(primary.map(Seeds::Server), Some(same));
    }
}
