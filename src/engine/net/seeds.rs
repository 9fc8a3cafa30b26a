//! Where Redis is to be found: at one address, where its sentinels say, or at the nodes of a cluster (`nodes.rs`). Read
//! from a URL or from options; nothing here prints a password, a host or a URL.
//!
//! **Forms.** `redis+sentinel://user:password@h1:26379,h2,h3/mymaster/0` (or `redis-sentinel://`, and `rediss…` for TLS
//! to all of them). The credentials before the hosts are the server's, as they are in every other URL; those of the
//! sentinels stand in the query (`sentinel_username`, `sentinel_password`), as Python's clients have them. The name of
//! the master may also stand behind a `#`, as Lettuce has it.

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::percent_decode_str;

use crate::engine::base::error::CallError;
use crate::engine::net::nodes::{GivenCluster, Nodes};
use crate::engine::net::password::Password;
use crate::engine::net::target::{Address, Place, Target, Trust, place};

/// The port of a sentinel that names none.
const SENTINEL_PORT: u16 = 26_379;
/// So many sentinels are given at the most.
const MOST: usize = 64;

/// Where Redis is to be found. Caches with equal seeds share a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seeds {
    /// At this address.
    Server(Target),
    /// Where the sentinels say.
    Sentinels(Sentinels),
    /// At one of these, and what that leads to.
    Cluster(Nodes),
}

/// Sentinels, and what they are asked for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sentinels {
    /// Where they are, with credentials of their own.
    pub nodes: Vec<Target>,
    /// By which they know the primary and its replicas.
    pub name: String,
    /// How the primary is dialled, wherever it is: the address is not looked at.
    pub primary: Target,
    /// Where an address that they give is reached from here.
    pub map: BTreeMap<Place, Place>,
}

/// Only how many there are.
impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinels").field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

/// Options of `sentinel`, as the caller gave them.
#[derive(Clone, Default)]
pub struct GivenSentinels {
    /// `host` or `host:port`.
    pub nodes: Vec<String>,
    pub name: String,
    pub username: Option<String>,
    pub password: Option<String>,
    /// Whether they speak TLS; none: as the servers do.
    pub tls: Option<bool>,
    /// Pairs of `host:port`: what they say, and where that is.
    pub address_map: Vec<(String, String)>,
}

/// Credentials and database of the servers, where options say them.
#[derive(Clone, Default)]
pub struct GivenAccess {
    pub username: Option<String>,
    pub password: Option<Password>,
    pub database: i64,
    pub tls: bool,
}

impl GivenAccess {
    /// How a server is dialled, wherever it is.
    pub fn target(self, trust: &Trust) -> Target {
        let tls = self.tls.then(|| trust.clone());
        let address = Address::Tcp { host: String::new(), port: 0, tls };
        Target { address, user: self.username, password: self.password, database: self.database }
    }
}

fn refuse(what: &str) -> CallError {
    CallError::config(format!(
        "the URL of the sentinels {what}: it must look like redis+sentinel://user:password@host1:26379,host2/master/0 \
         (rediss+sentinel:// for TLS), with special characters percent-encoded and the sentinels' own credentials as \
         ?sentinel_username=…&sentinel_password=…"
    ))
}

impl Seeds {
    pub fn parse(url: &str, trust: Trust) -> Result<Self, CallError> {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        let secure = match scheme.as_str() {
            "redis+sentinel" | "redis-sentinel" | "valkey+sentinel" | "valkey-sentinel" => false,
            "rediss+sentinel" | "rediss-sentinel" | "valkeys+sentinel" | "valkeys-sentinel" => true,
            _ => {
                return match Nodes::parse(url, &trust) {
                    Some(nodes) => nodes.map(Self::Cluster),
                    None => Target::parse(url, trust).map(Self::Server),
                };
            }
        };
        Sentinels::parse(url.split_at(scheme.len() + 3).1, secure, &trust).map(Self::Sentinels)
    }

    /// As the option `cluster` has it, whose nodes may be those of a URL.
    pub fn clustered(self, given: &GivenCluster) -> Result<Self, CallError> {
        match self {
            Self::Server(target) => Nodes::check(given, target, None),
            Self::Cluster(nodes) => Nodes::check(given, nodes.access.clone(), Some(&nodes)),
            Self::Sentinels(_) => {
                Err(CallError::config("sentinels and a cluster are two ways to find Redis: name one"))
            }
        }
        .map(Self::Cluster)
    }

