//! The handshake on a new connection: who we are, what the server is, and what its ACL allows. A cluster's replica is
//! told that it is read on purpose.

use std::sync::Arc;

use redis::{Pipeline, PushInfo, PushKind, ServerError, Value};

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::base::mutant;
use crate::engine::cache::shared::Shared;
use crate::engine::cache::tell::counters::add;
use crate::engine::cache::tell::status::Identity;
use crate::engine::conversation::connection::Connection;
use crate::engine::conversation::finding::ask_node;
use crate::engine::fleet::members::DIAL_TIMEOUT;
use crate::engine::fleet::server::Server;
use crate::engine::fleet::topology::Topology;
use crate::engine::net::denied::{Denied, Lack};
use crate::engine::net::reply::{CLUSTER, SENTINEL, classify, field, integer, is_redirect, is_unserved, text};
use crate::engine::net::target::{Address, Target};
use crate::engine::net::tls::{self, Asked};
use crate::engine::net::wire::Wire;
use crate::engine::task::executor::Spawner;

#[derive(Clone, Copy, PartialEq, Eq)]
/// What is spoken: the older protocol has all but pushes.
pub enum Protocol {
    Resp3,
    Resp2,
}

/// Why there is no connection.
pub enum Refused {
    /// The server is old, or an ACL or a proxy denies HELLO.
    Hello,
    /// It is a cluster's node, and this is what it knows of the cluster.
    Cluster(Box<Topology>),
    Why(Trouble),
}

impl Refused {
    pub fn trouble(self) -> Trouble {
        match self {
            Self::Why(trouble) => trouble,
            Self::Hello => Trouble::new(Kind::Server, "the server refused the handshake"),
            Self::Cluster(_) => Trouble::new(Kind::Cluster, CLUSTER),
        }
    }
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        Self::Why(trouble)
    }
}

/// Who answered the dial.
#[derive(Default)]
pub struct Peer {
    /// Whether it wants a certificate of ours.
    pub asked: Asked,
}

/// Says who we are, and finds out what the server is and lets us do.
pub async fn handshake(
    shared: &Shared,
    server: &Arc<Server>,
    target: &Target,
    protocol: Protocol,
    peer: &Peer,
    (wire, tasks): (Wire, Spawner),
) -> Result<Connection, Refused> {
    let mut connection = Connection {
        wire,
        tasks,
        id: None,
        server: server.clone(),
        identity: Identity::default(),
        denied: Denied::default(),
        tracking: protocol == Protocol::Resp3 && !server.is_replica(),
    };
    match greet(shared, &mut connection, target, protocol).await {
        Err(Refused::Why(trouble)) if !connection.wire.heard() => {
            return Err(hung_up(trouble, target, peer.asked.any()).into());
        }
        greeted => greeted?,
    }
    inspect(shared, &mut connection, protocol).await?;
    Ok(connection)
}

/// What it means that the server closed the connection before it said a word.
fn hung_up(trouble: Trouble, target: &Target, asked: bool) -> Trouble {
    match (&target.address, trouble.kind) {
        (_, Kind::Connection | Kind::Tls) if asked => tls::unknown_client(),
        (Address::Tcp { tls: None, .. }, Kind::Connection) => Trouble::new(
            Kind::Connection,
            "the server closed the connection without a word; if that port speaks TLS, the URL must begin with rediss://",
        ),
        _ => trouble,
    }
}

