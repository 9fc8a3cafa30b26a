//! Errors. [`CallError`] is a mistake of the caller and rejects its call; [`Trouble`] is Redis', and never does: it is
//! counted, told in `health()`, and the call falls back. Neither ever holds a value, a URL or a password.

use std::borrow::Cow;

/// A mistake of the caller, with its stable code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    pub code: &'static str,
    pub message: Cow<'static, str>,
}

impl CallError {
    pub fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    pub fn invalid_key(message: &'static str) -> Self {
        Self::new("ERR_INVALID_KEY", message)
    }

    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("ERR_CONFIG", message)
    }

    pub fn not_an_integer() -> Self {
        Self::new(
            "ERR_NOT_AN_INTEGER",
            "increment needs an integer at its key, and a sum that fits 64 bits; the key holds something else, and stays as it was",
        )
    }

    pub fn unsafe_integer() -> Self {
        Self::new(
            "ERR_UNSAFE_INTEGER",
            "the sum would be beyond what a JavaScript number holds exactly (2^53 - 1); the counter was left as it was",
        )
    }

    pub fn unavailable() -> Self {
        Self::new(
            "ERR_REDIS_UNAVAILABLE",
            "Redis did not count this increment, or did not say so, and onOutage is 'reject'; it counts once at most",
        )
    }

    pub fn needs_namespace() -> Self {
        Self::new(
            "ERR_CLEAR_NEEDS_NAMESPACE",
            "clear() of a cache without a namespace would empty the whole Redis database; give the cache a namespace, or call clear({ flushDb: true })",
        )
    }
}

/// What kind of trouble Redis makes; the names are those of `getStats().errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    Config,
    Dns,
    Connect,
    Tls,
    Auth,
    Timeout,
    Connection,
    Protocol,
    Readonly,
    Loading,
    Denied,
    Oom,
    Wrongtype,
    Server,
    /// The server is a node of a cluster.
    Cluster,
    /// A Sentinel, and no server that holds keys.
    Sentinel,
    /// The server takes no writes for now, and reads go on.
    Refused,
    /// The journal of an outage overflowed.
    Journal,
}

impl Kind {
    pub const ALL: [Self; 18] = [
        Self::Config,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Auth,
        Self::Timeout,
        Self::Connection,
        Self::Protocol,
        Self::Readonly,
        Self::Loading,
        Self::Denied,
        Self::Oom,
        Self::Wrongtype,
        Self::Server,
        Self::Cluster,
        Self::Sentinel,
        Self::Refused,
        Self::Journal,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Protocol => "protocol",
            Self::Readonly => "readonly",
            Self::Loading => "loading",
            Self::Denied => "denied",
            Self::Oom => "oom",
            Self::Wrongtype => "wrongtype",
            Self::Server => "server",
            Self::Cluster => "cluster",
            Self::Sentinel => "sentinel",
            Self::Refused => "refused",
            Self::Journal => "journal",
        }
    }

    /// Whether it is there until somebody changes the server or the URL: to dial in haste finds out nothing, and fills
    /// the server's log.
    pub fn is_lasting(self) -> bool {
        matches!(self, Self::Config | Self::Auth | Self::Tls | Self::Cluster | Self::Sentinel)
    }

    /// Whether it concerns the connection as a whole, or one command alone.
    pub fn is_outage(self) -> bool {
        !matches!(self, Self::Denied | Self::Oom | Self::Wrongtype | Self::Server | Self::Refused | Self::Journal)
    }
}

/// Trouble with Redis: what it is and what to do, in words safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    pub kind: Kind,
    pub message: Cow<'static, str>,
}

impl Trouble {
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into() }
    }
}
