//! The pump: while a connection is up, sends each batch as one pipeline, in the order of the calls.
//!
//! Replies come in the order of the pipelines, so one queue holds all that was sent, and an outage answers it from
//! front to back on the in-process tier: the order of the calls survives. Every pipeline has a deadline; the first one
//! missed is an outage, whatever TCP says, as a stopped server's kernel goes on acknowledging bytes. When nothing is in
//! flight a PING a second (`heartbeat`) does the same. What the replies mean stands in heard.rs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use redis::Pipeline;

use crate::engine::base::clock;
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::mutant;
use crate::engine::cache::job::{Job, Work};
use crate::engine::cache::shared::Shared;
use crate::engine::conversation::connection::{Connection, Steps};
use crate::engine::conversation::gather;
use crate::engine::conversation::stand_in;
use crate::engine::conversation::tasks;
use crate::engine::conversation::undo::sweep;
use crate::engine::exchange::plain::Plain;
use crate::engine::exchange::plan::Came;
use crate::engine::exchange::plan::Line;
use crate::engine::exchange::planner;
use crate::engine::exchange::tokens;
use crate::engine::net::target::REST;
use crate::engine::net::wire::HELD_UP;
use crate::engine::net::wire::asks::asking;
use crate::engine::serve::sent::{Cleanup, InFlight, Next, Place, PlaceOf, Reads, Sent};
use crate::engine::task::executor::Kept;
use crate::engine::task::queue::Queue;
use crate::engine::task::signal::Ending;
use crate::engine::task::timers::Timers;
use crate::engine::value::tags::Tokens;

/// And this long after the deadline of a heartbeat nobody vouches any more for what is held: see race 6 of near.rs.
const GRACE: Duration = Duration::from_millis(250);
/// The deadline of what has none of its own.
const UNHURRIED: Duration = Duration::from_secs(3_600);

/// For how long, in milliseconds, the reply to a request vouches for what is held, from when it was sent.
pub fn trust(shared: &Shared) -> u64 {
    u64::try_from((shared.habits.beat() + shared.patience() + GRACE).as_millis()).unwrap_or(u64::MAX)
}

/// What waits for the tokens of other servers.
struct Gathering {
    tokens: oneshot::Receiver<Tokens>,
    next: Next,
    _task: Kept,
}

