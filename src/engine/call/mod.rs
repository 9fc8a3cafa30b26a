//! What crosses the bridge, both ways: a turn of calls, and their answers.
//!
//! Uses base.

pub mod batch;
pub mod called;
pub mod extras;
pub mod leaves;
pub mod mend;
pub mod reply;
pub mod sink;
pub mod splice;
pub mod vouched;
