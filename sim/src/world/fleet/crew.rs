//! What drives a cluster in a process, as src/engine/drive/crew.rs does on the engine's thread: the router, and a node
//! for each of its servers.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use futures_channel::mpsc::UnboundedReceiver;
use holdfast::engine::cache::job::Job;
use holdfast::engine::fleet::server::Server;
use holdfast::engine::node::machine::{Node, Spread};
use holdfast::engine::route::router::{Router, Wish};
use holdfast::engine::task::executor::Tasks;

use crate::history::{Mode, State};
use crate::world::fleet::line::Line;
use crate::world::process::Process;

pub struct Crew {
    pub router: Router,
    jobs: UnboundedReceiver<Job>,
    /// Calls that came before it was known to be a cluster.
    waiting: VecDeque<Job>,
    /// Which line looks for the cluster where its URL says.
    scout: Option<usize>,
}

impl Crew {
    fn new(spread: Spread, jobs: UnboundedReceiver<Job>, now: Instant) -> Self {
        let Spread { shared, tasks, waiting, topology } = spread;
        Self { router: Router::new(shared, tasks, &topology, now), jobs, waiting, scout: None }
    }

    fn round(&mut self, now: Instant, jobs: usize, context: &mut Context<'_>, lines: &mut Vec<Line>) -> bool {
        let mut went_on = false;
        while let Some(job) = self.waiting.pop_front() {
            self.router.call(job, now);
            went_on = true;
        }
        for _ in 0..jobs {
            let Ok(job) = self.jobs.try_recv() else { break };
            self.router.call(job, now);
            went_on = true;
        }
        if let Some(at) = self.scout.filter(|at| lines[*at].node.is_ended()) {
            self.scout = None;
            went_on = true;
            if let Some(spread) = lines[at].node.spread() {
                self.router.learn(&spread.topology, now);
            }
        }
        went_on |= self.router.run(context, now);
        if self.router.next_moment().is_some_and(|moment| moment <= now) {
            self.router.tick(now);
        }
        while let Some(wish) = self.router.wish() {
            went_on = true;
            match wish {
                Wish::Open(server, jobs) => lines.push(Line::new(self.node(&server, now), jobs)),
                Wish::Scout if self.scout.is_none() => {
                    self.scout = Some(lines.len());
                    let node = self.node(&self.router.shared.fleet.first().clone(), now);
                    lines.push(Line::scout(node));
                }
                Wish::Scout => {}
            }
        }
        went_on
    }

    fn node(&self, server: &Arc<Server>, now: Instant) -> Node {
        let tasks = Tasks::new(now);
        tasks.spawner().drive();
        Node::new(self.router.shared.clone(), server.clone(), tasks, now)
    }
}

impl Process {
    /// The cluster's part of a round.
    pub(in crate::world) fn lead(&mut self, now: Instant, jobs: usize, context: &mut Context<'_>) -> bool {
        let mut went_on = false;
        if self.crew.is_none() && self.lines[0].node.is_spread() {
            let jobs = self.lines[0].leave();
            self.crew = self.lines[0].node.spread().map(|spread| Crew::new(spread, jobs, now));
            went_on = true;
        }
        match &mut self.crew {
            Some(crew) => crew.round(now, jobs, context, &mut self.lines) || went_on,
            None => went_on,
        }
    }

    /// The servers on which something is to be undone. One that serves nothing any more keeps that until it comes back.
    pub(in crate::world) fn serving(&self) -> impl Iterator<Item = &Arc<Server>> {
        let cluster = self.shared.fleet.cluster();
        let serves =
            move |server: &&Arc<Server>| cluster.is_none_or(|cluster| server.place == 0 || cluster.is_used(server));
        self.shared.fleet.servers().filter(serves)
    }

    /// How a process stands whose servers may be away one by one. Two moments with the same state have no change of
    /// any server between them; and it is in redis mode where all servers are that have keys of the schedule.
    pub(in crate::world) fn standing(&self, slots: &[u16]) -> Option<State> {
        let cluster = self.shared.fleet.cluster()?;
        let mut hash = DefaultHasher::new();
        for server in cluster.servers() {
            let standing = server.standing.lock();
            (standing.up, standing.since).hash(&mut hash);
        }
        let is_up = |slot: &u16| cluster.server(cluster.owner(*slot)).is_some_and(|server| server.standing.lock().up);
        let since = hash.finish() >> 8;
        let mode = if slots.iter().all(is_up) {
            Mode::Redis
        } else if slots.iter().any(is_up)
            || self.shared.status.standing().0 != holdfast::engine::cache::status::Mode::Memory
        {
            // Nobody knows where a call went.
            Mode::Partly
        } else {
            Mode::Memory
        };
        Some(State { mode, since })
    }
}
