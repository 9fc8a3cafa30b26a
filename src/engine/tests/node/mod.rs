//! Tests of the layer `node`.

#[cfg(feature = "drive")]
mod connection;
#[cfg(feature = "drive")]
mod expiry;
#[cfg(feature = "drive")]
mod fuzz;
mod machine;
#[cfg(feature = "drive")]
mod refusals;
mod steps;
mod world;
