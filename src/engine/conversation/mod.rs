//! Work of several steps on a connection: leases and who renews them, refreshes, sweeps, replay, long tasks.
//!
//! Uses what stands above it in the list of layers.

pub mod connection;
pub mod finding;
pub mod gather;
pub mod leases;
pub mod refresh;
pub mod stand_in;
pub mod tasks;
pub mod undo;
