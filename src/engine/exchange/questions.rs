//! Questions about a key that do not read its value: whether it is there, how long it lives, and a new TTL for it.
//!
//! What lies at a key may be no value for a caller: the marker of a computation, an entry that is stale, or one that a
//! tag made a miss. So each question reads the first bytes of the entry too. A new TTL is set by a script that decides
//! on the server (src/engine/exchange/expiry.rs); where it may not read the tags' tokens, as these lie on other servers
//! of a cluster, or where scripts are denied, by a second trip, and only then the caller is told.

use std::sync::Arc;

use redis::{Pipeline, Value};

use crate::engine::base::clock::Ttl;
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::text::Json;
use crate::engine::cache::namespace::Cache;
use crate::engine::call::reply::Reply;
use crate::engine::exchange::expiry;
use crate::engine::exchange::plan::{Call, Head, Plan, Question};
use crate::engine::exchange::writes::renewed;
use crate::engine::net::reply::{classify, integer, left};
use crate::engine::value::description::{self, Stored};
use crate::engine::value::life::{self, Ask, Life};
use crate::engine::value::{codec, entry, tags};

/// The reply of a question about a key, by the entry's first bytes and its time left. `token`: of a tag's stored key.
pub(super) fn answer(
    call: &Call<'_>,
    question: Question,
    [head, pttl]: [Value; 2],
    token: impl Fn(&str) -> Option<Arc<str>>,
) -> Result<Reply, Trouble> {
    if let Some(trouble) = [&head, &pttl].into_iter().find_map(trouble) {
        return Err(trouble);
    }
    let found = |head| Found::of(call.cache, head, pttl, call.is_held(), token);
    Ok(match (question, head) {
        // What `renewals` made of it.
        (Question::Expire, head) => Reply::Flag(matches!(head, Value::Int(_)) && !call.is_held()),
        (Question::Exists, head) => Reply::Flag(found(head).fresh.is_some()),
        (Question::Ttl | Question::Inspect, head) => match found(head).fresh {
            None => Reply::Miss,
            Some(u64::MAX) => Reply::Left(Ttl::Forever),
            Some(left) => Reply::Left(Ttl::Millis(left)),
        },
    })
}

/// What lies at a key, by its first bytes, its time left and its length.
pub(super) fn inspected(
    call: &Call<'_>,
    [head, pttl, length]: [Value; 3],
    token: impl Fn(&str) -> Option<Arc<str>>,
) -> Result<Reply, Trouble> {
    if let Some(trouble) = [&head, &pttl].into_iter().find_map(trouble) {
        return Err(trouble);
    }
    let Some(left) = left(pttl).filter(|_| !call.is_held()) else { return Ok(Reply::Miss) };
    let Value::BulkString(head) = head else { return Ok(told(description::of_foreign(left))) };
    let meta = entry::meta_of(&head);
    let standing = tags::standing(meta.as_ref(), &call.cache.prefix, token, call.now);
    // An ACL may deny it.
    let bytes = integer(length).ok().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
    Ok(told(description::of_head(&head, Stored { meta: meta.as_ref(), left, bytes, standing })))
}

fn told(description: String) -> Reply {
    Reply::Value(Json::of(description))
}

/// Why it is no answer. Another type than a string lies there, and is there.
fn trouble(value: &Value) -> Option<Trouble> {
    match value {
        Value::ServerError(error) => Some(classify(error)).filter(|trouble| trouble.kind != Kind::Wrongtype),
        _ => None,
    }
}

/// What lies at a key.
struct Found {
    head: Vec<u8>,
    /// Milliseconds for which it is a value for a caller, if it is one.
    fresh: Option<u64>,
    /// So much longer it lives than that.
    extra: u64,
}

impl Found {
    fn of(cache: &Cache, head: Value, pttl: Value, is_held: bool, token: impl Fn(&str) -> Option<Arc<str>>) -> Self {
        let head = match head {
            Value::BulkString(bytes) => bytes,
            _ => Vec::new(),
        };
        let left = left(pttl);
        let meta = entry::meta_of(&head);
        // A header of another version, or one that is broken.
        let unread = meta.is_none() && entry::is_headed(&head);
        let fresh = match &meta {
            _ if unread || is_held || codec::is_marker(&head) || left.is_none() => None,
            Some(meta) if !tags::valid(Some(meta), &cache.prefix, token) => None,
            meta => match life::judge(meta.as_ref(), left, Ask::default(), &cache.shared().random) {
                Life::Fresh(left) => Some(left),
                _ => None,
            },
        };
        Self { head, fresh, extra: meta.map_or(0, |meta| meta.extra_ms) }
    }
}

impl Plan {
    /// The entries that are to get another TTL: where among the replies, and the commands that give it to them. What is
    /// no value for a caller is none from here on. And calls of a script that the server forgot between two commands of
    /// the pipeline (SCRIPT FLUSH): once more, with its text.
    pub fn renewals(&self, cache: &Cache, values: &mut [Value], now: u64) -> Option<(Vec<usize>, Pipeline)> {
        let (mut places, mut pipeline) = (Vec::new(), Pipeline::new());
        for Head { at, key, renews } in &self.heads {
            let (Some(ttl), Some([head, pttl])) = (*renews, values.get_mut(*at..at + 2)) else { continue };
            if [&*head, &*pttl].into_iter().find_map(trouble).is_some() {
                continue;
            }
            let is_held = self.held.contains(key) || self.server.journal.holds(key);
            let token = |key: &str| cache.token(key, |key| self.tokens.get(key).cloned(), now);
            let found = Found::of(cache, std::mem::replace(head, Value::Nil), pttl.clone(), is_held, token);
            if found.fresh.is_some() {
                let command = match &*found.head {
                    // Nothing to know it by.
                    [] => renewed(key, ttl, found.extra),
                    _ if self.denied.scripts.is() => renewed(key, ttl, found.extra),
                    head => expiry::expire_same(key, head, ttl, found.extra),
                };
                pipeline.add_command(command);
                places.push(*at);
            }
        }
        let is_forgotten = |value: &Value| matches!(value, Value::ServerError(error) if error.code() == "NOSCRIPT");
        for (at, key, ttl) in &self.named {
            if values.get(*at).is_some_and(is_forgotten) {
                pipeline.add_command(expiry::expire(true, &cache.prefix, key, *ttl));
                places.push(*at);
            }
        }
        (!places.is_empty()).then_some((places, pipeline))
    }
}
