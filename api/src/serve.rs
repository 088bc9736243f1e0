//! The API's listener: the routes over the HTTP server of the runtime, and beside it the
//! hub of the live stream, and what gives memory back.

use std::sync::Arc;

use nemeses_runtime::http::{self, HttpConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::router::router;
use crate::state::ApiState;
use crate::stores::Stores;

/// Serves the API until `stop`, then lets requests in progress end for at most
/// [`crate::ApiConfig::drain`] and cuts the rest.
///
/// # Errors
/// A listener that cannot be used.
pub async fn serve(
    listener: TcpListener,
    state: ApiState,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let config = &state.config;
    tracing::info!(%address, tls = config.tls.is_some(), "the API listens");
    let http = HttpConfig {
        max_connections: config.max_connections,
        shared_by_many: config.trusted_proxies.clone(),
        head_timeout: config.head_timeout,
        write_stall: config.write_stall,
        drain: config.drain,
        closed: state.connections_closed.clone(),
        tls: config.tls.clone(),
    };
    let hub =
        Arc::clone(&state.streams.hub).run(Stores::clone(&state.backend.stores), stop.clone());
    let passwords = Arc::clone(&state.auth.passwords);
    let resting = passwords.rest_when_quiet(&stop);
    let serving = http::serve(listener, router(state), http, stop.clone());
    let (served, (), ()) = tokio::join!(serving, hub, resting);
    served
}
