//! What each command does, by what it is about.

pub mod connection;
pub mod keys;
pub mod server;
pub mod strings;

use crate::server::faults;
use crate::server::inbound::number;
use crate::server::reply::{Reply, error};

/// The number that a word is, or the reply that says that it is none.
pub fn integer(word: &[u8]) -> Result<i64, Reply> {
    number(word).ok_or_else(|| error(faults::NO_INTEGER))
}

pub fn syntax() -> Reply {
    error(faults::SYNTAX)
}

/// Whether a word is this one, in any case.
pub fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// The reply of a command, whichever way it came about.
pub fn either(reply: Result<Reply, Reply>) -> Reply {
    reply.unwrap_or_else(|reply| reply)
}
