//! What the server says: replies and pushes, as a value and as the bytes of either protocol.

use std::borrow::Cow;

/// A reply. It is the same value in both protocols, which write some of its kinds differently.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Simple(&'static str),
    /// With its code in front, without the `-`.
    Error(Cow<'static, str>),
    Int(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
    Map(Vec<(&'static str, Reply)>),
    /// Text in RESP3's own kind for it.
    Verbatim(String),
}

pub const OK: Reply = Reply::Simple("OK");

impl Reply {
    pub fn text(text: &str) -> Self {
        Self::Bulk(text.as_bytes().to_vec())
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// Appends its bytes.
    pub fn write(&self, resp3: bool, out: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => line(b'+', text.as_bytes(), out),
            Self::Error(text) => {
                out.push(b'-');
                out.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
                out.extend_from_slice(b"\r\n");
            }
            Self::Int(number) => {
                out.push(b':');
                if *number < 0 {
                    out.push(b'-');
                }
                digits(number.unsigned_abs(), out);
                out.extend_from_slice(b"\r\n");
            }
            Self::Bulk(bytes) => bulk(bytes, out),
            Self::Nil if resp3 => out.extend_from_slice(b"_\r\n"),
            Self::Nil => out.extend_from_slice(b"$-1\r\n"),
            Self::Array(parts) => {
                length(b'*', parts.len(), out);
                parts.iter().for_each(|part| part.write(resp3, out));
            }
            Self::Map(pairs) => {
                if resp3 {
                    length(b'%', pairs.len(), out);
                } else {
                    length(b'*', pairs.len() * 2, out);
                }
                for (name, value) in pairs {
                    bulk(name.as_bytes(), out);
                    value.write(resp3, out);
                }
            }
            Self::Verbatim(text) if resp3 => {
                length(b'=', text.len() + 4, out);
                out.extend_from_slice(b"txt:");
                out.extend_from_slice(text.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Self::Verbatim(text) => bulk(text.as_bytes(), out),
        }
    }
}

/// An error with these words.
pub fn error(words: impl Into<Cow<'static, str>>) -> Reply {
    Reply::Error(words.into())
}

/// Appends the push that says that a key changed, or with none that all did.
pub fn write_invalidation(key: Option<&[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(b">2\r\n$10\r\ninvalidate\r\n");
    match key {
        Some(key) => {
            out.extend_from_slice(b"*1\r\n");
            bulk(key, out);
        }
        None => out.extend_from_slice(b"_\r\n"),
    }
}

fn line(kind: u8, text: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

fn length(kind: u8, length: usize, out: &mut Vec<u8>) {
    out.push(kind);
    digits(length as u64, out);
    out.extend_from_slice(b"\r\n");
}

fn bulk(bytes: &[u8], out: &mut Vec<u8>) {
    length(b'$', bytes.len(), out);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Without an allocation: each reply has a length or two.
fn digits(mut number: u64, out: &mut Vec<u8>) {
    let begin = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[begin..].reverse();
}
