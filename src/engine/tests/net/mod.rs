//! Tests of the layer `net`.

mod options;
#[cfg(feature = "drive")]
mod password;
mod reply;
mod resp;
mod seeds;
