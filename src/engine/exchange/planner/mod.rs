//! A batch as one pipeline; [`super::judge`] judges what comes back.
//!
//! Reads that stand beside each other travel as one MGET: the server, the parser and this thread each handle one
//! command instead of hundreds. Writes keep their place between them, so the order within a batch is the order of the
//! calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use redis::{Cmd, Pipeline};

use crate::engine::base::clock::Ttl;
use crate::engine::base::key;
use crate::engine::base::mutant;
use crate::engine::cache::local;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::tell::counters::add;
use crate::engine::cache::there;
use crate::engine::call::batch::{Batch, More, Op};
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::ReplyTo;
use crate::engine::exchange::expiry;
use crate::engine::exchange::plan::{Computing, Head, Line, Plan, Question, Step};
use crate::engine::exchange::softening;
use crate::engine::exchange::tokens;
use crate::engine::exchange::writes::{self, Holding, holder, remove, renewed, set, set_new, with_key};
use crate::engine::fleet::server::Server;
use crate::engine::net::denied::Denied;
use crate::engine::once::exclusive::Who;
use crate::engine::once::waiters::{Answers, Begin, Caller, Lease};
use crate::engine::tier::cover::Removal;
use crate::engine::value::life::Ask;
use crate::engine::value::tag_list::Tag;
use crate::engine::value::tags::{self, Tokens};

mod reading;
mod several;

use reading::OpenRun;
use several::End;

/// Plans a batch. Registers its flights and fences, in the order of the engine's queue. `tokens`: those of its tags
/// that the near cache did not have.
pub fn plan(cache: &Cache, line: &Line<'_>, batch: &Batch, to: &ReplyTo, tokens: Tokens, now: u64) -> Plan {
    let Line { server, denied, asks, strays } = *line;
    let mut planner = Planner {
        server: server.clone(),
        asks,
        strays,
        now,
        tokens,
        pipeline: Pipeline::with_capacity(16),
        steps: Vec::with_capacity(batch.ops.len()),
        heads: Vec::new(),
        named: Vec::new(),
        run: None,
        wrote: false,
        ended_tags: false,
        by_hash: false,
        denied,
        answers: Answers::default(),
        uncovered: Vec::new(),
        tags: None,
    };
    let mut buffer = String::new();
    for op in &batch.ops {
        planner.add(cache, batch, op, to, &mut buffer);
    }
    planner.close_run();
    let Planner { server, pipeline, steps, heads, named, answers, tokens, uncovered, .. } = planner;
    let (planned, held, noted) = (cache.shared().sparing.moment(), BTreeSet::new(), false);
    Plan { server, asks, pipeline, steps, heads, named, answers, now, planned, tokens, uncovered, held, noted, denied }
}

struct Planner {
    asks: bool,
    strays: bool,
    /// To which it goes.
    server: Arc<Server>,
    pipeline: Pipeline,
    steps: Vec<Step>,
    heads: Vec<Head>,
    named: Vec<(usize, String, Ttl)>,
    run: Option<OpenRun>,
    /// Something was stored by this batch.
    wrote: bool,
    /// Tags were ended by this batch: what was asked in front of it is no longer known.
    ended_tags: bool,
    /// The script of `expire` stands in this pipeline already, so the server has it.
    by_hash: bool,
    denied: Denied,
    answers: Answers,
    now: u64,
    tokens: Tokens,
    uncovered: Vec<(usize, Option<Removal>)>,
    /// The tags of the last options: calls of a group have the same.
    tags: Option<(More, Vec<Tag>)>,
}

