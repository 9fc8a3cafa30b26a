//! Computing once: who runs the function of a key, who waits, and who may store.
//!
//! Uses base, call, value and tier.

pub mod exclusive;
pub mod fences;
pub mod flight;
pub mod held;
pub mod lease;
pub mod waiters;
pub mod waiting;
