//! One command of the server: how many words it has, what it is, which of its words are keys, and what executes it.

use crate::server::inbound::number;
use crate::server::reply::Reply;
use crate::server::{Id, Server};

pub const WRITE: u16 = 1;
pub const READONLY: u16 = 2;
/// May need memory.
pub const DENYOOM: u16 = 4;
/// Also while the server loads its data.
pub const LOADING: u16 = 8;
/// Also while a script of somebody runs for ever.
pub const ALLOW_BUSY: u16 = 16;
/// Also before AUTH.
pub const NO_AUTH: u16 = 32;
pub const NOSCRIPT: u16 = 64;
/// Executed at once, and not queued, behind MULTI.
pub const NO_QUEUE: u16 = 128;

/// Which words are keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    None,
    First,
    All,
    /// As many as the number behind the script says.
    Counted,
}

pub struct Command {
    /// In lower case; `client|id` for one of a family.
    pub name: &'static str,
    /// How many words with the name; negative: at least so many.
    pub arity: i32,
    pub flags: u16,
    pub keys: Keys,
    pub run: fn(&mut Server, Id, &[&[u8]]) -> Reply,
}

impl Command {
    pub fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub fn takes(&self, words: usize) -> bool {
        let words = i32::try_from(words).unwrap_or(i32::MAX);
        if self.arity < 0 { words >= -self.arity } else { words == self.arity }
    }

    pub fn keys<'a>(&self, words: &'a [&'a [u8]]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let range = match self.keys {
            Keys::None => 0..0,
            Keys::First => 1..2,
            Keys::All => 1..words.len(),
            Keys::Counted => {
                let count = words.get(2).and_then(|count| number(count)).and_then(|count| usize::try_from(count).ok());
                3..count.unwrap_or(0).saturating_add(3)
            }
        };
        words.get(range).unwrap_or_default().iter().copied()
    }
}
