//! A batch as one pipeline, and its replies judged. Sends nothing.
//!
//! Uses what stands above it in the list of layers.

pub mod expiry;
pub mod judge;
pub mod plain;
pub mod plan;
pub mod planner;
pub mod questions;
pub mod reads;
pub mod refusals;
pub mod softening;
pub mod tokens;
pub mod writes;
