//! One client from its first byte to its last.

mod acks;
mod connection;
mod end;
mod follow;
mod greeting;
mod interrupts;
mod messages;
mod outgoing;
mod presence;
mod seldom;
mod subscribing;
mod subscriptions;
mod watch;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use nemeses_runtime::Stop;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;

use crate::net::{Kind, Stream, Wire};
use crate::shared::Shared;

/// Serves a connection until it ends. A panic ends the connection, not the door.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    tcp: TcpStream,
    peer: SocketAddr,
    kind: Kind,
    stop: Stop,
) {
    let served = AssertUnwindSafe(from_first_to_last(&shared, tcp, peer, kind, &stop));
    if served.catch_unwind().await.is_err() {
        shared.metrics().ended("panic");
        tracing::error!(%peer, "serving a connection panicked; it was closed");
    }
}

/// Refuses a connection because there are as many as there may be.
pub(crate) async fn refuse(shared: Arc<Shared>, tcp: TcpStream, peer: SocketAddr, kind: Kind) {
    let deadline = shared.config.connect_deadline;
    let refusal = Box::pin(async {
        let stream = kind.open(tcp, shared.config.max_device_packet_bytes).await?;
        let mut wire = Wire::new(stream);
        greeting::refuse_busy(&shared, &mut wire, peer).await;
        wire.close().await;
        Some(())
    });
    // Who does not send its CONNECT in time learns nothing.
    let _ = tokio::time::timeout(deadline, refusal).await;
}

async fn from_first_to_last(
    shared: &Arc<Shared>,
    tcp: TcpStream,
    peer: SocketAddr,
    kind: Kind,
    stop: &Stop,
) {
    // Boxed, since the state of handshakes is several kilobytes and short-lived.
    let Some((wire, admitted)) = Box::pin(come_in(shared, tcp, peer, kind, stop)).await else {
        return;
    };
    stay(shared, wire, admitted, stop).await;
}

/// Serves a client of this process, without a socket. A panic is its caller's.
pub(crate) async fn serve_in_process(shared: &Arc<Shared>, stream: DuplexStream, stop: &Stop) {
    let (wire, peer) =
        (Wire::new(Stream::InProcess(stream)), SocketAddr::from(([127, 0, 0, 1], 0)));
    if let Some((wire, admitted)) = be_greeted(shared, wire, peer, stop).await {
        stay(shared, wire, admitted, stop).await;
    }
}

async fn stay(shared: &Arc<Shared>, wire: Wire, admitted: greeting::Admitted, stop: &Stop) {
    let mut connection = connection::Connection::new(shared, wire, admitted);
    let end = connection.run(stop).await;
    shared.metrics().ended(end.label());
    Box::pin(connection.finish(end)).await;
}

async fn come_in(
    shared: &Arc<Shared>,
    tcp: TcpStream,
    peer: SocketAddr,
    kind: Kind,
    stop: &Stop,
) -> Option<(Wire, greeting::Admitted)> {
    let wire = shake_hands(shared, tcp, kind, stop).await?;
    be_greeted(shared, wire, peer, stop).await
}

async fn be_greeted(
    shared: &Arc<Shared>,
    mut wire: Wire,
    peer: SocketAddr,
    stop: &Stop,
) -> Option<(Wire, greeting::Admitted)> {
    let greeting = greeting::greet(shared, &mut wire, peer);
    let greeted = tokio::select! {
        () = stop.intake.cancelled() => return None,
        greeted = tokio::time::timeout(shared.config.connect_deadline, greeting) => greeted,
    };
    match greeted {
        Ok(Some(admitted)) => Some((wire, admitted)),
        Ok(None) => {
            wire.close().await;
            None
        }
        Err(_) => {
            shared.metrics().refused("connect_deadline");
            None
        }
    }
}

async fn shake_hands(shared: &Shared, tcp: TcpStream, kind: Kind, stop: &Stop) -> Option<Wire> {
    let shaking = kind.open(tcp, shared.config.max_packet_bytes);
    let shaken = tokio::select! {
        () = stop.intake.cancelled() => return None,
        shaken = tokio::time::timeout(shared.config.handshake_deadline, shaking) => shaken,
    };
    match shaken {
        Ok(Some(stream)) => Some(Wire::new(stream)),
        Ok(None) => {
            shared.metrics().refused("handshake");
            None
        }
        Err(_) => {
            shared.metrics().refused("handshake_deadline");
            None
        }
    }
}
