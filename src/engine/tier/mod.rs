//! What this process holds: the in-process store, the near cache over it, and the journal of an outage.
//!
//! Uses base, call, value and store.

pub mod budget;
pub mod cover;
pub mod covers;
pub mod heads;
pub mod journal;
pub mod marks;
pub mod memory;
pub mod near;
pub mod spared;
pub mod walk;
