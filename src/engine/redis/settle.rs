//! The replies of a pipeline as the replies of its batch, and what they leave to be done.

use std::collections::HashSet;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec;

use redis::{Cmd, Value};
use tokio::sync::Notify;

use super::denied::{self, Denied};
use super::found::{Found, judge, left};
use super::plan::{Plan, Run, Step};
use super::reply::{integer, out_of_step};
use super::tokens::Missing;
use super::writes::{Computed, store, take_back, transaction, written};
use crate::engine::batch::{Batch, Op, Reply, ReplyTo};
use crate::engine::cache::Cache;
use crate::engine::clock::{Ttl, now_ms};
use crate::engine::entry::{self};
use crate::engine::error::{CallError, Kind, Trouble};
use crate::engine::expiry;
use crate::engine::life::Ask;
use crate::engine::local;
use crate::engine::room::Room;
use crate::engine::stats::add;
use crate::engine::tags::{self, Tokens};
use crate::engine::waiters::{Answers, Outcome};

/// What the replies of a batch say beyond themselves.
#[derive(Default)]
pub struct Verdict {
    /// The connection is of no more use.
    pub outage: Option<Trouble>,
    /// Writes that the server refused: what was stored before must not be read any more, so these keys are to be removed.
    pub stale: HashSet<String>,
    /// Computations for which the key's lease is to be asked for, or the lock of a refresh.
    pub leases: Vec<Wanted>,
    /// Commands to send behind the batch; no call waits for their replies.
    pub behind: Vec<Cmd>,
    /// Answers of waiters, given behind the batch's own replies: a caller that is told to follow a computation must
    /// find it begun.
    pub answers: Answers,
}

/// A lease to be asked for.
pub struct Wanted {
    pub key: String,
    pub token: u32,
    /// It is had, and the computation leads: it is to be renewed until this wakes.
    pub led: Option<Arc<Notify>>,
    /// The entry at the key is refreshed, while it begins with `void`; else it counts as nothing, if it does.
    pub refresh: bool,
    pub void: Box<[u8]>,
}

impl Plan {
    /// The tags of what came back whose tokens are not known.
    pub fn unknown_tags(&self, cache: &Cache, values: &[Value]) -> Vec<String> {
        let mut missing = Missing::new(cache);
        let mut look = |value: &Value| {
            let Value::BulkString(bytes) = value else { return };
            let Some(meta) = entry::meta_of(bytes) else { return };
            meta.tags.names().for_each(|name| missing.look(name, |key| self.tokens.contains_key(key)));
        };
        for value in values {
            match value {
                Value::Array(values) => values.iter().for_each(&mut look),
                value => look(value),
            }
        }
        missing.into_keys()
    }

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
            leases: Vec::new().into_iter(),
            sent: self.now,
            tokens: self.tokens,
            uncovered: self.uncovered.into_iter().peekable(),
            room: Room::default(),
            denied: self.denied,
            verdict: Verdict { answers: self.answers, ..Verdict::default() },
        };
        let mut buffer = String::new();
        let now = now_ms();
        let mut replies = Vec::with_capacity(self.steps.len());
        for (at, (op, step)) in batch.ops.iter().zip(self.steps).enumerate() {
            let key = op.key().map_or("", |span| cache.prefix.join(batch.str(span), &mut buffer));
            if let Some((_, id)) = reader.uncovered.next_if(|(step, _)| *step == at) {
                reader.removed(cache, key, id);
            }
            replies.push(reader.answer(cache, batch, op, step, to, now, key));
        }
        (replies, reader.verdict)
    }
}

