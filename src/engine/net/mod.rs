//! One connection: its target, its socket, pipelines as bytes, and bytes as replies and pushes.
//!
//! Uses base and once.

pub mod denied;
pub mod latency;
pub mod nodes;
pub mod reply;
pub mod resp;
pub mod seeds;
pub mod target;
pub mod tls;
pub mod wire;
