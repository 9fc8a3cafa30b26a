//! How a cache's values become bytes, and how these cross the bridge: as JSON texts, or whole where they are long.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::engine::base::text::{Given, Json, Kept, MOST_WITHIN};

/// How a cache's values become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// JSON texts.
    Json = 0,
    /// What `v8.serialize` makes; crosses the bridge as base64, or whole.
    Structured = 1,
    /// The application's own bytes; cross the bridge as base64, or whole.
    Raw = 2,
    /// Texts, stored as their UTF-8; cross the bridge as JSON strings, or whole.
    Text = 3,
}

impl Codec {
    /// The integer that a value is to Redis' INCRBY, if it is one; none is whole.
    pub fn integer<'a>(self, value: impl Into<Given<'a>>) -> Option<i64> {
        let text = value.into().json()?;
        if !self.is_quoted() {
            return canonical(text);
        }
        canonical(std::str::from_utf8(&self.payload(text)?).ok()?)
    }

    /// And back.
    pub fn of_integer(self, number: i64) -> String {
        let digits = number.to_string();
        match self {
            Self::Raw => quoted(digits.as_bytes()),
            Self::Text => string(&digits),
            Self::Json | Self::Structured => digits,
        }
    }

    /// The bytes of a value, by its text on the bridge; None where that is not what this codec sends.
    pub fn payload(self, text: &str) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Json => Some(Cow::Borrowed(text.as_bytes())),
            Self::Text => serde_json::from_str::<String>(text).ok().map(|text| Cow::Owned(text.into_bytes())),
            Self::Structured | Self::Raw => {
                STANDARD.decode(text.strip_prefix('"')?.strip_suffix('"')?).ok().map(Cow::Owned)
            }
        }
    }

    /// And back: a value of this codec that has these bytes. `json`: as in [`super::entry::Format::decode`].
    pub fn value(self, payload: Cow<'_, [u8]>, json: fn(Vec<u8>) -> Option<Json>) -> Option<Json> {
        match self {
            Self::Json => json(payload.into_owned()),
            Self::Text if payload.len() > MOST_WITHIN => {
                String::from_utf8(payload.into_owned()).ok().map(|text| Json::Shared(Kept::text(text)))
            }
            Self::Text => std::str::from_utf8(&payload).ok().map(|text| Json::of(string(text))),
            Self::Structured | Self::Raw if payload.len() > MOST_WITHIN => {
                Some(Json::Shared(Kept::bytes(payload.into_owned())))
            }
            Self::Structured | Self::Raw => Some(Json::of(quoted(&payload))),
        }
    }

    /// Whether all its values are JSON strings on the bridge, digits included.
    fn is_quoted(self) -> bool {
        matches!(self, Self::Raw | Self::Text)
    }

    /// As in the options of a cache.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Structured => "structured",
            Self::Raw => "raw",
            Self::Text => "text",
        }
    }

    /// By the number it has in a header.
    pub fn of(byte: u8) -> Option<Self> {
        [Self::Json, Self::Structured, Self::Raw, Self::Text].into_iter().find(|codec| *codec as u8 == byte)
    }
}

/// Bytes as they cross the bridge.
pub fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4 + 2);
    text.push('"');
    STANDARD.encode_string(bytes, &mut text);
    text.push('"');
    text
}

/// A text as it crosses the bridge.
pub fn string(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// An integer of 64 bits as Redis writes it, and nothing else that a parser would take for one: no sign but `-`, no
/// leading zeros.
pub fn canonical(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Bytes that are such an integer, as a JSON text.
pub fn integer(bytes: Vec<u8>) -> Option<Json> {
    let text = String::from_utf8(bytes).ok()?;
    canonical(&text).map(|_| Json::of(text))
}

/// The first byte of the marker of a computation (src/engine/once/lease.rs); no UTF-8 text begins with it, and no
/// header of ours.
pub const MARK: u8 = 0xFE;

/// Whether stored bytes are somebody's marker.
pub fn is_marker(bytes: &[u8]) -> bool {
    bytes.first() == Some(&MARK)
}

/// How much the compressed entries of one batch have expanded to, all together.
///
/// A kilobyte that expands to the bound of one value is fair; a thousand of them in one batch would take gigabytes.
/// What ordinary data does is not counted: the bytes that were received bound it.
#[derive(Debug, Default)]
pub struct Room {
    used: usize,
}

impl Room {
    /// Times its own size that an entry may expand to without being counted.
    const FAIR: usize = 16;
    /// Bytes that the entries of one batch may expand to beyond that; the first one is only bound by `max_bytes`.
    const MAX: usize = 64 << 20;

    /// Whether an entry of `packed` bytes may expand to `length`; if so, that is counted.
    pub(super) fn takes(&mut self, packed: usize, length: usize) -> bool {
        let beyond = length.saturating_sub(packed.saturating_mul(Self::FAIR));
        let fits = beyond == 0 || self.used == 0 || self.used.saturating_add(beyond) <= Self::MAX;
        if fits {
            self.used = self.used.saturating_add(beyond);
        }
        fits
    }
}
