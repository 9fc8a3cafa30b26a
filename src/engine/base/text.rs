//! Texts: one that is known to be JSON, and a place within another.

use std::sync::Arc;

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

/// A stored value whose bytes are known to be one JSON text: only [`Json::checked`] makes it from bytes that came from
/// outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Owned(String),
    Shared(Arc<str>),
}

impl Json {
    /// Takes bytes that anyone may have written. What is no JSON text is refused: spliced between other values, `1,2`
    /// or `"a` would give one key's bytes to another key.
    pub fn checked(bytes: Vec<u8>) -> Option<Self> {
        let text = String::from_utf8(bytes).ok()?;
        serde_json::from_str::<serde::de::IgnoredAny>(&text).ok()?;
        Some(Self::Owned(text))
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Owned(text) => text,
            Self::Shared(text) => text,
        }
    }

    /// The text for whoever keeps it; copied only where nobody shares it yet.
    pub fn share(&self) -> Arc<str> {
        match self {
            Self::Owned(text) => text.as_str().into(),
            Self::Shared(text) => text.clone(),
        }
    }
}
