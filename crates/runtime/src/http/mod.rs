//! The HTTP server under the API and the admin listener: takes connections up to a
//! bound, fairly between addresses, by HTTP/1.1 or by TLS and HTTP/2, keeps deadlines
//! with slow clients, and drains when asked to stop.

mod body;
mod connection;
mod exchange;
mod handed;
mod place;
mod places;
mod process;
mod redirect;
mod write_guard;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::Connections;
pub use self::exchange::exchange;
use self::place::Table;
pub use self::place::{Closed, Place};
pub use self::process::may_be_a_person;
pub use self::redirect::to_https;
use crate::{Backoff, Certificates, Network, share_of};

const HTTP_1_1: &[u8] = b"http/1.1";
const HTTP_2: &[u8] = b"h2";

/// Who is at the other end of a connection. In the extensions of each request, as is
/// the connection's [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end; a proxy's, where there is one.
    pub remote: SocketAddr,
    /// This end.
    pub local: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// How a listener serves.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Connections at most. When all places are taken, idle ones make room, longest
    /// idle first, of the address that holds the most.
    pub max_connections: NonZeroUsize,
    /// Addresses that are many clients: one of any other holds at most half of the
    /// places.
    pub shared_by_many: Vec<Network>,
    /// A client has this long to send the head of a request; an idle connection is
    /// closed after it too.
    pub head_timeout: Duration,
    /// A client that has not read a byte of its answer for this long is cut off.
    pub write_stall: Duration,
    /// Requests in progress have this long to end when the server is asked to stop.
    pub drain: Duration,
    /// Counts the connections that were closed for others.
    pub closed: Closed,
    /// With it the listener speaks TLS.
    pub tls: Option<Tls>,
    /// With it every connection speaks HTTP/2, without TLS as well, and may be idle for so
    /// long: clients of gRPC keep theirs.
    pub http_2_idle: Option<Duration>,
}

impl HttpConfig {
    /// For a listener of few and short answers: 64 connections of some 30 KiB.
    pub fn small() -> Self {
        Self {
            max_connections: NonZeroUsize::new(64).unwrap_or(NonZeroUsize::MIN),
            shared_by_many: Vec::new(),
            head_timeout: Duration::from_secs(60),
            write_stall: Duration::from_secs(30),
            drain: Duration::from_secs(1),
            closed: Closed::default(),
            tls: None,
            http_2_idle: None,
        }
    }
}

/// How a listener speaks TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<rustls::ServerConfig>,
    /// For those who come without TLS all the same.
    instead: Router,
}

impl Tls {
    /// TLS with this certificate, for HTTP/2 and HTTP/1.1; `instead` answers those who
    /// speak plain HTTP.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn new(certificates: &Arc<Certificates>, instead: Router) -> Result<Self> {
        let mut config = certificates.server_config()?;
        config.alpn_protocols = [HTTP_2, HTTP_1_1].map(<[u8]>::to_vec).into();
        Ok(Self { config: Arc::new(config), instead })
    }
}

/// Serves the routes until `stop`, then lets requests in progress end for at most
/// [`HttpConfig::drain`] and cuts the rest.
///
/// # Errors
/// A listener that cannot be used.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    config: HttpConfig,
    stop: CancellationToken,
) -> Result<()> {
    listener.local_addr()?;
    let connections = Arc::new(Connections {
        routes,
        config,
        tracker: TaskTracker::new(),
        stop: stop.clone(),
        cut: CancellationToken::new(),
    });
    tokio::select! {
        () = accept(&listener, &connections) => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    drain(&connections).await;
    Ok(())
}

/// Takes connections for ever. Accept errors (no file descriptors left, a peer that is
/// gone already) pass; the log hears of the first of a row.
async fn accept(listener: &TcpListener, connections: &Arc<Connections>) {
    let HttpConfig { max_connections, closed, shared_by_many, .. } = &connections.config;
    let table = Table::new(max_connections.get(), closed.clone());
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
    let mut failing = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                failing = false;
                backoff.reset();
                let is_many = shared_by_many.iter().any(|network| network.has(peer.ip()));
                let from = (!is_many).then(|| share_of(peer.ip()));
                if let Some(place) = table.enter(from).await {
                    connections.start(stream, peer, place);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "no HTTP connection can be accepted");
                }
                tokio::time::sleep(backoff.wait()).await;
            }
        }
    }
}

async fn drain(connections: &Connections) {
    let Connections { tracker, config, cut, .. } = connections;
    tracker.close();
    if tokio::time::timeout(config.drain, tracker.wait()).await.is_err() {
        let left = tracker.len();
        tracing::warn!(left, "HTTP connections are cut: they did not end in time");
        cut.cancel();
        tracker.wait().await;
    }
}
