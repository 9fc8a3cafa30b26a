//! Tests of the layer `fleet`: values alone, no sockets.

use std::path::PathBuf;

use redis::{ServerError, Value, parse_redis_value};

use crate::engine::fleet::endpoint::{AddressMap, Endpoint};
use crate::engine::fleet::topology::{Node, Topology};
use crate::engine::net::target::{Address, Trust};

mod anything;
mod endpoint;
#[cfg(feature = "drive")]
mod moved;
mod pace;
mod parse;
mod slot;
mod topology;

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn list(parts: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(parts.into_iter().collect())
}

/// The same map as RESP3 has it, and as RESP2 does.
fn map(resp3: bool, entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let entries = entries.into_iter().map(|(name, value)| (text(name), value));
    if resp3 { Value::Map(entries.collect()) } else { list(entries.flat_map(|(name, value)| [name, value])) }
}

/// The node that is asked.
pub(super) fn asked() -> Address {
    Address::Tcp { host: "asked".into(), port: 7_000, tls: None }
}

fn asked_over_tls() -> Address {
    Address::Tcp { host: "asked".into(), port: 7_000, tls: Some(Trust::default()) }
}

fn asked_at_a_file() -> Address {
    Address::Unix(PathBuf::from("/run/redis.sock"))
}

fn at(host: &str, port: u16) -> Endpoint {
    Endpoint::new(host, port).expect("an address")
}

/// Nothing has another address.
pub(super) fn as_named() -> AddressMap {
    AddressMap::new()
}

fn error(line: &str) -> ServerError {
    match parse_redis_value(format!("-{line}\r\n").as_bytes()) {
        Ok(Value::ServerError(error)) => error,
        other => panic!("no error: {other:?}"),
    }
}

/// What is known of a topology, in words: `0-5460 a, 5461-16383 -`.
fn owners(topology: &Topology) -> String {
    let name = |owner: Option<&Node>| owner.map_or("-".to_owned(), |node| node.id.to_string());
    let ranges = topology.ranges().map(|(slots, owner)| format!("{}-{} {}", slots.start(), slots.end(), name(owner)));
    ranges.collect::<Vec<_>>().join(", ")
}

/// An answer to CLUSTER SLOTS: ranges, each with the ids of its primary and replicas. The host is the id's, the port
/// the same for all.
pub(super) fn slots(ranges: &[(i64, i64, &[&str])]) -> Value {
    let node = |id: &&str| list([text(&format!("host-{id}")), Value::Int(7_000), text(id)]);
    list(ranges.iter().map(|(first, last, nodes)| {
        list([Value::Int(*first), Value::Int(*last)].into_iter().chain(nodes.iter().map(node)))
    }))
}
