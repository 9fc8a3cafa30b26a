//! A batch as one pipeline; [`super::settle`] reads what comes back.
//!
//! Reads that stand beside each other travel as one MGET: the server, the parser and this thread each handle one command instead of
//! hundreds. Writes keep their place between them, so the order within a batch is the order of the calls.

use redis::{Cmd, Pipeline, cmd};

use super::dial::Denied;
use super::writes::{Computed, holder, pexpire, remove, set, store, with_key};
use crate::engine::batch::{Batch, More, Op, Reply, ReplyTo};
use crate::engine::cache::Cache;
use crate::engine::clock::{Ttl, now_ms};
use crate::engine::entry::Tag;
use crate::engine::key;
use crate::engine::lease::{self, Holder};
use crate::engine::life::Ask;
use crate::engine::local;
use crate::engine::mutant;
use crate::engine::tags::{self, Tokens};
use crate::engine::waiters::{Answers, Begin, Caller, Outcome};

/// The most reads in one MGET: enough to make its cost vanish, short enough not to hold up the server's other clients.
const MAX_MGET: usize = 256;

/// How much of an entry is read to tell its age and its tags. One with a longer list of tags than that counts as missing.
const HEAD: usize = 4096;

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
    /// By what an entry's first bytes and its time left say, and the replies behind these.
    Held(Question),
    /// By the second element of EXEC, the last of so many replies.
    Transaction(usize),
}

/// What a question about a key wants to know. Two replies stand before those of its own: the entry's first bytes, and its time left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Exists,
    Ttl,
    /// So many replies of its own, of which the last says whether there was such a key.
    Expire(usize),
}

/// A read for a computation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Flight {
    pub(super) token: u32,
    pub(super) ask: Ask,
    /// The caller, should it have to wait while the key's lease is asked for: its id, and whether it wants to know of other computations.
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
    pub(super) answers: Answers,
    /// When it was made, which is before the server sees it.
    pub(super) now: u64,
    /// The tokens of tags that were asked for, which the near cache need not have.
    pub tokens: Tokens,
    pub(super) denied: Denied,
}

/// Plans a batch. Registers its flights and fences, in the order of the engine's queue. `tokens`: those of its tags that the near cache did not have.
pub fn plan(cache: &Cache, batch: &Batch, to: &ReplyTo, denied: Denied, tokens: Tokens) -> Plan {
    let now = now_ms();
    let mut planner = Planner {
        now,
        tokens,
        pipeline: Pipeline::with_capacity(16),
        steps: Vec::with_capacity(batch.ops.len()),
        run: None,
        denied,
        answers: Answers::default(),
        tags: None,
    };
    let mut buffer = String::new();
    for op in &batch.ops {
        planner.add(cache, batch, op, to, &mut buffer);
    }
    planner.close_run();
    Plan {
        pipeline: planner.pipeline,
        steps: planner.steps,
        answers: planner.answers,
        now,
        tokens: planner.tokens,
        denied,
    }
}

struct Planner {
    pipeline: Pipeline,
    steps: Vec<Step>,
    run: Option<OpenRun>,
    denied: Denied,
    answers: Answers,
    now: u64,
    tokens: Tokens,
    /// The tags of the last options: calls of a group have the same.
    tags: Option<(More, Vec<Tag>)>,
}

