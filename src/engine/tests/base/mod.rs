//! Tests of the layer `base`.

mod glob;
mod keys;
