//! Drives a cluster on the engine's thread: its router, and a node for each of its servers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_channel::mpsc::UnboundedReceiver;
use futures_channel::oneshot;
use futures_util::StreamExt;
use tokio::runtime::Handle;

use super::driver::{Driver, Timer};
use crate::engine::cache::job::Job;
use crate::engine::fleet::members::LONGEST_PAUSE;
use crate::engine::fleet::server::{Gate, Server};
use crate::engine::fleet::topology::Topology;
use crate::engine::node::machine::{Node, Spread};
use crate::engine::route::router::{Router, Wish};
use crate::engine::task::executor::Tasks;

/// Jobs that are routed before anything else is looked at.
const MAX_JOBS: usize = 64;

/// Drives a node to its end; where it turns out to be a cluster's, the cluster.
pub async fn go_on(driver: Driver) {
    if let Some((spread, jobs)) = driver.await {
        drive(spread, jobs).await;
    }
}

/// Drives what turned out to be a cluster, until nobody can call any more and all has been answered.
async fn drive(spread: Spread, mut jobs: UnboundedReceiver<Job>) {
    let Spread { shared, tasks, waiting, topology } = spread;
    let mut router = Router::new(shared.clone(), tasks, &topology, Instant::now());
    waiting.into_iter().for_each(|job| router.call(job, Instant::now()));
    loop {
        let mut crew = Crew { router, jobs, scout: None, timer: Timer::new(), closed: false };
        let polled = std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| crew.poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(())),
        });
        if polled.await.is_ok() {
            return;
        }
        // What panics within is an outage like another: what is under way is answered, as its nodes end; then anew.
        let Crew { router: failed, jobs: left, .. } = crew;
        jobs = left;
        let _ = catch_unwind(AssertUnwindSafe(|| drop(failed)));
        shared.fleet.servers().for_each(|server| server.set_gate(Gate::Local));
        let rested = tokio::time::sleep(LONGEST_PAUSE);
        tokio::pin!(rested);
        std::future::poll_fn(|context| {
            while let Poll::Ready(Some(job)) = jobs.poll_next_unpin(context) {
                job.fall_back();
            }
            rested.as_mut().poll(context)
        })
        .await;
        let tasks = Tasks::new(Instant::now());
        tasks.spawner().drive();
        router = Router::new(shared.clone(), tasks, &topology, Instant::now());
    }
}

struct Crew {
    router: Router,
    jobs: UnboundedReceiver<Job>,
    /// Looks for the cluster where its URL says.
    scout: Option<oneshot::Receiver<Topology>>,
    timer: Timer,
    closed: bool,
}

impl Crew {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            let mut went_on = false;
            for _ in 0..MAX_JOBS {
                if self.closed {
                    break;
                }
                match self.jobs.poll_next_unpin(context) {
                    Poll::Pending => break,
                    Poll::Ready(Some(job)) => self.router.call(job, now),
                    Poll::Ready(None) => self.closed = true,
                }
                went_on = true;
            }
            went_on |= self.poll_scout(context, now);
            went_on |= self.router.run(context, now);
            if self.router.next_moment().is_some_and(|moment| moment <= now) {
                self.router.tick(now);
            }
            while let Some(wish) = self.router.wish() {
                went_on = true;
                self.fulfil(wish);
            }
            if self.closed && self.router.is_idle() {
                return Poll::Ready(());
            }
            if !went_on && self.timer.poll(self.router.next_moment(), context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn poll_scout(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        let Some(scout) = &mut self.scout else { return false };
        match std::pin::Pin::new(scout).poll(context) {
            Poll::Pending => false,
            Poll::Ready(found) => {
                self.scout = None;
                if let Ok(topology) = found {
                    self.router.learn(&topology, now);
                }
                true
            }
        }
    }

    fn fulfil(&mut self, wish: Wish) {
        let shared = self.router.shared.clone();
        match wish {
            Wish::Open(server, jobs) => {
                let node = node(&self.router, &server);
                Handle::current().spawn(async move { _ = Driver::new(node, jobs).await });
            }
            Wish::Scout if self.scout.is_none() => {
                let node = node(&self.router, shared.fleet.first());
                let (done, found) = oneshot::channel();
                self.scout = Some(found);
                Handle::current().spawn(async move {
                    let (_keep, jobs) = futures_channel::mpsc::unbounded();
                    if let Some((spread, _)) = Driver::new(node, jobs).await {
                        let _ = done.send(spread.topology);
                    }
                });
            }
            Wish::Scout => {}
        }
    }
}

fn node(router: &Router, server: &Arc<Server>) -> Node {
    let now = Instant::now();
    let tasks = Tasks::new(now);
    tasks.spawner().drive();
    Node::new(router.shared.clone(), server.clone(), tasks, now)
}
