//! Random numbers, for jitter and for names that nobody else has; handed in, so that a simulation can be replayed.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where an engine's random numbers come from. Cheap to clone; all clones are one generator.
#[derive(Clone)]
pub enum Random {
    /// The standard library's hasher keys, which are random and differ with each hasher: jitter and names need no
    /// better source.
    System,
    /// The same numbers for the same seed. For one thread: two that ask at once may get the same number.
    Seeded(Arc<AtomicU64>),
}

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(AtomicU64::new(seed)))
    }

    /// 64 random bits.
    pub fn bits(&self) -> u64 {
        match self {
            Self::System => RandomState::new().build_hasher().finish(),
            Self::Seeded(state) => {
                let counter = state.load(Ordering::Relaxed);
                state.store(counter.wrapping_add(STEP), Ordering::Relaxed);
                mixed(counter)
            }
        }
    }

    /// A number above 0, at most 1.
    pub fn part(&self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, ((self.part() * (i + 1) as f64) as usize).min(i));
        }
    }
}

/// How tables hash whose order may decide something: as an attacker cannot foresee, and in a simulation always the
/// same.
#[cfg(not(feature = "simulation"))]
pub type Hashes = RandomState;
#[cfg(feature = "simulation")]
pub type Hashes = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): a counter that goes on by
/// this step, mixed.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn mixed(counter: u64) -> u64 {
    let mut bits = counter.wrapping_add(STEP);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_the_system_never_does() {
        let numbers = |random: Random| [random.bits(), random.clone().bits(), random.bits()];
        // The first numbers of SplitMix64 with seed 0, as its paper's reference has them.
        assert_eq!(numbers(Random::seeded(0)), [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]);
        assert_ne!(numbers(Random::seeded(1)), numbers(Random::seeded(2)));
        assert_ne!(numbers(Random::System), numbers(Random::System));
    }

    #[test]
    fn a_part_is_above_0_and_at_most_1() {
        for random in [Random::System, Random::seeded(7)] {
            assert!((0..1_000).map(|_| random.part()).all(|part| part > 0.0 && part <= 1.0));
        }
    }
}
