//! The replies of a pipeline as the replies of its batch, and what they leave to be done.

use std::vec;

use redis::{Cmd, Value};

use super::commands::{Plan, Run, Step, holder};
use super::reply::{classify, integer, out_of_step};
use crate::engine::batch::{Batch, Json, Op, Reply, ReplyTo};
use crate::engine::cache::Cache;
use crate::engine::clock::{Ttl, now_ms};
use crate::engine::error::{CallError, Kind, Trouble};
use crate::engine::flight::{Answers, Outcome};
use crate::engine::lease;
use crate::engine::local;
use crate::engine::stats::add;

/// What the replies of a batch say beyond themselves.
#[derive(Default)]
pub struct Verdict {
    /// The connection is of no more use.
    pub outage: Option<Trouble>,
    /// Writes that the server refused: what was stored before must not be read any more, so these keys are to be removed.
    pub stale: Vec<String>,
    /// Computations for which the key's lease is to be asked for.
    pub leases: Vec<(String, u32)>,
    /// Sent behind the batch; nobody waits for it.
    pub behind: Vec<Cmd>,
    /// For those who waited, behind the batch's own replies: who is told to follow a computation must find it begun.
    pub answers: Answers,
}

impl Plan {
    /// Reads what came back, `None` where nothing did. Whatever has no reply of the server is answered on the in-process tier.
    pub fn settle(
        self,
        cache: &Cache,
        batch: &Batch,
        to: &ReplyTo,
        values: Option<Vec<Value>>,
    ) -> (Vec<Reply>, Verdict) {
        let mut reader = Reader {
            values: values.unwrap_or_default().into_iter(),
            mget: Vec::new().into_iter(),
            ttls: Vec::new().into_iter(),
            sent: self.now,
            verdict: Verdict { answers: self.answers, ..Verdict::default() },
        };
        let mut buffer = String::new();
        let now = now_ms();
        let mut replies = Vec::with_capacity(self.steps.len());
        for (op, step) in batch.ops.iter().zip(self.steps) {
            let key = op.key().map_or("", |span| cache.prefix.join(batch.str(span), &mut buffer));
            replies.push(reader.answer(cache, batch, op, step, to, now, key));
        }
        (replies, reader.verdict)
    }
}

struct Reader {
    values: vec::IntoIter<Value>,
    /// Of the MGET that is being read; empty where it failed.
    mget: vec::IntoIter<Value>,
    /// The PTTL behind it.
    ttls: vec::IntoIter<Value>,
    /// When the batch was sent.
    sent: u64,
    verdict: Verdict,
}

