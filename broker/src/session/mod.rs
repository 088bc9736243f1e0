//! One client from its first byte to its last.

mod acks;
mod connection;
mod end;
mod greeting;
mod interrupts;
mod messages;
mod outgoing;
mod presence;
mod publish_span;
mod rare_waits;
mod subscribing;
mod subscriptions;
mod turn;
mod watch;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use nemeses_runtime::Stop;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;

use self::connection::Connection;
use self::greeting::Origin;
pub(crate) use self::presence::Presence;
use crate::devices;
use crate::handshakes::Handshake;
use crate::metrics::GONE;
use crate::net::{self, Refused, Transport, Wire};
use crate::shared::Shared;

/// A connection that was accepted.
pub(crate) struct Arrival {
    pub(crate) tcp: TcpStream,
    /// The other end of the socket: the client, or a proxy.
    pub(crate) peer: SocketAddr,
    pub(crate) kind: Transport,
    pub(crate) handshake: Handshake,
}

/// Serves a connection until it ends. A panic ends the connection, not the door.
pub(crate) async fn serve(shared: Arc<Shared>, arrival: Arrival, stop: Stop) {
    let peer = arrival.peer;
    let served = AssertUnwindSafe(from_first_to_last(&shared, arrival, &stop));
    if served.catch_unwind().await.is_err() {
        shared.metrics().ended("panic");
        tracing::error!(%peer, "serving a connection panicked; it was closed");
    }
}

async fn from_first_to_last(shared: &Arc<Shared>, arrival: Arrival, stop: &Stop) {
    if let Transport::Device(protocol, _) = arrival.kind {
        return device(shared, protocol, arrival, stop).await;
    }
    // Boxed, since the state of handshakes is several kilobytes and short-lived.
    let Some(connection) = Box::pin(come_in(shared, arrival, stop)).await else {
        return;
    };
    stay(shared, connection, stop).await;
}

/// Serves a device that speaks a protocol of its own.
async fn device(shared: &Arc<Shared>, protocol: &'static str, arrival: Arrival, stop: &Stop) {
    let Arrival { tcp, peer, kind, handshake } = arrival;
    let shaking = shake_hands(shared, (tcp, peer), kind, (&handshake, stop));
    let shaken = tokio::select! {
        biased;
        shaken = shaking => shaken,
        () = handshake.crowded_out() => {
            shared.metrics().refused("crowded_out");
            None
        }
    };
    if let Some((wire, _)) = shaken {
        Box::pin(devices::serve(shared, protocol, wire, handshake, stop)).await;
    }
}

/// Serves a client of this process, without a socket. A panic is its caller's.
pub(crate) async fn serve_in_process(shared: &Arc<Shared>, stream: DuplexStream, stop: &Stop) {
    let origin = Origin {
        peer: SocketAddr::from(([127, 0, 0, 1], 0)),
        anonymous: shared.config.anonymous,
        handshake: None,
    };
    let wire = Wire::new(net::in_process(stream));
    match be_greeted(shared, wire, origin, stop).await {
        Ok(connection) => stay(shared, connection, stop).await,
        Err(Some(wire)) => wire.close().await,
        Err(None) => {}
    }
}

async fn stay(shared: &Arc<Shared>, mut connection: Connection, stop: &Stop) {
    let end = connection.run(stop).await;
    shared.metrics().ended(end.label());
    Box::pin(connection.finish(end)).await;
}

/// From the first byte to the login, unless it must make room for another before its
/// CONNECT is there.
async fn come_in(shared: &Arc<Shared>, arrival: Arrival, stop: &Stop) -> Option<Connection> {
    let Arrival { tcp, peer, kind, handshake } = arrival;
    let coming_in = async {
        let anonymous =
            shared.config.anonymous && (!kind.is_websocket() || shared.config.websocket_anonymous);
        let (wire, peer) =
            shake_hands(shared, (tcp, peer), kind, (&handshake, stop)).await.ok_or(None)?;
        let origin = Origin { peer, anonymous, handshake: Some(&handshake) };
        be_greeted(shared, wire, origin, stop).await
    };
    let came_in = tokio::select! {
        biased;
        came_in = coming_in => came_in,
        () = handshake.crowded_out() => {
            shared.metrics().refused("crowded_out");
            Err(None)
        }
    };
    match came_in {
        Ok(connection) => return Some(connection),
        Err(Some(wire)) => {
            // Whoever was refused makes room as the silent do.
            handshake.comes_from(peer.ip());
            tokio::select! {
                () = wire.close() => {}
                () = handshake.crowded_out() => {}
            }
        }
        Err(None) => {}
    }
    None
}

/// Lets a client in; else gives back the connection, with the refusal to be sent.
async fn be_greeted(
    shared: &Arc<Shared>,
    mut wire: Wire,
    origin: Origin<'_>,
    stop: &Stop,
) -> Result<Connection, Option<Wire>> {
    let greeting = greeting::greet(shared, &mut wire, origin);
    let greeted = tokio::select! {
        () = stop.intake.cancelled() => return Err(None),
        greeted = tokio::time::timeout(shared.config.connect_deadline, greeting) => greeted,
    };
    match greeted {
        Ok(Some((presence, admitted))) => Ok(Connection::new(presence, wire, admitted)),
        Ok(None) => Err(Some(wire)),
        Err(_) => {
            shared.metrics().refused("connect_deadline");
            Err(None)
        }
    }
}

/// The header of a proxy, if it comes from one, and TLS or WebSocket; says who the client
/// is.
async fn shake_hands(
    shared: &Shared,
    (mut tcp, mut peer): (TcpStream, SocketAddr),
    kind: Transport,
    (handshake, stop): (&Handshake, &Stop),
) -> Option<(Wire, SocketAddr)> {
    let config = &shared.config;
    let shaking = async {
        // Acknowledgements are written in batches; waiting for more gains nothing.
        tcp.set_nodelay(true).map_err(|_| Refused::new(GONE))?;
        if config.proxies.iter().any(|proxies| proxies.has(peer.ip())) {
            peer = net::behind_proxy(&mut tcp, peer).await?;
            handshake.comes_from(peer.ip());
        }
        kind.open(tcp, config.max_packet_bytes).await
    };
    let shaken = tokio::select! {
        () = stop.intake.cancelled() => return None,
        shaken = tokio::time::timeout(config.handshake_deadline, shaking) => shaken,
    };
    let metrics = shared.metrics();
    match shaken {
        Ok(Ok((stream, agreed))) => {
            if let Some(agreed) = agreed {
                metrics.tls.get_or_create(&agreed).inc();
            }
            Some((Wire::new(stream), peer))
        }
        Ok(Err(Refused { reason, offered })) => {
            tracing::debug!(%peer, reason, offered, "a handshake failed");
            metrics.refused_offer(reason, offered);
            None
        }
        Err(_) => {
            metrics.refused("handshake_deadline");
            None
        }
    }
}
