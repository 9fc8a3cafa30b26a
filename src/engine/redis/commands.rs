//! A batch as one pipeline, and the pipeline's replies as the replies of the batch.
//!
//! Reads that stand beside each other travel as one MGET: the server, the parser and this thread each handle one command instead of
//! hundreds. Writes keep their place between them, so the order within a batch is the order of the calls.

use std::vec;

use redis::{Cmd, Pipeline, Value, cmd};

use super::dial::Denied;
use super::reply::{classify, integer, out_of_step};
use crate::engine::batch::{Batch, Json, Op, Reply, ReplyTo};
use crate::engine::cache::Cache;
use crate::engine::clock::{Ttl, now_ms};
use crate::engine::error::{CallError, Kind, Trouble};
use crate::engine::flight::{Answers, Begin, Outcome};
use crate::engine::key;
use crate::engine::lease::{self, Holder};
use crate::engine::local;
use crate::engine::stats::add;

/// The most reads in one MGET: enough to make its cost vanish, short enough not to hold up the server's other clients.
const MAX_MGET: usize = 256;

/// How one operation is answered.
enum Step {
    /// Without the server.
    Answered(Reply),
    /// By the next value of the MGET under way, or by the first of a new one.
    /// `ticket`: it may fill the near cache, with the next PTTL behind the MGET.
    /// `lock`: under which id the caller waits while the key's lease is asked for.
    Read { run: Run, flight: Option<u32>, lock: Option<u32>, ticket: Option<u64> },
    /// By the next reply.
    Write,
    /// By the last of so many replies.
    Last(usize),
    /// Answered; a reply that says nothing is to be passed over.
    Passed,
    /// By the second reply, unless the first is a marker's first byte.
    UnlessMarked,
    /// By the second element of EXEC, the last of so many replies.
    Transaction(usize),
}

/// An MGET: how many keys it has, and how many PTTL stand behind it. No keys: the one under way goes on.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    keys: usize,
    fills: usize,
}

/// A pipeline and how to read what comes back.
pub struct Plan {
    pub pipeline: Pipeline,
    steps: Vec<Step>,
    answers: Answers,
    /// When it was made, which is before the server sees it.
    now: u64,
}

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

/// Plans a batch. Registers its flights and fences, in the order of the engine's queue.
pub fn plan(cache: &Cache, batch: &Batch, to: &ReplyTo, denied: Denied) -> Plan {
    let mut planner = Planner {
        pipeline: Pipeline::with_capacity(16),
        steps: Vec::with_capacity(batch.ops.len()),
        run: None,
        denied,
        answers: Answers::default(),
    };
    let mut buffer = String::new();
    for op in &batch.ops {
        planner.add(cache, batch, op, to, &mut buffer);
    }
    planner.close_run();
    Plan { pipeline: planner.pipeline, steps: planner.steps, answers: planner.answers, now: now_ms() }
}

struct Planner {
    pipeline: Pipeline,
    steps: Vec<Step>,
    run: Option<OpenRun>,
    denied: Denied,
    answers: Answers,
}

/// The MGET under way: where it began among the steps, its keys so far, and the PTTL that will follow.
struct OpenRun {
    at: usize,
    keys: usize,
    command: Cmd,
    ttls: Vec<Cmd>,
}

impl Planner {
    fn add(&mut self, cache: &Cache, batch: &Batch, op: &Op, to: &ReplyTo, buffer: &mut String) {
        let given = op.key().map(|span| batch.str(span));
        let key = match given.map(|k| key::check(k).map(|()| k)) {
            Some(Ok(key)) => cache.prefix.join(key, buffer),
            Some(Err(error)) => return self.steps.push(Step::Answered(Reply::Error(error))),
            None => return self.steps.push(Step::Answered(local::keyless(batch, op))),
        };
        let flights = &cache.shared().flights;
        let near = &cache.shared().near;
        if matches!(op, Op::Set { .. } | Op::End { .. } | Op::Del { .. } | Op::Increment { .. } | Op::Expire { .. }) {
            // Again, behind the reads that were queued before it: see the essay in near.rs, race 3.
            near.invalidate(key);
        }
        match *op {
            Op::Get { .. } => self.read(cache, key, None, None),
            Op::Begin { waiter, lock, .. } => match flights.begin(key, ReplyTo { sink: to.sink.clone(), id: waiter }) {
                Begin::Read(token) => {
                    let lock = (lock && !self.denied.scripts).then_some(waiter);
                    self.read(cache, key, Some(token), lock);
                }
                Begin::Follow(token) => self.steps.push(Step::Answered(local::follow(cache, token))),
                Begin::Wait => self.steps.push(Step::Answered(local::wait(cache))),
            },
            Op::Set { value, ttl, .. } => {
                flights.fence(key);
                self.command(set(key, batch.str(value), ttl), Step::Write);
            }
            Op::End { value, ttl, token, .. } => {
                let leased = flights.leased(key, token);
                if flights.may_store(key, token) {
                    let text = batch.str(value);
                    let command =
                        if leased { lease::store(key, holder(cache, token), text, ttl) } else { set(key, text, ttl) };
                    self.command(command, Step::Write);
                } else {
                    self.answers.append(flights.end(key, token, Outcome::Value(batch.str(value).into())));
                    self.over(cache, key, token, leased);
                }
            }
            Op::Del { .. } => {
                flights.fence(key);
                self.command(with_key(remove(self.denied), key), Step::Write);
            }
            Op::Increment { amount, ttl, .. } => {
                let computing = flights.fence(key).map(|token| holder(cache, token));
                self.increment(key, amount, ttl, computing);
            }
            Op::Exists { .. } => self.unless_marked("EXISTS", key),
            Op::Ttl { .. } => self.unless_marked("PTTL", key),
            Op::Expire { ttl: Ttl::Millis(ms), .. } => {
                let mut command = with_key("PEXPIRE", key);
                command.arg(ms);
                self.command(command, Step::Write);
            }
            Op::Expire { ttl: Ttl::Forever, .. } => {
                self.command(with_key("PERSIST", key), Step::Last(2));
                self.pipeline.add_command(with_key("EXISTS", key));
            }
            Op::Abandon { token, nothing, .. } => {
                let leased = flights.leased(key, token);
                self.answers.append(flights.end(key, token, if nothing { Outcome::Nothing } else { Outcome::Failed }));
                self.over(cache, key, token, leased);
            }
            Op::Overdue { token, .. } => {
                self.answers.append(flights.overdue(key, token));
                self.steps.push(Step::Answered(Reply::Done));
            }
            Op::Malformed | Op::Answered | Op::Known(_) => self.steps.push(Step::Answered(local::keyless(batch, op))),
        }
    }

