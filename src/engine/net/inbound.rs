//! Bytes as they come, in any pieces, and the messages that they make.

use crate::engine::base::error::Trouble;
use crate::engine::net::resp::{Message, Parser};
use crate::engine::net::wire;

/// Room that is kept for bytes of a message that is not whole, when nothing is left of them.
const KEPT_BYTES: usize = 256 * 1024;

/// What came of a message that is not whole yet.
#[derive(Default)]
pub struct Inbound {
    parser: Parser,
    held: Vec<u8>,
}

impl Inbound {
    /// Gives all messages that are whole, in their order, until one is refused. Bytes are copied only where a message
    /// ends in a later piece.
    pub fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(Message) -> Result<(), Trouble>) -> Result<(), Trouble> {
        let Self { parser, held } = self;
        let mut all = |bytes: &[u8], at: &mut usize| {
            loop {
                match parser.next(bytes, at) {
                    Ok(Some(message)) => take(message)?,
                    Ok(None) => return Ok(()),
                    Err(_) => return Err(wire::foreign(bytes.get(*at..).unwrap_or_default())),
                }
            }
        };
        let mut at = 0;
        if held.is_empty() {
            let result = all(bytes, &mut at);
            held.extend_from_slice(bytes.get(at..).unwrap_or_default());
            return result;
        }
        held.extend_from_slice(bytes);
        let result = all(held, &mut at);
        held.drain(..at);
        if held.is_empty() {
            held.shrink_to(KEPT_BYTES);
        }
        result
    }
}
