//! Tests of the layer `value`.

mod entry;
mod record;
mod room;
#[cfg(feature = "drive")]
mod tokens;
mod whole;
