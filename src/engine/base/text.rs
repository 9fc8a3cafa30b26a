//! Values on their way: a text that may stand between others, a place within another, and what crosses by itself.

use std::sync::Arc;

use crate::engine::base::balance::is_balanced;

/// A part of the batch's text, as byte offsets; or the number of a value that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// For slicing the batch's text.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// That of a value which does not lie in the text; as a part of that it would end before it begins.
    pub fn whole(number: usize) -> Option<Self> {
        Some(Self { start: u32::MAX, end: u32::try_from(number).ok().filter(|number| *number < u32::MAX)? })
    }

    /// The number of a whole value.
    pub fn number(self) -> Option<usize> {
        (self.start == u32::MAX && self.end < u32::MAX).then_some(self.end as usize)
    }
}

/// Bytes beyond which a value's text crosses the bridge by itself, and is parsed alone. At this length a parse of its
/// own costs 1 to 3 % more than its part of a parse of all, and the scan that it spares some 8 %; at 2 KB the parse
/// costs 8 % more.
pub const LONE_BYTES: usize = 8 << 10;

/// Bytes beyond which bytes, and texts that are no JSON, are whole: they are not put into a JSON text, but cross by
/// themselves as what they are. `MOST_WITHIN` of src/js/value/codec.js.
pub const MOST_WITHIN: usize = 4 << 10;

/// A value that may be kept: whoever reads it shares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Its JSON text, which is balanced.
    Json(Arc<str>),
    /// Whole bytes.
    Bytes(Arc<Vec<u8>>),
    /// A whole text, which need not be JSON.
    Text(Arc<String>),
}

impl Kept {
    /// Bytes that are more than [`MOST_WITHIN`].
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self::Bytes(Arc::new(bytes))
    }

    pub fn text(text: String) -> Self {
        Self::Text(Arc::new(text))
    }

    /// The JSON text of what is not whole.
    pub fn json(self) -> Option<Arc<str>> {
        if let Self::Json(text) = self { Some(text) } else { None }
    }

    /// Bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
        }
    }
}

impl From<&str> for Kept {
    fn from(json: &str) -> Self {
        Self::Json(json.into())
    }
}

/// A value for whoever stores it.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// Its JSON text.
    Json(&'a str),
    Kept(&'a Kept),
}

impl<'a> Given<'a> {
    /// The JSON text of what is not whole.
    pub fn json(self) -> Option<&'a str> {
        match self {
            Self::Json(text) => Some(text),
            Self::Kept(Kept::Json(text)) => Some(text),
            Self::Kept(_) => None,
        }
    }

    /// Bytes.
    pub fn size(self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            Self::Kept(kept) => kept.size(),
        }
    }

    /// Copied where nobody shares it yet.
    pub fn keep(self) -> Kept {
        match self {
            Self::Json(text) => text.into(),
            Self::Kept(kept) => kept.clone(),
        }
    }
}

impl<'a> From<&'a str> for Given<'a> {
    fn from(json: &'a str) -> Self {
        Self::Json(json)
    }
}

impl<'a> From<&'a String> for Given<'a> {
    fn from(json: &'a String) -> Self {
        Self::Json(json)
    }
}

impl<'a> From<&'a Kept> for Given<'a> {
    fn from(kept: &'a Kept) -> Self {
        Self::Kept(kept)
    }
}

/// A value for who reads it. What is neither `Lone` nor whole is balanced, so that it may stand between others: only
/// [`Json::checked`] and [`Json::passing`] make it from bytes that came from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Owned(String),
    Shared(Kept),
    /// Of more than [`LONE_BYTES`]; never stands between others.
    Lone(Arc<String>),
}

impl Json {
    /// A text that is known to be JSON.
    pub fn of(text: String) -> Self {
        if text.len() > LONE_BYTES { Self::Lone(Arc::new(text)) } else { Self::Owned(text) }
    }

    /// Takes bytes that anyone may have written. What is no JSON text is refused.
    pub fn checked(bytes: Vec<u8>) -> Option<Self> {
        let text = String::from_utf8(bytes).ok()?;
        is_json(&text).then(|| Self::of(text))
    }

    /// As `checked`, for what is only passed on to who parses it: it may turn out to be no JSON then, but never harms
    /// another value.
    pub fn passing(bytes: Vec<u8>) -> Option<Self> {
        let json = Self::of(String::from_utf8(bytes).ok()?);
        (matches!(json, Self::Lone(_)) || is_balanced(json.as_str())).then_some(json)
    }

    /// The JSON text; empty where it is whole.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Owned(text) => text,
            Self::Shared(Kept::Json(text)) => text,
            Self::Shared(Kept::Bytes(_) | Kept::Text(_)) => "",
            Self::Lone(text) => text,
        }
    }

    /// Whether it crosses by itself.
    pub fn is_beside(&self) -> bool {
        matches!(self, Self::Lone(_) | Self::Shared(Kept::Bytes(_) | Kept::Text(_)))
    }

    pub fn given(&self) -> Given<'_> {
        match self {
            Self::Shared(kept) => Given::Kept(kept),
            Self::Owned(_) | Self::Lone(_) => Given::Json(self.as_str()),
        }
    }
}

/// Whether a text is one JSON text.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
