//! The wire format, RESP2 and RESP3: bytes become values as they come in.
//!
//! The crate's own parser is built of combinators over all that a server could say, and took about an eighth of this
//! thread's time (`perf record`, 64 callers of `get`). What we ask for is answered by few kinds. An array that is not
//! whole yet stays on a stack, so no byte is looked at twice but those of the one scalar that is not whole. Errors are
//! taken apart by the crate, whose type they are; it is also what the tests compare with.
//!
//! **What is text need not be UTF-8.** An error quotes the arguments of its command, which may be any bytes, and cuts
//! them after 128 of them, in the middle of a character too. Nothing here depends on what such a line says byte for
//! byte, so lines of text are read lossily: a key of somebody's must not look like a broken protocol.
//!
//! **Not read**: streamed strings and arrays (`$?`, `*?`), which no server sends.

use redis::{PushInfo, PushKind, Value};

use crate::engine::base::error::{Kind, Trouble};

/// What is no RESP.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// What came: the reply to a command, or a push.
#[derive(Debug, PartialEq)]
pub enum Message {
    Reply(Value),
    Push(PushInfo),
}

/// The longest line that is waited for: numbers and lengths, statuses, errors.
const MAX_LINE: usize = 64 * 1024;
/// The longest bulk that is waited for, in bytes: what Redis itself takes (`proto-max-bulk-len`).
const MAX_BULK: usize = 512 << 20;
/// The most elements of an array: a thousand times as many as the longest that is asked for.
const MAX_ELEMENTS: usize = 1 << 20;
/// How deep arrays may lie within each other.
const MAX_DEPTH: usize = 32;
/// Room made for an array before its elements are there, however many it promises.
const MAX_ROOM: usize = 1024;

/// What came of the arrays that are not whole yet.
#[derive(Default)]
pub struct Parser {
    stack: Vec<Open>,
}

struct Open {
    kind: u8,
    left: usize,
    values: Vec<Value>,
}

impl Parser {
    /// The next message of `bytes`, from `at` on, which moves behind what was read. `None` where more must come first.
    pub fn next(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Message>, Malformed> {
        loop {
            let Some(mut value) = self.value(bytes, at)? else { return Ok(None) };
            // It may be the last element of the array around it, and that of another one.
            loop {
                let Some(open) = self.stack.last_mut() else { return Ok(Some(Message::Reply(value))) };
                open.values.push(value);
                open.left -= 1;
                if open.left > 0 {
                    break;
                }
                let Some(open) = self.stack.pop() else { return Err(Malformed) };
                // What a server says about a reply, in front of it: nothing that anybody here asks for.
                if open.kind == b'|' {
                    break;
                }
                if open.kind == b'>' {
                    return if self.stack.is_empty() { push(open.values).map(Some) } else { Err(Malformed) };
                }
                value = closed(open.kind, open.values);
            }
        }
    }

    /// The next value that is whole. One that opens an array is none: the array is put on the stack.
    fn value(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Value>, Malformed> {
        loop {
            let rest = bytes.get(*at..).unwrap_or_default();
            let Some(line) = line(rest)? else { return Ok(None) };
            let (kind, text) = line.split_first().ok_or(Malformed)?;
            let behind = line.len() + 2;
            let value = match kind {
                b'+' if text == b"OK" => Value::Okay,
                b'+' => Value::SimpleString(String::from_utf8_lossy(text).into_owned()),
                b':' => Value::Int(number(text)?),
                b'_' => Value::Nil,
                b'#' => Value::Boolean(text == b"t"),
                b',' => Value::Double(std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or(Malformed)?),
                b'(' => Value::SimpleString(String::from_utf8_lossy(text).into_owned()),
                b'-' => error(text)?,
                b'$' | b'=' | b'!' => match number(text)? {
                    -1 => Value::Nil,
                    length => {
                        let length = usize::try_from(length).map_err(|_| Malformed)?;
                        if length > MAX_BULK {
                            return Err(Malformed);
                        }
                        let end = behind.checked_add(length).ok_or(Malformed)?;
                        let Some(after) = rest.get(end..end.saturating_add(2)) else { return Ok(None) };
                        if after != b"\r\n" {
                            return Err(Malformed);
                        }
                        *at += end + 2;
                        return bulk(*kind, &rest[behind..end]).map(Some);
                    }
                },
                b'*' | b'%' | b'~' | b'>' | b'|' => {
                    *at += behind;
                    match number(text)? {
                        0 if *kind == b'|' => {}
                        -1 if *kind != b'|' => return Ok(Some(Value::Nil)),
                        0 if *kind != b'>' => return Ok(Some(closed(*kind, Vec::new()))),
                        count => self.open(*kind, usize::try_from(count).map_err(|_| Malformed)?)?,
                    }
                    continue;
                }
                _ => return Err(Malformed),
            };
            *at += behind;
            return Ok(Some(value));
        }
    }

    fn open(&mut self, kind: u8, count: usize) -> Result<(), Malformed> {
        let left = if matches!(kind, b'%' | b'|') { count.checked_mul(2).ok_or(Malformed)? } else { count };
        if left == 0 || left > MAX_ELEMENTS || self.stack.len() == MAX_DEPTH {
            return Err(Malformed);
        }
        self.stack.push(Open { kind, left, values: Vec::with_capacity(left.min(MAX_ROOM)) });
        Ok(())
    }
}

/// The bytes before the next CRLF. A CR alone is a byte like another: not every proxy takes it out of what it quotes.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    // What is no RESP need not send a CRLF.
    if bytes.first().is_some_and(|kind| !b"+:_#,(-$=!*%~>|".contains(kind)) {
        return Err(Malformed);
    }
    let most = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let mut from = 0;
    while let Some(cr) = most.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b'\r')) {
        let end = from + cr;
        match bytes.get(end + 1) {
            Some(b'\n') => return Ok(bytes.get(..end)),
            Some(_) => from = end + 1,
            None => return Ok(None),
        }
    }
    if bytes.len() < MAX_LINE { Ok(None) } else { Err(Malformed) }
}

