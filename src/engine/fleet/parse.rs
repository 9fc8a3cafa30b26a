//! Reads what a node answers to CLUSTER SLOTS and to CLUSTER SHARDS.
//!
//! **Which of them.** CLUSTER SLOTS is known to all servers, and names the port of the kind of connection that asked.
//! CLUSTER SHARDS (version 7) also tells how each node fares, and names primaries without slots. But until redis#13422
//! and valkey#790, of 2024, a shard whose first node is an old primary that is down is listed without its slots. So the
//! slots are best had from SLOTS, and SHARDS is for who wants to know more.
//!
//! **What is odd, and what is garbage.** An answer of the right shape is read, whatever it lacks: a node whose address
//! is not known is left out, and its slots have no owner; of two primaries of a shard the one that fares better counts;
//! a word that is not known is ignored. An answer of another shape, or one that names slots which no cluster has, is
//! not believed at all: who reads half of it would send keys to the wrong node. Both shapes of a map are read, that of
//! RESP3 and the list of RESP2.

use redis::Value;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::fleet::endpoint::{AddressMap, Endpoint, MAX_NAME_BYTES, Names};
use crate::engine::fleet::topology::{Draft, Health, Node, Role, Topology};
use crate::engine::net::reply::classify;
use crate::engine::net::target::Address;

/// Reads an answer to CLUSTER SLOTS. `answered_by`: the node's address as it was dialled. `map`: the user's, for all
/// addresses.
pub fn parse_slots(reply: &Value, answered_by: &Address, map: &AddressMap) -> Result<Topology, Trouble> {
    let names = Names::new(answered_by, map);
    let mut draft = Draft::new();
    for range in list(reply)? {
        let [first, last, nodes @ ..] = list(range)? else { return Err(garbage()) };
        // The primary comes first.
        let nodes: Result<Vec<_>, _> =
            nodes.iter().enumerate().map(|(place, node)| Listed::in_slots(node, place == 0, &names)).collect();
        add(&mut draft, [(number(first)?, number(last)?)].into_iter(), &nodes?)?;
    }
    draft.finish()
}

/// Reads an answer to CLUSTER SHARDS, as `parse_slots`. Over TLS, a node's port is its `tls-port`.
pub fn parse_shards(reply: &Value, answered_by: &Address, map: &AddressMap) -> Result<Topology, Trouble> {
    let names = Names::new(answered_by, map);
    let mut draft = Draft::new();
    for shard in list(reply)? {
        let slots = entry(shard, "slots").map_or(Ok(Default::default()), list)?;
        let slots: Result<Vec<i64>, _> = slots.iter().map(number).collect();
        let slots = slots?;
        let (ranges, []) = slots.as_chunks::<2>() else { return Err(garbage()) };
        let nodes = entry(shard, "nodes").map_or_else(|| Err(garbage()), list)?;
        let nodes: Result<Vec<_>, _> = nodes.iter().map(|node| Listed::in_shard(node, &names)).collect();
        add(&mut draft, ranges.iter().map(|[first, last]| (*first, *last)), &nodes?)?;
    }
    draft.finish()
}

/// A node as an answer lists it.
struct Listed<'a> {
    id: Option<&'a str>,
    /// None where nobody knows.
    at: Option<Endpoint>,
    is_primary: bool,
    health: Health,
}

impl<'a> Listed<'a> {
    /// From `[host, port, id, [what else is known of its addresses]]`, the id since version 4.
    fn in_slots(node: &'a Value, is_primary: bool, names: &Names<'_>) -> Result<Self, Trouble> {
        let [host, port, rest @ ..] = list(node)? else { return Err(garbage()) };
        let (host, port) = (text(host)?, number(port)?);
        let at = u16::try_from(port).ok().and_then(|port| names.endpoint(host, port));
        Ok(Self { id: rest.first().and_then(id), at, is_primary, health: Health::Online })
    }

