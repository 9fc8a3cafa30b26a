//! Runs calls on the in-process tier: memory mode, and the fallback of every call that Redis did not answer.

use super::batch::{Batch, Json, Op, Reply, ReplyTo, Task};
use super::cache::Cache;
use super::clock::{Ttl, now_ms};
use super::error::CallError;
use super::flight::{Answers, Begin, Outcome};
use super::glob;
use super::key;
use super::stats::add;

/// Answers a whole batch.
pub fn run(cache: &Cache, batch: &Batch, to: &ReplyTo) -> Vec<Reply> {
    let now = now_ms();
    let mut buffer = String::new();
    batch.ops.iter().map(|op| one(cache, batch, op, to, now, &mut buffer)).collect()
}

/// Answers one operation.
pub fn one(cache: &Cache, batch: &Batch, op: &Op, to: &ReplyTo, now: u64, buffer: &mut String) -> Reply {
    let Some(span) = op.key() else { return keyless(batch, op) };
    let given = batch.str(span);
    if let Err(error) = key::check(given) {
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
        Op::Set { value, ttl, .. } => {
            flights.fence(key);
            memory.set(key, batch.str(value), ttl, now);
            add(&cache.counters.sets, 1);
            Reply::Done
        }
        Op::Del { .. } => {
            flights.fence(key);
            add(&cache.counters.deletes, 1);
            Reply::Number(i64::from(memory.remove(key, now)))
        }
        Op::Increment { amount, ttl, .. } => {
            flights.fence(key);
            match memory.increment(key, amount, ttl, now) {
                Ok(sum) => Reply::Number(sum),
                Err(_) => Reply::Error(CallError::not_an_integer()),
            }
        }
        Op::Exists { .. } => Reply::Flag(memory.contains(key, now)),
        Op::Ttl { .. } => memory.ttl(key, now).map_or(Reply::Miss, Reply::Left),
        Op::Expire { ttl, .. } => Reply::Flag(memory.expire(key, ttl, now)),
        Op::Begin { waiter, .. } => match flights.begin(key, ReplyTo { sink: to.sink.clone(), id: waiter }) {
            Begin::Read(token) => {
                let (reply, answers) = finish_read(cache, key, token, now);
                answers.send();
                reply
            }
            Begin::Follow(token) => follow(cache, token),
            Begin::Wait => wait(cache),
        },
        Op::End { value, ttl, token, .. } => {
            let text: std::sync::Arc<str> = batch.str(value).into();
            if flights.store(key, token, || memory.set(key, &text, ttl, now)) {
                add(&cache.counters.sets, 1);
            }
            flights.end(key, token, Outcome::Value(text)).send();
            Reply::Done
        }
        Op::Abandon { token, nothing, .. } => {
            flights.end(key, token, if nothing { Outcome::Nothing } else { Outcome::Failed }).send();
            Reply::Done
        }
        Op::Overdue { token, .. } => {
            flights.overdue(key, token).send();
            Reply::Done
        }
        Op::Malformed | Op::Answered | Op::Known(_) => keyless(batch, op),
    }
}

/// The reply of an operation that names no key.
pub fn keyless(batch: &Batch, op: &Op) -> Reply {
    match *op {
        Op::Known(at) => batch.known.get(at).map_or(Reply::Miss, |value| Reply::Value(value.clone())),
        Op::Answered => Reply::Later,
        _ => Reply::Error(malformed()),
    }
}

/// The read of a flight on this tier: a hit for all who wait, or the caller leads.
pub fn finish_read(cache: &Cache, key: &str, token: u32, now: u64) -> (Reply, Answers) {
    match read(cache, key, now) {
        Some(value) => {
            let answers = cache.shared().flights.found(key, token, &value);
            (Reply::Hit(value), answers)
        }
        None => lead(cache, key, token),
    }
}

/// Counts and answers the caller that runs the function.
pub fn lead(cache: &Cache, key: &str, token: u32) -> (Reply, Answers) {
    add(&cache.counters.computes, 1);
    (Reply::Lead(token), cache.shared().flights.lead(key, token))
}

pub fn follow(cache: &Cache, token: u32) -> Reply {
    add(&cache.counters.coalesced, 1);
    Reply::Follow(token)
}

pub fn wait(cache: &Cache) -> Reply {
    add(&cache.counters.coalesced, 1);
    Reply::Wait
}

pub fn read(cache: &Cache, key: &str, now: u64) -> Option<Json> {
    let found = cache.shared().memory.get(key, now);
    add(if found.is_some() { &cache.counters.hits_memory } else { &cache.counters.misses }, 1);
    found.map(Json::Shared)
}

fn malformed() -> CallError {
    CallError::invalid_key("a key must be well-formed text: this one holds half of a surrogate pair")
}

/// Answers a task.
pub fn task(cache: &Cache, task: &Task) -> Reply {
    let now = now_ms();
    match task {
        Task::DelPattern(pattern) => Reply::Number(to_i64(remove_pattern(cache, pattern, now))),
        Task::Clear { flush_db } => {
            if cache.prefix.is_raw() && cache.engine.has_redis() && !flush_db {
                return Reply::Error(CallError::needs_namespace());
            }
            Reply::Number(to_i64(remove_pattern(cache, "*", now)))
        }
        Task::Stats => Reply::Value(Json::Owned(super::cache::stats_json(cache, None))),
    }
}

/// Removes what matches from this tier, and keeps computations of such keys from storing.
pub fn remove_pattern(cache: &Cache, pattern: &str, now: u64) -> u64 {
    let prefix = cache.prefix.as_str();
    let matches =
        |key: &str| key.strip_prefix(prefix).is_some_and(|rest| glob::matches(pattern.as_bytes(), rest.as_bytes()));
    cache.shared().flights.fence_matching(matches);
    cache.shared().near.invalidate_matching(matches);
    let removed = cache.shared().memory.remove_matching(now, matches);
    add(&cache.counters.deletes, removed);
    removed
}

/// Counts of keys fit an i64 long before memory ends.
pub fn to_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Milliseconds as Redis' PX takes them; none for no expiry.
pub fn px(ttl: Ttl) -> Option<u64> {
    match ttl {
        Ttl::Forever => None,
        Ttl::Millis(ms) => Some(ms),
    }
}