    fn read(&mut self, cache: &Cache, key: &str, flight: Option<u32>, lock: Option<u32>) {
        if self.run.as_ref().is_some_and(|run| run.keys == MAX_MGET || self.denied.mget) {
            self.close_run();
        }
        let run = self.run.get_or_insert_with(|| OpenRun {
            at: self.steps.len(),
            keys: 0,
            command: cmd(if self.denied.mget { "GET" } else { "MGET" }),
            ttls: Vec::new(),
        });
        run.keys += 1;
        run.command.arg(key);
        let ticket = cache.near.and_then(|_| cache.shared().near.expect(key));
        if ticket.is_some() {
            run.ttls.push(with_key("PTTL", key));
        }
        self.steps.push(Step::Read { run: Run::default(), flight, lock, ticket });
    }

    /// Ends the MGET under way, so that what follows stands behind it.
    fn close_run(&mut self) {
        let Some(open) = self.run.take() else { return };
        self.pipeline.add_command(open.command);
        if let Some(Step::Read { run, .. }) = self.steps.get_mut(open.at) {
            *run = Run { keys: open.keys, fills: open.ttls.len() };
        }
        for ttl in open.ttls {
            self.pipeline.add_command(ttl);
        }
    }

    /// A computation that stores nothing: its lease goes.
    fn over(&mut self, cache: &Cache, key: &str, token: u32, leased: bool) {
        if leased {
            self.command(lease::release(key, holder(cache, token)), Step::Passed);
        } else {
            self.steps.push(Step::Answered(Reply::Done));
        }
    }

    /// A question about a key, with its first byte: what is only being computed is not there.
    fn unless_marked(&mut self, name: &str, key: &str) {
        let mut first = with_key("GETRANGE", key);
        first.arg(0).arg(0);
        self.command(first, Step::UnlessMarked);
        self.pipeline.add_command(with_key(name, key));
    }

    fn command(&mut self, command: Cmd, step: Step) {
        self.close_run();
        self.pipeline.add_command(command);
        self.steps.push(step);
    }

    fn increment(&mut self, key: &str, amount: i64, ttl: Option<Ttl>, computing: Option<Holder>) {
        // A number cannot be added to the marker of a computation, which this write ends in any case.
        let before = usize::from(computing.is_some());
        if let Some(holder) = computing {
            self.close_run();
            self.pipeline.add_command(lease::release(key, holder));
        }
        let mut add = with_key("INCRBY", key);
        add.arg(amount);
        let Some(ms) = ttl.and_then(local::px) else { return self.command(add, Step::Last(before + 1)) };
        // The counter is made with its TTL if it is not there, and added to, in one step: it can neither expire between the two, and come
        // back without a TTL, nor get a new TTL with each call.
        self.command(cmd("MULTI"), Step::Transaction(before + 4));
        let mut create = with_key("SET", key);
        create.arg(0).arg("PX").arg(ms).arg("NX");
        self.pipeline.add_command(create).add_command(add).add_command(cmd("EXEC"));
    }
}

fn holder(cache: &Cache, token: u32) -> Holder {
    Holder { engine: cache.shared().status.id(), token }
}

fn with_key(name: &str, key: &str) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

fn set(key: &str, value: &str, ttl: Ttl) -> Cmd {
    // Its parts and their bytes, so that a burst of them does not grow two lists each.
    let mut command = Cmd::with_capacity(5, key.len() + value.len() + 32);
    command.arg("SET").arg(key).arg(value);
    if let Some(ms) = local::px(ttl) {
        command.arg("PX").arg(ms);
    }
    command
}

/// What removes a key here: UNLINK frees memory in the background, DEL is there where the ACL denies it.
pub fn remove(denied: Denied) -> &'static str {
    if denied.unlink { "DEL" } else { "UNLINK" }
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
