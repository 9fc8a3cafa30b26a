//! Addresses as a cluster names them: those of its nodes, and those that MOVED and ASK point to.
//!
//! **The problem.** A node names the others as it knows them. That need not be how they are reached from here. It may
//! not know its own address, or be told to keep it to itself (an empty host, NULL, a wildcard); it may know a node and
//! not the name that it shall tell (`?`); and behind NAT or in a container's network its addresses mean nothing
//! outside.
//!
//! **The rules.** An empty host, NULL, `0.0.0.0` and `::` stand for the host that answered. `?` is an unknown node, and
//! so is whatever cannot be a host. What is left is looked up in the map that the user gave, whole: host and port. An
//! IPv6 address may stand in brackets or not; the last colon is that of the port.
//!
//! Equal addresses are equal values: names are in lower case, and IP addresses are printed anew, as `0:0:0:0:0:0:0:1`
//! and `::1` are one node.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use redis::ServerError;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::fleet::slot::SLOTS;
use crate::engine::net::target::Address;

/// The longest name of a host or of a node, in bytes: as DNS has it. Nodes' own names have 40.
pub const MAX_NAME_BYTES: usize = 253;

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: Box<str>,
    port: u16,
}

impl Endpoint {
    /// None where nobody can be dialled there.
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let host = bare(host);
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '?');
        if port == 0 || host.is_empty() || host.len() > MAX_NAME_BYTES || host.contains(is_odd) {
            return None;
        }
        let host = host.parse().map_or_else(|_| host.to_ascii_lowercase(), |ip: IpAddr| ip.to_string());
        Some(Self { host: host.into(), port })
    }

    /// An IPv6 address has no brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// What the cluster calls an address, and where that is from here.
pub type AddressMap = HashMap<Endpoint, Endpoint>;

/// How the addresses in an answer are read.
pub struct Names<'a> {
    /// Who answered, as it was dialled.
    host: &'a str,
    /// Whether TLS is spoken with it, and so with all.
    pub tls: bool,
    map: &'a AddressMap,
}

impl<'a> Names<'a> {
    pub fn new(answered_by: &'a Address, map: &'a AddressMap) -> Self {
        match answered_by {
            Address::Tcp { host, tls, .. } => Self { host, tls: tls.is_some(), map },
            // Who listens at a file is on this machine.
            Address::Unix(_) => Self { host: "localhost", tls: false, map },
        }
    }

    /// Where a node is that an answer names; none where that is not known.
    pub fn endpoint(&self, host: &str, port: u16) -> Option<Endpoint> {
        let is_wildcard = bare(host).parse().is_ok_and(|ip: IpAddr| ip.is_unspecified());
        let named = Endpoint::new(if host.is_empty() || is_wildcard { self.host } else { host }, port)?;
        Some(self.map.get(&named).cloned().unwrap_or(named))
    }
}

/// How a redirect is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// For good: the slot has another owner.
    Moved,
    /// For this one command, with ASKING in front of it: the slot is on its way to another owner.
    Ask,
}

/// What a node answers to a command on a key that another one has. The command was not executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    pub way: Way,
    pub slot: u16,
    /// None where the node that answered does not know either, or does not say: the topology is to be asked for.
    pub to: Option<Endpoint>,
}

impl Redirect {
    /// Reads `MOVED 3999 127.0.0.1:6381`; none where the error is another one.
    pub fn of(error: &ServerError, answered_by: &Address, map: &AddressMap) -> Result<Option<Self>, Trouble> {
        let way = match error.code() {
            "MOVED" => Way::Moved,
            "ASK" => Way::Ask,
            _ => return Ok(None),
        };
        let read = || {
            let mut words = error.details()?.split_ascii_whitespace();
            let slot = words.next()?.parse().ok().filter(|slot| *slot < SLOTS)?;
            let (host, port) = words.next()?.rsplit_once(':')?;
            Some(Self { way, slot, to: Names::new(answered_by, map).endpoint(host, port.parse().ok()?) })
        };
        let unreadable = || Trouble::new(Kind::Protocol, "the server redirects a command to what is no address");
        read().map(Some).ok_or_else(unreadable)
    }
}
