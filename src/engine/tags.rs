//! Tags: many entries that one call makes misses, without looking for them.
//!
//! **The problem.** A product changes, and with it every page, list and price that was computed from it. Their keys are not known where the change is, there may be a million of
//! them, and they lie in Redis, in near caches and in JavaScript.
//!
//! **The approach.** A tag has a token: a random name at a key of its own, `…\0tag\0name`. An entry carries the tokens that its tags had when its computation *began*. It is
//! valid while each of them is still what the tag's key holds. To invalidate a tag is to delete that one key: no entry fits the next token. So it costs the same
//! however many entries there are, it reaches every process by the push that a deleted key sends anyway, and a computation that began before it can store
//! nothing that is valid after it. A tag's key that expires or is evicted makes misses, never stale hits.
//!
//! Reading a tagged entry needs the tokens; the near cache holds them as it holds values, so they are mostly there. Where they are not, a batch
//! takes a second round trip.
//!
//! **Rejected.** *A set of keys per tag*: grows with the entries, and must be walked. *A clock of invalidations*, compared with the time at which an entry was stored: needs
//! clocks that agree, or one counter that all writers share. *Scripts that check on the server*: a tagged entry would cost the server several times as much to read as any
//! other, and every read would have to be a script, as a key does not tell whether its entry has tags.

use std::collections::HashMap;
use std::sync::Arc;

use super::batch::Op;
use super::cache::Cache;
use super::entry::{Meta, Tag};
use super::error::CallError;
use super::key::{self, Prefix};
use super::mutant;
use super::random;

/// Behind the prefix of a cache: its tags' tokens. `src/js/ops.js` writes it too.
pub const TAG: &str = "\0tag\0";
/// And the locks of refreshes (redis/refresh.rs).
const REFRESH: &str = "\0refresh\0";

/// Tokens by the stored key of their tag.
pub type Tokens = HashMap<Box<str>, Arc<str>>;

/// The stored key of a tag's token.
pub fn key(prefix: &Prefix, name: &str) -> String {
    [prefix.as_str(), TAG, name].concat()
}

/// The stored key of the lock under which the entry at a stored key is refreshed.
pub fn refresh_key(prefix: &Prefix, key: &str) -> String {
    [prefix.as_str(), REFRESH, key.strip_prefix(prefix.as_str()).unwrap_or(key)].concat()
}

/// Whether a key without its prefix is ours and not the caller's.
pub fn is_internal(rest: &[u8]) -> bool {
    rest.starts_with(TAG.as_bytes()) || rest.starts_with(REFRESH.as_bytes())
}

/// Checks a key that a call names. Ours are none: a caller who wrote a tag's token could revive what was invalidated,
/// and whoever wrote a lock could keep a key from being refreshed. Deleting one is how a tag is invalidated.
pub fn check(op: &Op, key: &str) -> Result<(), CallError> {
    key::check(key)?;
    if is_internal(key.as_bytes()) && !matches!(op, Op::Del { .. }) {
        return Err(CallError::invalid_key("a key must not begin as the keys of tags and refreshes do"));
    }
    Ok(())
}

/// A token that no tag has had before: a JSON text, as the tiers hold nothing else.
pub fn new_token() -> Arc<str> {
    format!("\"{:016x}\"", random::bits()).into()
}

/// Whether each tag still has the token that the entry carries.
pub fn valid(meta: Option<&Meta>, prefix: &Prefix, token: impl Fn(&str) -> Option<Arc<str>>) -> bool {
    let Some(meta) = meta.filter(|meta| !meta.tags.is_empty() && !mutant::lacks("tags")) else { return true };
    let mut key = key(prefix, "");
    let base = key.len();
    meta.tags.iter().all(|(name, held)| {
        key.truncate(base);
        key.push_str(name);
        token(&key).as_deref() == Some(held)
    })
}

/// The token that the near cache vouches for, as far as this cache takes it.
pub fn near_token(cache: &Cache, key: &str, now: u64) -> Option<Arc<str>> {
    cache.shared().near.get(key, cache.max_age, now).map(|hit| hit.value)
}

/// The tags of an entry that is to be stored, `token` by name. One whose token is not known gets one that nothing holds: the entry is a miss, as it might be older than
/// an invalidation.
pub fn with_tokens(names: &[Box<str>], token: impl Fn(&str) -> Option<Arc<str>>) -> Vec<Tag> {
    names.iter().map(|name| Tag { name: Arc::from(&**name), token: token(name).unwrap_or_else(new_token) }).collect()
}

/// The tokens of tags in the in-process tier; made where there are none.
pub fn local_tokens(cache: &Cache, names: &[Box<str>], now: u64) -> Vec<Tag> {
    with_tokens(names, |name| Some(cache.shared().memory.get_or_insert(&key(&cache.prefix, name), new_token, now)))
}