impl Reader {
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one call; a struct of them would live for this one call"
    )]
    fn answer(
        &mut self,
        cache: &Cache,
        batch: &Batch,
        op: &Op,
        step: Step,
        to: &ReplyTo,
        now: u64,
        key: &str,
    ) -> Reply {
        let result = match step {
            Step::Answered(reply) => return reply,
            Step::Read { run, flight, lock, ticket } => {
                let value = self.next_read(run);
                let lock = lock.map(|id| ReplyTo { sink: to.sink.clone(), id });
                let (reply, json) = self.read(cache, key, flight, lock, value, now);
                if let Some(ticket) = ticket {
                    self.fill(cache, key, ticket, json.as_ref());
                }
                return reply;
            }
            Step::Passed => {
                self.values.next();
                return Reply::Done;
            }
            Step::UnlessMarked => {
                let first = self.values.next();
                let answer = self.values.next();
                let marked = matches!(&first, Some(Value::BulkString(bytes)) if lease::is_marker(bytes));
                // -2 is PTTL's "no such key", and no number of keys that exist.
                answer.map(|value| if marked { Value::Int(-2) } else { value })
            }
            Step::Write => self.values.next(),
            Step::Last(replies) => self.values.nth(replies - 1),
            Step::Transaction(replies) => self.values.nth(replies - 1).map(|exec| match exec {
                Value::Array(mut parts) if parts.len() == 2 => parts.pop().unwrap_or(Value::Nil),
                other => other,
            }),
        };
        if let (Op::End { value, ttl, token, .. }, Some(Value::ServerError(error))) = (op, &result)
            && error.code() == "NOSCRIPT"
        {
            // The server forgot its scripts (SCRIPT FLUSH): once more, with the text, before anything that is sent from here on.
            self.verdict.behind.push(lease::store_by_text(key, holder(cache, *token), batch.str(*value), *ttl));
            self.verdict.answers.append(cache.shared().flights.end(
                key,
                *token,
                Outcome::Value(batch.str(*value).into()),
            ));
            return Reply::Done;
        }
        let outcome = result.ok_or(None).and_then(|value| written(cache, op, value).map_err(Some));
        let reply = match outcome {
            Ok(reply) => reply,
            Err(trouble) => {
                if let Some(reply) = trouble.and_then(|t| self.refused(cache, op, key, t)) {
                    reply
                } else {
                    let mut buffer = String::new();
                    // `one` ends the flight of an `End` itself.
                    return local::one(cache, batch, op, to, now, &mut buffer);
                }
            }
        };
        if let Op::End { value, token, .. } = *op {
            self.verdict.answers.append(cache.shared().flights.end(
                key,
                token,
                Outcome::Value(batch.str(value).into()),
            ));
        }
        reply
    }

    /// The server's word on one write: an answer, or `None` where the in-process tier must give one.
    fn refused(&mut self, cache: &Cache, op: &Op, key: &str, trouble: Trouble) -> Option<Reply> {
        if matches!(op, Op::Increment { .. }) && trouble.kind == Kind::Server {
            // The caller's mistake, and no trouble with Redis.
            return Some(Reply::Error(CallError::not_an_integer()));
        }
        cache.shared().errors.count(trouble.kind);
        if trouble.kind.is_outage() {
            self.verdict.outage.get_or_insert(trouble);
            return None;
        }
        match op {
            // Not stored; and what was there before must not be taken for it.
            Op::Set { .. } | Op::End { .. } => {
                self.verdict.stale.push(key.to_owned());
                Some(Reply::Done)
            }
            Op::Del { .. } => Some(Reply::Number(0)),
            Op::Increment { .. } if matches!(trouble.kind, Kind::Oom | Kind::Denied) => None,
            Op::Increment { .. } => Some(Reply::Error(CallError::not_an_integer())),
            Op::Ttl { .. } => Some(Reply::Miss),
            _ => Some(Reply::Flag(false)),
        }
    }

    fn next_read(&mut self, run: Run) -> Option<Value> {
        if run.keys > 0 {
            self.mget = match self.values.next() {
                Some(Value::Array(values)) if values.len() == run.keys => values.into_iter(),
                // One GET in place of an MGET, or an error that goes for all of them.
                Some(value) => vec![value; run.keys].into_iter(),
                None => Vec::new().into_iter(),
            };
            self.ttls = self.values.by_ref().take(run.fills).collect::<Vec<_>>().into_iter();
        }
        self.mget.next()
    }

    /// A read's reply, and the value that came with it from Redis.
    fn read(
        &mut self,
        cache: &Cache,
        key: &str,
        flight: Option<u32>,
        lock: Option<ReplyTo>,
        value: Option<Value>,
        now: u64,
    ) -> (Reply, Option<Json>) {
        let counters = &cache.counters;
        let found = match value {
            // Somebody computes it.
            Some(Value::BulkString(bytes)) if lease::is_marker(&bytes) => None,
            Some(Value::BulkString(bytes)) => {
                let json = Json::checked(bytes);
                add(if json.is_some() { &counters.hits_redis } else { &counters.decode_errors }, 1);
                json
            }
            Some(Value::Nil) => None,
            Some(other) => {
                let trouble = integer(other).err().unwrap_or_else(out_of_step);
                cache.shared().errors.count(trouble.kind);
                if trouble.kind.is_outage() {
                    self.verdict.outage.get_or_insert(trouble);
                    return (self.read_locally(cache, key, flight, now), None);
                }
                None
            }
            None => return (self.read_locally(cache, key, flight, now), None),
        };
        if found.is_none() {
            add(&counters.misses, 1);
        }
        let reply = match (&found, flight) {
            (Some(json), None) => Reply::Value(json.clone()),
            (None, None) => Reply::Miss,
            (Some(json), Some(token)) => {
                self.verdict.answers.append(cache.shared().flights.found(key, token, json));
                Reply::Hit(json.clone())
            }
            (None, Some(token)) => match lock {
                Some(first) => {
                    cache.shared().flights.hold(key, token, first);
                    self.verdict.leases.push((key.to_owned(), token));
                    Reply::Wait
                }
                None => self.then(local::lead(cache, key, token)),
            },
        };
        (reply, found)
    }

    /// Keeps what a read found, if its placeholder still stands.
    fn fill(&mut self, cache: &Cache, key: &str, ticket: u64, json: Option<&Json>) {
        let near = &cache.shared().near;
        let left = self.ttls.next().and_then(|value| integer(value).ok());
        let most = cache.near.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let ttl = match left {
            Some(-1) => Some(most),
            Some(ms) => u64::try_from(ms).ok().filter(|ms| *ms > 0).map(|ms| ms.min(most)),
            None => None,
        };
        match (json, ttl) {
            (Some(json), Some(ms)) => near.fill(key, ticket, json.as_str(), Ttl::Millis(ms), self.sent),
            _ => near.forget(key, ticket),
        }
    }

    fn read_locally(&mut self, cache: &Cache, key: &str, flight: Option<u32>, now: u64) -> Reply {
        match flight {
            Some(token) => self.then(local::finish_read(cache, key, token, now)),
            None => local::read(cache, key, now).map_or(Reply::Miss, Reply::Value),
        }
    }

    fn then(&mut self, (reply, answers): (Reply, Answers)) -> Reply {
        self.verdict.answers.append(answers);
        reply
    }
}

/// A write's reply as the call's.
fn written(cache: &Cache, op: &Op, value: Value) -> Result<Reply, Trouble> {
    match op {
        Op::Set { .. } | Op::End { .. } => match value {
            Value::Okay | Value::Int(1) => {
                add(&cache.counters.sets, 1);
                Ok(Reply::Done)
            }
            // The lease was lost: somebody wrote or deleted the key meanwhile.
            Value::Int(0) => Ok(Reply::Done),
            Value::ServerError(error) => Err(classify(&error)),
            _ => Err(out_of_step()),
        },
        Op::Del { .. } => {
            add(&cache.counters.deletes, 1);
            integer(value).map(Reply::Number)
        }
        Op::Increment { .. } => integer(value).map(Reply::Number),
        Op::Ttl { .. } => integer(value).map(|ms| match ms {
            -2 => Reply::Miss,
            ms => Reply::Left(u64::try_from(ms).map_or(Ttl::Forever, Ttl::Millis)),
        }),
        _ => integer(value).map(|n| Reply::Flag(n > 0)),
    }
}
