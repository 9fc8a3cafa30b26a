//! The replies of a pipeline, judged: each becomes the reply of its call, and what they leave to be done is gathered.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::vec;

use redis::Value;

use crate::engine::base::error::{CallError, Kind, Trouble};
use crate::engine::base::text::Span;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::tell::counters::add;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::ReplyTo;
use crate::engine::exchange::plan::{Call, Came, Plan, Question, Read, Step, Verdict};
use crate::engine::exchange::reads::{self, Found, Look};
use crate::engine::exchange::tokens::Missing;
use crate::engine::exchange::writes::{take_back, transaction, written};
use crate::engine::exchange::{questions, refusals};
use crate::engine::net::denied::Denied;
use crate::engine::net::reply::{integer, left, out_of_step};
use crate::engine::once::exclusive::Who;
use crate::engine::once::waiters::Outcome;
use crate::engine::tier::cover::Removal;
use crate::engine::value::codec::Room;
use crate::engine::value::entry;
use crate::engine::value::life::Ask;
use crate::engine::value::tags::Tokens;

mod replies;
mod taken;

use replies::Replies;
use taken::taken;

impl Plan {
    /// The tags of what came back whose tokens are not known, and the tokens of those that the near cache has.
    pub fn unknown_tags(&self, cache: &Cache, values: &[Value], now: u64) -> (Vec<String>, Tokens) {
        let mut missing = Missing::new(cache, now);
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
        missing.into_both()
    }

    /// Judges what came back. Whatever has no reply of the server is answered on the in-process tier.
    pub fn settle(self, cache: &Cache, batch: &Batch, to: &ReplyTo, came: Came, now: u64) -> (Vec<Reply>, Verdict) {
        let (values, lost) = match came {
            Came::All(values) => (values, false),
            Came::Lost(values) => (values, true),
        };
        let (server, asks) = (self.server, self.asks);
        let mut judge = Judge {
            replies: Replies::new(values, self.denied.mget.is()),
            lost,
            noted: self.noted,
            sent: self.now,
            planned: self.planned,
            tokens: self.tokens,
            uncovered: self.uncovered.into_iter().peekable(),
            room: Room::default(),
            denied: self.denied,
            held: self.held,
            verdict: Verdict { answers: self.answers, ..Verdict::default() },
        };
        let mut buffer = String::new();
        let mut replies = Vec::with_capacity(self.steps.len());
        for (at, (op, step)) in batch.ops.iter().zip(self.steps).enumerate() {
            let key = op.key().map_or("", |span| cache.prefix.join(batch.str(span), &mut buffer));
            let mut call = Call { cache, batch, to, op, key, server: &server, held: false, asks, now };
            if let Some((_, removal)) = judge.uncovered.next_if(|(step, _)| *step == at) {
                judge.removed(&call, removal.as_ref());
            }
            call.held = judge.held.contains(key);
            replies.push(judge.answer(&call, step));
        }
        (replies, judge.verdict)
    }
}

struct Judge {
    replies: Replies,
    /// Nothing can be sent behind it any more.
    lost: bool,
    /// What became of its writes has been noted, and what later batches did since.
    noted: bool,
    /// When the batch was sent.
    sent: u64,
    /// See `Plan::planned`.
    planned: u64,
    tokens: Tokens,
    uncovered: Peekable<vec::IntoIter<(usize, Option<Removal>)>>,
    /// For what its compressed entries expand to.
    room: Room,
    denied: Denied,
    /// Keys that are not to be trusted at this place of the batch: from when the replies came, or from the refusal of a
    /// write in front of it, until a write of this batch has replaced them.
    held: BTreeSet<String>,
    verdict: Verdict,
}

impl Judge {
    fn answer(&mut self, call: &Call<'_>, step: Step) -> Reply {
        match step {
            Step::Answered(reply) => reply,
            Step::Read(read) => self.read(call, read),
            Step::Passed(reply) => {
                self.replies.next();
                reply
            }
            Step::Held(question) => self.question(call, question),
            Step::Write => {
                let reply = self.replies.next();
                self.write(call, reply)
            }
            Step::Last(replies) => {
                let reply = self.replies.last_of(replies);
                self.write(call, reply)
            }
            Step::Transaction(replies) => {
                let reply = transaction(self.replies.take(replies));
                self.write(call, reply)
            }
            Step::Taken(how) => {
                let taken = taken(self.replies.take(how.replies()), how);
                self.take(call, taken)
            }
        }
    }

