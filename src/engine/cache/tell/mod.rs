//! What is told of an engine: its counters, its outages, its statistics, its status and its events.

pub mod counters;
pub mod outages;
pub mod stats;
pub mod status;
