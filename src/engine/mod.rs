//! The engine, in layers: a module uses only the layers that stand above its own in this list.
//!
//! - [`base`]: what everything uses
//! - [`task`]: tasks and moments, without a runtime
//! - [`call`]: what crosses the bridge, both ways
//! - [`value`]: what lies at a key, and whether it may be served
//! - [`store`]: a bounded map of this process
//! - [`tier`]: what this process holds
//! - [`once`]: who computes, who waits
//! - [`net`]: one connection, its pipelines and its replies
//! - [`fleet`]: which servers there are, and what callers see of each
//! - [`cache`]: a namespace, and calls that run on the in-process tier
//! - [`exchange`]: a batch as one pipeline, and its replies judged
//! - [`conversation`]: work of several steps on a connection
//! - [`serve`]: a connection in use: what is sent on it, and what comes back
//! - [`node`]: one server through its states: a machine without I/O
//! - [`route`]: several servers as one
//! - [`front`]: the way in: what is answered on the caller's thread, and what goes to the node
//! - [`drive`]: who does the node's I/O: sockets, TLS, timers, the thread
//! - [`registry`]: one engine for each server that the process uses
//!
//! A `get` goes down this list and back: [`front`] answers what the near cache holds and hands the rest to the node,
//! which plans the batch, sends it and judges what comes back.

#![forbid(unsafe_code)]

pub mod base;
pub mod cache;
pub mod call;
pub mod conversation;
#[cfg(feature = "drive")]
pub mod drive;
pub mod exchange;
pub mod fleet;
pub mod front;
pub mod net;
pub mod node;
pub mod once;
#[cfg(feature = "drive")]
pub mod registry;
pub mod route;
pub mod serve;
pub mod store;
pub mod task;
pub mod tier;
pub mod value;

#[cfg(test)]
mod tests;
