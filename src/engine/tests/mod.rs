//! The engine's tests, by feature. Those that need a server start a real one of their own.

mod budget;
mod connection;
mod entry;
mod flight;
mod fuzz;
mod glob;
mod journal;
mod leaves;
mod memory;
mod near;
mod options;
mod processes;
mod queue;
mod resp;
mod splice;
mod support;
mod tokens;
