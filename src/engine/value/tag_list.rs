//! The tags of one entry, packed: a cache full of tagged entries holds more of these than of values.
//!
//! A list of names and tokens, each in a heap block of its own, took twice the bytes of short names and could not be
//! weighed by looking at it. Packed, it is two blocks of known size, and an
//! entry weighs what it takes. *Rejected: names that entries share.* A name then weighs nothing, or the whole of it for
//! each entry, and neither is what an eviction frees.

use crate::engine::base::heap;
use std::sync::Arc;

/// A tag, and what lay at the tag's key when the entry was made: once something else lies there, the entry is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    pub name: Arc<str>,
    /// A JSON string, quotes included.
    pub token: Arc<str>,
}

/// Names and tokens in turn, one behind the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags {
    text: Box<str>,
    /// Where each part ends.
    ends: Box<[u32]>,
}

impl Tags {
    /// From names and tokens, in the order in which they come.
    pub fn new<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        // Exactly: what grew and is cut leaves holes in the heap, which nobody counts.
        let (count, bytes) =
            tags.clone().into_iter().fold((0, 0), |(n, sum), (name, token)| (n + 2, sum + name.len() + token.len()));
        let (mut text, mut ends) = (String::with_capacity(bytes), Vec::with_capacity(count));
        for part in tags.into_iter().flat_map(|(name, token)| [name, token]) {
            text.push_str(part);
            // 255 tags of 64 KiB at most: entry.rs.
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        Self { text: text.into(), ends: ends.into() }
    }

    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Names and tokens.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        let mut part = move |end: u32| {
            let end = end as usize;
            let part = self.text.get(start..end).unwrap_or_default();
            start = end;
            part
        };
        self.ends.as_chunks::<2>().0.iter().map(move |&[name, token]| (part(name), part(token)))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// Bytes of the heap.
    pub fn weight(&self) -> usize {
        heap::block(self.text.len()) + heap::block(size_of_val(&*self.ends))
    }
}

impl From<&[Tag]> for Tags {
    fn from(tags: &[Tag]) -> Self {
        Self::new(tags.iter().map(|tag| (&*tag.name, &*tag.token)))
    }
}
