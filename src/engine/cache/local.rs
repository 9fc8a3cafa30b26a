//! Runs calls on the in-process tier: memory mode, and the fallback of every call that Redis did not answer.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::base::clock::Ttl;
use crate::engine::base::error::CallError;
use crate::engine::base::key;
use crate::engine::base::text::{Json, Span};
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::tell::counters::add;
use crate::engine::cache::there;
use crate::engine::call::batch::Extras;
use crate::engine::call::batch::{Batch, More, Op};
use crate::engine::call::reply::Reply;
use crate::engine::call::sink::ReplyTo;
use crate::engine::once::exclusive::Who;
use crate::engine::once::waiters::{Answers, Begin, Caller, Lease, Led, Outcome, Over};
use crate::engine::tier::memory::{Memory, Uncountable};
use crate::engine::value::entry::Meta;
use crate::engine::value::life::{self, Ask, Life, Stale};
use crate::engine::value::record::Standing;
use crate::engine::value::tag_list::{Tag, Tags};
use crate::engine::value::tags;

/// Answers a whole batch.
pub fn run(cache: &Cache, batch: &mut Batch, to: &ReplyTo) -> Vec<Reply> {
    batch.render();
    let now = cache.shared().clock.now_ms();
    let mut buffer = String::new();
    batch.ops.iter().map(|op| one(cache, batch, op, to, now, &mut buffer)).collect()
}

/// Answers one operation.
pub fn one(cache: &Cache, batch: &Batch, op: &Op, to: &ReplyTo, now: u64, buffer: &mut String) -> Reply {
    let Some(span) = op.key() else { return keyless(batch, op) };
    let given = batch.str(span);
    if let Err(error) = tags::check(op, given) {
        return Reply::Error(error);
    }
    let key = cache.prefix.join(given, buffer);
    let memory = &cache.shared().memory;
    let flights = &cache.shared().flights;
    match *op {
        Op::Get { .. } => match read(cache, key, now) {
            Some(value) => Reply::Value(value),
            None => Reply::Miss,
        },
        Op::Take { more, .. } | Op::SetIfAbsent { more, .. } | Op::Increment { more, .. } | Op::Hold { more, .. }
            if cache.has_redis && batch.more(more).reject =>
        {
            if let Op::Hold { token, .. } = *op {
                cache.shared().exclusive.release(key, Who { client: to.sink.client(), token });
            }
            Reply::Error(CallError::unavailable())
        }
        Op::Hold { .. } => Reply::Number(if hold(cache, op, key, to, now) { 2 } else { 0 }),
        Op::Set { value, ttl, more, .. } => {
            set(cache, batch, key, (value, ttl, more), now, |_| false);
            Reply::Done
        }
        Op::SetIfAbsent { value, ttl, more, .. } => {
            let there = |_: &Memory| there::fresh(cache, key, now).is_some();
            Reply::Flag(set(cache, batch, key, (value, ttl, more), now, there))
        }
        Op::Soften { stale_ms, .. } if !cache.has_redis => {
            flights.fence(key);
            add(&cache.counters.deletes, 1);
            Reply::Number(i64::from(memory.soften(key, stale_ms, cache.shared().random.bits(), now)))
        }
        Op::EndTag { stale_ms, .. } => there::end_tag(cache, key, stale_ms, now),
        Op::TagTime { .. } => {
            there::tag_time(there::entry(cache, key, now).and_then(|entry| entry.value.json()), cache.has_redis)
        }
        // In an outage: what lies in Redis cannot be marked, and is deleted when it is back.
        Op::Del { .. } | Op::Soften { .. } => {
            flights.fence(key);
            cache.journal(key);
            if key::is_internal(given.as_bytes()) {
                flights.fence_tag(key);
            } else {
                add(&cache.counters.deletes, 1);
            }
            Reply::Number(i64::from(memory.remove(key, now)))
        }
        Op::Take { .. } => {
            flights.fence(key);
            // Not what the near cache held: that lies in Redis, where somebody else may take it, and stays there.
            let found = memory.take(key, now).inspect(|_| cache.journal(key));
            let found = there::judged(cache, found, now).filter(|entry| entry.fresh_until() > now);
            count(cache, found.is_some());
            add(&cache.counters.deletes, u64::from(found.is_some()));
            found.map_or(Reply::Miss, |entry| Reply::Value(Json::Shared(entry.value)))
        }
        Op::Increment { amount, ttl, .. } => {
            flights.fence(key);
            let ttl = cache.local_ttl(ttl.unwrap_or(Ttl::Forever));
            match memory.increment(cache.format.codec, key, amount, ttl, now) {
                Ok(sum) => Reply::Number(sum),
                Err(Uncountable::NotAnInteger) => Reply::Error(CallError::not_an_integer()),
                Err(Uncountable::Unsafe) => Reply::Error(CallError::unsafe_integer()),
            }
        }
        Op::Exists { .. } => Reply::Flag(there::fresh(cache, key, now).is_some()),
        Op::Ttl { .. } => match there::fresh(cache, key, now).and_then(|_| memory.ttl(key, now)) {
            Some(left) => Reply::Left(left),
            None => Reply::Miss,
        },
        Op::Inspect { .. } => {
            there::described(cache, key, now).map_or(Reply::Miss, |text| Reply::Value(Json::of(text)))
        }
        Op::Expire { ttl, .. } => {
            let there = there::fresh(cache, key, now).is_some() && memory.expire(key, cache.local_ttl(ttl), now);
            cache.journal(key);
            Reply::Flag(there)
        }
        Op::Begin { waiter, many, early, more, .. } => {
            let extras = batch.more(more);
            let to = ReplyTo { sink: to.sink.clone(), id: waiter };
            let caller = Caller { to: to.clone(), window: extras.window, many, codec: cache.format.codec };
            let ask = Ask { window: extras.window, beta: extras.beta, early };
            match flights.begin(key, caller, now) {
                Begin::Read(token) => {
                    if !extras.tags.is_empty() {
                        flights.tag(key, token, there::tokens(cache, &extras.tags, now));
                    }
                    let (reply, answers) = finish_read(cache, key, token, &to, ask, now);
                    answers.send();
                    reply
                }
                other => {
                    if other == Begin::Wait && !extras.tags.is_empty() {
                        flights.tag_waiting(key, &to, there::tokens(cache, &extras.tags, now));
                    }
                    joined(cache, other)
                }
            }
        }
        Op::End { value, ttl, token, more, .. } => {
            let value = batch.value(value).keep();
            let extras = batch.more(more);
            let Some(named) = there::named(cache, extras, key, token, now) else {
                flights.end(key, token, Outcome::Failed).send();
                return Reply::Again;
            };
            let stored = flights.store(key, token, |known| {
                let known = [known, &named].concat();
                memory.put(key, &value, end_meta(cache, extras, &known, ttl), cache.local_ttl(ttl), now);
                cache.journal(key);
            });
            if stored {
                add(&cache.counters.sets, 1);
            }
            flights.end(key, token, Outcome::Value(value)).send();
            Reply::Done
        }
        Op::Abandon { token, why, .. } => {
            flights.end(key, token, why.into()).send();
            Reply::Done
        }
        Op::Overdue { token, .. } => {
            flights.overdue(key, token).send();
            Reply::Done
        }
        Op::Withdraw { waiter, .. } => {
            flights.withdraw(key, to.sink.client(), waiter).send();
            Reply::Done
        }
        Op::Malformed | Op::Answered | Op::Known(_) => keyless(batch, op),
    }
}

