//! Which servers there are, which one a key belongs to, where each is to be found, and what callers see of it.
//!
//! Uses what stands above it in the list of layers.

pub mod cluster;
pub mod endpoint;
pub mod members;
pub mod pace;
pub mod parse;
pub mod sentinels;
pub mod server;
pub mod slot;
pub mod topology;
