//! Tests of the layer `base`.

mod balance;
#[cfg(feature = "drive")]
mod glob;
#[cfg(feature = "drive")]
mod keys;
