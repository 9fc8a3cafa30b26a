//! What was sent and waits for its replies. Dropped, it is answered on the in-process tier.

use std::sync::Arc;
use std::time::Instant;

use redis::{Pipeline, Value};

use crate::engine::base::mutant;
use crate::engine::base::pattern::Pattern;
use crate::engine::cache::job::{Job, Work};
use crate::engine::cache::namespace::Cache;
use crate::engine::call::reply::Reply;
use crate::engine::exchange::plain::Plain;
use crate::engine::exchange::plan::{Came, Plan, Verdict};
use crate::engine::exchange::tokens::Asked;
use crate::engine::fleet::server::Server;
use crate::engine::net::reply::{classify, is_redirect};
use crate::engine::net::wire::asks::{asked, asking};
use crate::engine::once::waiters::Answers;
use crate::engine::value::tags::Tokens;

/// A pipeline under way.
pub(super) enum Sent {
    Batch(Box<InFlight>),
    /// Nothing but plain reads.
    Reads(Box<Reads>),
    /// Since when, and until when it must be answered.
    Ping(Instant, Instant),
    /// Fire-and-forget commands.
    Cleanup(Cleanup),
    /// The place of a sweep among the calls.
    Sweep(Place),
    /// Asks for the tokens of tags; then goes on with what needs them.
    Tokens(Box<Asked>, Next),
    /// Reads again the first bytes of entries, and their time left: the replies at these places, whose headers were
    /// cut.
    Heads(Vec<usize>, Box<InFlight>),
    /// Gives entries a new TTL: those whose first bytes are at these places.
    Renewals(Vec<usize>, Box<InFlight>),
}

/// What no call waits for.
pub(super) struct Cleanup {
    pub(super) deadline: Instant,
    /// The keys that it removes first, whose writes the server refused.
    pub(super) removed: Vec<String>,
    /// Each key by a command of its own.
    pub(super) each: bool,
    /// Each command behind an ASKING.
    pub(super) asks: bool,
}

impl Cleanup {
    pub(super) fn of(deadline: Instant) -> Self {
        Self { deadline, removed: Vec::new(), each: false, asks: false }
    }

    /// The replies to its commands.
    pub(super) fn replies(&self, values: Vec<Value>) -> Vec<Value> {
        if self.asks { asked(values) } else { values }
    }
}

/// What needs tokens. Dropped, it is answered on the in-process tier.
pub(super) enum Next {
    /// This job is planned, and those that came behind it.
    Plan(Box<Job>),
    /// This job had them asked for, for calls of another server.
    Give(Box<Job>),
    /// The replies that came to this are read.
    Settle(Box<InFlight>),
}

impl Next {
    pub(super) fn deadline(&self) -> Instant {
        match self {
            Self::Plan(job) | Self::Give(job) => job.deadline(),
            Self::Settle(flight) => flight.deadline(),
        }
    }
}

/// Where a sweep stands among the calls that were sent. Where an outage answers these on the in-process tier, it takes
/// its place there as well: behind what those before it wrote, and in front of those behind it.
pub(super) struct Place(pub(super) Box<PlaceOf>);

pub(super) struct PlaceOf {
    pub(super) cache: Arc<Cache>,
    pub(super) pattern: Pattern,
    /// Far off: its steps have deadlines of their own.
    pub(super) deadline: Instant,
    /// Those before it have been answered.
    pub(super) passed: bool,
}

impl Drop for PlaceOf {
    fn drop(&mut self) {
        if !self.passed {
            let (memory, clock) = (&self.cache.shared().memory, &self.cache.shared().clock);
            let mark = memory.raise(&self.pattern, false);
            // Else with the next walk, which is that of its task.
            if memory.is_small() {
                memory.sweep_at_once(&mark, clock.now_ms());
            }
        }
    }
}

pub(super) struct InFlight {
    pub(super) job: Option<Job>,
    pub(super) plan: Option<Plan>,
    pub(super) sent: Instant,
    /// Its replies, while they wait for others.
    pub(super) came: Vec<Value>,
    /// What its callers are to be told, where they are not told at once.
    told: Option<(Job, Vec<Reply>, Answers)>,
}

impl InFlight {
    pub(super) fn new(job: Job, plan: Plan, sent: Instant) -> Self {
        Self { job: Some(job), plan: Some(plan), sent, came: Vec::new(), told: None }
    }

    fn deadline(&self) -> Instant {
        self.job.as_ref().map_or(self.sent, Job::deadline)
    }

    /// Its replies, without those that its calls did not ask for.
    pub(super) fn answers(&self, values: Vec<Value>) -> Vec<Value> {
        if self.job.as_ref().is_some_and(Job::asks) { asked(values) } else { values }
    }

