//! Listeners and the loop that accepts. Nothing in the loop waits for a client:
//! handshakes run in the connection's own task, under a deadline.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nemeses_runtime::Certificates;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use super::stream::{self, Stream};
use super::websocket::{self, Pages};
use super::{Refused, proxy, tls};
use crate::config::DoorConfig;
use crate::devices::{Datagrams, DeviceListen};
use crate::metrics::{Agreed, GONE};

/// The pause after an accept that failed for want of descriptors or memory.
const OUT_OF_RESOURCES_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait for accept: a fleet that returns after an outage. The
/// system bounds it by its own setting.
const BACKLOG: u32 = 4096;

/// No connection can be accepted now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutOfResources;

/// How connections of a listener begin.
#[derive(Clone)]
pub(crate) enum Transport {
    Plain,
    Tls(Arc<ServerConfig>),
    WebSocket(Arc<Pages>),
    /// A protocol of devices, over TCP, plain or by TLS.
    Device(&'static str, Option<Arc<ServerConfig>>),
}

/// A listener with its kind.
pub(crate) struct Listener {
    socket: TcpListener,
    pub(crate) kind: Transport,
}

/// All listeners of a door, bound.
pub(crate) struct Listeners {
    pub(crate) plain: Option<Listener>,
    pub(crate) tls: Option<Listener>,
    pub(crate) websocket: Option<Listener>,
    /// Of devices that speak a protocol of their own.
    pub(crate) devices: Vec<Listener>,
    pub(crate) datagrams: Vec<Datagrams>,
    /// Of the listeners that speak TLS.
    pub(crate) certificates: Vec<Arc<Certificates>>,
}

impl Listeners {
    pub(crate) fn bind(config: &DoorConfig) -> Result<Self> {
        let plain = if config.only_devices {
            None
        } else {
            Some(Listener::bind(config.listen, Transport::Plain)?)
        };
        let mut certificates = Vec::new();
        let for_devices = config.device_tls.as_ref().map(|(cert_pem, key_pem)| {
            let read = Certificates::read(cert_pem, key_pem)?;
            let tls = Arc::new(read.server_config()?);
            certificates.push(read);
            anyhow::Ok(tls)
        });
        let for_devices = for_devices.transpose()?;
        let device = |at: &DeviceListen| {
            let tls =
                at.tls.then(|| for_devices.clone().context("devices by TLS need a certificate"));
            Listener::bind(at.listen, Transport::Device(at.protocol, tls.transpose()?))
        };
        let mut listeners = Self {
            plain,
            tls: None,
            websocket: None,
            devices: config.device_tcp.iter().map(device).collect::<Result<_>>()?,
            datagrams: config.device_udp.iter().map(Datagrams::bind).collect::<Result<_>>()?,
            certificates,
        };
        if let Some(tls) = &config.tls {
            let certificates = Certificates::read(&tls.cert_pem, &tls.key_pem)?;
            let kind = Transport::Tls(Arc::new(certificates.server_config()?));
            listeners.tls = Some(Listener::bind(tls.listen, kind)?);
            listeners.certificates.push(certificates);
        }
        if let Some(address) = config.websocket {
            let kind = Transport::WebSocket(Arc::new(Pages::of(config)));
            listeners.websocket = Some(Listener::bind(address, kind)?);
        }
        Ok(listeners)
    }

    pub(crate) fn into_all(self) -> impl Iterator<Item = Listener> {
        [self.plain, self.tls, self.websocket].into_iter().flatten().chain(self.devices)
    }
}

impl Listener {
    fn bind(address: SocketAddr, kind: Transport) -> Result<Self> {
        let socket =
            listen(address).with_context(|| format!("the door cannot listen on {address}"))?;
        Ok(Self { socket, kind })
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// Accepts until `stop` and hands every connection over, or the news that there is no
    /// descriptor or memory for another.
    pub(crate) async fn accept_until(
        &self,
        stop: &CancellationToken,
        take: impl Fn(Result<(TcpStream, SocketAddr), OutOfResources>),
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
                    take(Ok((tcp, peer)));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Logged once for each time it begins.
                    if !failing {
                        tracing::warn!(%error, "no connection can be accepted");
                    }
                    failing = true;
                    take(Err(OutOfResources));
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

impl Transport {
    /// Shakes hands; what was agreed, where that is counted.
    pub(crate) async fn open(
        self,
        tcp: TcpStream,
        max_bytes: usize,
    ) -> Result<(Stream, Option<Agreed>), Refused> {
        match self {
            Self::Plain | Self::Device(_, None) => Ok((stream::tcp(tcp), None)),
            Self::Tls(config) | Self::Device(_, Some(config)) => {
                let (tls, agreed) = tls::accept(config, tcp).await?;
                Ok((stream::tls(tls), Some(agreed)))
            }
            Self::WebSocket(pages) => {
                let socket = websocket::WebSocket::accept(tcp, max_bytes, &pages).await?;
                Ok((stream::websocket(socket), None))
            }
        }
    }

    pub(crate) const fn is_websocket(&self) -> bool {
        matches!(self, Self::WebSocket(_))
    }
}

/// Reads who is behind a proxy; the proxy itself when it speaks for nobody.
pub(crate) async fn behind_proxy(
    tcp: &mut TcpStream,
    proxy_address: SocketAddr,
) -> Result<SocketAddr, Refused> {
    match proxy::read(tcp).await {
        Ok(source) => Ok(source.unwrap_or(proxy_address)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::debug!(%proxy_address, %error, "a connection of a proxy was refused");
            Err(Refused::new("proxy_protocol"))
        }
        Err(_) => Err(Refused::new(GONE)),
    }
}