    /// How Redis is reached: `tcp`, `tls` or `unix`.
    pub fn kind(&self) -> &'static str {
        self.server().kind()
    }

    /// How the server itself is dialled.
    pub fn server(&self) -> &Target {
        match self {
            Self::Server(target) => target,
            Self::Sentinels(sentinels) => &sentinels.primary,
            Self::Cluster(nodes) => &nodes.access,
        }
    }

    pub fn server_mut(&mut self) -> &mut Target {
        match self {
            Self::Server(target) => target,
            Self::Sentinels(sentinels) => &mut sentinels.primary,
            Self::Cluster(nodes) => &mut nodes.access,
        }
    }

    /// Whether TLS is spoken with any of them.
    pub fn speaks_tls(&self) -> bool {
        let asked = match self {
            Self::Server(_) | Self::Cluster(_) => &[][..],
            Self::Sentinels(sentinels) => &sentinels.nodes,
        };
        std::iter::once(self.server()).chain(asked).any(|target| target.kind() == "tls")
    }
}

impl Sentinels {
    /// `rest`: the URL behind its scheme.
    fn parse(rest: &str, secure: bool, trust: &Trust) -> Result<Self, CallError> {
        let (rest, fragment) = split(rest, '#');
        let (rest, query) = split(rest, '?');
        let (authority, path) = split(rest, '/');
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = split(login, ':');
        let mut path = path.split('/').filter(|part| !part.is_empty());
        let name = match (fragment, path.next()) {
            ("", name) => decode(name.ok_or_else(|| refuse("names no master"))?)?,
            (name, database) => {
                let by_fragment = decode(name)?;
                return Self::assemble(hosts, by_fragment, database, (user, password), query, secure, trust);
            }
        };
        Self::assemble(hosts, name, path.next(), (user, password), query, secure, trust)
    }

    fn assemble(
        hosts: &str,
        name: String,
        database: Option<&str>,
        login: (&str, &str),
        query: &str,
        secure: bool,
        trust: &Trust,
    ) -> Result<Self, CallError> {
        let said = |wanted: &str| {
            let pair = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == wanted);
            pair.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
        };
        let database = database.map(str::to_owned).or_else(|| said("db"));
        let database = match database.map(|text| text.parse()) {
            None => 0,
            Some(Ok(number)) if (0..=65_535).contains(&number) => number,
            Some(_) => return Err(refuse("names a database that is no number")),
        };
        let given = GivenSentinels {
            nodes: hosts.split(',').map(str::to_owned).collect(),
            name,
            username: said("sentinel_username"),
            password: said("sentinel_password"),
            tls: None,
            address_map: Vec::new(),
        };
        let filled = |text: &str| decode(text).map(|text| Some(text).filter(|text| !text.is_empty()));
        let access = GivenAccess {
            username: filled(login.0)?,
            password: filled(login.1)?.map(Password::Text),
            database,
            tls: secure,
        };
        Self::check(&given, access, trust)
    }

    pub fn check(given: &GivenSentinels, access: GivenAccess, trust: &Trust) -> Result<Self, CallError> {
        if given.name.is_empty() {
            return Err(refuse("names no master"));
        }
        if given.nodes.is_empty() || given.nodes.len() > MOST {
            return Err(CallError::config(format!("sentinel.nodes must have 1 to {MOST} entries")));
        }
        let trust_of = |tls: bool| tls.then(|| trust.clone());
        let node = |text: &String| {
            let (host, port) = place(text, SENTINEL_PORT).ok_or_else(|| refuse("has a host that does not parse"))?;
            Ok(Target {
                address: Address::Tcp { host, port, tls: trust_of(given.tls.unwrap_or(access.tls)) },
                user: given.username.clone(),
                password: given.password.clone().map(Password::Text),
                database: 0,
            })
        };
        let pair = |(said, is): &(String, String)| {
            place(said, 6379)
                .zip(place(is, 6379))
                .ok_or_else(|| CallError::config("sentinel.addressMap must map 'host:port' to 'host:port'"))
        };
        Ok(Self {
            nodes: given.nodes.iter().map(node).collect::<Result<_, CallError>>()?,
            name: given.name.clone(),
            map: given.address_map.iter().map(pair).collect::<Result<_, CallError>>()?,
            primary: access.target(trust),
        })
    }

    /// Where a server is dialled that the sentinels name.
    pub fn server(&self, host: &str, port: u16) -> Target {
        self.primary.at(self.reached(host, port))
    }

    /// Where a sentinel is dialled that another one names.
    pub fn sentinel(&self, host: &str, port: u16) -> Option<Target> {
        Some(self.nodes.first()?.at(self.reached(host, port)))
    }

    fn reached(&self, host: &str, port: u16) -> Place {
        let said = (host.to_owned(), port);
        self.map.get(&said).cloned().unwrap_or(said)
    }
}

fn split(text: &str, at: char) -> (&str, &str) {
    text.split_once(at).unwrap_or((text, ""))
}

fn decode(text: &str) -> Result<String, CallError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| refuse("has a part that is no UTF-8"))?;
    Ok(decoded.into_owned())
}
