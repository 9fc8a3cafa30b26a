//! Which Redis: address, credentials, database and trust, read from a URL and the TLS options. Two caches with equal
//! targets, and habits, share a connection. Nothing here prints a password or a URL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::engine::base::error::CallError;
use crate::engine::net::password::Password;

/// Host and port.
pub type Place = (String, u16);

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    pub address: Address,
    pub user: Option<String>,
    pub password: Option<Password>,
    pub database: i64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp { host: String, port: u16, tls: Option<Trust> },
    Unix(PathBuf),
}

/// Whom TLS believes.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Trust {
    /// PEM texts, trusted besides the system's roots.
    pub ca: Vec<Vec<u8>>,
    /// As `ca`, but what of it cannot be used is ignored.
    pub extra_ca: Option<Vec<u8>>,
    pub insecure: bool,
    pub servername: Option<String>,
    /// Who we are, where the server asks: a certificate with its chain, and its key, both as PEM.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
}

/// Only whether there are credentials, never what they are; not even the host, which is half of a URL.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("kind", &self.kind())
            .field("password", &self.password.is_some())
            .finish_non_exhaustive()
    }
}

const FORMS: &str = "it must look like redis://user:password@host:6379/0 (or rediss://, valkey://, valkeys://, unix:/path), with special characters percent-encoded";

fn refuse(what: &str) -> CallError {
    CallError::config(format!("the Redis URL {what}: {FORMS}"))
}

impl Target {
    /// How it is reached: what may be said of it.
    pub fn kind(&self) -> &'static str {
        match &self.address {
            Address::Tcp { tls: None, .. } => "tcp",
            Address::Tcp { tls: Some(_), .. } => "tls",
            Address::Unix(_) => "unix",
        }
    }

    /// The same at another address.
    pub fn at(&self, (host, port): Place) -> Self {
        let tls = match &self.address {
            Address::Tcp { tls, .. } => tls.clone(),
            Address::Unix(_) => None,
        };
        Self { address: Address::Tcp { host, port, tls }, ..self.clone() }
    }

    /// `trust`: whom TLS believes, where the URL asks for TLS.
    pub fn parse(text: &str, trust: Trust) -> Result<Self, CallError> {
        let url = Url::parse(text).map_err(|_| refuse("does not parse"))?;
        if url.fragment().is_some() {
            return Err(CallError::config(
                "the Redis URL has a # in it: percent-encode it as %23 if it belongs to the password; to accept any certificate use the tls.insecure option, not #insecure",
            ));
        }
        let query = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let secure = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            "unix" | "redis+unix" | "valkey+unix" => return Self::unix(&url, query),
            _ => return Err(refuse("has an unknown scheme")),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => decode(name)?,
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err(refuse("names no host")),
        };
        let path = url.path().trim_matches('/').to_owned();
        let database = if path.is_empty() { query("db") } else { Some(path) };
        let tls = secure.then_some(trust);
        Ok(Self {
            address: Address::Tcp { host, port: url.port().unwrap_or(6379), tls },
            user: Some(decode(url.username())?).filter(|user| !user.is_empty()),
            password: url.password().map(decode).transpose()?.map(Password::Text),
            database: number(database)?,
        })
    }

    fn unix(url: &Url, query: impl Fn(&str) -> Option<String>) -> Result<Self, CallError> {
        let path = decode(url.path())?;
        if path.is_empty() || path == "/" {
            return Err(refuse("names no socket"));
        }
        Ok(Self {
            address: Address::Unix(PathBuf::from(path)),
            user: Some(decode(url.username())?).filter(|user| !user.is_empty()).or_else(|| query("user")),
            password: url.password().map(decode).transpose()?.or_else(|| query("pass")).map(Password::Text),
            database: number(query("db"))?,
        })
    }
}

fn decode(text: &str) -> Result<String, CallError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| refuse("has a part that is no UTF-8"))?;
    Ok(decoded.into_owned())
}

fn number(database: Option<String>) -> Result<i64, CallError> {
    let Some(text) = database else { return Ok(0) };
    match text.parse() {
        Ok(n) if (0..=65_535).contains(&n) => Ok(n),
        _ => Err(refuse("names a database that is no number")),
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 literal.
pub fn place(text: &str, default_port: u16) -> Option<Place> {
    let text = text.trim();
    let is_v6 = |host: &str| host.parse::<std::net::Ipv6Addr>().is_ok();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None if is_v6(text) => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let fits = if text.starts_with('[') || is_v6(host) {
        is_v6(host)
    } else {
        let ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        !host.is_empty() && host.len() <= 253 && host.chars().all(ours)
    };
    let port = port.map_or(Some(default_port), |port| port.parse().ok().filter(|port| *port > 0))?;
    fits.then(|| (host.to_owned(), port))
}

// **What habits give up.** Without a heartbeat, an idle connection that died is noticed by the next call, which then
// waits for its deadline; and what the near cache holds is served only for a short while behind the last reply. Without
// marks, a reply too many or too few is noticed only by its type. A lazy connection makes the first call wait for the
// dial, and the first one after a rest.

/// An idle connection is asked this often whether it lives, unless options say otherwise.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// A lazy connection is closed after this long without a call: longer than the pause between two requests of a page,
/// shorter than the five minutes after which providers put a server to sleep.
pub const REST: Duration = Duration::from_secs(60);

/// Caches with other habits have a connection of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Habits {
    /// How often an idle connection is asked whether it lives; none for never.
    pub heartbeat: Option<Duration>,
    /// Whether each pipeline ends with a question whose answer nobody can mistake: see net/wire/mod.rs.
    pub marks: bool,
    /// Whether it is dialled by the first call, and closed when there is none for a while.
    pub lazy: bool,
    /// Whether a cluster's replicas are read as well: see route/replicas.rs.
    pub replicas: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self { heartbeat: Some(HEARTBEAT), marks: true, lazy: false, replicas: false }
    }
}

impl Habits {
    /// How often somebody vouches for what is held, while there is anybody to.
    pub fn beat(&self) -> Duration {
        self.heartbeat.unwrap_or(HEARTBEAT)
    }
}
