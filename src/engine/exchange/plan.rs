//! What a batch becomes: its pipeline, for each operation how its reply is found among those that come back, and what
//! the replies leave to be done.

use std::collections::BTreeSet;
use std::sync::Arc;

use redis::{Cmd, Pipeline, Value};

use crate::engine::base::clock::Ttl;
use crate::engine::base::error::Trouble;
use crate::engine::base::mutant;
use crate::engine::cache::local;
use crate::engine::cache::namespace::Cache;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::reply::{Bounce, Reply};
use crate::engine::call::sink::ReplyTo;
use crate::engine::exchange::writes::{Taking, with_key};
use crate::engine::fleet::server::Server;
use crate::engine::net::denied::Denied;
use crate::engine::once::waiters::Answers;
use crate::engine::task::signal::Signal;
use crate::engine::tier::cover::Removal;
use crate::engine::value::entry;
use crate::engine::value::life::Ask;
use crate::engine::value::tags::Tokens;

/// How much of an entry is read to tell its age and its tags. Of one with a longer list of tags the rest is read behind
/// it (heard.rs).
pub(super) const HEAD: usize = 4096;

/// Where a batch goes.
pub struct Line<'a> {
    pub server: &'a Arc<Server>,
    pub denied: Denied,
    /// The server has its slots not yet: see net/wire/asks.rs.
    pub asks: bool,
    /// The server may have lost slots since the batch was given to it.
    pub strays: bool,
}

/// How one operation is answered.
pub(super) enum Step {
    /// Without the server.
    Answered(Reply),
    /// By the next value of the MGET under way, or by the first of a new one.
    Read(Read),
    /// By the next reply.
    Write,
    /// By the last of so many replies.
    Last(usize),
    /// Answered so; a reply of the server that says nothing is to be passed over.
    Passed(Reply),
    /// By what an entry's first bytes and its time left say.
    Held(Question),
    /// By the second element of EXEC, the last of so many replies.
    Transaction(usize),
    /// By a value that is removed with that.
    Taken(Taking),
}

/// What a question about a key wants to know. Two replies tell it: the entry's first bytes, and its time left; what is
/// inspected has a third one, its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Exists,
    Ttl,
    Inspect,
    /// Whether its TTL may be set, where no script can decide that.
    Expire,
}

impl Question {
    /// The replies that tell it.
    pub(super) fn replies(self) -> usize {
        if self == Self::Inspect { 3 } else { 2 }
    }
}

/// A read, by an MGET of many.
pub(super) struct Read {
    pub(super) run: Run,
    /// The computation that it is for.
    pub(super) flight: Option<Computing>,
    /// It consumes one PTTL reply.
    pub(super) timed: bool,
    /// It consumes one lease reply.
    pub(super) asks: bool,
    /// It may fill the near cache.
    pub(super) ticket: Option<u64>,
}

/// A computation whose key is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Computing {
    pub(super) token: u32,
    pub(super) ask: Ask,
    /// The caller, should it have to wait while the key's lease is asked for: its id, and whether it wants to know of
    /// other computations.
    pub(super) lock: Option<(u32, bool)>,
}

/// An MGET: how many keys it has, and how many PTTL and leases stand behind it. No keys: the one under way goes on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Run {
    pub(super) keys: usize,
    pub(super) fills: usize,
    pub(super) leases: usize,
}

/// One call and what stands around it.
pub(super) struct Call<'a> {
    pub(super) cache: &'a Cache,
    pub(super) batch: &'a Batch,
    pub(super) to: &'a ReplyTo,
    pub(super) op: &'a Op,
    /// As it is stored.
    pub(super) key: &'a str,
    /// Which was asked.
    pub(super) server: &'a Arc<Server>,
    /// What the server had at the key was not to be trusted when the replies came.
    pub(super) held: bool,
    pub(super) asks: bool,
    pub(super) now: u64,
}

impl Call<'_> {
    /// The call's reply on the in-process tier.
    pub(super) fn locally(&self) -> Reply {
        local::one(self.cache, self.batch, self.op, self.to, self.now, &mut String::new())
    }

    /// The server, where it does not own the slot yet.
    pub(super) fn asked(&self) -> Option<Arc<Server>> {
        self.asks.then(|| self.server.clone())
    }

    /// Whether what was read of the key is not to be trusted.
    pub(super) fn is_held(&self) -> bool {
        self.held || self.server.journal.holds(self.key)
    }

    /// Where it goes by now, if its server has not answered it.
    pub(super) fn strayed(&self) -> Option<Bounce> {
        self.cache.shared().strayed(self.key, self.server).filter(|_| !self.asks)
    }

    /// A write whose connection was lost, and nobody knows whether it was done: in process it comes behind those of its
    /// slot that still wait (`to: 0`), or they would be the newer ones there. Of what is settled otherwise: none.
    pub(super) fn unanswered(&self, reply: Option<&Value>) -> Option<Reply> {
        match (reply, self.op) {
            // It was to be called once more.
            (Some(Value::ServerError(error)), _) if error.code() == "NOSCRIPT" => Some(self.locally()),
            (
                None,
                Op::Set { .. }
                | Op::SetIfAbsent { .. }
                | Op::Del { .. }
                | Op::Soften { .. }
                | Op::EndTag { .. }
                | Op::Take { .. }
                | Op::Increment { .. },
            ) => self.strayed().map(|bounce| Reply::Bounced(Bounce { asks: true, to: 0, ..bounce })),
            _ => None,
        }
    }

    /// Whether the server redirects the call, and where to.
    pub(super) fn bounced(&self, reply: Option<&Value>) -> Option<Bounce> {
        let Some(Value::ServerError(error)) = reply else { return None };
        let shared = self.cache.shared();
        let bounce = shared.bounced(error, self.server)?;
        if bounce.asks && self.server.journal.holds(self.key) {
            // The key has left, and what is not to be read of it lies there now.
            let to = shared.fleet.cluster().and_then(|cluster| cluster.server(bounce.to));
            to.into_iter().for_each(|to| self.cache.noted(shared.owe(self.key, self.server, to)));
        }
        Some(bounce)
    }

    /// What lies at the key is not to be read any more: a miss until it is replaced. Between the refusal and this
    /// moment a reply may have filled the near cache with it: the token of a tag, for what the same batch read.
    pub(super) fn distrust(&self) {
        distrust(self.cache, self.server, self.key);
    }
}

