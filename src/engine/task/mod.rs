//! Tasks without a runtime: futures that whoever drives an engine polls, and the moments that they wait for.
//!
//! Uses base.

pub mod executor;
pub mod queue;
pub mod signal;
pub mod timers;
