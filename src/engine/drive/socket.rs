//! A socket to the server: resolved, connected, tuned, behind TLS where that is wanted.

use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::net::target::{Address, Trust};
use crate::engine::net::tls::{self, Asked};

/// Both directions of a connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub type Socket = Box<dyn Stream>;

/// A socket that is connected, with TLS up. `patience`: for all addresses of a name together, and for TLS once more;
/// `asked` learns whether the server wants a certificate of ours.
pub async fn open(address: &Address, patience: Duration, asked: &Asked) -> Result<Socket, Trouble> {
    match address {
        #[cfg(unix)]
        Address::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(e) => Err(no_unix_socket(&e)),
        },
        #[cfg(not(unix))]
        Address::Unix(_) => Err(Trouble::new(Kind::Connect, "this system has no unix sockets")),
        Address::Tcp { host, port, tls } => {
            let stream = tcp(host, *port, patience).await?;
            let Some(trust) = tls else { return Ok(Box::new(stream)) };
            // A plain port waits for the end of a line that never comes.
            let secured = tokio::time::timeout(patience, secure(stream, host, trust, asked)).await;
            Ok(Box::new(secured.unwrap_or_else(|_| Err(tls::silent()))?))
        }
    }
}

/// A plain socket that is connected, for whoever reads and writes it himself.
#[cfg(unix)]
pub async fn plain(address: &Address, patience: Duration) -> Result<OwnedFd, Trouble> {
    let unset =
        |e: std::io::Error| Trouble::new(Kind::Connect, format!("the socket could not be set up: {}", e.kind()));
    match address {
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(|e| no_unix_socket(&e))?;
            Ok(stream.into_std().map_err(unset)?.into())
        }
        Address::Tcp { host, port, .. } => {
            let stream = tcp(host, *port, patience).await?;
            Ok(stream.into_std().map_err(unset)?.into())
        }
    }
}

#[cfg(unix)]
fn no_unix_socket(error: &std::io::Error) -> Trouble {
    Trouble::new(Kind::Connect, format!("no connection to the unix socket: {}", error.kind()))
}

/// Tries every address of the name, the resolver's order first, each with its share of the time.
async fn tcp(host: &str, port: u16, patience: Duration) -> Result<TcpStream, Trouble> {
    let found = lookup_host((host, port)).await;
    let addresses: Vec<SocketAddr> =
        found.map_err(|_| Trouble::new(Kind::Dns, "the host name of the Redis URL does not resolve"))?.collect();
    let share = patience / u32::try_from(addresses.len().max(1)).unwrap_or(1);
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

/// No delay for small pipelines; and three ways in which the kernel notices a dead peer, the last two for writes that
/// nobody acknowledges.
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

async fn secure(stream: TcpStream, host: &str, trust: &Trust, asked: &Asked) -> Result<TlsStream<TcpStream>, Trouble> {
    let name = trust.servername.as_deref().unwrap_or(host).to_owned();
    let name = rustls::pki_types::ServerName::try_from(name).map_err(|_| {
        Trouble::new(Kind::Tls, "the host of the URL (or tls.servername) is no name that a certificate could carry")
    })?;
    let connector = TlsConnector::from(tls::config(trust, asked)?);
    connector.connect(name, stream).await.map_err(|e| tls::explain(&e))
}