/// What `Op::Hold` does in this process, with Redis or without; whether the name is held then.
pub fn hold(cache: &Cache, op: &Op, key: &str, to: &ReplyTo, now: u64) -> bool {
    let Op::Hold { ttl, token, renews, .. } = *op else { return false };
    let who = Who { client: to.sink.client(), token };
    let (held, until) = (&cache.shared().exclusive, now.saturating_add(ttl));
    match (renews, ttl) {
        (false, _) => held.take(key, who, until, now),
        (true, 0) => {
            held.release(key, who);
            false
        }
        (true, _) => held.renew(key, who, until, now),
    }
}

/// Stores a value, unless what is there `stays`; whether it did.
fn set(
    cache: &Cache,
    batch: &Batch,
    key: &str,
    (value, ttl, more): (Span, Ttl, More),
    now: u64,
    stays: impl FnOnce(&Memory) -> bool,
) -> bool {
    let memory = &cache.shared().memory;
    let names = &batch.more(more).tags;
    let meta = (!names.is_empty()).then(|| meta(cache, 0, 0, there::tokens(cache, names, now)));
    cache.shared().flights.fence(key);
    let stored = if meta.is_some() && cache.shared().has_ended_tags(batch.ends) {
        let stays = stays(memory);
        !stays && {
            memory.remove(key, now);
            true
        }
    } else {
        memory.put_unless(key, batch.value(value), meta, cache.local_ttl(ttl), now, stays)
    };
    if stored {
        cache.journal(key);
        add(&cache.counters.sets, 1);
    }
    stored
}

