//! Random numbers, for jitter and for names that nobody else has.

use std::hash::{BuildHasher, Hasher, RandomState};

/// 64 random bits. The standard library's hasher keys are random, and differ with each hasher; none of this needs a
/// better source.
pub fn bits() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A number above 0, at most 1.
pub fn part() -> f64 {
    // 53 bits are what an f64 holds exactly.
    ((bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
}
