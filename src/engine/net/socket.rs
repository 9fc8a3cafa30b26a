//! A socket to the server: resolved, connected, tuned, behind TLS where that is wanted; and its two halves.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWriteExt, WriteHalf};
use tokio::net::{TcpStream, lookup_host, tcp};
#[cfg(unix)]
use tokio::net::{UnixStream, unix};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::net::target::{Address, Trust};
use crate::engine::net::tls::{self, Asked};

/// The half that reads.
pub type Rx = Box<dyn AsyncRead + Unpin + Send>;

/// The half that writes.
pub enum Tx {
    Tcp(tcp::OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
    /// What is written here takes turns with what is read, so it is never written at once.
    Tls(tokio::sync::Mutex<WriteHalf<TlsStream<TcpStream>>>),
}

impl Tx {
    /// Writes what the socket takes at once; how much that was.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let result = match self {
            Self::Tcp(half) => half.try_write(bytes),
            #[cfg(unix)]
            Self::Unix(half) => half.try_write(bytes),
            Self::Tls(_) => Ok(0),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// Writes all of it.
    pub async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self {
                Self::Tcp(half) => half.writable().await?,
                #[cfg(unix)]
                Self::Unix(half) => half.writable().await?,
                Self::Tls(half) => {
                    let mut half = half.lock().await;
                    half.write_all(bytes).await?;
                    return half.flush().await;
                }
            }
            let written = self.try_write(bytes)?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}

/// A socket that is connected, with TLS up. `patience`: for all addresses of a name together, and for TLS once more;
/// `asked` learns whether the server wants a certificate of ours.
pub async fn open(address: &Address, patience: Duration, asked: &Asked) -> Result<(Rx, Tx), Trouble> {
    match address {
        #[cfg(unix)]
        Address::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => {
                let (rx, tx) = stream.into_split();
                Ok((Box::new(rx), Tx::Unix(tx)))
            }
            Err(e) => Err(Trouble::new(Kind::Connect, format!("no connection to the unix socket: {}", e.kind()))),
        },
        #[cfg(not(unix))]
        Address::Unix(_) => Err(Trouble::new(Kind::Connect, "this system has no unix sockets")),
        Address::Tcp { host, port, tls } => {
            let stream = tcp(host, *port, patience).await?;
            match tls {
                None => {
                    let (rx, tx) = stream.into_split();
                    Ok((Box::new(rx), Tx::Tcp(tx)))
                }
                Some(trust) => {
                    // A plain port waits for the end of a line that never comes.
                    let secured = tokio::time::timeout(patience, secure(stream, host, trust, asked)).await;
                    let (rx, tx) = tokio::io::split(secured.unwrap_or_else(|_| Err(tls::silent()))?);
                    Ok((Box::new(rx), Tx::Tls(tokio::sync::Mutex::new(tx))))
                }
            }
        }
    }
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

async fn secure(stream: TcpStream, host: &str, trust: &Trust, asked: &Asked) -> Result<TlsStream<TcpStream>, Trouble> {
    let name = trust.servername.as_deref().unwrap_or(host).to_owned();
    let name = rustls::pki_types::ServerName::try_from(name).map_err(|_| {
        Trouble::new(Kind::Tls, "the host of the URL (or tls.servername) is no name that a certificate could carry")
    })?;
    let connector = TlsConnector::from(tls::config(trust, asked)?);
    connector.connect(name, stream).await.map_err(|e| tls::explain(&e))
}
