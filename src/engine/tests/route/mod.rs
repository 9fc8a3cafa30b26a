//! Tests of what sends calls to several servers and answers their callers.

mod detours;
mod joint;
mod owed;
mod split;
mod successor;
