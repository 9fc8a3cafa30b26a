//! What the server refuses: told once when the connection is made, and once where a call meets it later; and noted of a
//! key as soon as it comes.
//!
//! A `set` that is refused leaves the older value in Redis. Its batch may have to wait before it can be judged: for the
//! tokens of tags, for the rest of a long header. Batches behind it are judged meanwhile, and a read of theirs could
//! find that value and give it to a caller who knows the newer one. In the same way a `set` that succeeds must not end,
//! late, the distrust that a later one's refusal has begun. So what became of the writes of a batch that waits is noted
//! when their answers come, in the order of the wire, and not again when the batch is judged. And whoever asks for a
//! key from then on does not share a read that waits so: it may be older than what he has read meanwhile.

use std::ops::Range;

use redis::Value;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::shared::Shared;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::exchange::plan::{Plan, Read, Step, distrust};
use crate::engine::exchange::writes::is_error;
use crate::engine::net::denied::{Denied, Lack};
use crate::engine::net::reply::{classify, is_key};

/// Says what there is not, and what that means, unless it was `told` on the connection before. `prefix`: behind
/// which it was tried.
pub fn tell(denied: Denied, shared: &Shared, prefix: &str, told: &mut Denied) {
    let again = std::mem::replace(told, denied) == denied;
    let mut message = denied.commands();
    if [denied.get, denied.mget, denied.set, denied.unlink].contains(&Lack::Key) {
        if !message.is_empty() {
            message.push_str("; ");
        }
        if prefix.is_empty() {
            message.push_str(
                "the server's ACL denies this user keys that begin with NUL: \
                tags, and the locks of refreshes, may not work",
            );
        } else {
            message.push_str(&keys(prefix));
            shared.status.deny_keys(prefix);
        }
    }
    if message.is_empty() {
        return;
    }
    let trouble = Trouble::new(Kind::Denied, message);
    if again {
        return shared.status.remind(&trouble);
    }
    shared.errors.count(trouble.kind);
    shared.status.notice(&trouble);
}

fn keys(prefix: &str) -> String {
    let namespace = prefix.trim_end_matches(':');
    format!(
        "the server's ACL denies this user keys of the namespace {namespace}: reads of them are misses, \
                    and nothing is stored; give the user ~{prefix}*"
    )
}

/// Trouble with a call of `cache` after the connection was made: counted, and what nobody would see otherwise is said
/// once.
pub fn met(cache: &Cache, trouble: &Trouble) {
    let shared = cache.shared();
    shared.errors.count(trouble.kind);
    if !matches!(trouble.kind, Kind::Denied | Kind::Server) {
        return;
    }
    let prefix = cache.prefix.as_str();
    if is_key(trouble) && !prefix.is_empty() {
        shared.status.deny_keys(prefix);
        return shared.status.notice_once(&Trouble::new(Kind::Denied, keys(prefix)));
    }
    shared.status.notice_once(trouble);
}

impl Plan {
    /// The replies are there, and wait for others before they are judged.
    pub fn hold(&mut self, cache: &Cache, batch: &Batch, came: &[Value]) {
        if std::mem::replace(&mut self.noted, true) {
            return;
        }
        let mut buffer = String::new();
        for span in batch.ops.iter().filter_map(Op::key) {
            let key = cache.prefix.join(batch.str(span), &mut buffer);
            if self.server.journal.holds(key) {
                self.held.insert(key.to_owned());
            }
        }
        for (op, step) in batch.ops.iter().zip(&self.steps) {
            if let (Some(span), Step::Read(Read { flight: Some(computing), .. })) = (op.key(), step) {
                let key = cache.prefix.join(batch.str(span), &mut buffer);
                cache.shared().flights.answered(key, computing.token);
            }
        }
        for Written { step, removal, reply } in self.written() {
            let Some(op) = batch.ops.get(step) else { continue };
            let Some(key) = op.key().map(|span| cache.prefix.join(batch.str(span), &mut buffer)) else { continue };
            let removal = removal.and_then(|at| came.get(at));
            let reply = reply.and_then(|at| telling(came.get(at)?));
            if is_replaced(op, reply) {
                self.server.journal.replaced(key);
                cache.shared().stored(&self.server, key, self.planned);
            } else if is_refused(removal) || (replaces(op) && is_refused(reply)) {
                distrust(cache, &self.server, key);
            }
        }
    }

    /// Its writes, and the removals in front of them.
    fn written(&self) -> Vec<Written> {
        let mut uncovered = self.uncovered.iter().map(|(step, _)| *step).peekable();
        let mut written = Vec::new();
        let mut at = 0;
        for (step, how) in self.steps.iter().enumerate() {
            let removal = uncovered.next_if_eq(&step).map(|_| at);
            at += usize::from(removal.is_some());
            let reply = match how {
                Step::Write => Some(at..at + 1),
                Step::Taken(how) => Some(at..at + how.replies()),
                _ => None,
            };
            if removal.is_some() || reply.is_some() {
                written.push(Written { step, removal, reply });
            }
            at += match how {
                Step::Answered(_) => 0,
                Step::Read(read) if read.run.keys == 0 => 0,
                Step::Read(read) => 1 + read.run.fills + read.run.leases,
                Step::Write | Step::Passed(_) => 1,
                Step::Last(replies) | Step::Transaction(replies) => *replies,
                Step::Taken(how) => how.replies(),
                Step::Held(question) => question.replies(),
            };
        }
        written
    }
}

/// Where the replies stand that say what became of a key.
struct Written {
    step: usize,
    /// To the removal of what a sweep covers.
    removal: Option<usize>,
    /// To what the call asked for.
    reply: Option<Range<usize>>,
}

/// Of the replies to one call the one that tells what became of it.
fn telling(replies: &[Value]) -> Option<&Value> {
    replies.iter().find(|reply| is_error(reply)).or(replies.last())
}

/// Whether it leaves nothing of what was there. An increment does not, and `expire` changes no value.
fn replaces(op: &Op) -> bool {
    matches!(op, Op::Set { .. } | Op::End { .. } | Op::Del { .. } | Op::EndTag { .. } | Op::Take { .. })
}

pub(super) fn is_replaced(op: &Op, reply: Option<&Value>) -> bool {
    match op {
        Op::Set { .. } | Op::SetIfAbsent { .. } | Op::End { .. } => {
            matches!(reply, Some(Value::Okay | Value::Int(1)))
        }
        Op::Del { .. } | Op::EndTag { .. } => matches!(reply, Some(Value::Int(_))),
        Op::Take { .. } => match reply {
            Some(Value::Array(parts)) => !parts.iter().any(is_error),
            reply => matches!(reply, Some(Value::BulkString(_) | Value::Nil | Value::Int(_))),
        },
        _ => false,
    }
}

fn is_refused(reply: Option<&Value>) -> bool {
    let Some(Value::ServerError(error)) = reply else { return false };
    // A script that the server has forgotten is sent again.
    error.code() != "NOSCRIPT" && !classify(error).kind.is_outage()
}
