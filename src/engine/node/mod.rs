//! One server through its states, from the dial to the recovery.
//!
//! Uses what stands above it in the list of layers.

pub mod dial;
pub mod heard;
pub mod queue;
pub mod sent;
pub mod serve;
pub mod supervisor;
