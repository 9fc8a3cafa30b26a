//! One connection, made from scratch: resolve, connect, TLS, handshake, and what the server and its ACL allow.

use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, PushInfo, PushKind, ServerError, Value};
use tokio::task::JoinHandle;

use super::reply::{classify, command_denied, integer, refused};
use super::socket;
use super::target::Target;
use super::wire::Wire;
use crate::engine::error::{Kind, Trouble};
use crate::engine::lease::{self, Holder};
use crate::engine::registry::Shared;
use crate::engine::status::Server;

/// How long one dial may take in all. Callers do not wait for it: a call has its own, shorter deadline.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// What this user may not do here, found out when connecting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Denied {
    pub unlink: bool,
    pub mget: bool,
    pub scan: bool,
    pub client: bool,
    pub scripts: bool,
    pub echo: bool,
}

/// A connection that is up. Dropping it closes the socket at once, whatever is in flight.
pub struct Connection {
    pub wire: Wire,
    /// Ends when the socket does.
    pub driver: JoinHandle<()>,
    /// By which the server knows it.
    pub id: Option<i64>,
    pub server: Server,
    pub denied: Denied,
    /// Reads are tracked: the near cache may be armed.
    pub tracking: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
        self.wire.close();
    }
}

/// Dials until the server has answered the handshake; longer than usual where calls are allowed to take longer.
pub async fn dial(target: &Target, shared: &Arc<Shared>) -> Result<Connection, Trouble> {
    match tokio::time::timeout(DIAL_TIMEOUT.max(shared.patience() * 2), connect(target, shared)).await {
        Ok(result) => result,
        Err(_) => Err(Trouble::new(Kind::Timeout, "the server did not answer while connecting")),
    }
}

