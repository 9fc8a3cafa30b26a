//! One connection, made from scratch: resolve, connect, TLS, handshake, and what the server and its ACL allow.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, Value};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::reply::{classify, command_denied, explain, integer};
use super::target::{Address, Target, Trust};
use super::tls;
use super::wire::Wire;
use crate::engine::error::{Kind, Trouble};
use crate::engine::lease::{self, Holder};
use crate::engine::registry::Shared;
use crate::engine::status::Server;

/// How long one dial may take in all. Callers do not wait for it: a call has its own, shorter deadline.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// Requests that the crate's driver may hold before they are written; the bridge bounds the calls in flight, so this is never reached.
const QUEUE: usize = 1 << 16;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

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
    match handshake(target, ProtocolVersion::RESP3, shared).await {
        // An old server, or an ACL without HELLO: the older protocol has all but pushes.
        Err(trouble) if matches!(trouble.kind, Kind::Denied | Kind::Server) => {
            handshake(target, ProtocolVersion::RESP2, shared).await
        }
        result => result,
    }
}

async fn handshake(target: &Target, protocol: ProtocolVersion, shared: &Arc<Shared>) -> Result<Connection, Trouble> {
    let stream = open(&target.address).await?;
    let mut info = RedisConnectionInfo::default()
        .set_protocol(protocol)
        .set_db(target.database)
        .set_lib_name("holdfast", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &target.user {
        info = info.set_username(user);
    }
    if let Some(password) = &target.password {
        info = info.set_password(password);
    }
    let mut config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(QUEUE);
    if protocol == ProtocolVersion::RESP3 {
        let shared = shared.clone();
        // Called by the driver as it reads, each push before the replies behind it.
        config = config.set_push_sender(move |push: PushInfo| -> Result<(), Infallible> {
            invalidated(&shared, push);
            Ok(())
        });
    }
    let (redis, driver) =
        MultiplexedConnection::new_with_config(&info, stream, config).await.map_err(|e| explain(&e))?;
    let driver = tokio::spawn(driver);
    let mut connection = Connection {
        wire: Wire::new(redis),
        driver,
        id: None,
        server: Server::default(),
        denied: Denied::default(),
        tracking: protocol == ProtocolVersion::RESP3,
    };
    inspect(&mut connection).await?;
    Ok(connection)
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
    let replies = connection.wire.clone().send(pipe).await?;
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

async fn open(address: &Address) -> Result<Box<dyn Stream>, Trouble> {
    match address {
        Address::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(e) => Err(Trouble::new(Kind::Connect, format!("no connection to the unix socket: {}", e.kind()))),
        },
        Address::Tcp { host, port, tls } => {
            let stream = tcp(host, *port).await?;
            match tls {
                None => Ok(Box::new(stream)),
                Some(trust) => secure(stream, host, trust).await,
            }
        }
    }
}

/// Tries every address of the name, the resolver's order first, each with its share of the time.
async fn tcp(host: &str, port: u16) -> Result<TcpStream, Trouble> {
    let found = lookup_host((host, port)).await;
    let addresses: Vec<SocketAddr> =
        found.map_err(|_| Trouble::new(Kind::Dns, "the host name of the Redis URL does not resolve"))?.collect();
    let share = DIAL_TIMEOUT / 2 / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut last = Trouble::new(Kind::Dns, "the host name of the Redis URL has no address");
    for address in addresses {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                tune(&stream).map_err(|e| {
                    Trouble::new(Kind::Connect, format!("the socket could not be set up: {}", e.kind()))
                })?;
                return Ok(stream);
            }
            Ok(Err(e)) => last = Trouble::new(Kind::Connect, format!("no connection to the server: {}", e.kind())),
            Err(_) => last = Trouble::new(Kind::Timeout, "the server did not accept the connection in time"),
        }
    }
    Err(last)
}

/// No delay for small pipelines; and three ways in which the kernel notices a dead peer, the last two for writes that nobody acknowledges.
fn tune(stream: &TcpStream) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5)),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(5)))?;
    Ok(())
}

async fn secure(stream: TcpStream, host: &str, trust: &Trust) -> Result<Box<dyn Stream>, Trouble> {
    let name = trust.servername.as_deref().unwrap_or(host).to_owned();
    let name = rustls::pki_types::ServerName::try_from(name).map_err(|_| {
        Trouble::new(Kind::Tls, "the host of the URL (or tls.servername) is no name that a certificate could carry")
    })?;
    let connector = TlsConnector::from(tls::config(trust)?);
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(e) => Err(tls::explain(&e)),
    }
}