    fn read(&mut self, call: &Call<'_>, read: Read) -> Reply {
        let Read { run, flight, timed, asks, ticket } = read;
        let value = self.replies.read(run);
        let left = if timed { self.replies.ttls.next().and_then(left) } else { None };
        let asked = if asks { self.replies.leases.next() } else { None };
        let bounce = if self.lost { call.strayed() } else { call.bounced(value.as_ref()) };
        if let Some(bounce) = bounce {
            return reads::bounced(call, ticket, flight, bounce, &mut self.verdict);
        }
        let ask = flight.map_or(Ask::default(), |f| f.ask);
        let passing = flight.is_none() && ticket.is_none();
        let mut found = if self.lost { Found::NoReply } else { self.find(call, value, left, ask, passing) };
        if call.is_held() && !matches!(found, Found::NoReply) {
            found = Found::miss();
        }
        if let Some(ticket) = ticket {
            reads::fill(call, ticket, &found, self.sent);
        }
        match flight {
            None => reads::get(call, found),
            Some(flight) => reads::begin(call, found, flight, asked.as_ref(), &mut self.verdict),
        }
    }

    /// What a read found, judged.
    fn find(&mut self, call: &Call<'_>, value: Option<Value>, left: Option<u64>, ask: Ask, passing: bool) -> Found {
        let Some(value) = value else { return Found::NoReply };
        let bytes = match value {
            Value::BulkString(bytes) => bytes,
            Value::Nil => return Found::miss(),
            other => {
                let trouble = integer(other).err().unwrap_or_else(out_of_step);
                refusals::met(call.cache, &trouble);
                if trouble.kind.is_outage() {
                    self.verdict.outage.get_or_insert(trouble);
                    return Found::NoReply;
                }
                return Found::miss();
            }
        };
        let token = |key: &str| self.tokens.get(key).cloned();
        reads::judge(call.cache, bytes, &Look { left, ask, passing, now: call.now }, &mut self.room, token)
    }

    fn question(&mut self, call: &Call<'_>, question: Question) -> Reply {
        let replies = (self.replies.next(), self.replies.next());
        let length = if question == Question::Inspect { self.replies.next() } else { None };
        let (Some(head), Some(pttl)) = replies else { return Self::elsewhere(call) };
        if self.lost {
            return Self::elsewhere(call);
        }
        // The key may leave between two of them.
        if let Some(bounce) = [Some(&head), Some(&pttl), length.as_ref()].into_iter().find_map(|one| call.bounced(one))
        {
            return Reply::Bounced(bounce);
        }
        let known = |key: &str| call.cache.token(key, |key| self.tokens.get(key).cloned(), call.now);
        let answer = match length {
            Some(length) => questions::inspected(call, [head, pttl, length], known),
            None => questions::answer(call, question, [head, pttl], known),
        };
        match answer {
            Ok(reply) => reply,
            Err(trouble) => self.refused(call, trouble).unwrap_or_else(|| call.locally()),
        }
    }

    /// A question that was not answered is asked where its slot is by now.
    fn elsewhere(call: &Call<'_>) -> Reply {
        call.strayed().map_or_else(|| call.locally(), Reply::Bounced)
    }

    /// A write, by its reply; `None` where there is none.
    fn write(&mut self, call: &Call<'_>, result: Option<Value>) -> Reply {
        if let Some(reply) = call.unanswered(result.as_ref()).filter(|_| self.lost) {
            return reply;
        }
        // Where the connection was lost, nobody is asked for this once.
        if let Some(bounce) = call.bounced(result.as_ref()).filter(|bounce| !self.lost || !bounce.asks) {
            return Reply::Bounced(bounce);
        }
        let &Call { cache, batch, op, key, server, .. } = call;
        let late = self.lost || self.noted;
        let replaced = refusals::is_replaced(op, result.as_ref());
        let outcome = result.ok_or(None).and_then(|v| written(cache, server, batch, op, key, v, late).map_err(Some));
        let reply = match outcome {
            Ok(reply) => {
                let added = matches!((op, &reply), (Op::Increment { .. }, Reply::Number(_)));
                if (replaced || added) && !self.lost {
                    cache.shared().stored(server, key, self.planned);
                }
                if let (Op::Increment { amount, .. }, Reply::Error(_)) = (call.op, &reply) {
                    self.verdict.behind.push(take_back(call.key, *amount, self.denied));
                }
                let stored = reply == Reply::Flag(true) && matches!(call.op, Op::SetIfAbsent { .. });
                if stored || matches!(call.op, Op::Set { .. } | Op::Del { .. } | Op::EndTag { .. }) {
                    self.held.remove(call.key);
                }
                // An earlier write of this batch was refused, and this one replaced what it would have.
                if !self.verdict.stale.is_empty() && (stored || matches!(call.op, Op::Set { .. })) {
                    self.verdict.stale.remove(call.key);
                }
                reply
            }
            Err(trouble) => match trouble.and_then(|trouble| self.refused(call, trouble)) {
                Some(reply) => reply,
                // It ends the flight of an `End` itself.
                None => return call.locally(),
            },
        };
        match *call.op {
            Op::End { value, token, .. } => self.ended(call, value, token),
            // Redis' word is that of all processes.
            Op::Hold { token, .. } if reply == Reply::Number(0) => {
                cache.shared().exclusive.release(key, Who { client: call.to.sink.client(), token });
            }
            _ => {}
        }
        reply
    }

