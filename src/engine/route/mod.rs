//! Several servers as one: the calls of a batch go to the servers that have their keys, and are answered together.
//!
//! Uses what stands above it in the list of layers.

pub mod back;
pub mod counts;
pub mod joint;
pub mod refresh;
pub mod replicas;
pub mod router;
pub mod split;
pub mod sweep;
pub mod together;
