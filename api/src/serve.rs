//! The listener: takes connections up to a bound, keeps deadlines with slow
//! clients, and drains when asked to stop.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nemeses_runtime::Backoff;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ApiConfig;
use crate::connection::WriteGuard;
use crate::guard::PeerAddress;
use crate::router::router;
use crate::routes::api_v1::stream::ConnectionPlace;
use crate::state::ApiState;

/// Bytes of a request's head at most; longer ones are answered 431 by the codec.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Serves the API until `stop`, then lets requests in progress end for at most
/// [`ApiConfig::drain`] and cuts the rest.
///
/// # Errors
/// A listener that cannot be used.
pub async fn serve(
    listener: TcpListener,
    state: ApiState,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "the API listens");
    let server = Server::new(&state, stop.clone());
    server.connections.spawn(Arc::clone(&state.hub).run(state.stores.clone(), stop.clone()));
    tokio::select! {
        () = server.accept(&listener) => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    server.drain(state.config.drain).await;
    Ok(())
}

struct Server {
    routes: Router,
    http: http1::Builder,
    config: Arc<ApiConfig>,
    room: Arc<Semaphore>,
    connections: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Server {
    fn new(state: &ApiState, stop: CancellationToken) -> Self {
        let config = Arc::clone(&state.config);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(config.head_timeout)
            .max_buf_size(MAX_HEAD_BYTES);
        Self {
            routes: router(state.clone()),
            http,
            room: Arc::new(Semaphore::new(config.max_connections.get())),
            config,
            connections: TaskTracker::new(),
            stop,
            cut: CancellationToken::new(),
        }
    }

    /// Takes connections for ever. Accept errors (no file descriptors left, a
    /// peer that is gone already) pass; the log hears of the first of a row.
    async fn accept(&self, listener: &TcpListener) {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
        let mut failing = false;
        // The semaphore is never closed.
        while let Ok(place) = Arc::clone(&self.room).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    failing = false;
                    backoff.reset();
                    self.start(stream, PeerAddress(peer.ip()), place);
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the API cannot take a connection");
                    }
                    tokio::time::sleep(backoff.wait()).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: PeerAddress, place: OwnedSemaphorePermit) {
        // Live events are small and must not wait for the answer to the one before.
        let _slower_otherwise = stream.set_nodelay(true);
        let stream = TokioIo::new(WriteGuard::new(stream, self.config.write_stall));
        let place = ConnectionPlace::new(place);
        let routes = TowerToHyperService::new(self.routes.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(place.clone());
            request.extensions_mut().insert(peer);
            routes.call(request)
        });
        let connection = self.http.serve_connection(stream, service).with_upgrades();
        let (stop, cut) = (self.stop.clone(), self.cut.clone());
        self.connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = cut.cancelled() => return,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection.as_mut() => ended,
                        () = cut.cancelled() => return,
                    }
                }
            };
            // Clients go away, stop reading and send rubbish: nothing of it is our fault.
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to the API ended early");
            }
        });
    }

    async fn drain(&self, at_most: Duration) {
        self.connections.close();
        if tokio::time::timeout(at_most, self.connections.wait()).await.is_err() {
            let left = self.connections.len();
            tracing::warn!(left, "connections to the API are cut: they did not end in time");
            self.cut.cancel();
            self.connections.wait().await;
        }
    }
}
