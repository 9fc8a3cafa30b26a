//! Holdfast: the cache service of a Node.js application.
//!
//! - [`engine`]: all behaviour, pure Rust, no Node. Its module list is in the order in which a `get` passes through it.
//! - `binding`: the Node addon. It converts between JavaScript and the engine and decides nothing.
//! - `src/js` (JavaScript): what must live on the event loop: batching, `JSON.parse`, running the caller's functions.

#![deny(unsafe_op_in_unsafe_fn)]

// Not in the engine's tests: outside of Node nobody registers what the binding exports.
#[cfg(all(feature = "node", not(test)))]
mod binding;
pub mod engine;
