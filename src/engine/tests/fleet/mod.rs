//! Tests of the layer `fleet`: values alone, no sockets.

use std::path::PathBuf;

use redis::{ServerError, Value, parse_redis_value};

use crate::engine::fleet::endpoint::{AddressMap, Endpoint};
use crate::engine::net::target::{Address, Trust};

mod endpoint;
mod slot;

/// The node that is asked.
fn asked() -> Address {
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
fn as_named() -> AddressMap {
    AddressMap::new()
}

fn error(line: &str) -> ServerError {
    match parse_redis_value(format!("-{line}\r\n").as_bytes()) {
        Ok(Value::ServerError(error)) => error,
        other => panic!("no error: {other:?}"),
    }
}
