//! Tests of the layer `call`.

mod leaves;
mod mend;
mod splice;
