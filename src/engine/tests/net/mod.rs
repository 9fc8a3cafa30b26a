//! Tests of the layer `net`.

mod options;
mod password;
mod reply;
mod resp;
mod seeds;
