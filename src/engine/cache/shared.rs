//! What the callers' threads and the engine's thread share: the state of one engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::engine::base::clock::{Clock, wall_ms};
use crate::engine::base::error::Trouble;
use crate::engine::base::key::Prefix;
use crate::engine::base::mutant;
use crate::engine::base::random::Random;
use crate::engine::cache::options::{DEFAULT_MAX_MEMORY, DEFAULT_TIMEOUT, Options};
use crate::engine::cache::tell::counters::{Errors, Traffic};
use crate::engine::cache::tell::listening::Listening;
use crate::engine::cache::tell::outages::Outages;
use crate::engine::cache::tell::status::{Identity, Mode, Status};
use crate::engine::fleet::cluster::Cluster;
use crate::engine::fleet::members::Fleet;
use crate::engine::fleet::server::Server;
use crate::engine::net::target::Habits;
use crate::engine::once::exclusive::Exclusive;
use crate::engine::once::flight::Flights;
use crate::engine::once::lease::Misses;
use crate::engine::once::waiting::Waiting;
use crate::engine::task::executor::Spawner;
use crate::engine::tier::budget::{Bounded, Budget};
use crate::engine::tier::memory::{Memory, Usage};
use crate::engine::tier::spared::Sparing;

/// What the callers' threads and the engine's thread share.
pub struct Shared {
    /// Where keys live, and what is known of each server.
    pub fleet: Fleet,
    /// How its connections behave.
    pub habits: Habits,
    pub memory: Arc<Memory>,
    /// What bounds that, the near caches, and hot values.
    pub budget: Arc<Budget>,
    /// What sweeps of several servers leave alone.
    pub sparing: Sparing,
    /// Those who wait for another process's computation.
    pub waiting: Waiting,
    pub flights: Flights,
    pub misses: Misses,
    pub exclusive: Exclusive,
    pub status: Status,
    pub errors: Errors,
    pub outages: Outages,
    pub traffic: Traffic,
    /// Who wants to know what others change.
    pub listening: Listening,
    /// What callers' threads ask for the time; the machine is told it.
    pub clock: Clock,
    pub random: Random,
    /// 64 random bits, by which other processes tell this engine from theirs.
    pub name: u64,
    /// Begins tasks, which whoever drives the engine polls.
    pub tasks: Spawner,
    /// Long work that has its place in the order of calls, and is not done.
    long: AtomicUsize,
    /// How many ends of tags the router of a cluster has passed: servers come to their calls in an order of their own.
    tags_ended: AtomicU64,
    /// The longest `timeoutMs` of the caches, in microseconds; see `patience`.
    patience: AtomicU64,
    /// The longest `nearCache.maxAge` of the caches, in milliseconds.
    max_age: AtomicU64,
    /// Whether an entry that outlives its TTL has been seen.
    grace: AtomicBool,
    /// The prefix of the first cache: where the handshake tries what this user may do (net/denied.rs).
    pub prefix: Prefix,
}

impl Shared {
    pub fn new(options: &Options, tasks: Spawner, clock: Clock, random: Random) -> Arc<Self> {
        let max_memory = options.max_memory.unwrap_or(DEFAULT_MAX_MEMORY);
        static NEXT_ID: AtomicU32 = AtomicU32::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let budget = Arc::new(Budget::new(max_memory));
        let memory = Arc::new(Memory::within(&budget));
        let fleet = Fleet::new(options.seeds.clone(), &budget, id);
        fleet.servers().for_each(|server| budget.share(&memory, server.near.store()));
        let mode = if fleet.is_empty() { Mode::Memory } else { Mode::Initializing };
        Arc::new(Self {
            fleet,
            habits: options.habits,
            memory,
            budget,
            sparing: Sparing::default(),
            waiting: Waiting::default(),
            flights: Flights::default(),
            misses: Misses::default(),
            exclusive: Exclusive::default(),
            status: Status::new(id, mode),
            errors: Errors::default(),
            outages: Outages::default(),
            traffic: Traffic::default(),
            listening: Listening::default(),
            clock,
            name: random.bits(),
            random,
            tasks,
            long: AtomicUsize::new(0),
            tags_ended: AtomicU64::new(0),
            patience: AtomicU64::new(0),
            max_age: AtomicU64::new(0),
            grace: AtomicBool::new(false),
            prefix: Prefix::new(&options.namespace),
        })
    }

    /// What the in-process tiers hold; in an outage the near cache still has what it held when Redis went. Hot values
    /// are entries of the near cache once more, so only their bytes count.
    pub fn usage(&self) -> Usage {
        let mut usage = self.memory.usage();
        for near in self.fleet.servers().map(|server| server.near.store().usage()) {
            usage.entries += near.entries;
            usage.bytes += near.bytes;
            usage.evictions += near.evictions;
            usage.expired += near.expired;
        }
        Usage { bytes: usage.bytes + self.budget.hot(), max_bytes: self.budget.max(), ..usage }
    }

    /// The bytes that the in-process tiers hold, as `usage` has them.
    pub fn bytes(&self) -> u64 {
        let near: u64 = self.fleet.servers().map(|server| server.near.store().weight()).sum();
        self.memory.weight() + near + self.budget.hot()
    }

