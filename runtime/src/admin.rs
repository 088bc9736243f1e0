//! The admin listener: metrics for Prometheus, a word of life for supervisors and
//! a description for `nemeses status`, apart from the public API.

use std::sync::Arc;

use anyhow::Context as _;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Worker;

/// Tells how this process does now.
pub type Describe = Arc<dyn Fn() -> Worker + Send + Sync>;

/// Tells why this process is not ready to do its work; nothing when it is.
pub type Ready = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Serves `/metrics`, `/healthz`, `/readyz` and `/status` until `stop`. `/healthz` says that the
/// process runs and was able to start: it has connected to what it needs. `/readyz`
/// answers 503 and the reason when `ready` gives one. `/status` says who it is, with the
/// figures that it announces; without `describe` there is none.
///
/// # Errors
/// What the listener reports.
pub async fn serve_admin(
    listener: TcpListener,
    registry: Arc<Registry>,
    describe: Option<Describe>,
    ready: Option<Ready>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut routes = Router::new()
        .route("/metrics", get(move || std::future::ready(metrics(&registry))))
        .route("/healthz", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(move || std::future::ready(readiness(ready.as_ref()))));
    if let Some(describe) = describe {
        routes = routes.route("/status", get(move || std::future::ready(Json(describe()))));
    }
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("the admin listener ended")
}

fn readiness(ready: Option<&Ready>) -> (StatusCode, String) {
    match ready.and_then(|ready| ready()) {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn metrics(registry: &Registry) -> impl IntoResponse + use<> {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
            text,
        ),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            format!("metrics cannot be written: {error}\n"),
        ),
    }
}
