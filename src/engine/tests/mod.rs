//! The engine's tests, by the layer that they are about. Those that need a server start a real one of their own.

mod base;
mod call;
mod net;
mod node;
mod once;
mod support;
mod tier;
mod value;
