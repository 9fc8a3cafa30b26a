//! What everything uses and what uses nothing but itself.
//!
//! Uses no other layer.

pub mod balance;
pub mod clock;
pub mod error;
pub mod glob;
pub mod heap;
pub mod key;
pub mod pattern;
pub mod random;
pub mod text;

/// Builds that lack one fence, for the tests that must notice (`npm run test:mutants`). Other builds have all of them,
/// and nothing of this.
pub mod mutant {
    /// Whether this build, told so by `HOLDFAST_MUTANT`, does without a fence.
    #[cfg(feature = "mutants")]
    pub fn lacks(fence: &str) -> bool {
        use once_cell::sync::Lazy;
        static NAME: Lazy<Option<String>> = Lazy::new(|| std::env::var("HOLDFAST_MUTANT").ok());
        NAME.as_deref() == Some(fence)
    }

    #[cfg(not(feature = "mutants"))]
    pub const fn lacks(_fence: &str) -> bool {
        false
    }
}