    /// Judges what came, and tells the callers; where it was an outage only once this is dropped, when that has been
    /// declared: what is answered in process is not answered while the server counts as there.
    pub(super) fn settle(&mut self, came: Came, now: u64) -> Verdict {
        let (Some(job), Some(plan)) = (self.job.take(), self.plan.take()) else { return Verdict::default() };
        if job.server().is_replica() && !is_answered(job.server(), &came) {
            job.bounce();
            return Verdict::default();
        }
        let Work::Batch(batch) = &job.work else { return Verdict::default() };
        let (replies, mut verdict) = plan.settle(&job.cache, batch, &job.to, came, now);
        self.told = Some((job, replies, std::mem::take(&mut verdict.answers)));
        if verdict.outage.is_none() || mutant::lacks("undeclared") {
            self.tell();
        }
        verdict
    }

    fn tell(&mut self) {
        let Some((job, replies, answers)) = self.told.take() else { return };
        job.finish(&replies);
        answers.send();
    }

    /// Its replies are there, and wait.
    pub(super) fn hold(&mut self, came: Vec<Value>) {
        if let (Some(Job { work: Work::Batch(batch), cache, .. }), Some(plan)) = (&self.job, &mut self.plan) {
            plan.hold(cache, batch, &came);
        }
        self.came = came;
    }

    /// The replies that hold a part of a header, if any, and the commands that read all of it.
    pub(super) fn cut(&self, values: &[Value]) -> Option<(Vec<usize>, Pipeline)> {
        let (places, pipeline) = self.plan.as_ref()?.cut(values)?;
        Some((places, self.asking(pipeline)))
    }

    /// The entries that are to get a new TTL, and the commands that give it to them.
    pub(super) fn renewals(&self, values: &mut [Value], now: u64) -> Option<(Vec<usize>, Pipeline)> {
        let (job, plan) = (self.job.as_ref()?, self.plan.as_ref()?);
        let (places, pipeline) = plan.renewals(&job.cache, values, now)?;
        Some((places, self.asking(pipeline)))
    }

    /// As its calls were sent: the server may have their slot not yet.
    fn asking(&self, pipeline: Pipeline) -> Pipeline {
        if self.job.as_ref().is_some_and(Job::asks) { asking(&pipeline) } else { pipeline }
    }

    /// Its cache, the tags of what it read whose tokens are not known, and the tokens of the others.
    pub(super) fn unknown_tags(&self, values: &[Value], now: u64) -> Option<(Arc<Cache>, Vec<String>, Tokens)> {
        let (job, plan) = (self.job.as_ref()?, self.plan.as_ref()?);
        let (unknown, known) = plan.unknown_tags(&job.cache, values, now);
        Some((job.cache.clone(), unknown, known))
    }
}

/// A batch of plain reads under way (exchange/plain.rs). Dropped, its job answers it on the in-process tier; of its
/// placeholders in the near cache nothing is left by then, as the connection is gone.
pub(super) struct Reads {
    job: Job,
    plain: Plain,
    pub(super) sent: Instant,
}

impl Reads {
    pub(super) fn new(job: Job, plain: Plain, sent: Instant) -> Self {
        Self { job, plain, sent }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.job.deadline()
    }

    /// Answers its callers. Where that takes a plan, it is as any other batch from here on.
    pub(super) fn settle(self, values: Vec<Value>, now: u64) -> Option<(Box<InFlight>, Vec<Value>)> {
        let Self { job, plain, sent } = self;
        let Work::Batch(batch) = &job.work else { return None };
        match plain.settle(&job.cache, batch, &job.to, values, now) {
            Ok(replies) => {
                job.finish(&replies);
                None
            }
            Err(values) => {
                let plan = plain.plan(&batch.ops);
                Some((Box::new(InFlight::new(job, plan, sent)), values))
            }
        }
    }
}

/// Whether a replica has answered what was read of it. What it says of other servers may be old.
fn is_answered(replica: &Server, came: &Came) -> bool {
    let Came::All(values) = came else { return false };
    let errors =
        || values.iter().filter_map(|value| if let Value::ServerError(error) = value { Some(error) } else { None });
    if errors().any(|error| is_redirect(error) || classify(error).kind.is_outage()) {
        replica.is_near_until(0);
    }
    errors().next().is_none()
}

/// The replies of a batch, with what was read again in place of what was cut: the first bytes of an entry, and its time
/// left.
pub(super) fn whole(mut replies: Vec<Value>, cut: Vec<usize>, values: Vec<Value>) -> Vec<Value> {
    let mut values = values.into_iter();
    for at in cut {
        for reply in replies.iter_mut().skip(at).take(2) {
            *reply = values.next().unwrap_or(Value::Nil);
        }
    }
    replies
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Its flights are registered: it must be answered by its plan.
        let now = self.job.as_ref().map_or(0, |job| job.cache.shared().clock.now_ms());
        let came = std::mem::take(&mut self.came);
        self.settle(Came::Lost(came), now);
        self.tell();
    }
}

impl Sent {
    pub(super) fn deadline(&self) -> Instant {
        match self {
            Self::Batch(b) | Self::Heads(_, b) | Self::Renewals(_, b) => b.deadline(),
            Self::Reads(reads) => reads.deadline(),
            Self::Tokens(_, next) => next.deadline(),
            Self::Sweep(place) => place.0.deadline,
            Self::Ping(_, deadline) => *deadline,
            Self::Cleanup(cleanup) => cleanup.deadline,
        }
    }
}
