//! Tests of the layer `tier`.

mod budget;
mod covers;
mod heads;
#[cfg(feature = "drive")]
mod journal;
mod memory;
#[cfg(feature = "drive")]
mod near;
mod spared;
#[cfg(feature = "drive")]
mod sweeps;
mod walks;