    /// The flight whose result was to be stored is over.
    fn ended(&mut self, call: &Call<'_>, value: Span, token: u32) {
        let outcome = Outcome::Value(call.batch.value(value).keep());
        self.verdict.answers.append(call.cache.shared().flights.end(call.key, token, outcome));
    }

    /// The reply to the removal of a key in front of a call.
    fn removed(&mut self, call: &Call<'_>, removal: Option<&Removal>) {
        let Some(value) = self.replies.next() else { return };
        let shared = call.cache.shared();
        if let Some(owner) = shared.owed_elsewhere(call.key, &value, call.server) {
            return call.cache.noted(shared.owe(call.key, call.server, &owner));
        }
        let journal = &call.server.journal;
        match integer(value) {
            Ok(keys) => {
                _ = removal.map(|removal| journal.removed(removal.id, u64::try_from(keys).unwrap_or(0)));
                journal.replaced(call.key);
            }
            Err(trouble) if trouble.kind.is_outage() => _ = self.verdict.outage.get_or_insert(trouble),
            // It lies there still: a miss until it is replaced.
            Err(_) => self.distrust(call),
        }
    }

    /// What lies at the key is not to be read by what stands behind in the batch, nor by later ones, unless they have
    /// been told of already.
    fn distrust(&mut self, call: &Call<'_>) {
        self.held.insert(call.key.to_owned());
        if !self.noted {
            call.distrust();
        }
    }

    /// The server's word on one write: an answer, or `None` where the in-process tier must give one.
    fn refused(&mut self, call: &Call<'_>, trouble: Trouble) -> Option<Reply> {
        let op = call.op;
        if matches!(op, Op::Increment { .. }) && trouble.kind == Kind::Server {
            // The caller's mistake, and no trouble with Redis.
            return Some(Reply::Error(CallError::not_an_integer()));
        }
        refusals::met(call.cache, &trouble);
        if trouble.kind.is_outage() {
            self.verdict.outage.get_or_insert(trouble);
            return None;
        }
        match op {
            // Not stored; and what was there before must not be taken for it: it is removed, and reads that are behind
            // this write miss it until it is.
            Op::Set { .. } | Op::End { .. } | Op::Soften { .. } | Op::EndTag { .. } => {
                self.distrust(call);
                // A later write has replaced it, where this one was noted before.
                if !self.noted || call.server.journal.holds(call.key) {
                    self.verdict.stale.insert(call.key.to_owned());
                }
                Some(if matches!(op, Op::Soften { .. } | Op::EndTag { .. }) { Reply::Number(0) } else { Reply::Done })
            }
            // Still there, and not to be read any more.
            Op::Del { .. } => {
                self.distrust(call);
                Some(Reply::Number(0))
            }
            // Nor is this; what is no string is nobody's value in any case.
            Op::Take { .. } => {
                if trouble.kind != Kind::Wrongtype {
                    self.distrust(call);
                }
                add(&call.cache.counters.misses_redis, 1);
                Some(Reply::Miss)
            }
            Op::Increment { .. } if matches!(trouble.kind, Kind::Oom | Kind::Denied | Kind::Refused) => None,
            Op::Increment { .. } => Some(Reply::Error(CallError::not_an_integer())),
            // Somebody's whose server denied scripts, or allowed them: see exclusive.rs.
            Op::Hold { .. } if matches!(trouble.kind, Kind::Wrongtype | Kind::Server) => Some(Reply::Number(0)),
            Op::Hold { .. } => None,
            Op::Ttl { .. } | Op::Inspect { .. } => Some(Reply::Miss),
            _ => Some(Reply::Flag(false)),
        }
    }
}
