//! The pump: while a connection is up, sends each batch as one pipeline and answers it when its replies are in.
//!
//! Replies come in the order of the pipelines, so one queue holds all that was sent, and an outage answers it from front to back on the
//! in-process tier: the order of the calls survives. Every pipeline has a deadline; the first one missed is an outage, whatever
//! TCP says, as a stopped server's kernel goes on acknowledging bytes. When nothing is in flight a PING a second does the same.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use redis::{Pipeline, Value};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use crate::engine::base::clock::now_ms;
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::cache::job::{Job, Work};
use crate::engine::cache::shared::{Gate, Shared};
use crate::engine::conversation::connection::Connection;
use crate::engine::conversation::sweep::{Steps, Sweeper};
use crate::engine::conversation::tasks;
use crate::engine::exchange::planner;
use crate::engine::exchange::tokens;
use crate::engine::net::wire::HELD_UP;
use crate::engine::node::queue::Queue;
use crate::engine::node::sent::{InFlight, Next, Place, PlaceOf, Sent};
use crate::engine::value::tags::Tokens;

/// An idle connection is asked this often whether it lives.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// And this long after the deadline of a heartbeat nobody vouches any more for what is held: see race 6 of near.rs.
const GRACE: Duration = Duration::from_millis(250);

/// The deadline of what has none of its own.
const UNHURRIED: Duration = Duration::from_secs(3_600);
/// After so much work at a stretch the thread, which all engines share, is given to others that have something to do.
const STRETCH: Duration = Duration::from_millis(1);

/// For how long, in milliseconds, the reply to a request vouches for what is held, from when it was sent.
pub fn trust(shared: &Shared) -> u64 {
    u64::try_from((HEARTBEAT + shared.patience() + GRACE).as_millis()).unwrap_or(u64::MAX)
}

/// Why serving ended.
pub enum End {
    Outage(Kind),
    /// No cache is left.
    Closed,
}

/// Serves until the connection fails or the last cache is gone. What was in flight then has been answered, and the gate is local.
pub async fn serve(
    shared: &Arc<Shared>,
    connection: &mut Connection,
    jobs: &mut UnboundedReceiver<Job>,
    waiting: VecDeque<Job>,
) -> End {
    let mut pump = Pump {
        connection,
        replies: FuturesOrdered::new(),
        sent: Queue::default(),
        stalled: false,
        behind: VecDeque::new(),
        ended: watch::Sender::new(()),
    };
    let _sweeper = Sweeper::start(shared, pump.connection);
    for job in waiting {
        pump.start(job);
    }
    let trouble = match pump.run(shared, jobs).await {
        Ok(()) => return End::Closed,
        Err(trouble) => trouble,
    };
    lose(shared, &trouble);
    // Front to back; each answers its callers as it goes.
    while let Some(sent) = pump.sent.pop_front() {
        drop(sent);
    }
    pump.behind.drain(..).for_each(drop);
    End::Outage(trouble.kind)
}

/// The connection is gone: callers run on the in-process tier from here on.
pub fn lose(shared: &Shared, trouble: &Trouble) {
    // First: what is served behind this line is no longer vouched for.
    shared.near.disarm(now_ms());
    shared.waiting.wake_all();
    shared.journal.lose();
    shared.errors.count(trouble.kind);
    shared.status.down(trouble);
    *shared.gate.write() = Gate::Local;
}

pub(super) struct Pump<'a, F: Future> {
    pub(super) connection: &'a mut Connection,
    replies: FuturesOrdered<F>,
    sent: Queue<Sent>,
    /// A job waits for tokens before it is planned: those that come wait behind it, as the order of jobs is the order on the wire.
    pub(super) stalled: bool,
    behind: VecDeque<Job>,
    /// Dropped when all that was sent has been answered.
    ended: watch::Sender<()>,
}

/// The replies of one pipeline.
pub(super) type Replies = BoxFuture<'static, Result<Vec<Value>, Trouble>>;

