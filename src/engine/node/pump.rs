//! The pump: while a connection is up, sends each batch as one pipeline, in the order of the calls.
//!
//! Replies come in the order of the pipelines, so one queue holds all that was sent, and an outage answers it from
//! front to back on the in-process tier: the order of the calls survives. Every pipeline has a deadline; the first one
//! missed is an outage, whatever TCP says, as a stopped server's kernel goes on acknowledging bytes. When nothing is in
//! flight a PING a second does the same. What the replies mean stands in heard.rs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Pipeline;

use crate::engine::base::clock;
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::mutant;
use crate::engine::cache::job::{Job, Work};
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::connection::{Connection, Steps};
use crate::engine::conversation::stand_in;
use crate::engine::conversation::sweep;
use crate::engine::conversation::tasks;
use crate::engine::exchange::plan::Came;
use crate::engine::exchange::{planner, tokens};
use crate::engine::net::wire::HELD_UP;
use crate::engine::node::sent::{InFlight, Next, Place, PlaceOf, Sent};
use crate::engine::task::executor::Kept;
use crate::engine::task::queue::Queue;
use crate::engine::task::signal::Ending;
use crate::engine::value::tags::Tokens;

/// An idle connection is asked this often whether it lives.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// And this long after the deadline of a heartbeat nobody vouches any more for what is held: see race 6 of near.rs.
const GRACE: Duration = Duration::from_millis(250);
/// The deadline of what has none of its own.
const UNHURRIED: Duration = Duration::from_secs(3_600);

/// For how long, in milliseconds, the reply to a request vouches for what is held, from when it was sent.
pub fn trust(shared: &Shared) -> u64 {
    u64::try_from((HEARTBEAT + shared.patience() + GRACE).as_millis()).unwrap_or(u64::MAX)
}

/// A connection in use. Dropped, it answers all that is under way, from front to back, on the in-process tier.
pub struct Pump {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Connection,
    pub(super) sent: Queue<Sent>,
    /// A job waits for tokens before it is planned: those that come wait behind it, as the order of jobs is the order
    /// on the wire.
    pub(super) stalled: bool,
    behind: VecDeque<Job>,
    /// When it began.
    pub(super) since: Instant,
    pub(super) last_heard: Instant,
    /// This process was stopped, and not the server: the replies have until then to come.
    held_up: Option<Instant>,
    /// Leases were renewed for an event loop that is blocked: what is due until then may lie in the socket, unread.
    unread: Option<Instant>,
    _sweeper: Kept,
    /// Ends when all that was sent has been answered: the last field, as fields are dropped in their order.
    ending: Ending,
}

impl Pump {
    pub fn new(shared: &Arc<Shared>, connection: Connection, now: Instant) -> Self {
        Self {
            _sweeper: sweep::start(shared, &connection),
            shared: shared.clone(),
            connection,
            sent: Queue::default(),
            stalled: false,
            behind: VecDeque::new(),
            since: now,
            last_heard: now,
            held_up: None,
            unread: None,
            ending: Ending::default(),
        }
    }

    pub(super) fn send(&mut self, mut pipeline: Pipeline, sent: Sent) {
        self.connection.wire.send(&mut pipeline);
        let deadline = sent.deadline();
        self.sent.push_back(sent, deadline);
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.sent.is_empty() && self.behind.is_empty()
    }

    /// Nor is long work, which may be between two of its steps.
    pub fn is_quiet(&self) -> bool {
        self.is_idle() && !self.ending.is_watched()
    }

    /// Starts a job of a caller, or puts it behind those that still wait: jobs go to the wire in their order.
    pub fn start(&mut self, job: Job, now: Instant) {
        if (self.stalled || !self.behind.is_empty()) && !mutant::lacks("order") {
            return self.behind.push_back(job);
        }
        self.begin(job, now);
    }

    /// Starts the first job that waits, unless the one in front of it still waits for tokens; whether it started one.
    pub fn start_next(&mut self, now: Instant) -> bool {
        if self.stalled {
            return false;
        }
        let Some(job) = self.behind.pop_front() else { return false };
        self.begin(job, now);
        true
    }

