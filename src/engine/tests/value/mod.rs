//! Tests of the layer `value`.

mod entry;
mod room;
#[cfg(feature = "drive")]
mod tokens;