impl Pump<'_, Replies> {
    pub(super) fn send(&mut self, pipeline: Pipeline, sent: Sent) {
        self.replies.push_back(Box::pin(self.connection.wire.clone().send(pipeline)));
        let deadline = sent.deadline();
        self.sent.push_back(sent, deadline);
    }

    fn start(&mut self, mut job: Job) {
        if self.stalled {
            return self.behind.push_back(job);
        }
        if let Work::Batch(batch) = &mut job.work {
            batch.render();
            let wanted = tokens::wanted(&job.cache, batch);
            if !wanted.is_empty() {
                self.stalled = true;
                let (pipeline, asked) = tokens::ask(&job.cache, wanted, true, self.connection.denied);
                return self.send(pipeline, Sent::Tokens(Box::new(asked), Next::Plan(job)));
            }
        }
        self.plan(job, Tokens::new());
    }

    /// A job that waited behind another one, should that be planned.
    fn next_behind(&mut self) -> Option<Job> {
        if self.stalled { None } else { self.behind.pop_front() }
    }

    pub(super) fn plan(&mut self, mut job: Job, tokens: Tokens) {
        match &mut job.work {
            Work::Batch(batch) => {
                let mut plan = planner::plan(&job.cache, batch, &job.to, self.connection.denied, tokens);
                let pipeline = std::mem::take(&mut plan.pipeline);
                let mut flight = InFlight { job: Some(job), plan: Some(plan), sent: Instant::now() };
                if pipeline.is_empty() {
                    // All answered already: computations that end or wait, and keys that are none.
                    flight.settle(None);
                } else {
                    self.send(pipeline, Sent::Batch(Box::new(flight)));
                }
            }
            Work::Task(called) => {
                // Here, and not where it is done: the order of jobs is the order of their effects.
                let placed = tasks::place(&job.cache, called, &self.connection.wire);
                if let Some(pattern) = placed.pattern() {
                    let deadline = Instant::now() + UNHURRIED;
                    let place = PlaceOf { cache: job.cache.clone(), pattern, deadline, passed: false };
                    self.replies.push_back(Box::pin(std::future::ready(Ok(Vec::new()))));
                    self.sent.push_back(Sent::Sweep(Place(Box::new(place))), deadline);
                }
                let ended = self.ended.subscribe();
                let steps = Steps {
                    wire: self.connection.wire.clone(),
                    denied: self.connection.denied,
                    patience: job.cache.timeout,
                };
                tokio::spawn(tasks::run(job, placed, steps, ended));
            }
            Work::Nothing => {}
        }
    }

    async fn run(&mut self, shared: &Shared, jobs: &mut UnboundedReceiver<Job>) -> Result<(), Trouble> {
        // Found out by work beside the pump.
        let wire = self.connection.wire.clone();
        let mut last_heard = Instant::now();
        let mut held_up = false;
        // Armed for the earliest deadline when it was set; later ones only move it when it fires, so a batch sets no timer.
        let mut armed = Instant::now() + HEARTBEAT;
        let timer = tokio::time::sleep_until(armed.into());
        tokio::pin!(timer);
        // How long it has worked since it last gave way.
        let mut worked = Duration::ZERO;
        loop {
            if worked >= STRETCH {
                worked = Duration::ZERO;
                tokio::task::yield_now().await;
            }
            // One at a time: there may be many.
            if let Some(job) = self.next_behind() {
                let began = Instant::now();
                self.start(job);
                worked += began.elapsed();
                continue;
            }
            let next = self.sent.earliest().unwrap_or(last_heard + HEARTBEAT);
            if next < armed && !held_up {
                armed = next;
                timer.as_mut().reset(armed.into());
            }
            tokio::select! {
                biased;
                // First, as it also writes what was queued: the order of jobs is the order on the wire.
                Some(result) = self.replies.next(), if !self.sent.is_empty() => {
                    let began = Instant::now();
                    let sent = self.sent.pop_front();
                    if !matches!(sent, Some(Sent::Sweep(_))) {
                        last_heard = began;
                        held_up = false;
                    }
                    let values = match result {
                        Ok(values) => values,
                        Err(trouble) => {
                            // It stays at the front, to be answered with the others behind it.
                            if let Some(sent) = sent {
                                self.sent.put_back(sent);
                            }
                            return Err(trouble);
                        }
                    };
                    self.heard(shared, sent, values)?;
                    worked += began.elapsed();
                }
                job = jobs.recv() => match job {
                    Some(job) => {
                        let began = Instant::now();
                        self.start(job);
                        worked += began.elapsed();
                    }
                    // In flight, with nobody left to send more: wait for the rest.
                    None if self.sent.is_empty() => return Ok(()),
                    None => self.drain(shared).await?,
                },
                trouble = wire.failed() => return Err(trouble),
                _ = &mut self.connection.driver => {
                    return Err(Trouble::new(Kind::Connection, "the server closed the connection"));
                }
                () = &mut timer => {
                    let now = Instant::now();
                    if next <= now {
                        if self.sent.is_empty() {
                            self.send(ping(), Sent::Ping(now, now + shared.patience()));
                        } else if now.duration_since(armed) > HELD_UP && !held_up {
                            held_up = true;
                            armed = now + HELD_UP;
                            timer.as_mut().reset(armed.into());
                            continue;
                        } else if !held_up || now >= armed {
                            return Err(Trouble::new(Kind::Timeout, "the server did not answer in time"));
                        }
                    }
                    armed = self.sent.earliest().unwrap_or(last_heard + HEARTBEAT).max(now);
                    timer.as_mut().reset(armed.into());
                }
            }
        }
    }

    async fn drain(&mut self, shared: &Shared) -> Result<(), Trouble> {
        while let Some(sent) = self.sent.pop_front() {
            let deadline = sent.deadline();
            match tokio::time::timeout_at(deadline.into(), self.replies.next()).await {
                Ok(Some(Ok(values))) => self.heard(shared, Some(sent), values)?,
                _ => return Ok(()),
            }
            while let Some(job) = self.next_behind() {
                self.start(job);
            }
        }
        Ok(())
    }
}

fn ping() -> Pipeline {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("PING");
    pipeline
}