    fn begin(&mut self, mut job: Job, now: Instant) {
        if let Work::Batch(batch) = &mut job.work {
            batch.render();
            let ms = clock::millis_of(now);
            let wanted = tokens::wanted(&job.cache, batch, ms);
            if !wanted.0.is_empty() {
                self.stalled = true;
                let (pipeline, asked) = tokens::ask(&job.cache, wanted, true, self.connection.denied, ms);
                return self.send(pipeline, Sent::Tokens(Box::new(asked), Next::Plan(Box::new(job))));
            }
        }
        self.plan(job, Tokens::new(), now);
    }

    pub(super) fn plan(&mut self, mut job: Job, tokens: Tokens, now: Instant) {
        match &mut job.work {
            Work::Batch(batch) => {
                let ms = clock::millis_of(now);
                self.connection.server.near.writes_planned(std::mem::take(&mut batch.called));
                let mut plan = planner::plan(&job.cache, batch, &job.to, self.connection.denied, tokens, ms);
                let pipeline = std::mem::take(&mut plan.pipeline);
                let came = Vec::new();
                let mut flight = InFlight { job: Some(job), plan: Some(plan), sent: now, came };
                if pipeline.is_empty() {
                    // All answered already: computations that end or wait, and keys that are none.
                    flight.settle(Came::All(Vec::new()), ms);
                } else {
                    self.send(pipeline, Sent::Batch(Box::new(flight)));
                }
            }
            Work::Task(called) => {
                // Here, and not where it is done: the order of jobs is the order of their effects.
                let placed = tasks::place(&job.cache, called, &self.connection.server, &self.connection.wire);
                if let Some(pattern) = placed.pattern() {
                    let deadline = now + UNHURRIED;
                    let place = PlaceOf { cache: job.cache.clone(), pattern, deadline, passed: false };
                    self.sent.push_back(Sent::Sweep(Place(Box::new(place))), deadline);
                    self.pass_places();
                }
                let steps = Steps {
                    server: self.connection.server.clone(),
                    wire: self.connection.wire.clone(),
                    denied: self.connection.denied,
                    patience: job.cache.timeout,
                };
                self.shared.tasks.spawn(tasks::run(job, placed, steps, self.ending.watch()));
            }
            Work::Nothing => {}
        }
    }

    /// What was sent in front of them has been answered: sweeps that stand there have their place.
    pub(super) fn pass_places(&mut self) {
        while let Some(Sent::Sweep(_)) = self.sent.front() {
            if let Some(Sent::Sweep(mut place)) = self.sent.pop_front() {
                place.0.passed = true;
            }
        }
    }

    /// The replies of a pipeline came.
    pub(super) fn heard_at(&mut self, now: Instant) {
        self.last_heard = now;
        self.held_up = None;
    }

    /// Renews the leases of an event loop that is blocked.
    pub fn stand_in(&mut self, now: Instant) {
        if let Some(renewals) = stand_in::renewals(&self.shared, clock::millis_of(now)) {
            let deadline = now + self.shared.patience();
            self.send(renewals, Sent::Cleanup(deadline, Vec::new()));
            self.unread = Some(deadline);
        }
    }

    /// The moment at which `tick` has something to do.
    pub fn next_moment(&self) -> Instant {
        self.held_up.unwrap_or_else(|| self.due())
    }

    fn due(&self) -> Instant {
        self.sent.earliest().unwrap_or(self.last_heard + HEARTBEAT)
    }

    /// A moment has come, or long passed.
    pub fn tick(&mut self, now: Instant) -> Result<(), Trouble> {
        if self.next_moment() > now {
            return Ok(());
        }
        let due = self.due();
        if self.sent.is_empty() {
            let mut ping = Pipeline::new();
            ping.cmd("PING");
            self.send(ping, Sent::Ping(now, now + self.shared.patience()));
            return Ok(());
        }
        let unread = self.unread.is_some_and(|until| due <= until);
        if self.held_up.is_none() && (unread || now.saturating_duration_since(due) > HELD_UP) {
            self.held_up = Some(now + HELD_UP);
            return Ok(());
        }
        Err(Trouble::new(Kind::Timeout, "the server did not answer in time"))
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        // Front to back; each answers its callers as it goes.
        while let Some(sent) = self.sent.pop_front() {
            drop(sent);
        }
        self.behind.drain(..).for_each(drop);
    }
}
