//! What is told of an engine: its counters, its outages, its statistics, its status, its events, and what others
//! change.

pub mod counters;
pub mod listening;
pub mod outages;
pub mod stats;
pub mod status;
