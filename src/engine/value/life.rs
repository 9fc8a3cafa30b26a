//! Whether an entry may be served: fresh, due for an early refresh, stale but of use, or over.
//!
//! An entry with grace is kept in Redis beyond its TTL, by `extra` milliseconds (src/engine/value/entry.rs), so its
//! key's expiry says how old it is: with more than `extra` left it is fresh, with less it is stale. No clock but the
//! one that expires the key takes part, so clocks that differ between machines, or are moved, change nothing.

use crate::engine::base::mutant;
use crate::engine::base::random::Random;
use crate::engine::base::text::Kept;
use crate::engine::value::entry::Meta;

/// What a caller makes of an entry that is not plainly fresh.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ask {
    /// A stale value of up to this age, in milliseconds, is of use.
    pub window: u64,
    /// How eagerly to refresh early; 0 not at all.
    pub beta: f64,
    /// Decided already: to be refreshed early.
    pub early: bool,
}

/// What an entry is to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// For so many milliseconds; `u64::MAX` for ever.
    Fresh(u64),
    /// Still fresh, for so many milliseconds, and better refreshed now.
    Early(u64),
    /// Since so many milliseconds, and of use.
    Stale(u64),
    /// Older than is of use, or of unknown age.
    Over,
}

/// `left`: milliseconds until the key expires, `u64::MAX` for never; none where that is not known.
pub fn judge(meta: Option<&Meta>, left: Option<u64>, ask: Ask, random: &Random) -> Life {
    let Some(meta) = meta else { return Life::Fresh(left.unwrap_or(u64::MAX)) };
    if meta.extra_ms == 0 && left.is_none() {
        return Life::Fresh(u64::MAX);
    }
    match left {
        None => Life::Over,
        Some(u64::MAX) => Life::Fresh(u64::MAX),
        Some(left) if left > meta.extra_ms => {
            let fresh = left - meta.extra_ms;
            if ask.early || early(fresh, meta.delta_ms, ask.beta, random) {
                Life::Early(fresh)
            } else {
                Life::Fresh(fresh)
            }
        }
        Some(left) => {
            let age = meta.extra_ms - left;
            if age < ask.window { Life::Stale(age) } else { Life::Over }
        }
    }
}

/// What an entry is whose tags were softly ended so many milliseconds ago.
pub fn softened(life: Life, since: u64, ask: Ask) -> Life {
    let age = match life {
        Life::Fresh(_) | Life::Early(_) if mutant::lacks("soft") => return life,
        Life::Fresh(_) | Life::Early(_) => since,
        Life::Stale(age) => age.max(since),
        Life::Over => return Life::Over,
    };
    if age < ask.window { Life::Stale(age) } else { Life::Over }
}

/// XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, 2015): refresh when
/// `-beta * delta * ln(rand)` reaches the time left, so that slow functions begin early, and rarely two callers at a
/// time.
pub fn early(left_ms: u64, delta_ms: u32, beta: f64, random: &Random) -> bool {
    beta > 0.0 && delta_ms > 0 && -beta * f64::from(delta_ms) * random.part().ln() >= left_ms as f64
}

/// A value in hand while its successor is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    pub json: Kept,
    /// Milliseconds since its TTL ended; negative while it is still fresh.
    age: i64,
    /// When that was its age, of the monotonic clock.
    since: u64,
}

impl Stale {
    pub fn new(json: Kept, life: Life, now: u64) -> Option<Self> {
        let millis = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let age = match life {
            Life::Early(left) => -millis(left).max(1),
            Life::Stale(age) => millis(age),
            Life::Fresh(_) | Life::Over => return None,
        };
        Some(Self { json, age, since: now })
    }

    pub fn age(&self, now: u64) -> i64 {
        self.age.saturating_add(i64::try_from(now.saturating_sub(self.since)).unwrap_or(i64::MAX))
    }

    /// Whether a caller with this window is served by it.
    pub fn serves(&self, window: u64, now: u64) -> bool {
        let age = self.age(now);
        age < 0 || u64::try_from(age).is_ok_and(|age| age < window)
    }
}
