//! Which servers there are, which one a key belongs to, where each is to be found, and what callers see of it.
//!
//! Uses what stands above it in the list of layers.

pub mod endpoint;
pub mod pace;
pub mod parse;
pub mod server;
pub mod single;
pub mod slot;
pub mod topology;
