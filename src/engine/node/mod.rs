//! One server through its states, from the dial to the recovery: a machine that is handed bytes and the time.
//!
//! Uses what stands above it in the list of layers.

pub mod backoff;
pub mod bell;
pub mod gate;
pub mod handshake;
pub mod life;
pub mod machine;
pub mod state;
pub mod steps;
