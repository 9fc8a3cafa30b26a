//! Tests of the layer `once`.

#[cfg(feature = "drive")]
mod exclusive;
#[cfg(feature = "drive")]
mod fences;
#[cfg(feature = "drive")]
mod flight;
#[cfg(feature = "drive")]
mod held;
mod lease;
#[cfg(feature = "drive")]
mod orphans;
#[cfg(feature = "drive")]
mod processes;