async fn connect(target: &Target, shared: &Arc<Shared>) -> Result<Connection, Trouble> {
    match handshake(target, Protocol::Resp3, shared).await {
        // An old server, or an ACL without HELLO: the older protocol has all but pushes.
        Err(trouble) if matches!(trouble.kind, Kind::Denied | Kind::Server) => {
            handshake(target, Protocol::Resp2, shared).await
        }
        result => result,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Resp3,
    Resp2,
}

async fn handshake(target: &Target, protocol: Protocol, shared: &Arc<Shared>) -> Result<Connection, Trouble> {
    let (rx, tx) = socket::open(&target.address, DIAL_TIMEOUT / 2).await?;
    let wire = Wire::new(tx);
    let pushed = {
        let shared = shared.clone();
        move |push| invalidated(&shared, push)
    };
    let mut connection = Connection {
        driver: tokio::spawn(wire.clone().drive(rx, pushed)),
        wire,
        id: None,
        server: Server::default(),
        denied: Denied::default(),
        tracking: protocol == Protocol::Resp3,
    };
    greet(&connection.wire, target, protocol).await?;
    inspect(&mut connection).await?;
    Ok(connection)
}

/// Says who we are.
async fn greet(wire: &Wire, target: &Target, protocol: Protocol) -> Result<(), Trouble> {
    match try_greet(wire, target, protocol, target.user.as_deref()).await? {
        // Before version 6 there were no users, only a password.
        Some(error) if error.details().is_some_and(|d| d.contains("wrong number of arguments for 'auth'")) => {
            try_greet(wire, target, protocol, None).await?.map_or(Ok(()), |error| Err(refused(&error)))
        }
        // Valkey wants the password before it says that it does not know HELLO, which would have brought it.
        Some(error) if protocol == Protocol::Resp3 && target.password.is_some() && error.code() == "NOAUTH" => {
            Err(Trouble::new(Kind::Server, "the server refused the handshake"))
        }
        Some(error) => Err(refused(&error)),
        None => Ok(()),
    }
}

/// What the server refused of it, if anything.
async fn try_greet(
    wire: &Wire,
    target: &Target,
    protocol: Protocol,
    user: Option<&str>,
) -> Result<Option<ServerError>, Trouble> {
    let mut pipeline = Pipeline::new();
    match (protocol, &target.password) {
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
    let needed = pipeline.len();
    // Servers before 7.2 do not know it.
    pipeline.cmd("CLIENT").arg("SETINFO").arg("LIB-NAME").arg("holdfast");
    pipeline.cmd("CLIENT").arg("SETINFO").arg("LIB-VER").arg(env!("CARGO_PKG_VERSION"));
    let replies = wire.greet(&pipeline).await?;
    Ok(replies.into_iter().take(needed).find_map(|reply| match reply {
        Value::ServerError(error) => Some(error),
        _ => None,
    }))
}

/// A key that nobody has.
const PROBE: &str = "\0holdfast\0probe\0";

/// Asks who the server is, and tries what later work relies on. The probes touch no key of anybody.
async fn inspect(connection: &mut Connection) -> Result<(), Trouble> {
    let mut pipe = redis::pipe();
    pipe.cmd("CLIENT").arg("SETNAME").arg("holdfast");
    pipe.cmd("INFO").arg("server");
    pipe.cmd("ROLE");
    pipe.cmd("SCAN").arg(0).arg("MATCH").arg(PROBE).arg("COUNT").arg(1);
    pipe.cmd("UNLINK").arg(PROBE);
    pipe.cmd("MGET").arg(PROBE);
    lease::load(&mut pipe);
    pipe.add_command(lease::renew(false, PROBE, Holder { engine: 0, token: 0 }));
    pipe.cmd("CLIENT").arg("ID");
    if connection.tracking {
        pipe.cmd("CLIENT").arg("TRACKING").arg("ON");
    }
    let replies = connection.wire.send(pipe).await?;
    for reply in &replies {
        if let Value::ServerError(error) = reply {
            let trouble = classify(error);
            if trouble.kind.is_outage() {
                return Err(trouble);
            }
        }
    }
    let denied = |i: usize| matches!(replies.get(i), Some(Value::ServerError(e)) if command_denied(e));
    // A user who may load scripts may still not be allowed to run them: one that changes nothing tells.
    connection.denied = Denied {
        client: denied(0),
        scan: denied(3),
        unlink: denied(4),
        mget: denied(5),
        scripts: (6..=10).any(|i| matches!(replies.get(i), Some(Value::ServerError(_)))),
        echo: connection.wire.unmarked(),
    };
    connection.tracking &= matches!(replies.last(), Some(Value::Okay));
    connection.id = replies.get(11).and_then(|id| integer(id.clone()).ok());
    if let Some(text) = replies.get(1).and_then(text) {
        connection.server.version = field(&text, "redis_version").or_else(|| field(&text, "valkey_version"));
        connection.server.run_id = field(&text, "run_id");
    }
    if let Some(Value::Array(role)) = replies.get(2)
        && role.first().and_then(text).as_deref() == Some("slave")
    {
        return Err(Trouble::new(
            Kind::Readonly,
            "the server is a replica and takes no writes; the URL should name the master",
        ));
    }
    Ok(())
}

/// A push about keys that changed; a null one means all of them.
fn invalidated(shared: &Shared, push: PushInfo) {
    if push.kind != PushKind::Invalidate {
        return;
    }
    for part in push.data {
        match part {
            Value::Array(keys) => {
                for key in keys {
                    // What is no UTF-8 is no key of ours.
                    if let Value::BulkString(bytes) = key
                        && let Ok(key) = std::str::from_utf8(&bytes)
                    {
                        shared.near.invalidate(key);
                        shared.waiting.wake(key);
                        shared.flights.fence_tag(key);
                    }
                }
            }
            _ => {
                shared.near.flush();
                shared.waiting.wake_all();
            }
        }
    }
}

pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

/// A line `name:value` of INFO.
pub fn field(info: &str, name: &str) -> Option<String> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::to_owned)
}
