//! A connection in use: what is sent on it, and what its replies mean for whoever it was sent for.
//!
//! Uses what stands above it in the list of layers.

pub mod heard;
pub mod pump;
pub mod sent;