/// The MGET under way: where it began among the steps, its keys so far, and the PTTL and leases that will follow.
struct OpenRun {
    at: usize,
    keys: usize,
    command: Cmd,
    ttls: Vec<Cmd>,
    leases: Vec<Cmd>,
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
            near.own_write(key);
        }
        match *op {
            Op::Get { .. } => self.read(cache, key, None),
            Op::Begin { waiter, lock, many, early, more, .. } => {
                let extras = batch.more(more);
                let caller = Caller { to: ReplyTo { sink: to.sink.clone(), id: waiter }, window: extras.window, many };
                match flights.begin(key, caller, self.now) {
                    Begin::Read(token) => {
                        if !extras.tags.is_empty() {
                            flights.tag(key, token, self.tags(cache, batch, more));
                        }
                        let ask = Ask { window: extras.window, beta: extras.beta, early };
                        let lock = lock && !self.denied.scripts && !mutant::lacks("lease");
                        let lock = lock.then_some((waiter, many));
                        self.read(cache, key, Some(Flight { token, ask, lock }));
                    }
                    joined => self.steps.push(Step::Answered(local::joined(cache, joined))),
                }
            }
            Op::Set { value, ttl, more, .. } => {
                flights.fence(key);
                let tagged = !batch.more(more).tags.is_empty();
                let meta = tagged.then(|| local::meta(0, 0, self.tags(cache, batch, more)));
                self.command(set(key, &cache.format.encode(batch.str(value), meta.as_deref()), ttl), Step::Write);
            }
            Op::End { value, ttl, token, more, .. } => match flights.landing(key, token) {
                Some(landing) => {
                    let result = Computed { token, text: batch.str(value), ttl, extras: batch.more(more) };
                    self.command(store(cache, key, &result, &landing, false), Step::Write);
                }
                None => {
                    let leased = flights.leased(key, token);
                    self.answers.append(flights.end(key, token, Outcome::Value(batch.str(value).into())));
                    self.over(cache, key, token, leased);
                }
            },
            Op::Del { .. } => {
                flights.fence(key);
                if given.is_some_and(|given| tags::is_internal(given.as_bytes())) {
                    flights.fence_tag(key);
                }
                self.command(with_key(remove(self.denied), key), Step::Write);
            }
            Op::Increment { amount, ttl, .. } => {
                let computing = flights.fence(key).map(|token| holder(cache, token));
                self.increment(key, amount, ttl, computing);
            }
            Op::Exists { .. } => self.question(key, Question::Exists),
            Op::Ttl { .. } => self.question(key, Question::Ttl),
            Op::Expire { ttl: Ttl::Millis(ms), .. } => {
                self.question(key, Question::Expire(1));
                self.pipeline.add_command(pexpire(key, ms));
            }
            Op::Expire { ttl: Ttl::Forever, .. } => {
                self.question(key, Question::Expire(2));
                self.pipeline.add_command(with_key("PERSIST", key)).add_command(with_key("EXISTS", key));
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

    fn read(&mut self, cache: &Cache, key: &str, flight: Option<Flight>) {
        if self.run.as_ref().is_some_and(|run| run.keys == MAX_MGET || self.denied.mget) {
            self.close_run();
        }
        let run = self.run.get_or_insert_with(|| OpenRun {
            at: self.steps.len(),
            keys: 0,
            command: cmd(if self.denied.mget { "GET" } else { "MGET" }),
            ttls: Vec::new(),
            leases: Vec::new(),
        });
        run.keys += 1;
        run.command.arg(key);
        let ticket = if cache.near { cache.shared().near.expect(key) } else { None };
        // Without its time left, the age of an entry with grace is not known.
        let grace = flight.is_some_and(|f| f.ask.window > 0 || f.ask.beta > 0.0 || f.ask.early);
        let timed = ticket.is_some() || grace || cache.shared().has_grace();
        if timed {
            run.ttls.push(with_key("PTTL", key));
        }
        let asking = flight.filter(|f| f.lock.is_some_and(|(_, many)| !many) && cache.shared().misses.prevail());
        if let Some(Flight { token, .. }) = asking {
            cache.shared().flights.asked(key, token);
            run.leases.push(lease::acquire(false, key, holder(cache, token), &[]));
        }
        self.steps.push(Step::Read { run: Run::default(), flight, timed, asks: asking.is_some(), ticket });
    }

    /// The tags of what is to be stored, with the tokens that they have.
    fn tags(&mut self, cache: &Cache, batch: &Batch, more: More) -> Vec<Tag> {
        if let Some((last, tags)) = &self.tags
            && *last == more
        {
            return tags.clone();
        }
        let tags = tags::with_tokens(&batch.more(more).tags, |name| {
            let key = tags::key(&cache.prefix, name);
            self.tokens.get(&*key).cloned().or_else(|| tags::near_token(cache, &key, self.now))
        });
        self.tags = Some((more, tags.clone()));
        tags
    }

    /// Ends the MGET under way, so that what follows stands behind it.
    fn close_run(&mut self) {
        let Some(open) = self.run.take() else { return };
        self.pipeline.add_command(open.command);
        if let Some(Step::Read { run, .. }) = self.steps.get_mut(open.at) {
            *run = Run { keys: open.keys, fills: open.ttls.len(), leases: open.leases.len() };
        }
        for command in open.ttls.into_iter().chain(open.leases) {
            self.pipeline.add_command(command);
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

    /// A question about a key, behind what tells whether there is a value for a caller: a marker is none, nor is an entry that is stale, or that a tag made a miss.
    fn question(&mut self, key: &str, question: Question) {
        let mut head = with_key("GETRANGE", key);
        head.arg(0).arg(HEAD - 1);
        self.command(head, Step::Held(question));
        self.pipeline.add_command(with_key("PTTL", key));
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
