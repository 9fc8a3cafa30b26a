//! Tests of the layer `net`.

mod options;
mod reply;
mod resp;
mod seeds;
