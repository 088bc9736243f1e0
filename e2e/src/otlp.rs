//! A collector of traces that keeps what it is told, read by OpenTelemetry's own types.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A span as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whose: `nemeses-parser`.
    pub service: String,
    /// What was done: `commit`.
    pub name: String,
    /// Hex.
    pub trace_id: String,
    /// Hex.
    pub span_id: String,
    /// Hex; empty for the first of a trace.
    pub parent: String,
    /// Unix nanoseconds.
    pub start_ns: u64,
    /// Unix nanoseconds.
    pub end_ns: u64,
    /// Texts, and numbers as text.
    pub attributes: BTreeMap<String, String>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// The running collector. Ends with its value.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
    serving: JoinHandle<()>,
}

impl Collector {
    /// Starts one.
    ///
    /// # Errors
    /// No free port.
    pub async fn start() -> anyhow::Result<Self> {
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&told));
        let serving = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { address, told, serving })
    }

    /// For `--otlp-endpoint`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far, by their begin.
    pub fn told(&self) -> Vec<Told> {
        let mut told = locked(&self.told).clone();
        told.sort_by_key(|span| span.start_ns);
        told
    }

    /// Those of a trace, by their begin.
    pub fn of_trace(&self, trace_id: &str) -> Vec<Told> {
        let mut told = self.told();
        told.retain(|span| span.trace_id == trace_id);
        told
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn locked(told: &Mutex<Vec<Told>>) -> MutexGuard<'_, Vec<Told>> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State(told): State<Arc<Mutex<Vec<Told>>>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    for of_process in request.resource_spans {
        let resource = attributes(of_process.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").cloned().unwrap_or_default();
        for span in of_process.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let failure = span.status.filter(|status| status.code == 2);
            locked(&told).push(Told {
                service: service.clone(),
                name: span.name,
                trace_id: hex::encode(span.trace_id),
                span_id: hex::encode(span.span_id),
                parent: hex::encode(span.parent_span_id),
                start_ns: span.start_time_unix_nano,
                end_ns: span.end_time_unix_nano,
                attributes: attributes(span.attributes),
                failure: failure.map(|status| status.message),
            });
        }
    }
    StatusCode::OK
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |pair: KeyValue| match pair.value.and_then(|value| value.value)? {
        Value::StringValue(text) => Some((pair.key, text)),
        Value::IntValue(number) => Some((pair.key, number.to_string())),
        _ => None,
    };
    pairs.into_iter().filter_map(text).collect()
}
