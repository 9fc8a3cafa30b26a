//! What the in-process tier has at a key: written there in an outage, or held when Redis went, and how its tags stand.

use std::sync::Arc;

use crate::engine::base::clock::{Ttl, wall_ms};
use crate::engine::cache::namespace::Cache;
use crate::engine::call::extras::Extras;
use crate::engine::call::reply::Reply;
use crate::engine::tier::memory::Entry;
use crate::engine::value::description::{self, Stored};
use crate::engine::value::record::{self, Standing};
use crate::engine::value::tag_list::Tag;
use crate::engine::value::tags;

/// What is there, stale or not, and whose tags stand.
fn valid(cache: &Cache, key: &str, now: u64) -> Option<Entry> {
    judged(cache, entry(cache, key, now), now)
}

/// What is there, stale or not, whatever its tags.
pub fn entry(cache: &Cache, key: &str, now: u64) -> Option<Entry> {
    cache.shared().memory.entry(key, now).or_else(|| held(cache, key, now))
}

/// What was found, if its tags stand.
pub fn judged(cache: &Cache, found: Option<Entry>, now: u64) -> Option<Entry> {
    found.filter(|entry| standing(cache, entry, now) == Standing::Stands)
}

/// How the tags of what was found stand.
pub fn standing(cache: &Cache, found: &Entry, now: u64) -> Standing {
    let token = |key: &str| entry(cache, key, now).and_then(|e| e.value.json());
    tags::standing(found.meta.as_deref(), &cache.prefix, token, now)
}

/// The reply of when a tag was last ended, by its record. Where that may be lost, or was not asked for, it may have
/// been ended just now.
pub fn tag_time(record: Option<Arc<str>>, may_be_lost: bool) -> Reply {
    let time = match record {
        Some(record) => record::ended_ms(&record),
        None if may_be_lost => wall_ms(),
        None => 0,
    };
    Reply::Number(i64::try_from(time).unwrap_or(i64::MAX))
}

/// What the near cache held when Redis went, while that is of use. A write here removes it there.
fn held(cache: &Cache, key: &str, now: u64) -> Option<Entry> {
    let most = u64::try_from(cache.outage_stale.as_millis()).unwrap_or(u64::MAX);
    if cache.near { cache.shared().server(key).near.get_frozen(key, most, cache.max_age, now) } else { None }
}

/// What is there, if it is a value for every caller.
pub fn fresh(cache: &Cache, key: &str, now: u64) -> Option<Entry> {
    valid(cache, key, now).filter(|e| e.fresh_until() > now)
}

/// What is there, but for the value.
pub fn described(cache: &Cache, key: &str, now: u64) -> Option<String> {
    let entry = entry(cache, key, now)?;
    let (left, bytes) = (entry.left(now), u64::try_from(entry.value.size()).unwrap_or(u64::MAX));
    let standing = standing(cache, &entry, now);
    Some(description::of_entry(Stored { meta: entry.meta.as_deref(), left, bytes, standing }))
}

/// The tokens of tags in the in-process tier; made where there are none.
pub fn tokens(cache: &Cache, names: &[Box<str>], now: u64) -> Vec<Tag> {
    let stored = |name: &str| tags::key(&cache.prefix, name);
    let random = &cache.shared().random;
    let new = || tags::new_token(random);
    let token = |name: &str| Some(cache.shared().memory.get_or_insert(&stored(name), new, now));
    tags::with_tokens(names, random, token)
}

/// The tags that the function of a result named; none where one may have been ended since it began: here, or by this
/// process while Redis was there, whose records are not here.
pub fn named(cache: &Cache, extras: &Extras, key: &str, token: u32, now: u64) -> Option<Vec<Tag>> {
    if extras.named.is_empty() {
        return Some(Vec::new());
    }
    let shared = cache.shared();
    if cache.has_redis && shared.flights.outlived(key, token) {
        return None;
    }
    let new = || tags::new_token(&shared.random);
    let record = |stored: &str| Some(shared.memory.get_or_insert(stored, new, now));
    tags::named(extras, &[], &cache.prefix, true, record)
}

/// Ends a tag; the reply says whether it had a token here.
pub fn end_tag(cache: &Cache, key: &str, stale_ms: u64, now: u64) -> Reply {
    let shared = cache.shared();
    let old = entry(cache, key, now).and_then(|entry| entry.value.json());
    shared.flights.fence_tag(key);
    cache.journal(key);
    let token = tags::new_token(&shared.random);
    let record = record::replaced(old.as_deref(), &token, stale_ms, wall_ms(), now);
    shared.memory.set(key, &record, Ttl::Forever, now);
    Reply::Number(i64::from(old.is_some()))
}
