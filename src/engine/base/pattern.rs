//! Which keys a sweep is about: those behind a prefix that match a glob, with the cache's own keys or without;
//! also those of them that something else picks, such as the slots of one server, and without those that it is to leave
//! alone for now.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::engine::base::glob;
use crate::engine::base::key;
use crate::engine::base::key::Prefix;
use crate::engine::base::mutant;

/// Keys behind `prefix` that match `glob`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    pub prefix: Box<str>,
    pub glob: Box<str>,
    /// The cache's own keys too, but for leases (`clear`).
    pub internal: bool,
    /// Of these only those.
    pub only: Option<Only>,
    /// And of those, for now, not these.
    pub but: But,
}

/// Picks stored keys. Each is another one.
#[derive(Clone)]
pub struct Only(Arc<Pick>);

type Pick = dyn Fn(&[u8]) -> bool + Send + Sync;

impl fmt::Debug for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Only")
    }
}

impl PartialEq for Only {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Only {}

impl Hash for Only {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).cast::<()>().hash(state);
    }
}

/// Picks keys that are to be left alone. Patterns that differ in nothing else are the same.
#[derive(Clone, Default)]
pub struct But(Option<Arc<Pick>>);

impl fmt::Debug for But {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("But")
    }
}

impl PartialEq for But {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for But {}

impl Hash for But {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Pattern {
    pub fn new(prefix: &Prefix, glob: &str, internal: bool) -> Self {
        Self { prefix: prefix.as_str().into(), glob: glob.into(), internal, only: None, but: But::default() }
    }

    /// Stored keys of whatever cache that `only` picks.
    pub fn of(only: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self { only: Some(Only(Arc::new(only))), ..Self::new(&Prefix::new(""), "*", true) }
    }

    /// Those of them that `only` picks too.
    pub fn among(&self, only: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        let before = self.only.clone();
        let both = move |key: &[u8]| only(key) && before.as_ref().is_none_or(|before| before.0(key));
        Self { only: Some(Only(Arc::new(both))), ..self.clone() }
    }

    /// The same, which leaves these alone; `spared` is asked each time.
    pub fn sparing(&self, spared: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self { but: But(Some(Arc::new(spared))), ..self.clone() }
    }

    /// The same, which leaves none alone.
    pub fn unsparing(&self) -> Self {
        Self { but: But::default(), ..self.clone() }
    }

    /// Whether it leaves a stored key alone that it matches.
    pub fn spares(&self, key: &[u8]) -> bool {
        self.but.0.as_ref().is_some_and(|spared| spared(key))
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
            !(if self.internal { key::is_lease(rest) } else { key::is_internal(rest) })
                && (&*self.glob == "*" || glob::matches(self.glob.as_bytes(), rest))
                && self.only.as_ref().is_none_or(|only| only.0(key))
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
