//! Tests of the layer `value`.

mod entry;
mod room;
mod tokens;
