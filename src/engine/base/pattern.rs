//! Which keys a sweep is about: those behind a prefix that match a glob, with the cache's own keys or without.

use crate::engine::base::glob;
use crate::engine::base::key;
use crate::engine::base::key::Prefix;
use crate::engine::base::mutant;

/// Keys behind `prefix` that match `glob`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    pub prefix: Box<str>,
    pub glob: Box<str>,
    /// The cache's own keys too (`clear`).
    pub internal: bool,
}

impl Pattern {
    pub fn new(prefix: &Prefix, glob: &str, internal: bool) -> Self {
        Self { prefix: prefix.as_str().into(), glob: glob.into(), internal }
    }

    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        self.prefix.len() + self.glob.len()
    }

    /// All that a cache has.
    pub fn everything(prefix: &Prefix) -> Self {
        Self::new(prefix, "*", true)
    }

    /// Whether a stored key is one of them.
    pub fn matches(&self, key: &[u8]) -> bool {
        self.rest(key).is_some_and(|rest| {
            (self.internal || !key::is_internal(rest))
                && (&*self.glob == "*" || glob::matches(self.glob.as_bytes(), rest))
        })
    }

    /// What every stored key that matches begins with.
    pub fn head(&self) -> Vec<u8> {
        if mutant::lacks("prefix") {
            return Vec::new();
        }
        [self.prefix.as_bytes(), glob::literal(self.glob.as_bytes())].concat()
    }

    /// Whether a stored key is the caller's and not the cache's own.
    pub fn is_callers(&self, key: &[u8]) -> bool {
        self.rest(key).is_some_and(|rest| !key::is_internal(rest))
    }

    fn rest<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        key.strip_prefix(self.prefix.as_bytes()).or_else(|| mutant::lacks("prefix").then_some(key))
    }

    /// A glob that the stored keys of all these patterns match: their own where there is one, else what begins as all
    /// of them do.
    pub fn common(patterns: &[Self]) -> String {
        if mutant::lacks("prefix") {
            return "*".into();
        }
        match patterns {
            [one] => format!("{}{}", glob::escape(&one.prefix), one.glob),
            [first, rest @ ..] if rest.iter().all(|other| other.prefix == first.prefix) => {
                format!("{}*", glob::escape(&first.prefix))
            }
            _ => "*".into(),
        }
    }
}
