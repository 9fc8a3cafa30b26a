//! Asks Redis for the tokens of tags (src/engine/tags.rs): before a batch is planned that stores under them, and behind one that read entries which carry them.

use std::time::Duration;

use redis::{Pipeline, Value};

use super::denied::{self, Denied};
use super::found::left;
use super::reply::classify;
use super::writes::{self, pexpire};
use crate::engine::batch::{Batch, Json, Op};
use crate::engine::cache::Cache;
use crate::engine::clock::{Ttl, now_ms};
use crate::engine::covers::Covered;
use crate::engine::error::Trouble;
use crate::engine::options::DEFAULT_MAX_AGE;
use crate::engine::tags::{self, Tokens};

/// How long a token lives; it is renewed by whoever uses it in the second half of that time. An entry with a longer TTL may be a miss earlier.
const LIFE: Duration = Duration::from_secs(30 * 86_400);

/// What was asked for.
pub struct Asked {
    keys: Vec<String>,
    /// Of each, should the near cache keep its token.
    tickets: Vec<Option<u64>>,
    /// Of each, whether a sweep is about to remove it: it was removed first where tokens are made, and is no token
    /// elsewhere.
    covered: Vec<bool>,
    /// Whether tokens are made where there are none.
    make: bool,
    sent: u64,
}

/// The tags of a batch whose tokens must be known before it is planned: their stored keys.
pub fn wanted(cache: &Cache, batch: &Batch) -> Vec<String> {
    let mut keys = Vec::new();
    if batch.extras.is_empty() {
        return keys;
    }
    let now = now_ms();
    for op in &batch.ops {
        let (Op::Set { more, .. } | Op::Begin { more, .. }) = op else { continue };
        for name in &batch.more(*more).tags {
            let key = tags::key(&cache.prefix, name);
            if tags::near_token(&cache.shared().near, &key, now).is_none() && !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

/// The commands that ask for tokens.
pub fn ask(cache: &Cache, keys: Vec<String>, make: bool, denied: Denied) -> (Pipeline, Asked) {
    let mut pipeline = Pipeline::with_capacity(keys.len() * 3);
    let journal = &cache.shared().journal;
    let tickets = keys.iter().map(|key| cache.shared().near.expect(key)).collect();
    let mut covered = Vec::with_capacity(keys.len());
    for key in &keys {
        covered.push(if make { journal.uncover(key) != Covered::No } else { journal.covers(key) });
        if make && covered.last() == Some(&true) {
            pipeline.cmd(writes::remove(denied)).arg(key);
        }
        if make {
            pipeline.cmd("SET").arg(key).arg(&*tags::new_token()).arg("NX").arg("PX").arg(millis(LIFE));
        }
        pipeline.cmd("GET").arg(key);
        pipeline.cmd("PTTL").arg(key);
    }
    (pipeline, Asked { keys, tickets, covered, make, sent: now_ms() })
}

impl Asked {
    /// The tokens that there are, and commands that let them live on.
    pub fn heard(self, cache: &Cache, values: Vec<Value>) -> Result<(Tokens, Pipeline), Trouble> {
        let near = &cache.shared().near;
        let mut tokens = Tokens::new();
        let mut renewals = Pipeline::new();
        let mut values = values.into_iter();
        for ((key, ticket), covered) in self.keys.into_iter().zip(self.tickets).zip(self.covered) {
            if self.make && covered {
                check(cache, values.next())?;
            }
            if self.make {
                check(cache, values.next())?;
            }
            let token = match check(cache, values.next())? {
                Some(Value::BulkString(bytes)) if self.make || !covered => Json::checked(bytes),
                _ => None,
            };
            let ms = values.next().and_then(left);
            match (&token, ms, ticket) {
                (Some(token), Some(ms), Some(ticket)) => {
                    let ttl = Ttl::Millis(ms.min(millis(DEFAULT_MAX_AGE)).max(1));
                    near.fill(&key, ticket, token.as_str(), None, ttl, self.sent);
                }
                (_, _, Some(ticket)) => near.forget(&key, ticket),
                _ => {}
            }
            if token.is_some() && ms.is_some_and(|ms| ms < millis(LIFE) / 2) {
                renewals.add_command(pexpire(&key, millis(LIFE)));
            }
            if let Some(token) = token {
                tokens.insert(key.into(), token.share());
            }
        }
        Ok((tokens, renewals))
    }
}

/// A reply, unless it is an error: one that concerns the whole connection ends it, another one leaves the tag without a token.
fn check(cache: &Cache, value: Option<Value>) -> Result<Option<Value>, Trouble> {
    let Some(Value::ServerError(error)) = &value else { return Ok(value) };
    let trouble = classify(error);
    denied::met(cache, &trouble);
    if trouble.kind.is_outage() { Err(trouble) } else { Ok(None) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
