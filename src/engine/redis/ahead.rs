//! Leases that are asked for along with the read, while most computations' reads miss: a cold key then takes two trips to Redis in place of three.
//!
//! The script of the lease looks at the key itself (src/engine/lease.rs), so what stands in front of it in the pipeline costs it nothing. Where the read hits,
//! though, the value comes twice; so it is asked for only while misses prevail. The two look at the key one after the other, and anybody may come
//! between: a lease that came beside a value is given back.

use std::sync::atomic::{AtomicU32, Ordering};

use redis::Value;

use crate::engine::lease::Holder;

/// The most that misses count, and from where on they prevail. A hit takes away what two misses gave.
const MAX_COUNT: u32 = 16;
const PREVAIL_FROM: u32 = 8;

/// Whether the reads of computations missed, lately.
#[derive(Default)]
pub struct Misses(AtomicU32);

impl Misses {
    pub fn missed(&self) {
        // Only the engine's thread counts.
        let count = self.0.load(Ordering::Relaxed);
        self.0.store((count + 1).min(MAX_COUNT), Ordering::Relaxed);
    }

    pub fn hit(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).saturating_sub(2), Ordering::Relaxed);
    }

    pub fn prevail(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= PREVAIL_FROM
    }
}

/// Whether a reply says that the lease is `holder`'s.
pub(super) fn is_had(reply: &Value, holder: Holder) -> bool {
    matches!(reply, Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(bytes)) if *bytes == holder.marker()))
}
