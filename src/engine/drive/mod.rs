//! Who does the I/O of a node: sockets, TLS, names, timers, on a thread of ours. Nothing above knows of it.
//!
//! Uses what stands above it in the list of layers.

mod driver;
mod socket;
mod thread;

pub use driver::{start, start_alone};
