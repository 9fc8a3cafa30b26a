//! What a batch becomes: its pipeline, and for each operation how its reply is found among those that come back.

use redis::{Cmd, Pipeline, Value};

use super::denied::Denied;
use super::writes::with_key;
use crate::engine::batch::Reply;
use crate::engine::entry;
use crate::engine::life::Ask;
use crate::engine::tags::Tokens;
use crate::engine::waiters::Answers;

/// How much of an entry is read to tell its age and its tags. Of one with a longer list of tags the rest is read behind
/// it (serve.rs).
pub(super) const HEAD: usize = 4096;

/// How one operation is answered.
pub(super) enum Step {
    /// Without the server.
    Answered(Reply),
    /// By the next value of the MGET under way, or by the first of a new one.
    /// `timed`: the next PTTL behind the MGET is its; `asks`: and the next lease; `ticket`: it may fill the near cache.
    Read { run: Run, flight: Option<Flight>, timed: bool, asks: bool, ticket: Option<u64> },
    /// By the next reply.
    Write,
    /// By the last of so many replies.
    Last(usize),
    /// Answered; a reply that says nothing is to be passed over.
    Passed,
    /// By what an entry's first bytes and its time left say.
    Held(Question),
    /// By the second element of EXEC, the last of so many replies.
    Transaction(usize),
}

/// What a question about a key wants to know. Two replies tell it: the entry's first bytes, and its time left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Exists,
    Ttl,
    /// Whether its TTL may be set, where no script can decide that.
    Expire,
}

/// A read for a computation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Flight {
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

/// A pipeline and how to read what comes back.
pub struct Plan {
    pub pipeline: Pipeline,
    pub(super) steps: Vec<Step>,
    /// The replies that are an entry's first bytes, each with its key; the time left is the next one.
    pub(super) heads: Vec<(usize, String)>,
    pub(super) answers: Answers,
    /// When it was made, which is before the server sees it.
    pub(super) now: u64,
    /// The tokens of tags that were asked for, which the near cache need not have.
    pub tokens: Tokens,
    /// The steps that begin with the removal of a covered key, in their order, and the cover that is told of it.
    pub(super) uncovered: Vec<(usize, u64)>,
    pub(super) denied: Denied,
}

impl Plan {
    /// The entries whose header goes on beyond what was read of them: where among the replies, and the commands that
    /// read all of it.
    pub(super) fn cut(&self, values: &[Value]) -> Option<(Vec<usize>, Pipeline)> {
        let is_cut = |value: &Value| matches!(value, Value::BulkString(bytes) if entry::is_cut(bytes, HEAD));
        let mut cut = self.heads.iter().filter(|(at, _)| values.get(*at).is_some_and(is_cut)).peekable();
        cut.peek()?;
        let mut pipeline = Pipeline::new();
        let at = cut.map(|(at, key)| {
            pipeline.add_command(head(key, entry::LONGEST_HEADER)).add_command(with_key("PTTL", key));
            *at
        });
        Some((at.collect(), pipeline))
    }
}

/// Reads so many of the first bytes at a key.
pub(super) fn head(key: &str, bytes: usize) -> Cmd {
    let mut head = with_key("GETRANGE", key);
    head.arg(0).arg(bytes - 1);
    head
}
