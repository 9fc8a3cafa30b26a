//! Tests of the layer `node`.

#[cfg(feature = "drive")]
mod connection;
#[cfg(feature = "drive")]
mod expiry;
#[cfg(feature = "drive")]
mod fuzz;
mod habits;
mod machine;
#[cfg(feature = "drive")]
mod refusals;
mod sentinels;
mod steps;
#[cfg(feature = "drive")]
mod taking;
pub mod world;
