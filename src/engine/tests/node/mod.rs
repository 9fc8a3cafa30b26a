//! Tests of the layer `node`.

mod connection;
mod expiry;
mod fuzz;
mod queue;
