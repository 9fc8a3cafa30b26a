//! Tags: many entries that one call makes misses, without looking for them.
//!
//! **The problem.** A product changes, and with it every page, list and price that was computed from it. Their keys are
//! not known where the change is, there may be a million of them, and they lie in Redis, in near caches and in
//! JavaScript.
//!
//! **The approach.** A tag has a token: a random name at a key of its own, `…\0tag\0name`. An entry carries the tokens
//! that its tags had when its computation *began*. It is valid while each of them is still what the tag's key holds. To
//! invalidate a tag is to write another token there: no older entry fits it. So it costs the same however many entries
//! there are, it reaches every process by the push that a written key sends anyway, and a computation that began before
//! it can store nothing that is valid after it. A tag's key that expires or is evicted makes misses, never stale hits.
//!
//! **Soft ends.** The key's record names the token of before, for a while (record.rs). An entry with that token is what
//! one is whose TTL is over: of use to who takes stale values. This only ever adds to what is served to them; whoever
//! does not know of it, as an older version, sees a miss.
//!
//! Reading a tagged entry needs the tokens; the near cache holds them as it holds values, so they are mostly there.
//! Where they are not, a batch takes a second round trip.
//!
//! **Rejected.** *A set of keys per tag*: grows with the entries, and must be walked. *A clock of invalidations*,
//! compared with the time at which an entry was stored: needs clocks that agree, or one counter that all writers share.
//! *Scripts that check on the server*: a tagged entry would cost the server several times as much to read as any other,
//! and every read would have to be a script, as a key does not tell whether its entry has tags.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::base::error::CallError;
use crate::engine::base::key::{self, Prefix};
use crate::engine::base::mutant;
use crate::engine::base::random::Random;
use crate::engine::call::batch::Op;
use crate::engine::call::extras::Extras;
use crate::engine::value::entry::Meta;
use crate::engine::value::record::{self, Standing};
use crate::engine::value::tag_list::Tag;

/// What lies at tags' keys, by these: records of tokens (record.rs).
pub type Tokens = HashMap<Box<str>, Arc<str>>;

/// The stored key of a tag's token.
pub fn key(prefix: &Prefix, name: &str) -> String {
    [prefix.as_str(), key::TAG, name].concat()
}

/// The stored key of the lock under which the entry at a stored key is refreshed.
pub fn refresh_key(prefix: &Prefix, key: &str) -> String {
    [prefix.as_str(), key::REFRESH, key.strip_prefix(prefix.as_str()).unwrap_or(key)].concat()
}

/// Checks a key that a call names. Ours are none: a caller who wrote a tag's token could revive what was invalidated,
/// and whoever wrote a lock could keep a key from being refreshed. Deleting one is how a tag is invalidated. A lease is
/// nobody's but `Hold`'s.
pub fn check(op: &Op, key: &str) -> Result<(), CallError> {
    key::check(key)?;
    let key = key.as_bytes();
    let may = match op {
        Op::Hold { .. } => key::is_lease(key),
        Op::EndTag { .. } | Op::TagTime { .. } => key.starts_with(key::TAG.as_bytes()),
        Op::Del { .. } => !key::is_lease(key),
        _ => !key::is_internal(key),
    };
    if may {
        Ok(())
    } else {
        Err(CallError::invalid_key("a key must not begin as those of tags, refreshes and leases do"))
    }
}

/// The names of an entry's tags.
pub fn names(meta: Option<&Meta>) -> Vec<Arc<str>> {
    meta.map_or_else(Vec::new, |meta| meta.tags.names().map(Arc::from).collect())
}

/// A token that no tag has had before: a JSON text, as the tiers hold nothing else.
pub fn new_token(random: &Random) -> Arc<str> {
    format!("\"{:016x}\"", random.bits()).into()
}

/// Whether each tag still has the token that the entry carries.
pub fn valid(meta: Option<&Meta>, prefix: &Prefix, token: impl Fn(&str) -> Option<Arc<str>>) -> bool {
    standing(meta, prefix, token, 0) == Standing::Stands
}

/// How an entry's tags stand: as that of them which was ended first, and as the one that was ended for good.
pub fn standing(meta: Option<&Meta>, prefix: &Prefix, token: impl Fn(&str) -> Option<Arc<str>>, now: u64) -> Standing {
    let Some(meta) = meta.filter(|meta| !meta.tags.is_empty() && !mutant::lacks("tags")) else {
        return Standing::Stands;
    };
    let mut key = key(prefix, "");
    let base = key.len();
    let mut worst = Standing::Stands;
    for (name, held) in meta.tags.iter() {
        key.truncate(base);
        key.push_str(name);
        worst = worst.max(token(&key).map_or(Standing::Ended, |record| record::standing(&record, held, now)));
        if worst == Standing::Ended {
            break;
        }
    }
    worst
}

/// The tags that a computation named, beside those that were `known` when it began, `record` by stored key; none where
/// one may have been ended since, as the result may be older than that. `vouched`: a record that names no end says that
/// there was none.
pub fn named(
    extras: &Extras,
    known: &[Tag],
    prefix: &Prefix,
    vouched: bool,
    record: impl Fn(&str) -> Option<Arc<str>>,
) -> Option<Vec<Tag>> {
    let new = extras.named.iter().map(|name| &**name).filter(|name| !known.iter().any(|tag| *tag.name == **name));
    let tag = |name: &str| {
        let record = record(&key(prefix, name))?;
        let is_new = vouched && !record::has_ended(&record);
        let stands = is_new || record::is_older(&record, extras.since) || mutant::lacks("named");
        stands.then(|| Tag { name: Arc::from(name), token: record::current(&record) })
    };
    new.map(tag).collect()
}

/// The tags of an entry that is to be stored, `token` by name. One whose token is not known gets one that nothing
/// holds: the entry is a miss, as it might be older than an invalidation.
pub fn with_tokens(names: &[Box<str>], random: &Random, token: impl Fn(&str) -> Option<Arc<str>>) -> Vec<Tag> {
    let token = |name: &str| token(name).map_or_else(|| new_token(random), |record| record::current(&record));
    names.iter().map(|name| Tag { name: Arc::from(&**name), token: token(name) }).collect()
}
