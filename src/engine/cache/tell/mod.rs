//! What is told of an engine: its counters, its statistics, its status and its events.

pub mod counters;
pub mod stats;
pub mod status;
