//! Questions about a key that do not read its value: whether it is there, how long it lives, and a new TTL for it.
//!
//! What lies at a key may be no value for a caller: the marker of a computation, an entry that is stale, or one that a
//! tag made a miss. So each question reads the first bytes of the entry too. A new TTL is set by a script that decides
//! on the server (src/engine/exchange/expiry.rs), and by what is here where scripts are denied.

use std::sync::Arc;

use redis::{Cmd, Value};

use crate::engine::base::clock::Ttl;
use crate::engine::base::error::{Kind, Trouble};
use crate::engine::call::batch::Op;
use crate::engine::call::reply::Reply;
use crate::engine::exchange::plan::{Call, Question};
use crate::engine::exchange::writes::renewed;
use crate::engine::net::reply::{classify, left};
use crate::engine::value::life::{self, Ask, Life};
use crate::engine::value::{codec, entry, tags};

/// The reply of a question about a key, by the entry's first bytes and its time left. `token`: of a tag's stored key.
pub(super) fn answer(
    call: &Call<'_>,
    question: Question,
    [head, pttl]: [Value; 2],
    token: impl Fn(&str) -> Option<Arc<str>>,
    behind: &mut Vec<Cmd>,
) -> Result<Reply, Trouble> {
    let cache = call.cache;
    let trouble = [&head, &pttl].into_iter().find_map(|value| match value {
        // Another type than a string lies there, and is there.
        Value::ServerError(error) => Some(classify(error)).filter(|trouble| trouble.kind != Kind::Wrongtype),
        _ => None,
    });
    if let Some(trouble) = trouble {
        return Err(trouble);
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
        _ if unread || call.is_held() || codec::is_marker(&bytes) || left.is_none() => None,
        Some(meta) if !tags::valid(Some(meta), &cache.prefix, token) => None,
        meta => match life::judge(meta.as_ref(), left, Ask::default(), &cache.shared().random) {
            Life::Fresh(left) => Some(left),
            _ => None,
        },
    };
    Ok(match (question, fresh) {
        (Question::Exists, fresh) => Reply::Flag(fresh.is_some()),
        (Question::Ttl, None) => Reply::Miss,
        (Question::Ttl, Some(u64::MAX)) => Reply::Left(Ttl::Forever),
        (Question::Ttl, Some(left)) => Reply::Left(Ttl::Millis(left)),
        (Question::Expire, fresh) => {
            if let (Some(_), Op::Expire { ttl, .. }) = (fresh, call.op) {
                // An entry with grace lives on beyond its new TTL.
                behind.push(renewed(call.key, *ttl, meta.map_or(0, |meta| meta.extra_ms)));
            }
            Reply::Flag(fresh.is_some())
        }
    })
}