/// Says who we are, and learns who the server is.
async fn greet(
    shared: &Shared,
    connection: &mut Connection,
    target: &Target,
    protocol: Protocol,
) -> Result<(), Refused> {
    let password = match &target.password {
        Some(password) => Some(password.get(connection.tasks.timers(), DIAL_TIMEOUT).await?),
        None => None,
    };
    let (user, password) = (target.user.as_deref(), password.as_deref());
    let mut replies = ask(&connection.wire, target, protocol, (user, password)).await?;
    if let (Protocol::Resp2, Some(Value::ServerError(error))) = (protocol, replies.first())
        && error.details().is_some_and(|d| d.contains("wrong number of arguments for 'auth'"))
    {
        // Before version 6 there were no users, only a password.
        replies = ask(&connection.wire, target, protocol, (None, password)).await?;
    }
    let mut replies = replies.into_iter();
    let mut next = || replies.next().unwrap_or(Value::Nil);
    let mut mode = None;
    if protocol == Protocol::Resp3 {
        mode = match next() {
            // Valkey wants the password before it says that it does not know HELLO, which would have brought it.
            Value::ServerError(error) if password.is_some() && error.code() == "NOAUTH" => {
                return Err(Refused::Hello);
            }
            Value::ServerError(error) => match classify(&error) {
                trouble if matches!(trouble.kind, Kind::Denied | Kind::Server) => return Err(Refused::Hello),
                trouble => return Err(trouble.into()),
            },
            hello => entry(hello, "mode"),
        };
    } else if password.is_some()
        && let Value::ServerError(error) = next()
    {
        return Err(refused(&error, "AUTH").into());
    }
    let selected = if target.database == 0 { Value::Okay } else { next() };
    let (info, cluster) = (next(), next());
    for reply in [&info, &cluster] {
        if let Value::ServerError(error) = reply
            && let trouble = classify(error)
            && trouble.kind.is_outage()
        {
            return Err(trouble.into());
        }
    }
    let (info, cluster) = (text(&info).unwrap_or_default(), text(&cluster).unwrap_or_default());
    let mode = mode.or_else(|| field(&info, "redis_mode")).or_else(|| field(&info, "server_mode"));
    let mode = mode.as_deref().map(str::trim);
    if mode == Some("sentinel") {
        return Err(Trouble::new(Kind::Sentinel, SENTINEL).into());
    }
    let is_node = mode == Some("cluster") || field(&cluster, "cluster_enabled").as_deref().map(str::trim) == Some("1");
    let has_to_be = connection.server.place == 0 && shared.fleet.cluster().is_some();
    if !is_node && (has_to_be || shared.fleet.is_said_to_be_a_cluster()) {
        let message = "the server is no node of a cluster, and the URL or the options name one";
        return Err(Trouble::new(Kind::Cluster, message).into());
    }
    if is_node && connection.server.place == 0 {
        return Err(explore(shared, connection, target).await);
    }
    if let Value::ServerError(error) = selected {
        return Err(refused(&error, "SELECT").into());
    }
    connection.identity.version = field(&info, "redis_version").or_else(|| field(&info, "valkey_version"));
    connection.identity.run_id = field(&info, "run_id");
    Ok(())
}

/// A cluster's node: what it knows of the cluster, or why that cannot be had.
async fn explore(shared: &Shared, connection: &Connection, target: &Target) -> Refused {
    if target.database != 0 {
        return Trouble::new(Kind::Config, "a cluster has only database 0: the URL must name no other").into();
    }
    if shared.fleet.is_moving() {
        return Trouble::new(Kind::Cluster, "the sentinels named a cluster's node: name the cluster itself").into();
    }
    match ask_node(&connection.wire, target, &shared.fleet.address_map()).await {
        Ok(topology) => Refused::Cluster(Box::new(topology)),
        Err(trouble) => trouble.into(),
    }
}

async fn ask(
    wire: &Wire,
    target: &Target,
    protocol: Protocol,
    (user, password): (Option<&str>, Option<&str>),
) -> Result<Vec<Value>, Trouble> {
    let mut pipeline = Pipeline::new();
    match (protocol, password) {
        (Protocol::Resp3, password) => {
            pipeline.cmd("HELLO").arg(3);
            if let Some(password) = password {
                pipeline.arg("AUTH").arg(user.unwrap_or("default")).arg(password);
            }
        }
        (Protocol::Resp2, Some(password)) => {
            pipeline.cmd("AUTH").arg(user).arg(password);
        }
        (Protocol::Resp2, None) => {}
    }
    if target.database != 0 {
        pipeline.cmd("SELECT").arg(target.database);
    }
    pipeline.cmd("INFO").arg("server");
    pipeline.cmd("INFO").arg("cluster");
    // Servers before 7.2 do not know it.
    pipeline.cmd("CLIENT").arg("SETINFO").arg("LIB-NAME").arg("holdfast");
    pipeline.cmd("CLIENT").arg("SETINFO").arg("LIB-VER").arg(env!("CARGO_PKG_VERSION"));
    wire.greet(&pipeline).await
}

/// What it means that the server refused a command of the handshake.
fn refused(error: &ServerError, command: &str) -> Trouble {
    let trouble = classify(error);
    let select = command == "SELECT";
    let message = match trouble.kind {
        Kind::Denied if select => {
            "the server's ACL denies this user SELECT, or the server does not know it: the URL must name no database"
                .to_owned()
        }
        Kind::Server if select => "the server refused SELECT: the URL must name another database, or none".to_owned(),
        Kind::Denied | Kind::Server => format!("the server refused {command} in the handshake"),
        _ => return trouble,
    };
    // What the URL asks for is what is wrong.
    Trouble::new(if select { Kind::Config } else { trouble.kind }, message)
}

