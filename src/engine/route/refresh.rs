//! Asks the cluster for what it knows of itself: when, and whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::engine::base::random::Random;
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::finding::ask_node;
use crate::engine::fleet::pace::{Found, PERIOD, Pace};
use crate::engine::fleet::server::{InUse, Server};
use crate::engine::fleet::topology::Topology;
use crate::engine::task::executor::{Kept, Spawner};

/// So many servers are asked for one refresh, one after the other.
const MOST_ASKED: usize = 3;
/// Each may take so long.
const PATIENCE: Duration = Duration::from_millis(500);
/// Where no server can be asked, the URL's address is dialled this often at the most.
const SCOUTING: Duration = Duration::from_secs(5);

pub struct Refresh {
    pace: Pace,
    under_way: Option<(oneshot::Receiver<Option<Topology>>, Kept)>,
    bounces: u64,
    up: usize,
    /// A server that serves slots is away.
    lame: bool,
    scouted: Option<Instant>,
}

impl Refresh {
    /// What there is was learnt just now.
    pub fn new(random: Random, now: Instant) -> Self {
        let mut pace = Pace::new(PERIOD, random, now);
        pace.begin(now);
        pace.end(Found::Same, now);
        Self { pace, under_way: None, bounces: 0, up: 0, lame: false, scouted: None }
    }

    /// Something happened to a server.
    pub fn stirred(&mut self, shared: &Shared, now: Instant) {
        let bounces = shared.fleet.bounces();
        let up = shared.fleet.servers().filter(|server| server.standing.lock().up).count();
        let lame = shared.fleet.cluster().is_some_and(|cluster| cluster.is_lame());
        if lame && !self.lame {
            self.pace.hurry(now);
        }
        self.lame = lame;
        if bounces != self.bounces || up < self.up {
            self.pace.wish(now);
        }
        (self.bounces, self.up) = (bounces, up);
    }

    /// Slots that nobody serves are expected to get an owner.
    pub fn wish(&mut self, now: Instant) {
        self.pace.wish(now);
    }

    /// Begins a refresh, where one is due: whether there was anybody to ask; none where none is due.
    pub fn begin(&mut self, shared: &Arc<Shared>, spawner: &Spawner, now: Instant) -> Option<bool> {
        if self.under_way.is_some() || !self.pace.begin(now) {
            return None;
        }
        let mut servers: Vec<(Arc<Server>, InUse)> = Vec::new();
        for server in shared.fleet.servers() {
            if let Some(in_use) = &*server.in_use.lock() {
                servers.push((server.clone(), in_use.clone()));
            }
        }
        shared.random.shuffle(&mut servers);
        // Replicas last: one that was away for a while believes what was so before.
        servers.sort_by_key(|(server, _)| server.is_replica());
        if servers.is_empty() {
            self.pace.end(Found::Nothing, now);
            let due = self.scouted.is_none_or(|last| now.saturating_duration_since(last) >= SCOUTING);
            if due {
                self.scouted = Some(now);
            }
            return due.then_some(false);
        }
        let (done, found) = oneshot::channel();
        let on = shared.clone();
        let task = spawner.spawn_for(async move {
            let mut topology = None;
            for (server, in_use) in servers.into_iter().take(MOST_ASKED) {
                topology = ask(on.clone(), server, in_use).await;
                if topology.is_some() {
                    break;
                }
            }
            let _ = done.send(topology);
        });
        self.under_way = Some((found, task));
        Some(true)
    }

    /// What a refresh found, once it is there.
    pub fn found(&mut self, now: Instant) -> Option<Topology> {
        let (found, _) = self.under_way.as_mut()?;
        let topology = match found.try_recv() {
            Ok(None) => return None,
            Ok(Some(topology)) => topology,
            Err(_) => None,
        };
        self.under_way = None;
        if topology.is_none() {
            self.pace.end(Found::Nothing, now);
        }
        topology
    }

    /// It was looked at; whether it changed anything.
    pub fn learnt(&mut self, shared: &Shared, changed: bool, now: Instant) {
        self.lame = shared.fleet.cluster().is_some_and(|cluster| cluster.is_lame());
        self.pace.end(if changed { Found::Change } else { Found::Same }, now);
        // While a server is away, its slots are expected to go to another one.
        if self.lame {
            self.pace.wish(now);
        }
    }

    pub fn next_moment(&self) -> Option<Instant> {
        self.pace.next_moment()
    }
}

async fn ask(shared: Arc<Shared>, server: Arc<Server>, in_use: InUse) -> Option<Topology> {
    let InUse { wire, tasks, .. } = in_use;
    let (done, said) = oneshot::channel();
    let _task = tasks.spawn_for(async move {
        let asked = async {
            let cluster = shared.fleet.cluster()?;
            let at = server.at.as_ref()?;
            let target = cluster.access.at((at.host().to_owned(), at.port()));
            let asked = ask_node(&wire, &target, &cluster.map);
            wire.timers().within(PATIENCE, asked).await.ok()?.ok()
        };
        let _ = done.send(asked.await);
    });
    said.await.ok()?
}
