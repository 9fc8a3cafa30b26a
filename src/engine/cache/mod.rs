//! A namespace on an engine: what its caches share, and calls that run on the in-process tier.
//!
//! Uses what stands above it in the list of layers.

pub mod job;
pub mod local;
pub mod long;
mod moved;
pub mod namespace;
pub mod options;
pub mod scan;
pub mod shared;
pub mod tell;
pub mod there;
