//! Work on its way to the connection: whatever becomes of it, it is answered once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use futures_channel::mpsc::UnboundedSender;
use futures_channel::oneshot;

use crate::engine::base::mutant;
use crate::engine::cache::local;
use crate::engine::cache::long::{self, Called};
use crate::engine::cache::namespace::Cache;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::reply::{Bounce, Reply};
use crate::engine::call::sink::ReplyTo;
use crate::engine::fleet::cluster::Cluster;
use crate::engine::fleet::server::Server;
use crate::engine::value::tags::Tokens;

/// What is to be done.
pub enum Work {
    Batch(Batch),
    Task(Called),
    /// The tokens at these stored keys are asked for, for calls of another server; those that there are not are made.
    Tokens(Vec<String>, oneshot::Sender<Tokens>),
    /// It is done.
    Nothing,
}

impl Work {
    /// How many calls it answers.
    pub fn calls(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.ops.len(),
            Self::Task(_) => 1,
            Self::Tokens(..) | Self::Nothing => 0,
        }
    }
}

/// Work on its way through the engine's thread. Whatever becomes of it, it is answered exactly once: `finish` consumes
/// it, and dropping it unanswered runs it on the in-process tier.
pub struct Job {
    pub cache: Arc<Cache>,
    server: Arc<Server>,
    pub work: Work,
    pub to: ReplyTo,
    pub since: Instant,
    answered: bool,
    /// It is a part of another one.
    part: Option<Part>,
    /// The tokens of its tags, where these lie on other servers.
    pub tokens: Option<Awaited>,
}

/// Tokens that were asked for in front of a job: those that were known, and those to come.
#[derive(Default)]
pub struct Awaited {
    pub known: Tokens,
    pub coming: Vec<oneshot::Receiver<Tokens>>,
}

/// Of which job a job is a part, and which of its calls it has.
#[derive(Clone)]
pub struct Part {
    pub joint: Arc<dyn Whole>,
    pub places: Vec<u32>,
    /// By which the parts for its server are counted.
    pub number: u64,
    /// How often its calls were sent elsewhere before.
    pub hops: u8,
    /// Its server has its slots not yet: see net/wire/asks.rs.
    pub asks: bool,
    /// How often slots had got other owners when its server was chosen.
    pub changes: u64,
    /// The tokens of its tags as they were at its place in the order of calls: whatever is sent once more is stored
    /// with these, as a tag may have ended since.
    pub tokens: Arc<OnceLock<Tokens>>,
}

/// A job whose parts go to several servers.
pub trait Whole: Send + Sync {
    /// The replies to the calls of a part.
    fn fill(&self, server: &Server, part: &Part, batch: &Batch, replies: &[Reply]);
    /// What its jobs have in common.
    fn common(&self) -> (Arc<Cache>, ReplyTo, Instant);
}

impl Job {
    /// Work for `server`.
    pub fn new(cache: Arc<Cache>, server: Arc<Server>, work: Work, to: ReplyTo) -> Self {
        server.enter(work.calls());
        let since = cache.shared().clock.now();
        Self { cache, server, work, to, since, answered: false, part: None, tokens: None }
    }

    /// A part of a batch, for `server`. Late answers go where those of the whole go.
    pub fn part(server: Arc<Server>, batch: Batch, part: Part) -> Self {
        server.enter(batch.ops.len());
        let (cache, to, since) = part.joint.common();
        Self { cache, server, work: Work::Batch(batch), to, since, answered: false, part: Some(part), tokens: None }
    }