/// A connection in use. Dropped, it answers all that is under way, from front to back, on the in-process tier.
pub struct Pump {
    pub(super) shared: Arc<Shared>,
    pub connection: Connection,
    /// What the server refused in a way that is an outage: its callers are told once that has been declared, before
    /// those of what was sent behind it.
    pub(super) refused: Option<Next>,
    pub(super) sent: Queue<Sent>,
    /// A job waits for tokens before it is planned: those that come wait behind it, as the order of jobs is the order
    /// on the wire.
    pub(super) stalled: bool,
    behind: VecDeque<Job>,
    /// What waits for tokens of other servers.
    gathering: Vec<Gathering>,
    /// When it began.
    pub since: Instant,
    pub(super) last_heard: Instant,
    /// When somebody called last.
    used: Instant,
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
            refused: None,
            stalled: false,
            behind: VecDeque::new(),
            gathering: Vec::new(),
            since: now,
            last_heard: now,
            used: now,
            held_up: None,
            unread: None,
            ending: Ending::default(),
        }
    }

    pub(super) fn send(&mut self, pipeline: Pipeline, sent: Sent) {
        self.connection.wire.send(&pipeline);
        let deadline = sent.deadline();
        self.sent.push_back(sent, deadline);
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.sent.is_empty() && self.behind.is_empty() && self.gathering.is_empty()
    }

    /// Nor is long work, which may be between two of its steps.
    pub fn is_quiet(&self) -> bool {
        self.is_idle() && !self.ending.is_watched()
    }

    /// Starts a job of a caller, or puts it behind those that still wait: jobs go to the wire in their order.
    pub fn start(&mut self, job: Job, now: Instant) {
        self.used = now;
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
        if let Some(plain) = self.ask(&job, now) {
            let deadline = job.deadline();
            return self.sent.push_back(Sent::Reads(Box::new(Reads::new(job, plain, now))), deadline);
        }
        if let Some(awaited) = job.tokens.take() {
            self.stalled = true;
            let next = Next::Plan(Box::new(job));
            return self.gather(next, now, |timers, patience| gather::awaited(awaited, timers, patience));
        }
        let (Connection { server, denied, .. }, ms) = (&self.connection, clock::millis_of(now));
        match &mut job.work {
            // On a cluster it was rendered, and its tokens asked for, by the router.
            Work::Batch(batch) if self.shared.fleet.cluster().is_none() => {
                batch.render();
                let wanted = tokens::wanted(&job.cache, batch, ms);
                if !wanted.0.is_empty() {
                    let (pipeline, asked) = tokens::ask(server, &job.cache, wanted, true, *denied, ms);
                    self.stalled = true;
                    return self.send(pipeline, Sent::Tokens(Box::new(asked), Next::Plan(Box::new(job))));
                }
            }
            Work::Tokens(keys, _) => {
                let wanted = (std::mem::take(keys), Tokens::new());
                let (pipeline, asked) = tokens::ask(server, &job.cache, wanted, true, *denied, ms);
                return self.send(pipeline, Sent::Tokens(Box::new(asked), Next::Give(Box::new(job))));
            }
            _ => {}
        }
        let known = job.known_tokens();
        self.plan(job, known, now);
    }

    /// Sends what a job asks for, if that is plain reads.
    fn ask(&self, job: &Job, now: Instant) -> Option<Plain> {
        let Work::Batch(batch) = &job.work else { return None };
        // Some are called for with tokens, whatever they are.
        if job.tokens.is_some() {
            return None;
        }
        let Connection { server, denied, wire, .. } = &self.connection;
        let line = Line { server, denied: *denied, asks: job.asks(), strays: job.strays() };
        let plain = Plain::of(&job.cache, &line, batch, clock::millis_of(now))?;
        wire.read(plain.commands(), |to| plain.encode(&job.cache, batch, to));
        Some(plain)
    }

    pub(super) fn plan(&mut self, mut job: Job, tokens: Tokens, now: Instant) {
        let (asks, strays) = (job.asks(), job.strays());
        job.note_tokens(&tokens);
        match &mut job.work {
            Work::Batch(batch) => {
                let ms = clock::millis_of(now);
                self.shared.writes_planned(std::mem::take(&mut batch.called));
                let line = Line { server: &self.connection.server, denied: self.connection.denied, asks, strays };
                let mut plan = planner::plan(&job.cache, &line, batch, &job.to, tokens, ms);
                let mut pipeline = std::mem::take(&mut plan.pipeline);
                if asks {
                    pipeline = asking(&pipeline);
                }
                let mut flight = InFlight::new(job, plan, now);
                if pipeline.is_empty() {
                    // All answered already: computations that end or wait, and keys that are none.
                    flight.settle(Came::All(Vec::new()), ms);
                } else {
                    self.send(pipeline, Sent::Batch(Box::new(flight)));
                }
            }
            Work::Task(called) => {
                // Here, and not where it is done: the order of jobs is the order of their effects.
                let placed = tasks::place(&job.cache, called, &self.connection);
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
                self.connection.tasks.spawn(tasks::run(job, placed, steps, self.ending.watch()));
            }
            Work::Tokens(..) | Work::Nothing => {}
        }
    }

    /// Goes on with `next` once other servers have given the tokens that it needs.
    pub(super) fn gather<F: Future<Output = Tokens> + Send + 'static>(
        &mut self,
        next: Next,
        now: Instant,
        tokens: impl FnOnce(Timers, Duration) -> F,
    ) {
        // Half of the time that is left: what needs them is still to be sent, or to be answered.
        let patience = next.deadline().saturating_duration_since(now) / 2;
        let asked = tokens(self.connection.wire.timers().clone(), patience);
        let (done, tokens) = oneshot::channel();
        let task = self.connection.tasks.spawn_for(async move {
            let _ = done.send(asked.await);
        });
        self.gathering.push(Gathering { tokens, next, _task: task });
    }

    /// What has its tokens now.
    pub(super) fn gathered(&mut self) -> Option<(Next, Tokens)> {
        for at in 0..self.gathering.len() {
            let tokens = match self.gathering[at].tokens.try_recv() {
                Ok(None) => continue,
                Ok(Some(tokens)) => tokens,
                Err(_) => Tokens::new(),
            };
            return Some((self.gathering.remove(at).next, tokens));
        }
        None
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
            self.send(renewals, Sent::Cleanup(Cleanup::of(deadline)));
            self.unread = Some(deadline);
        }
    }

    /// The moment at which `tick` has something to do.
    pub fn next_moment(&self) -> Option<Instant> {
        let rest = self.shared.habits.lazy.then(|| self.used + REST);
        [self.held_up.or_else(|| self.due()), rest].into_iter().flatten().min()
    }

    fn due(&self) -> Option<Instant> {
        let beat = self.shared.habits.heartbeat.map(|beat| self.last_heard + beat);
        self.sent.earliest().or(beat)
    }

    /// Nobody has called for so long that the connection may be closed.
    pub fn may_rest(&self, now: Instant) -> bool {
        self.shared.habits.lazy && self.used + REST <= now && self.is_quiet()
    }

    /// A moment has come, or long passed.
    pub fn tick(&mut self, now: Instant) -> Result<(), Trouble> {
        let Some(due) = self.due().filter(|due| self.held_up.unwrap_or(*due) <= now) else { return Ok(()) };
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
        // Front to back; each answers its callers as it goes. What waits to be judged was sent before the rest, what
        // waits to be planned is behind it.
        let gathering = std::mem::take(&mut self.gathering);
        let (judged, planned): (Vec<_>, Vec<_>) =
            gathering.into_iter().partition(|one| matches!(one.next, Next::Settle(_)));
        drop(judged);
        drop(self.refused.take());
        while let Some(sent) = self.sent.pop_front() {
            drop(sent);
        }
        drop(planned);
        self.behind.drain(..).for_each(drop);
    }
}
