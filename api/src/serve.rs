//! The API's listeners: the routes, and the calls of gRPC, over the HTTP server of the runtime,
//! and beside them the hub of the live stream, and what gives memory back.

use std::sync::Arc;
use std::time::Duration;

use nemeses_runtime::http::{self, HttpConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::ApiConfig;
use crate::grpc;
use crate::router::router;
use crate::state::ApiState;
use crate::stores::Stores;

/// A client of gRPC keeps its connection for the next call, if that comes within this.
const GRPC_IDLE: Duration = Duration::from_secs(300);

/// Where the API is served.
#[derive(Debug)]
pub struct Listeners {
    /// REST and the page.
    pub http: TcpListener,
    /// gRPC.
    pub grpc: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(http: TcpListener) -> Self {
        Self { http, grpc: None }
    }
}

/// Serves the API until `stop`, then lets requests in progress end for at most
/// [`crate::ApiConfig::drain`] and cuts the rest.
///
/// # Errors
/// A listener that cannot be used.
pub async fn serve(
    listeners: impl Into<Listeners>,
    state: ApiState,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Listeners { http: listener, grpc: calls } = listeners.into();
    let (address, tls) = (listener.local_addr()?, state.config.tls.is_some());
    tracing::info!(%address, tls, "the API listens");
    let hub =
        Arc::clone(&state.streams.hub).run(Stores::clone(&state.backend.stores), stop.clone());
    let passwords = Arc::clone(&state.auth.passwords);
    let resting = passwords.rest_when_quiet(&stop);
    let calls = serve_grpc(calls, &state, stop.clone());
    let http = http_config(&state, &state.config);
    let serving = http::serve(listener, router(state.clone()), http, stop.clone());
    let (served, called, (), ()) = tokio::join!(serving, calls, hub, resting);
    served.and(called)
}

async fn serve_grpc(
    listener: Option<TcpListener>,
    state: &ApiState,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(listener) = listener else { return Ok(()) };
    let (address, tls) = (listener.local_addr()?, state.config.tls.is_some());
    tracing::info!(%address, tls, "gRPC is served");
    let http = HttpConfig { http_2_idle: Some(GRPC_IDLE), ..http_config(state, &state.config) };
    http::serve(listener, grpc::router(state)?, http, stop).await
}

fn http_config(state: &ApiState, config: &ApiConfig) -> HttpConfig {
    HttpConfig {
        max_connections: config.max_connections,
        shared_by_many: config.trusted_proxies.clone(),
        head_timeout: config.head_timeout,
        write_stall: config.write_stall,
        drain: config.drain,
        closed: state.connections_closed.clone(),
        tls: config.tls.clone(),
        http_2_idle: None,
    }
}