pub(super) struct Reader {
    pub(super) values: vec::IntoIter<Value>,
    /// Of the MGET that is being read; empty where it failed.
    mget: vec::IntoIter<Value>,
    /// The PTTL behind it.
    ttls: vec::IntoIter<Value>,
    /// And the leases behind those.
    leases: vec::IntoIter<Value>,
    /// When the batch was sent.
    sent: u64,
    tokens: Tokens,
    uncovered: Peekable<vec::IntoIter<(usize, u64)>>,
    /// For what its compressed entries expand to.
    room: Room,
    denied: Denied,
    pub(super) verdict: Verdict,
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
            Step::Read { run, flight, timed, asks, ticket } => {
                let value = self.next_read(run);
                let left = if timed { self.ttls.next().and_then(left) } else { None };
                let asked = if asks { self.leases.next() } else { None };
                let ask = flight.map_or(Ask::default(), |f| f.ask);
                let mut found = self.find(cache, value, left, ask, now);
                if cache.shared().journal.holds(key) && !matches!(found, Found::NoReply) {
                    found = Found::miss();
                }
                if let Some(ticket) = ticket {
                    self.fill(cache, key, ticket, &found);
                }
                return match flight {
                    None => self.read(cache, key, found, now),
                    Some(flight) => self.begin(cache, key, found, flight, asked.as_ref(), to, now),
                };
            }
            Step::Passed => {
                self.values.next();
                return Reply::Done;
            }
            Step::Held(question) => return self.held(cache, batch, op, question, to, now, key),
            Step::Write => self.values.next(),
            Step::Last(replies) => self.values.nth(replies - 1),
            Step::Transaction(replies) => {
                let replies: Vec<Value> = self.values.by_ref().take(replies).collect();
                transaction(replies)
            }
        };
        if let (Op::Expire { ttl, .. }, Some(Value::ServerError(error))) = (op, &result)
            && error.code() == "NOSCRIPT"
        {
            // The server forgot its scripts between two commands of this pipeline.
            self.verdict.behind.push(expiry::expire(true, &cache.prefix, key, *ttl));
            return Reply::Flag(true);
        }
        if let (Op::End { value, ttl, token, more, .. }, Some(Value::ServerError(error))) = (op, &result)
            && error.code() == "NOSCRIPT"
        {
            // The server forgot its scripts (SCRIPT FLUSH): once more, with the text, before anything that is sent from here on.
            let result = Computed { token: *token, text: batch.str(*value), ttl: *ttl, extras: batch.more(*more) };
            let again = cache.shared().flights.landing(key, *token);
            self.verdict.behind.extend(again.map(|landing| store(cache, key, &result, &landing, true)));
            self.verdict.answers.append(cache.shared().flights.end(
                key,
                *token,
                Outcome::Value(batch.str(*value).into()),
            ));
            return Reply::Done;
        }
        let outcome = result.ok_or(None).and_then(|value| written(cache, batch, op, key, value).map_err(Some));
        let reply = match outcome {
            Ok(reply) => {
                if let (Op::Increment { amount, .. }, Reply::Error(_)) = (op, &reply) {
                    self.verdict.behind.push(take_back(key, *amount, self.denied));
                }
                // An earlier write of this batch was refused, and this one replaced what it would have.
                if !self.verdict.stale.is_empty() && matches!(op, Op::Set { .. }) {
                    self.verdict.stale.remove(key);
                }
                reply
            }
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

    /// The reply to the removal of a covered key.
    fn removed(&mut self, cache: &Cache, key: &str, id: u64) {
        let Some(value) = self.values.next() else { return };
        match integer(value) {
            Ok(keys) => cache.shared().journal.removed(id, u64::try_from(keys).unwrap_or(0)),
            Err(trouble) if trouble.kind.is_outage() => _ = self.verdict.outage.get_or_insert(trouble),
            // It lies there still: a miss until it is replaced.
            Err(_) => cache.noted(cache.shared().journal.distrust(key)),
        }
    }

    /// The server's word on one write: an answer, or `None` where the in-process tier must give one.
    pub(super) fn refused(&mut self, cache: &Cache, op: &Op, key: &str, trouble: Trouble) -> Option<Reply> {
        if matches!(op, Op::Increment { .. }) && trouble.kind == Kind::Server {
            // The caller's mistake, and no trouble with Redis.
            return Some(Reply::Error(CallError::not_an_integer()));
        }
        denied::met(cache, &trouble);
        if trouble.kind.is_outage() {
            self.verdict.outage.get_or_insert(trouble);
            return None;
        }
        match op {
            // Not stored; and what was there before must not be taken for it.
            Op::Set { .. } | Op::End { .. } => {
                self.verdict.stale.insert(key.to_owned());
                Some(Reply::Done)
            }
            // Still there, and not to be read any more.
            Op::Del { .. } => {
                cache.noted(cache.shared().journal.distrust(key));
                Some(Reply::Number(0))
            }
            Op::Increment { .. } if matches!(trouble.kind, Kind::Oom | Kind::Denied | Kind::Refused) => None,
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
            self.leases = self.values.by_ref().take(run.leases).collect::<Vec<_>>().into_iter();
        }
        self.mget.next()
    }

    /// What a read found, judged.
    fn find(&mut self, cache: &Cache, value: Option<Value>, left: Option<u64>, ask: Ask, now: u64) -> Found {
        let Some(value) = value else { return Found::NoReply };
        let bytes = match value {
            Value::BulkString(bytes) => bytes,
            Value::Nil => return Found::miss(),
            other => {
                let trouble = integer(other).err().unwrap_or_else(out_of_step);
                denied::met(cache, &trouble);
                if trouble.kind.is_outage() {
                    self.verdict.outage.get_or_insert(trouble);
                    return Found::NoReply;
                }
                return Found::miss();
            }
        };
        judge(cache, bytes, left, ask, |key| self.tokens.get(key).cloned(), now, &mut self.room)
    }

    /// The reply of a `get`.
    fn read(&mut self, cache: &Cache, key: &str, found: Found, now: u64) -> Reply {
        match found {
            Found::NoReply => local::read(cache, key, now).map_or(Reply::Miss, Reply::Value),
            Found::Fresh(entry, _) => {
                add(&cache.counters.hits_redis, 1);
                Reply::Value(entry.json)
            }
            Found::Old(..) | Found::Void(_) => {
                add(&cache.counters.misses, 1);
                Reply::Miss
            }
        }
    }

    /// Keeps what a read found, if its placeholder still stands.
    fn fill(&mut self, cache: &Cache, key: &str, ticket: u64, found: &Found) {
        let near = &cache.shared().near;
        // What the most patient cache takes; each takes what is young enough for it.
        let most = cache.shared().max_age();
        match found {
            Found::Fresh(entry, left) if *left > 0 => {
                let ttl = Ttl::Millis(most.min(*left));
                near.fill(key, ticket, entry.json.as_str(), entry.meta.as_deref(), ttl, self.sent);
            }
            _ => near.forget(key, ticket),
        }
    }

    pub(super) fn token(&self, cache: &Cache, key: &str, now: u64) -> Option<Arc<str>> {
        self.tokens.get(key).cloned().or_else(|| tags::near_token(cache, key, now))
    }

    pub(super) fn then(&mut self, (reply, answers): (Reply, Answers)) -> Reply {
        self.verdict.answers.append(answers);
        reply
    }
}