    pub fn asks(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.asks)
    }

    /// Whether slots have left its server since that was chosen, perhaps its own.
    pub fn strays(&self) -> bool {
        let changes = self.cache.shared().fleet.cluster().map(Cluster::changes);
        let chosen = self.part.as_ref().filter(|part| !part.asks && !self.server.is_replica());
        chosen.is_some_and(|part| changes != Some(part.changes)) && !mutant::lacks("stray")
    }

    /// The tokens that were known where it was called: they may leave the near cache until it is planned.
    pub fn known_tokens(&self) -> Tokens {
        self.part.as_ref().and_then(|part| part.tokens.get()).cloned().unwrap_or_default()
    }

    /// The tokens with which it is planned.
    pub fn note_tokens(&self, tokens: &Tokens) {
        if let Some(part) = self.part.as_ref().filter(|_| !tokens.is_empty()) {
            let _ = part.tokens.set(tokens.clone());
        }
    }

    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// A replica has half of the time: the rest is left for its primary.
    pub fn deadline(&self) -> Instant {
        self.since + if self.server.is_replica() { self.cache.timeout / 2 } else { self.cache.timeout }
    }

    /// Answers with what Redis said.
    pub fn finish(mut self, replies: &[Reply]) {
        self.answer(replies);
    }

    /// A replica does not answer its reads: they go to its primary.
    pub fn bounce(self) {
        drop(self);
    }

    /// It was answered, part by part.
    pub fn over(mut self) {
        self.answered = true;
        self.server.leave(self.work.calls());
    }

    /// Answers on the in-process tier.
    pub fn fall_back(self) {
        drop(self);
    }

    /// The calls that were never sent, and that go elsewhere by now.
    fn strayed(&self, batch: &Batch) -> BTreeMap<usize, Bounce> {
        if !self.strays() {
            return BTreeMap::new();
        }
        let mut buffer = String::new();
        let goes = |op: &Op| {
            let key = self.cache.prefix.join(batch.str(op.key()?), &mut buffer);
            self.cache.shared().strayed(key, &self.server)
        };
        batch.ops.iter().map(goes).enumerate().filter_map(|(at, bounce)| Some((at, bounce?))).collect()
    }

    /// All but these on the in-process tier.
    fn run_rest(&self, batch: &mut Batch, strayed: BTreeMap<usize, Bounce>) -> Vec<Reply> {
        let rest = (0..batch.ops.len()).filter(|at| !strayed.contains_key(at));
        let mut local = local::run(&self.cache, &mut batch.some(rest), &self.to).into_iter();
        let replies = (0..batch.ops.len()).map(|at| match strayed.get(&at) {
            Some(bounce) => Reply::Bounced(*bounce),
            None => local.next().unwrap_or(Reply::Miss),
        });
        replies.collect()
    }

    fn answer(&mut self, replies: &[Reply]) {
        self.answered = true;
        // First out of the queue, then answered: who reads the answer may run its next call at once.
        self.server.leave(self.work.calls());
        self.reply(replies);
    }

    fn reply(&mut self, replies: &[Reply]) {
        match self.part.take() {
            None => self.to.complete(replies),
            Some(part) => {
                if let Work::Batch(batch) = &self.work {
                    part.joint.fill(&self.server, &part, batch, replies);
                }
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        match std::mem::replace(&mut self.work, Work::Nothing) {
            Work::Tokens(..) | Work::Nothing => {}
            // Nothing but reads: see route/replicas.rs.
            Work::Batch(batch) if self.server.is_replica() && self.part.is_some() => {
                let to_primary = Reply::Bounced(Bounce { slot: 0, asks: false, to: 0, unserved: false });
                let replies = vec![to_primary; batch.ops.len()];
                self.work = Work::Batch(batch);
                self.answer(&replies);
            }
            Work::Batch(mut batch) => {
                self.cache.shared().writes_planned(std::mem::take(&mut batch.called));
                let strayed = self.strayed(&batch);
                let replies = if strayed.is_empty() {
                    local::run(&self.cache, &mut batch, &self.to)
                } else {
                    self.run_rest(&mut batch, strayed)
                };
                self.work = Work::Batch(batch);
                self.answer(&replies);
            }
            Work::Task(called) => {
                let reply = long::locally(&self.cache, called, &self.to);
                self.server.leave(1);
                // It has its place: what is called from here on is behind it, although its steps are still to be made.
                if let Some(reply) = reply {
                    self.to.complete(&[reply]);
                }
            }
        }
    }
}

/// The tokens of a batch's tags: all known, or to be waited for.
#[derive(Default)]
pub struct AskedFor {
    pub known: Tokens,
    pub awaited: Option<Awaited>,
}

impl AskedFor {
    /// For a call that goes later.
    pub fn pinned(self) -> Option<Awaited> {
        let Self { known, awaited } = self;
        awaited.or_else(|| (!known.is_empty()).then(|| Awaited { known, coming: Vec::new() }))
    }
}

/// The callers' end of the queue of one server's machine.
pub struct Link {
    server: Arc<Server>,
    jobs: UnboundedSender<Job>,
}

impl Link {
    pub fn new(server: Arc<Server>, jobs: UnboundedSender<Job>) -> Self {
        Self { server, jobs }
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Hands work over. Where nobody takes it any more the job is dropped, and so answered here.
    pub fn send(&self, cache: Arc<Cache>, work: Work, to: ReplyTo) {
        let job = Job::new(cache, self.server.clone(), work, to);
        if let Err(refused) = self.jobs.unbounded_send(job) {
            drop(refused.into_inner());
        }
    }
}