    /// From a map.
    fn in_shard(node: &'a Value, names: &Names<'_>) -> Result<Self, Trouble> {
        if !matches!(node, Value::Map(_) | Value::Array(_)) {
            return Err(garbage());
        }
        let port = |name| -> Result<Option<u16>, Trouble> {
            let port = entry(node, name).map(number).transpose()?;
            Ok(port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0))
        };
        // Some providers name one port, whatever is spoken there. And where it is the wrong one, the dial says so.
        let (plain, secure) = (port("port")?, port("tls-port")?);
        let port = if names.tls { secure.or(plain) } else { plain.or(secure) };
        let at = port.zip(host(node)?).and_then(|(port, host)| names.endpoint(host, port));
        let health = match entry(node, "health").and_then(word) {
            Some("fail" | "failed") => Health::Failed,
            Some("loading") => Health::Loading,
            _ => Health::Online,
        };
        let is_primary = matches!(entry(node, "role").and_then(word), Some("master" | "primary"));
        Ok(Self { id: entry(node, "id").and_then(id), at, is_primary, health })
    }

    fn id(&self) -> Option<Box<str>> {
        self.id.map(Box::from).or_else(|| Some(self.at.as_ref()?.to_string().into()))
    }

    /// Puts it into the draft, if it can be reached, and gives its place there.
    fn put(&self, draft: &mut Draft, role: Role) -> Result<Option<u16>, Trouble> {
        let Some((at, id)) = self.at.clone().zip(self.id()) else { return Ok(None) };
        draft.node(Node { id, at, role, health: self.health }).map(Some)
    }
}

/// Adds a primary, its slots and its replicas. While a failover is told around there may be two primaries, and in
/// trouble none.
fn add(draft: &mut Draft, slots: impl Iterator<Item = (i64, i64)>, nodes: &[Listed<'_>]) -> Result<(), Trouble> {
    let primary = nodes.iter().filter(|node| node.is_primary).min_by_key(|node| node.health);
    let owner = primary.map(|primary| primary.put(draft, Role::Primary)).transpose()?.flatten();
    for node in nodes {
        let of = primary.and_then(Listed::id);
        node.put(draft, if node.is_primary { Role::Primary } else { Role::Replica { of } })?;
    }
    for (first, last) in slots {
        draft.claim(first, last, owner)?;
    }
    Ok(())
}

/// The host of a node of a shard: the one that it prefers, where it says so. None where it has no host at all.
fn host(node: &Value) -> Result<Option<&str>, Trouble> {
    let said = |name| entry(node, name).map(text).transpose();
    if let Some(endpoint) = said("endpoint")? {
        return Ok(Some(endpoint));
    }
    match said("hostname")? {
        Some(name) if !matches!(name, "" | "?") => Ok(Some(name)),
        _ => said("ip"),
    }
}

fn garbage() -> Trouble {
    let message = "the server describes its cluster in a way that Holdfast does not read: \
        what answers CLUSTER SLOTS or CLUSTER SHARDS there is no Redis Cluster, or a proxy changes it";
    Trouble::new(Kind::Protocol, message)
}

fn list(value: &Value) -> Result<&[Value], Trouble> {
    match value {
        Value::Array(parts) | Value::Set(parts) => Ok(parts),
        Value::ServerError(error) => Err(classify(error)),
        _ => Err(garbage()),
    }
}

fn number(value: &Value) -> Result<i64, Trouble> {
    match value {
        Value::Int(n) => Ok(*n),
        value => word(value).and_then(|text| text.parse().ok()).ok_or_else(garbage),
    }
}

/// A text that may be NULL, which is as good as none.
fn text(value: &Value) -> Result<&str, Trouble> {
    match value {
        Value::Nil => Ok(""),
        value => word(value).ok_or_else(garbage),
    }
}

fn word(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// A node's id, if it is one.
fn id(value: &Value) -> Option<&str> {
    word(value).filter(|id| (1..=MAX_NAME_BYTES).contains(&id.len()))
}

/// What a map says of `name`.
fn entry<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let is_it = |key: &Value| word(key) == Some(name);
    match map {
        Value::Map(entries) => entries.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value),
        Value::Array(parts) => parts.as_chunks::<2>().0.iter().find(|[key, _]| is_it(key)).map(|[_, value]| value),
        _ => None,
    }
}
