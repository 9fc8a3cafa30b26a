//! Tests of what sends calls to several servers and answers their callers.

mod asking;
mod detours;
mod ending;
mod joint;
mod owed;
mod panics;
mod split;
mod successor;
