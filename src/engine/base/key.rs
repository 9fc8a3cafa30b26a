//! What a key is: 1 to 65,535 bytes of UTF-8, stored behind the namespace's prefix.

use crate::engine::base::error::CallError;

/// The longest key, in bytes, without the prefix.
pub const MAX_KEY_BYTES: usize = 65_535;

/// Checks a key as the caller gave it.
pub fn check(key: &str) -> Result<(), CallError> {
    match key.len() {
        0 => Err(CallError::invalid_key("a key must not be empty")),
        n if n > MAX_KEY_BYTES => {
            Err(CallError::invalid_key("a key may have 65,535 bytes at most; hash long keys before you use them"))
        }
        _ => Ok(()),
    }
}

/// The prefix of a cache's keys: `namespace:`, or nothing for raw keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(Box<str>);

impl Prefix {
    /// The prefix of a namespace that [`is_namespace`] accepts.
    pub fn new(namespace: &str) -> Self {
        if namespace.is_empty() { Self("".into()) } else { Self(format!("{namespace}:").into()) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Raw keys: the cache shares its database with whoever else writes there.
    pub fn is_raw(&self) -> bool {
        self.0.is_empty()
    }

    /// The key as it is stored, built in `buffer` so that a batch needs one allocation and not one a key.
    pub fn join<'a>(&'a self, key: &'a str, buffer: &'a mut String) -> &'a str {
        if self.is_raw() {
            return key;
        }
        buffer.clear();
        buffer.push_str(&self.0);
        buffer.push_str(key);
        buffer
    }
}

/// Namespaces are `[A-Za-z0-9_.-]{1,64}`: no `:`, so that no namespace is a prefix of another, and no glob characters.
pub fn is_namespace(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// Behind the prefix of a cache: its tags' tokens. `src/js/base/ops.js` writes it too.
pub const TAG: &str = "\0tag\0";
/// And the locks of refreshes (refresh.rs).
pub const REFRESH: &str = "\0refresh\0";
/// And the leases of `runExclusive` (once/exclusive.rs).
pub const LEASE: &str = "\0lease\0";

/// Whether a stored key is that of a tag, of whichever namespace.
pub fn is_tag(stored: &str) -> bool {
    let Some((prefix, _)) = stored.split_once(TAG) else { return false };
    prefix.is_empty() || prefix.strip_suffix(':').is_some_and(is_namespace)
}

/// Whether a key without its prefix is ours and not the caller's.
pub fn is_internal(rest: &[u8]) -> bool {
    rest.starts_with(TAG.as_bytes()) || rest.starts_with(REFRESH.as_bytes()) || is_lease(rest)
}

/// Whether a key without its prefix is that of a lease. No sweep removes it: what it is about still runs.
pub fn is_lease(rest: &[u8]) -> bool {
    rest.starts_with(LEASE.as_bytes())
}
