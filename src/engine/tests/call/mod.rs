//! Tests of the layer `call`.

mod leaves;
mod splice;
