//! Listeners and the loop that accepts. Nothing in the loop waits for a client:
//! handshakes run in the connection's own task, under a deadline.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::stream::Stream;
use super::websocket::WebSocket;
use super::{tls, websocket};
use crate::config::DoorConfig;

/// The pause after an accept that failed for want of descriptors or memory.
const OUT_OF_RESOURCES_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait for accept: a fleet that returns after an outage. The
/// system bounds it by its own setting.
const BACKLOG: u32 = 4096;

/// How connections of a listener begin.
#[derive(Clone)]
pub(crate) enum Kind {
    Plain,
    Tls(TlsAcceptor),
    WebSocket,
}

/// A listener with its kind.
pub(crate) struct Listener {
    socket: TcpListener,
    pub(crate) kind: Kind,
}

/// All listeners of a door, bound.
pub(crate) struct Listeners {
    pub(crate) plain: Listener,
    pub(crate) tls: Option<Listener>,
    pub(crate) websocket: Option<Listener>,
}

impl Listeners {
    pub(crate) fn bind(config: &DoorConfig) -> Result<Self> {
        let plain = Listener::bind(config.listen, Kind::Plain)?;
        let mut listeners = Self { plain, tls: None, websocket: None };
        if let Some(tls) = &config.tls {
            let kind = Kind::Tls(tls::acceptor(&tls.cert_pem, &tls.key_pem)?);
            listeners.tls = Some(Listener::bind(tls.listen, kind)?);
        }
        if let Some(address) = config.websocket {
            listeners.websocket = Some(Listener::bind(address, Kind::WebSocket)?);
        }
        Ok(listeners)
    }

    pub(crate) fn into_all(self) -> impl Iterator<Item = Listener> {
        [Some(self.plain), self.tls, self.websocket].into_iter().flatten()
    }
}

impl Listener {
    fn bind(address: SocketAddr, kind: Kind) -> Result<Self> {
        let socket =
            listen(address).with_context(|| format!("the door cannot listen on {address}"))?;
        Ok(Self { socket, kind })
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// Accepts until `stop` and hands every connection over.
    pub(crate) async fn accept_until(
        &self,
        stop: &CancellationToken,
        mut take: impl FnMut(TcpStream, SocketAddr),
    ) {
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((tcp, peer)) => {
                    failing = false;
                    take(tcp, peer);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Logged once for each time it begins.
                    if !failing {
                        tracing::warn!(%error, "no connection can be accepted");
                    }
                    failing = true;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(OUT_OF_RESOURCES_PAUSE) => {}
                    }
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    // Connections inherit it: clients that are gone and asked for no keep-alive
    // are found by the system.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The client went away between its SYN and our accept.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

impl Kind {
    /// Shakes hands; `None` when that fails.
    pub(crate) async fn open(self, tcp: TcpStream, max_bytes: usize) -> Option<Stream> {
        // Acknowledgements are written in batches; waiting for more gains nothing.
        tcp.set_nodelay(true).ok()?;
        match self {
            Self::Plain => Some(Stream::Tcp(tcp)),
            Self::Tls(acceptor) => {
                acceptor.accept(tcp).await.ok().map(|tls| Stream::Tls(Box::new(tls)))
            }
            Self::WebSocket => {
                let socket = websocket::WebSocket::accept(tcp, max_bytes).await.ok()?;
                Some(Stream::WebSocket(Box::<WebSocket>::new(socket)))
            }
        }
    }
}