    /// A server is in use; `dropped` entries of the fallback tier went, and `replayed` keys of the journal.
    pub fn up(&self, server: &Server, identity: Identity, dropped: usize, replayed: u64) {
        let before = {
            let mut standing = server.standing.lock();
            (standing.up, standing.since, standing.last_error, standing.decided) = (true, wall_ms(), None, true);
            standing.version.clone_from(&identity.version);
            standing.outage_since.take()
        };
        if server.is_replica() {
            return;
        }
        self.outages.end(server.place, &self.clock);
        match server.name() {
            None => self.status.up(identity, dropped, replayed),
            Some(node) => {
                let known = self.fleet.cluster().is_some_and(Cluster::is_decided);
                let well = self.fleet.cluster().is_some_and(|cluster| !cluster.is_lame());
                self.status.node_up(&node, before, identity, (dropped, replayed), (known, well));
            }
        }
    }

    /// A server is away.
    pub fn down(&self, server: &Server, trouble: &Trouble) {
        if server.place == 0 && self.fleet.cluster().is_some() {
            // Nobody was found by way of the URL: how the cluster's servers stand is another matter.
            return;
        }
        let news = {
            let mut standing = server.standing.lock();
            (standing.last_error, standing.decided) = (Some((trouble.clone(), wall_ms())), true);
            let news = standing.up || standing.outage_since.is_none();
            if news {
                (standing.up, standing.since) = (false, wall_ms());
                standing.outage_since = Some(standing.since);
            }
            news
        };
        // Its primary is read in its place: no caller sees anything of it.
        if server.is_replica() {
            return;
        }
        if self.fleet.cluster().is_none_or(|cluster| cluster.is_used(server)) {
            self.outages.begin(server.place, &self.clock);
        }
        match server.name() {
            None => self.status.down(trouble),
            Some(node) => {
                let known = self.fleet.cluster().is_some_and(Cluster::is_decided);
                self.status.node_down(&node, trouble, news, known.then_some(self.fleet.is_down()));
            }
        }
    }

    /// The router passes the end of a tag.
    pub fn tag_ended(&self) {
        self.tags_ended.fetch_add(1, Ordering::SeqCst);
    }

    pub fn tags_ended(&self) -> u64 {
        self.tags_ended.load(Ordering::SeqCst)
    }

    /// Whether a tag may have ended behind calls that the router had passed so many ends in front of.
    pub fn has_ended_tags(&self, passed: Option<u64>) -> bool {
        passed.is_some_and(|passed| self.tags_ended() != passed) && !mutant::lacks("behind-tag")
    }

    /// Those writes are planned, or never will be.
    pub fn writes_planned(&self, called: Vec<u32>) {
        called.into_iter().for_each(|at| self.fleet.called.planned(at));
    }

    /// A write of a stored key is called, or is to be planned once more; see `Batch::called`.
    pub fn write_called(&self, key: &str) -> u32 {
        let called = self.fleet.called.add(key);
        self.server(key).near.own_write(key);
        called
    }

    /// The server that a stored key belongs to.
    pub fn server(&self, key: &str) -> &Arc<Server> {
        self.fleet.of(key)
    }

    /// Calls handed over and not answered yet, whichever server they are for.
    pub fn in_flight(&self) -> usize {
        // What is under way to the servers of a cluster is a part of it.
        self.fleet.first().in_flight()
    }

    pub fn long(&self) -> usize {
        self.long.load(Ordering::SeqCst)
    }

    pub fn begin_long(&self) {
        self.long.fetch_add(1, Ordering::SeqCst);
    }

    pub fn end_long(&self) {
        self.long.fetch_sub(1, Ordering::SeqCst);
    }

    /// How long the server may take over what no caller waits for, such as a heartbeat: as long as the most patient
    /// cache allows, since a network that needs a `timeoutMs` of seconds is no outage to a PING either; never less than
    /// the default.
    pub fn patience(&self) -> Duration {
        Duration::from_micros(self.patience.load(Ordering::Relaxed)).max(DEFAULT_TIMEOUT)
    }

    /// An entry that outlives its TTL was stored or read: from here on each read asks for the time left. Until then
    /// reads omit PTTL, so the first grace entry of another process is a miss.
    pub fn note_grace(&self) {
        self.grace.store(true, Ordering::Relaxed);
    }

    pub fn has_grace(&self) -> bool {
        self.grace.load(Ordering::Relaxed)
    }

    /// The oldest, in milliseconds, that any cache takes from the near cache.
    pub fn max_age(&self) -> u64 {
        self.max_age.load(Ordering::Relaxed)
    }

    /// A cache with these options opens.
    pub fn allow(&self, options: &Options) {
        self.budget.allow(options.max_memory, options.near.and_then(|near| near.max_memory));
        if let Some(near) = options.near {
            let age = u64::try_from(near.max_age.as_millis()).unwrap_or(u64::MAX);
            self.max_age.fetch_max(age, Ordering::Relaxed);
        }
        let micros = u64::try_from(options.timeout.as_micros()).unwrap_or(u64::MAX);
        self.patience.fetch_max(micros, Ordering::Relaxed);
    }
}
