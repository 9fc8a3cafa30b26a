//! Questions about a key that do not read its value: whether it is there, how long it lives, and a new TTL for it.
//!
//! What lies at a key may be no value for a caller: the marker of a computation, an entry that is stale, or one that a tag made a miss. So each question
//! reads the first bytes of the entry too. A new TTL is set by a script that decides on the server
//! (src/engine/expiry.rs), and by what is here where scripts are denied.

use redis::Value;

use super::found::left;
use super::plan::Question;
use super::reply::classify;
use super::settle::Reader;
use super::writes::renewed;
use crate::engine::batch::{Batch, Op, Reply, ReplyTo};
use crate::engine::cache::Cache;
use crate::engine::clock::Ttl;
use crate::engine::entry;
use crate::engine::error::Kind;
use crate::engine::lease;
use crate::engine::life::{self, Ask, Life};
use crate::engine::local;
use crate::engine::tags;

impl Reader {
    /// The reply of a question about a key.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one call; a struct of them would live for this one call"
    )]
    pub(super) fn held(
        &mut self,
        cache: &Cache,
        batch: &Batch,
        op: &Op,
        question: Question,
        to: &ReplyTo,
        now: u64,
        key: &str,
    ) -> Reply {
        let (Some(head), Some(pttl)) = (self.values.next(), self.values.next()) else {
            return local::one(cache, batch, op, to, now, &mut String::new());
        };
        let trouble = [&head, &pttl].into_iter().find_map(|value| match value {
            // Another type than a string lies there, and is there.
            Value::ServerError(error) => Some(classify(error)).filter(|trouble| trouble.kind != Kind::Wrongtype),
            _ => None,
        });
        if let Some(trouble) = trouble {
            return self
                .refused(cache, op, key, trouble)
                .unwrap_or_else(|| local::one(cache, batch, op, to, now, &mut String::new()));
        }
        let bytes = match head {
            Value::BulkString(bytes) => bytes,
            _ => Vec::new(),
        };
        let left = left(pttl);
        let meta = entry::meta_of(&bytes);
        // A header of another version, or one that is broken.
        let unread = meta.is_none() && entry::is_headed(&bytes);
        let fresh = match &meta {
            _ if unread || cache.shared().journal.holds(key) || lease::is_marker(&bytes) || left.is_none() => None,
            Some(meta) if !tags::valid(Some(meta), &cache.prefix, |key| self.token(cache, key, now)) => None,
            meta => match life::judge(meta.as_ref(), left, Ask::default()) {
                Life::Fresh(left) => Some(left),
                _ => None,
            },
        };
        match (question, fresh) {
            (Question::Exists, fresh) => Reply::Flag(fresh.is_some()),
            (Question::Ttl, None) => Reply::Miss,
            (Question::Ttl, Some(u64::MAX)) => Reply::Left(Ttl::Forever),
            (Question::Ttl, Some(left)) => Reply::Left(Ttl::Millis(left)),
            (Question::Expire, fresh) => {
                if let (Some(_), Op::Expire { ttl, .. }) = (fresh, op) {
                    // An entry with grace lives on beyond its new TTL.
                    self.verdict.behind.push(renewed(key, *ttl, meta.map_or(0, |meta| meta.extra_ms)));
                }
                Reply::Flag(fresh.is_some())
            }
        }
    }
}
