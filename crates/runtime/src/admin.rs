//! The admin listener: metrics for Prometheus, words of life and readiness for
//! supervisors and a description for `nemeses status`, apart from the public API, whose
//! clients cannot hold it up.

use std::pin::Pin;
use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Worker;
use crate::http::{self, HttpConfig};

/// Tells how this process does now.
pub type Describe = Arc<dyn Fn() -> Worker + Send + Sync>;
/// Tells whether this process can do its work now, or why not.
pub type Ready =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// Serves `/metrics`, `/healthz`, `/readyz` and `/status` until `stop`. `/healthz` says
/// that the process runs and was able to start: it has connected to what it needs.
/// `/readyz` says whether it can do its work now, where `ready` can tell; else the same.
/// `/status` says who it is, with the figures that it announces; without `describe`
/// there is none.
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
        .route("/readyz", get(move || readiness(ready.clone())));
    if let Some(describe) = describe {
        routes = routes.route("/status", get(move || std::future::ready(Json(describe()))));
    }
    http::serve(listener, routes, HttpConfig::small(), stop).await
}

async fn readiness(ready: Option<Ready>) -> Response {
    let Some(ready) = ready else { return "ok\n".into_response() };
    match ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
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
