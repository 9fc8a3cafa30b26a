//! A batch as one pipeline; [`super::settle`] reads what comes back.
//!
//! Reads that stand beside each other travel as one MGET: the server, the parser and this thread each handle one command instead of
//! hundreds. Writes keep their place between them, so the order within a batch is the order of the calls.

use redis::{Cmd, Pipeline, cmd};

use super::dial::Denied;
use crate::engine::batch::{Batch, Op, Reply, ReplyTo};
use crate::engine::cache::Cache;
use crate::engine::clock::{Ttl, now_ms};
use crate::engine::flight::{Answers, Begin, Outcome};
use crate::engine::key;
use crate::engine::lease::{self, Holder};
use crate::engine::local;

/// The most reads in one MGET: enough to make its cost vanish, short enough not to hold up the server's other clients.
const MAX_MGET: usize = 256;

/// How one operation is answered.
pub(super) enum Step {
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
pub(super) struct Run {
    pub(super) keys: usize,
    pub(super) fills: usize,
}

/// A pipeline and how to read what comes back.
pub struct Plan {
    pub pipeline: Pipeline,
    pub(super) steps: Vec<Step>,
    pub(super) answers: Answers,
    /// When it was made, which is before the server sees it.
    pub(super) now: u64,
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

pub(super) fn holder(cache: &Cache, token: u32) -> Holder {
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
