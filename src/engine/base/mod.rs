//! What everything uses and what uses nothing but itself.
//!
//! Uses no other layer.

pub mod clock;
pub mod error;
pub mod glob;
pub mod heap;
pub mod key;
pub mod mutant;
pub mod pattern;
pub mod random;
pub mod text;