/// The reply of an operation that names no key.
pub fn keyless(batch: &Batch, op: &Op) -> Reply {
    match *op {
        Op::Known(at) => batch.known.get(at).map_or(Reply::Miss, |value| Reply::Value(value.clone())),
        Op::Answered => Reply::Later,
        _ => Reply::Error(malformed()),
    }
}

/// The read of a flight on this tier: a hit for all who wait, or the caller leads, with a stale value in hand where
/// there is one.
pub fn finish_read(cache: &Cache, key: &str, token: u32, to: &ReplyTo, ask: Ask, now: u64) -> (Reply, Answers) {
    let found = there::entry(cache, key, now);
    let life = found.as_ref().map_or(Life::Over, |entry| {
        let life = life::judge(entry.meta.as_deref(), Some(entry.left(now)), ask, &cache.shared().random);
        match there::standing(cache, entry, now) {
            Standing::Stands => life,
            Standing::Soft(since) => life::softened(life, since, ask),
            Standing::Ended => Life::Over,
        }
    });
    count(cache, matches!(life, Life::Fresh(_)));
    match (found, life) {
        (Some(entry), Life::Fresh(_)) => {
            let json = Json::Shared(entry.value);
            let answers = cache.shared().flights.found(key, token, &json);
            (Reply::Hit(json), answers)
        }
        (found, life) => {
            let over = found.and_then(|entry| {
                let tags = tags::names(entry.meta.as_deref());
                Some(Over { stale: Stale::new(entry.value, life, now)?, identity: Box::default(), tags })
            });
            let (reply, led) = lead(cache, key, token, to, Lease::None, over, now);
            (reply, led.answers)
        }
    }
}

/// Counts and answers the caller `to`, which runs the function. Where its environment has ended the next one does.
pub fn lead(
    cache: &Cache,
    key: &str,
    token: u32,
    to: &ReplyTo,
    lease: Lease,
    over: Option<Over>,
    now: u64,
) -> (Reply, Led) {
    let reply = match &over {
        Some(over) => Reply::LeadOver(token, over.stale.age(now), over.stale.json.clone()),
        None => Reply::Lead(token),
    };
    let led = cache.shared().flights.lead(key, token, to, lease, over, now);
    add(&cache.counters.computes, u64::from(led.leads));
    (if led.leads { reply } else { Reply::Again }, led)
}

/// Answers a caller that need not read.
pub fn joined(cache: &Cache, begin: Begin) -> Reply {
    add(&cache.counters.coalesced, 1);
    match begin {
        Begin::Follow(token) => Reply::Follow(token),
        Begin::Stale(json) => Reply::Stale(Json::Shared(json)),
        Begin::Elsewhere => Reply::Elsewhere,
        Begin::Read(_) | Begin::Wait => Reply::Wait,
    }
}

pub fn read(cache: &Cache, key: &str, now: u64) -> Option<Json> {
    let found = there::fresh(cache, key, now);
    count(cache, found.is_some());
    found.map(|e| Json::Shared(e.value))
}

fn count(cache: &Cache, hit: bool) {
    add(if hit { &cache.counters.hits_memory } else { &cache.counters.misses_memory }, 1);
}

/// What a computed entry has beside its value. `known`: the tokens of its tags when its computation began.
pub fn end_meta(cache: &Cache, extras: &Extras, known: &[Tag], ttl: Ttl) -> Option<Arc<Meta>> {
    let extra = if ttl == Ttl::Forever { 0 } else { extras.extra };
    let known: HashMap<&str, &Arc<str>> = known.iter().map(|tag| (&*tag.name, &tag.token)).collect();
    let token = |name: &str| known.get(name).map(|token| (*token).clone());
    let tags = tags::with_tokens(&extras.tags, &cache.shared().random, token);
    (extra > 0 || extras.delta > 0 || !tags.is_empty()).then(|| meta(cache, extra, extras.delta, tags))
}

/// What an entry with options has beside its value.
pub fn meta(cache: &Cache, extra_ms: u64, delta_ms: u32, tags: Vec<Tag>) -> Arc<Meta> {
    Arc::new(Meta { nonce: cache.shared().random.bits(), extra_ms, delta_ms, tags: Tags::from(&*tags) })
}

fn malformed() -> CallError {
    CallError::invalid_key("a key must be well-formed text: this one holds half of a surrogate pair")
}

/// Counts of keys fit an i64 long before memory ends.
pub fn to_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
