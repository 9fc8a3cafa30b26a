//! Tests of the layer `tier`.

mod budget;
mod covers;
mod heads;
mod journal;
mod memory;
mod near;
mod sweeps;
