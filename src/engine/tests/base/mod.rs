//! Tests of the layer `base`.

#[cfg(feature = "drive")]
mod glob;
#[cfg(feature = "drive")]
mod keys;