/// What HELLO says of `name`.
fn entry(hello: Value, name: &str) -> Option<String> {
    let Value::Map(entries) = hello else { return None };
    entries.into_iter().find(|(key, _)| text(key).as_deref() == Some(name)).and_then(|(_, value)| text(&value))
}

/// Finds out what the server is good for: a master, what its ACL allows, pushes.
async fn inspect(shared: &Shared, connection: &mut Connection, protocol: Protocol) -> Result<(), Trouble> {
    let (prefix, is_cluster) = (shared.prefix.as_str(), shared.fleet.cluster().is_some());
    let mut pipe = redis::pipe();
    pipe.cmd("ROLE");
    pipe.cmd("CLIENT").arg("ID");
    Denied::probe(&mut pipe, prefix, is_cluster);
    if connection.tracking {
        pipe.cmd("CLIENT").arg("TRACKING").arg("ON");
    }
    let is_replica = connection.server.is_replica();
    if is_replica {
        pipe.cmd("READONLY");
    }
    let replies = connection.wire.request(pipe).await?;
    if let (true, Some(Value::ServerError(error))) = (is_replica, replies.last()) {
        return Err(refused(error, "READONLY"));
    }
    if let Some(Value::Array(role)) = replies.first() {
        match role.first().and_then(text).as_deref() {
            Some("slave" | "replica") if is_replica => {}
            _ if is_replica => {
                return Err(Trouble::new(Kind::Cluster, "the server is no replica, and was one"));
            }
            // A sentinel may not have heard of the failover yet, or may lie.
            Some("slave" | "replica") if mutant::lacks("role") => {}
            Some("slave" | "replica") => {
                let message = "the server is a replica and takes no writes; the URL should name the master";
                return Err(Trouble::new(Kind::Readonly, message));
            }
            Some("sentinel") => return Err(Trouble::new(Kind::Sentinel, SENTINEL)),
            _ => {}
        }
    }
    for reply in &replies {
        if let Value::ServerError(error) = reply {
            let trouble = classify(error);
            if trouble.kind.is_outage() && !(is_cluster && (is_redirect(error) || is_unserved(error))) {
                return Err(trouble);
            }
        }
    }
    let tracked = replies.last().cloned().filter(|_| connection.tracking);
    connection.tracking &= matches!(tracked, Some(Value::Okay));
    connection.id = replies.get(1).and_then(|id| integer(id.clone()).ok());
    let id = replies.get(1).map_or(Lack::None, Lack::of_refusal);
    connection.denied = Denied::heard(&mut replies.into_iter().skip(2), connection.wire.echo());
    connection.denied.id = id;
    if protocol == Protocol::Resp2 {
        connection.denied.hello = Lack::Unknown;
    }
    if is_cluster {
        (connection.denied.many, connection.denied.mget) = (Lack::Unwanted, Lack::Unwanted);
    }
    connection.denied.tracking = tracked.as_ref().map_or(Lack::None, Lack::of_refusal);
    Ok(())
}

/// A push about keys that changed; a null one means all of them. `wire`: it came on this; `now` in milliseconds.
pub fn invalidated(shared: &Shared, server: &Server, wire: &Wire, push: PushInfo, now: u64) {
    if push.kind != PushKind::Invalidate {
        return;
    }
    for part in push.data {
        match part {
            Value::Array(keys) => {
                add(&shared.traffic.pushes, 1);
                add(&shared.traffic.invalidated, keys.len() as u64);
                for key in keys {
                    // What is no UTF-8 is no key of ours.
                    if let Value::BulkString(bytes) = key
                        && let Ok(key) = std::str::from_utf8(&bytes)
                    {
                        server.near.invalidate(key);
                        shared.waiting.wake(key);
                        shared.flights.fence_tag(key);
                        shared.flights.outdate(key);
                        if shared.listening.any() && !wire.wrote(key) {
                            shared.listening.changed(key);
                        }
                    }
                }
            }
            _ if mutant::lacks("null") => {}
            _ => {
                add(&shared.traffic.flushes, 1);
                server.near.flush(now);
                shared.waiting.wake_all();
                shared.flights.outdate_all();
                shared.listening.lost();
            }
        }
    }
}
