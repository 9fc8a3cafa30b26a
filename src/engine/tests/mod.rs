//! The engine's tests, by feature. Those that need a server start a real one of their own.

mod budget;
mod connection;
mod entry;
mod expiry;
mod flight;
mod fuzz;
mod glob;
mod heads;
mod journal;
mod keys;
mod lease;
mod leaves;
mod memory;
mod near;
mod options;
mod orphans;
mod processes;
mod queue;
mod reply;
mod resp;
mod room;
mod splice;
mod support;
mod sweeps;
mod tokens;