impl Planner {
    fn add(&mut self, cache: &Cache, batch: &Batch, op: &Op, to: &ReplyTo, buffer: &mut String) {
        let given = op.key().map(|span| batch.str(span));
        let key = match given.map(|k| tags::check(op, k).map(|()| k)) {
            Some(Ok(key)) => cache.prefix.join(key, buffer),
            Some(Err(error)) => return self.steps.push(Step::Answered(Reply::Error(error))),
            None => return self.steps.push(Step::Answered(local::keyless(batch, op))),
        };
        if let Some(bounce) = self.strays.then(|| cache.shared().strayed(key, &self.server)).flatten() {
            return self.steps.push(Step::Answered(Reply::Bounced(bounce)));
        }
        let flights = &cache.shared().flights;
        let server = self.server.clone();
        if op.writes() {
            // Again, behind the reads that were queued before it: see the essay in near.rs, race 3.
            server.near.own_write(key);
        }
        self.wrote |= matches!(op, Op::Set { .. } | Op::End { .. });
        match *op {
            Op::Get { .. } if server.journal.covers(key) => {
                add(&cache.counters.misses_redis, 1);
                self.steps.push(Step::Answered(Reply::Miss));
            }
            Op::Exists { .. } | Op::Expire { .. } if server.journal.covers(key) => {
                self.steps.push(Step::Answered(Reply::Flag(false)));
            }
            Op::Ttl { .. } | Op::Inspect { .. } if server.journal.covers(key) => {
                self.steps.push(Step::Answered(Reply::Miss))
            }
            Op::Get { .. } => self.read(cache, key, None),
            Op::Begin { waiter, lock, many, early, more, .. } => {
                let extras = batch.more(more);
                let late = ReplyTo { sink: to.sink.clone(), id: waiter };
                let caller = Caller { to: late.clone(), window: extras.window, many, codec: cache.format.codec };
                match flights.begin(key, caller, self.now) {
                    Begin::Read(token) => {
                        if !extras.tags.is_empty() {
                            flights.tag(key, token, self.tags(cache, batch, more));
                        }
                        let ask = Ask { window: extras.window, beta: extras.beta, early };
                        let lock = lock && !self.denied.scripts.is() && !mutant::lacks("lease");
                        let lock = lock.then_some((waiter, many));
                        if !self.uncover(key) {
                            // It stays a miss until the sweep is over, for whoever computes it as well.
                            add(&cache.counters.misses_redis, 1);
                            let (reply, led) = local::lead(cache, key, token, to, Lease::None, None, self.now);
                            self.answers.append(led.answers);
                            return self.steps.push(Step::Answered(reply));
                        }
                        self.read(cache, key, Some(Computing { token, ask, lock }));
                    }
                    joined => {
                        if joined == Begin::Wait && !extras.tags.is_empty() {
                            flights.tag_waiting(key, &late, self.tags(cache, batch, more));
                        }
                        self.steps.push(Step::Answered(local::joined(cache, joined)));
                    }
                }
            }
            Op::Set { value, ttl, more, .. } => {
                flights.fence(key);
                self.uncover(key);
                server.journal.supersede(key);
                let tagged = !batch.more(more).tags.is_empty();
                let meta = tagged.then(|| local::meta(cache, 0, 0, self.tags(cache, batch, more)));
                self.command(set(key, &cache.format.encode(batch.value(value), meta.as_deref()), ttl), Step::Write);
            }
            Op::SetIfAbsent { value, ttl, more, .. } => {
                flights.fence(key);
                self.uncover_all(key);
                let tagged = !batch.more(more).tags.is_empty();
                let meta = tagged.then(|| local::meta(cache, 0, 0, self.tags(cache, batch, more)));
                let bytes = cache.format.encode(batch.value(value), meta.as_deref());
                let command = if self.denied.scripts.is() || mutant::lacks("absent") {
                    set_new(key, &bytes, ttl)
                } else {
                    expiry::set_if_absent(&cache.prefix, (key, &bytes, ttl), self.denied.many.is())
                };
                self.command(command, Step::Write);
            }
            Op::End { value, ttl, token, more, .. } => self.end(cache, batch, key, &End { value, ttl, token, more }),
            Op::Soften { stale_ms, .. }
                if !self.denied.scripts.is() && !server.journal.covers(key) && !server.journal.holds(key) =>
            {
                flights.fence(key);
                cache.shared().note_grace();
                self.command(softening::soften(cache, key, stale_ms), Step::Write);
            }
            Op::EndTag { stale_ms, .. } if !self.denied.scripts.is() && !server.journal.covers(key) => {
                flights.fence_tag(key);
                // What was ended for good, and is still to be removed, is of use to nobody.
                let stale_ms = if server.journal.holds(key) { 0 } else { stale_ms };
                server.journal.supersede(key);
                self.ended_tags = true;
                let token = tags::new_token(&cache.shared().random);
                self.command(tokens::end(key, &token, stale_ms), Step::Write);
            }
            Op::TagTime { .. } => {
                let record = if self.ended_tags { None } else { self.tokens.get(key).cloned() };
                let record = record.or_else(|| cache.near_token(key, self.now).filter(|_| !self.ended_tags));
                self.steps.push(Step::Answered(there::tag_time(record, true)));
            }
            Op::Del { .. } | Op::Soften { .. } | Op::EndTag { .. } => {
                flights.fence(key);
                if given.is_some_and(|given| key::is_internal(given.as_bytes())) {
                    flights.fence_tag(key);
                    self.ended_tags = true;
                }
                self.uncover(key);
                server.journal.supersede(key);
                self.command(with_key(remove(self.denied), key), Step::Write);
            }
            Op::Take { .. } => {
                flights.fence(key);
                if !mutant::lacks("taken") {
                    self.uncover_all(key);
                }
                self.close_run();
                let taking = writes::take(&mut self.pipeline, key, self.denied, self.asks);
                self.steps.push(Step::Taken(taking));
            }
            Op::Increment { amount, ttl, .. } => {
                let computing: Vec<_> = flights.fence(key).into_iter().map(|token| holder(cache, token)).collect();
                self.uncover_all(key);
                self.increment(key, amount, ttl, &computing);
            }
            Op::Hold { ttl, token, renews, .. } => {
                let held = local::hold(cache, op, key, to, self.now);
                if !held && ttl > 0 {
                    return self.steps.push(Step::Answered(Reply::Number(0)));
                }
                self.close_run();
                let marker = Who { client: to.sink.client(), token }.marker(cache.shared().name);
                let how = Holding { key, marker: &marker, ttl, renews };
                let replies = writes::hold(&mut self.pipeline, cache, &how, self.denied);
                self.steps.push(Step::Last(replies));
            }
            Op::Exists { .. } => self.question(key, Question::Exists, None),
            Op::Ttl { .. } => self.question(key, Question::Ttl, None),
            Op::Inspect { .. } => {
                self.question(key, Question::Inspect, None);
                self.pipeline.add_command(with_key("STRLEN", key));
            }
            // What reads as a miss here keeps its time, unless it was replaced just now.
            Op::Expire { .. } if !self.wrote && server.journal.holds(key) => {
                self.steps.push(Step::Answered(Reply::Flag(false)));
            }
            Op::Expire { ttl, .. } if mutant::lacks("expire") => self.command(renewed(key, ttl, 0), Step::Write),
            // Refused, and told so.
            Op::Expire { ttl: ttl @ Ttl::Millis(_), .. } if self.denied.pexpire.is() => {
                self.command(renewed(key, ttl, 0), Step::Write);
            }
            Op::Expire { ttl, .. } if self.denied.scripts.is() || self.denied.many.is() => {
                self.question(key, Question::Expire, Some(ttl));
            }
            Op::Expire { ttl, .. } => {
                self.close_run();
                if std::mem::replace(&mut self.by_hash, true) {
                    self.named.push((self.pipeline.len(), key.to_owned(), ttl));
                    self.command(expiry::expire(false, &cache.prefix, key, ttl), Step::Write);
                } else {
                    self.command(expiry::expire(true, &cache.prefix, key, ttl), Step::Write);
                }
            }
            Op::Abandon { token, why, .. } => {
                let leased = flights.leased(key, token);
                self.answers.append(flights.end(key, token, why.into()));
                self.over(cache, key, token, leased, Reply::Done);
            }
            Op::Overdue { token, .. } => {
                self.answers.append(flights.overdue(key, token));
                self.steps.push(Step::Answered(Reply::Done));
            }
            Op::Withdraw { waiter, .. } => {
                self.answers.append(flights.withdraw(key, to.sink.client(), waiter));
                self.steps.push(Step::Answered(Reply::Done));
            }
            Op::Malformed | Op::Answered | Op::Known(_) => self.steps.push(Step::Answered(local::keyless(batch, op))),
        }
    }

    /// The tags of what is to be stored, with the tokens that they have.
    fn tags(&mut self, cache: &Cache, batch: &Batch, more: More) -> Vec<Tag> {
        if let Some((last, tags)) = &self.tags
            && *last == more
        {
            return tags.clone();
        }
        let tags = tags::with_tokens(&batch.more(more).tags, &cache.shared().random, |name| {
            let key = tags::key(&cache.prefix, name);
            self.tokens.get(&*key).cloned().or_else(|| cache.near_token(&key, self.now))
        });
        self.tags = Some((more, tags.clone()));
        tags
    }

    fn command(&mut self, command: Cmd, step: Step) {
        self.close_run();
        self.pipeline.add_command(command);
        self.steps.push(step);
    }
}
