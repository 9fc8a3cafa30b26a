//! What a schedule is: who calls what when, what goes wrong meanwhile, and how the caches are set up.

use holdfast::engine::base::clock::Ttl;

use crate::history::{Key, Place, Plan, Space, Verb};

/// The environments of a schedule: two in the first process, an event loop and a worker thread, and one in the second.
pub const PLACES: [Place; 3] = [
    Place::Environment { process: 0, thread: 0 },
    Place::Environment { process: 0, thread: 1 },
    Place::Environment { process: 1, thread: 0 },
];
/// What is called, and what befalls it.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub seed: u64,
    pub index: u64,
    pub theme: &'static str,
    pub plan: Plan,
    pub clients: Vec<ClientPlan>,
    pub faults: Vec<Fault>,
    pub settings: Settings,
}

/// Which servers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    Single,
    Sentinel,
    Cluster,
}

impl Topology {
    pub const ALL: [(&'static str, Self); 3] =
        [("single", Self::Single), ("sentinel", Self::Sentinel), ("cluster", Self::Cluster)];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, topology)| *topology == self).map_or("", |(name, _)| name)
    }
}

/// What one client does: steps, one after the other.
#[derive(Clone, Debug)]
pub struct ClientPlan {
    pub place: Place,
    pub steps: Vec<Step>,
}

/// Calls made together in one turn, so many milliseconds after the step before has settled.
#[derive(Clone, Debug)]
pub struct Step {
    pub pause: u64,
    pub calls: Vec<Verb>,
}

/// The cache of one environment. Those of one process share an engine, and so a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachePlan {
    pub space: Space,
    /// Its codec is `raw`: it shares a namespace with caches of another codec, and no keys.
    pub raw: bool,
    pub timeout_ms: u64,
    pub near: bool,
    /// Whether what the near cache held is served while Redis is away.
    pub stale: bool,
}

/// Calls that one environment has under way at most, and with how many a batch goes at once: src/js/bridge.
pub const WINDOW: usize = 16_384;
pub const PART: usize = 256;

/// How long a call of `getOrCompute` waits, in milliseconds: src/js/once/terms.js.
pub const HARD_TIMEOUT: u64 = 30_000;

#[derive(Clone, Debug)]
pub struct Settings {
    /// By environment.
    pub caches: [CachePlan; PLACES.len()],
    /// By key: whether it belongs to caches with the codec `raw`; not, beyond the list.
    pub raw_keys: Vec<bool>,
    /// Calls that one environment may have under way.
    pub window: usize,
    /// Calls of one turn with which a batch is handed over before the turn is over.
    pub part: usize,
    /// The user may not say HELLO: the protocol is RESP2, and nothing is pushed.
    pub resp2: bool,
    /// The servers are three primaries of a cluster, each with a replica; else there is one.
    pub cluster: bool,
    /// That one has a replica, and sentinels name who is the primary.
    pub sentinels: bool,
    /// The user may touch the keys of the namespace alone.
    pub walled: bool,
    /// Keys that the server's tracking table holds.
    pub tracked: Option<usize>,
    /// `nearCache.maxAge`, in milliseconds.
    pub max_age: Option<u64>,
}

impl Schedule {
    pub fn topology(&self) -> Topology {
        match (self.settings.cluster, self.settings.sentinels) {
            (true, _) => Topology::Cluster,
            (_, true) => Topology::Sentinel,
            _ => Topology::Single,
        }
    }

    /// Whether a key belongs to the cache of this environment.
    pub fn owns(&self, environment: usize, key: Key) -> bool {
        let cache = &self.settings.caches[environment];
        let raw = self.settings.raw_keys.get(key).copied().unwrap_or(false);
        cache.space == self.plan.space_of(key) && cache.raw == raw
    }
}

/// What goes wrong, when, and for how long; times in milliseconds.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub process: usize,
    pub at: u64,
    pub lasts: u64,
    /// How late replies are, of a lag.
    pub ms: u64,
    /// Which server it befalls; and which slot, by its place in `Plan::used`.
    pub machine: usize,
    pub slot: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The server's process stands still: its kernel goes on accepting and acknowledging.
    Stop,
    /// Nothing passes between a process and the server.
    Blackhole,
    /// Nothing passes on the connection that there is. The next one is well, and what was held arrives when it is in
    /// use.
    Stall,
    /// What is sent arrives, and no reply comes back.
    Deafen,
    Cut,
    /// Replies take their time, and come in their order.
    Lag,
    /// The server closes all connections.
    Kill,
    /// The process stands still, and finds replies and pushes together when it goes on.
    Freeze,
    /// A worker thread ends in the middle of its calls.
    End,
    /// The server is gone for a while, and comes back empty.
    Restart,
    /// The server comes back in the end with what it had when this began.
    Restore,
    /// The server has no room, and evicts keys.
    Evict,
    /// The server refuses writes, as it has no memory left.
    Oom,
    /// The server is a replica for a while, and takes no writes.
    ReadOnly,
    /// The server says that it is loading its data.
    Loading,
    /// The server forgets its scripts.
    Scripts,
    /// A whole process dies in the middle of its calls.
    Die,
    /// Nobody answers a dial: the backlog is full.
    Backlog,
    /// The connection ends in the middle of a reply.
    Tear,
    /// Every byte comes by itself.
    Drip,
    /// A reply comes that nobody asked for; or some are missing; or what comes is no reply.
    Extra,
    Missing,
    Hostile,
    /// A script of somebody runs for ever.
    Busy,
    /// The server's snapshots fail, or it has too few replicas: it takes no writes.
    Misconf,
    NoReplicas,
    /// The server lets nobody in.
    Full,
    /// A slot goes to another node of the cluster, at once; or key by key.
    Move,
    Migrate,
    /// A primary dies in the end, and is replaced by a replica that has what it had when this began.
    Failover,
    /// Nobody serves a slot for a while; or the nodes say so of all.
    Unserve,
    ClusterDown,
}

/// What may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Get,
    GetMany,
    Sync,
    Set,
    Del,
    Increment,
    Invalidate,
    Sweep,
    Expire,
    Compute,
    Probe,
}

/// A TTL of the schedule.
pub fn ttl_of(ms: Option<u64>) -> Ttl {
    ms.map_or(Ttl::Forever, Ttl::Millis)
}
