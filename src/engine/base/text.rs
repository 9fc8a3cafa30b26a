//! Texts: one that may stand between others, and a place within another.

use std::sync::Arc;

use crate::engine::base::balance::is_balanced;

/// A part of the batch's text, as byte offsets.
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
}

/// Bytes beyond which a value's text crosses the bridge by itself, and is parsed alone. At this length a parse of its
/// own costs 1 to 3 % more than its part of a parse of all, and the scan that it spares some 8 %; at 2 KB the parse
/// costs 8 % more.
pub const LONE_BYTES: usize = 8 << 10;

/// A stored value's text. What is not `Lone` is balanced, so that it may stand between others: only [`Json::checked`]
/// and [`Json::passing`] make it from bytes that came from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Owned(String),
    Shared(Arc<str>),
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

    pub fn as_str(&self) -> &str {
        match self {
            Self::Owned(text) => text,
            Self::Shared(text) => text,
            Self::Lone(text) => text,
        }
    }

    /// The text for whoever keeps it; copied only where nobody shares it yet.
    pub fn share(&self) -> Arc<str> {
        match self {
            Self::Shared(text) => text.clone(),
            Self::Owned(_) | Self::Lone(_) => self.as_str().into(),
        }
    }
}

/// Whether a text is one JSON text.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
