//! What drives a cluster in a process, as src/engine/drive/crew.rs does on the engine's thread: the router, and a node
//! for each of its servers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use futures_channel::mpsc::UnboundedReceiver;
use holdfast::engine::cache::job::Job;
use holdfast::engine::fleet::server::Server;
use holdfast::engine::node::machine::{Node, Spread};
use holdfast::engine::route::router::{Router, Wish};
use holdfast::engine::task::executor::Tasks;

use crate::world::fleet::line::Line;
use crate::world::fleet::woken::Woken;

pub struct Crew {
    pub router: Router,
    jobs: UnboundedReceiver<Job>,
    /// Calls that came before it was known to be a cluster.
    waiting: VecDeque<Job>,
    /// Which line looks for the cluster where its URL says.
    scout: Option<usize>,
}

impl Crew {
    pub fn new(spread: Spread, jobs: UnboundedReceiver<Job>, now: Instant) -> Self {
        let Spread { shared, tasks, waiting, topology } = spread;
        Self { router: Router::new(shared, tasks, &topology, now), jobs, waiting, scout: None }
    }

    pub fn round(
        &mut self,
        now: Instant,
        jobs: usize,
        context: &mut Context<'_>,
        lines: &mut Vec<Line>,
        woken: &Arc<Woken>,
    ) -> bool {
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
                Wish::Open(server, jobs) => lines.push(Line::new(self.node(&server, now), server, jobs, woken)),
                Wish::Scout if self.scout.is_none() => {
                    self.scout = Some(lines.len());
                    let first = self.router.shared.fleet.first().clone();
                    lines.push(Line::scout(self.node(&first, now), first, woken));
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
