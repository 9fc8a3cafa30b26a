//! Removes from a server what is not to be read any more: on recovery, beside the calls, and where slots move.

pub mod owed;
pub mod replay;
pub mod sweep;
