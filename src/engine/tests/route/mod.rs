//! Tests of what sends calls to several servers and answers their callers.

mod joint;
mod split;
mod successor;
