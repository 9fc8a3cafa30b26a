//! The engine's tests, by the layer that they are about. Those that need a server start a real one of their own, and
//! run with the feature `drive` alone, as they need somebody who does I/O.

use crate::engine::base::clock::Clock;

mod base;
mod call;
mod fleet;
mod leaps;
mod net;
mod node;
mod once;
#[cfg(feature = "drive")]
mod route;
mod store;
#[cfg(feature = "drive")]
mod support;
mod tier;
mod value;

/// The time, as a caller's thread sees it.
fn now_ms() -> u64 {
    Clock::System.now_ms()
}
