//! The Node addon: converts calls and replies, one file per concern. It decides nothing.

mod bridge;
mod cache;
mod decode;
mod sink;
mod text;
