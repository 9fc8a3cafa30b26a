//! Tests of the layer `once`.

mod flight;
mod lease;
mod orphans;
mod processes;
