//! One connection: its target, its socket, pipelines as bytes, and bytes as replies and pushes.
//!
//! Uses base, task, call and once.

pub mod denied;
pub mod nodes;
pub mod password;
pub mod reply;
pub mod resp;
pub mod seeds;
pub mod target;
pub mod tls;
pub mod wire;