fn number(digits: &[u8]) -> Result<i64, Malformed> {
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(Malformed)
}

fn bulk(kind: u8, bytes: &[u8]) -> Result<Value, Malformed> {
    match kind {
        b'$' => Ok(Value::BulkString(bytes.to_vec())),
        b'!' => error(bytes),
        // `txt:` stands before the text.
        _ => Ok(Value::SimpleString(String::from_utf8_lossy(bytes.get(4..).ok_or(Malformed)?).into_owned())),
    }
}

fn closed(kind: u8, values: Vec<Value>) -> Value {
    match kind {
        b'~' => Value::Set(values),
        b'%' => {
            let mut values = values.into_iter();
            let mut pairs = Vec::with_capacity(values.len() / 2);
            while let (Some(key), Some(value)) = (values.next(), values.next()) {
                pairs.push((key, value));
            }
            Value::Map(pairs)
        }
        _ => Value::Array(values),
    }
}

fn push(mut values: Vec<Value>) -> Result<Message, Malformed> {
    // Two elements: what it is, and what it is about.
    let kind = match values.remove(0) {
        Value::BulkString(name) if name == b"invalidate" => PushKind::Invalidate,
        Value::BulkString(name) => PushKind::Other(String::from_utf8_lossy(&name).into_owned()),
        Value::SimpleString(name) => PushKind::Other(name),
        _ => return Err(Malformed),
    };
    Ok(Message::Push(PushInfo { kind, data: values }))
}

fn error(text: &[u8]) -> Result<Value, Malformed> {
    let mut line = vec![b'-'];
    line.extend(
        String::from_utf8_lossy(text).bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }),
    );
    // A line break within it would end it there.
    line.extend(b"\r\n");
    redis::parse_redis_value(&line).map_err(|_| Malformed)
}

/// Room that is kept for bytes of a message that is not whole, when nothing is left of them.
const KEPT_BYTES: usize = 256 * 1024;

/// Bytes as they come, in any pieces; keeps what came of a message that is not whole yet.
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
                    Err(_) => return Err(foreign(bytes.get(*at..).unwrap_or_default())),
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

/// What began with bytes that are no RESP.
fn foreign(bytes: &[u8]) -> Trouble {
    // A record of TLS: an alert, or part of a handshake.
    match bytes {
        [0x15 | 0x16, 3, ..] => {
            Trouble::new(Kind::Tls, "the server speaks TLS on that port; the URL must begin with rediss://")
        }
        _ => {
            Trouble::new(Kind::Protocol, "what answered does not speak the Redis protocol (a TLS port needs rediss://)")
        }
    }
}
