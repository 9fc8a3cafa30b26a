//! Changes of what is there that depend on what is there: under the lock of updates, as one step.

use std::sync::Arc;

use crate::engine::base::clock::Ttl;
use crate::engine::base::text::Given as Value;
use crate::engine::store::entries::Given;
use crate::engine::store::record::Life;
use crate::engine::tier::memory::{Entry, Memory, Uncountable, is_safe};
use crate::engine::value::entry::{Codec, Meta};

impl Memory {
    pub fn expire(&self, key: &str, ttl: Ttl, now: u64) -> bool {
        let _guard = self.updates.lock();
        let Some(Entry { value, since, meta, stamp, .. }) = self.fresh(key, now) else { return false };
        let extra = meta.as_ref().map_or(0, |meta| meta.extra_ms);
        let life = Life { deadline: ttl.deadline(now).saturating_add(extra), since, stamp, extra };
        self.insert(Given { key, value: Value::Kept(&value), meta, life }, now);
        true
    }

    /// From now on what is there is stale, and goes in so many milliseconds; whether there was something. `nonce`:
    /// tells it from what was there.
    pub fn soften(&self, key: &str, stale_ms: u64, nonce: u64, now: u64) -> bool {
        let _guard = self.updates.lock();
        let Some(entry) = self.live(key, now) else { return false };
        let left = entry.left(now);
        let stale = stale_ms.min(left);
        let Entry { value, since, meta, stamp, .. } = entry;
        let meta = meta.as_deref().cloned().unwrap_or_default();
        // It may have been stale before: it does not get younger.
        let age = meta.extra_ms.saturating_sub(left);
        let extra = age.saturating_add(stale);
        let life = Life { deadline: now.saturating_add(stale), since, stamp, extra };
        let meta = Some(Arc::new(Meta { nonce, extra_ms: extra, ..meta }));
        self.insert(Given { key, value: Value::Kept(&value), meta, life }, now);
        true
    }

    /// As Redis' INCRBY: the value must be a canonical 64-bit integer, and have nothing beside it.
    pub fn increment(&self, codec: Codec, key: &str, amount: i64, ttl: Ttl, now: u64) -> Result<i64, Uncountable> {
        let _guard = self.updates.lock();
        let (old, deadline) = match self.live(key, now) {
            Some(Entry { meta: Some(_), .. }) => return Err(Uncountable::NotAnInteger),
            Some(entry) => (codec.integer(&entry.value).ok_or(Uncountable::NotAnInteger)?, entry.deadline),
            None => (0, ttl.deadline(now)),
        };
        let new = old.checked_add(amount).ok_or(Uncountable::NotAnInteger)?;
        if !is_safe(new) {
            return Err(Uncountable::Unsafe);
        }
        let life = Life { deadline, since: now, stamp: self.marks.stamp(), extra: 0 };
        self.insert(Given { key, value: Value::Json(&codec.of_integer(new)), meta: None, life }, now);
        Ok(new)
    }
}