pub(super) fn distrust(cache: &Cache, server: &Server, key: &str) {
    if !mutant::lacks("distrust") {
        cache.noted(server.journal.distrust(key));
        server.near.invalidate(key);
    }
}

/// What came of a batch's replies.
pub enum Came {
    All(Vec<Value>),
    /// The connection was lost, while they waited to be judged or before they came (then there are none). Writes that
    /// the server has answered are done, and are not made again behind later ones; all else is the in-process tier's.
    Lost(Vec<Value>),
}

/// What the replies of a batch say beyond themselves.
#[derive(Default)]
pub struct Verdict {
    /// The connection is of no more use.
    pub outage: Option<Trouble>,
    /// Writes that the server refused: what was stored before must not be read any more, so these keys are to be
    /// removed.
    pub stale: BTreeSet<String>,
    /// Computations for which the key's lease is to be asked for, or the lock of a refresh.
    pub leases: Vec<Wanted>,
    /// Commands to send behind the batch; no call waits for their replies.
    pub behind: Vec<Cmd>,
    /// Answers of waiters, sent after the batch's replies, so that a follower never precedes its leader.
    pub answers: Answers,
}

/// A lease to be asked for.
pub struct Wanted {
    pub key: String,
    pub token: u32,
    /// It is had, and the computation leads: it is to be renewed until this wakes.
    pub led: Option<Arc<Signal>>,
    /// The entry at the key is refreshed, while it begins with `void`; else it counts as nothing, if it does.
    pub refresh: bool,
    pub void: Box<[u8]>,
    /// Its slot is on its way to this server, which was asked.
    pub asked: Option<Arc<Server>>,
}

/// A pipeline and how to read what comes back.
pub struct Plan {
    pub(super) server: Arc<Server>,
    pub(super) asks: bool,
    pub pipeline: Pipeline,
    pub(super) steps: Vec<Step>,
    /// The replies that are an entry's first bytes; the time left is the next one.
    pub(super) heads: Vec<Head>,
    /// The replies of scripts that were called by their name: where each is, and its `expire`.
    pub(super) named: Vec<(usize, String, Ttl)>,
    pub(super) answers: Answers,
    /// When it was made, which is before the server sees it.
    pub(super) now: u64,
    /// And which sweeps had their place before it: see tier/spared.rs.
    pub(super) planned: u64,
    /// The tokens of tags that were asked for, which the near cache need not have.
    pub tokens: Tokens,
    /// The steps that begin with the removal of their key, in their order, and the cover that is told of it; none where
    /// it came with a slot.
    pub(super) uncovered: Vec<(usize, Option<Removal>)>,
    /// Its keys that were not to be trusted when the replies came. They may have been replaced since.
    pub(super) held: BTreeSet<String>,
    /// What became of its writes has been noted already (refusals.rs).
    pub(super) noted: bool,
    pub(super) denied: Denied,
}

impl Plan {
    /// Of a batch of reads that have been asked for. `made`: when, and which sweeps had their place before it.
    pub(super) fn of_reads(server: Arc<Server>, denied: Denied, steps: Vec<Step>, made: (u64, u64)) -> Self {
        Self {
            server,
            asks: false,
            pipeline: Pipeline::new(),
            steps,
            heads: Vec::new(),
            named: Vec::new(),
            answers: Answers::default(),
            now: made.0,
            planned: made.1,
            tokens: Tokens::default(),
            uncovered: Vec::new(),
            held: BTreeSet::new(),
            noted: false,
            denied,
        }
    }

    /// The entries whose header goes on beyond what was read of them: where among the replies, and the commands that
    /// read all of it.
    pub fn cut(&self, values: &[Value]) -> Option<(Vec<usize>, Pipeline)> {
        let is_cut = |value: &Value| matches!(value, Value::BulkString(bytes) if entry::is_cut(bytes, HEAD));
        let mut cut = self.heads.iter().filter(|head| values.get(head.at).is_some_and(is_cut)).peekable();
        cut.peek()?;
        let mut pipeline = Pipeline::new();
        let at = cut.map(|Head { at, key, .. }| {
            pipeline.add_command(head(key, entry::LONGEST_HEADER)).add_command(with_key("PTTL", key));
            *at
        });
        Some((at.collect(), pipeline))
    }
}

/// The first bytes of an entry.
pub(super) struct Head {
    /// Where they are among the replies.
    pub(super) at: usize,
    pub(super) key: String,
    /// The TTL that it is to get, where it is a value for a caller.
    pub(super) renews: Option<Ttl>,
}

/// Reads so many of the first bytes at a key.
pub(super) fn head(key: &str, bytes: usize) -> Cmd {
    let mut head = with_key("GETRANGE", key);
    head.arg(0).arg(bytes - 1);
    head
}
