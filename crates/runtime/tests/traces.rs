//! What goes to a collector, read by OpenTelemetry's own types, and what happens when
//! the collector does not take it.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test fails where it stands")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use nemeses_protocol::TraceContext;
use nemeses_runtime::metrics::encoding::text::encode;
use nemeses_runtime::traces::{Collector, Delivery, Limits, Ratio, SpanKind, Tracer, now_ns};
use nemeses_runtime::{Registry, Tasks};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as SentKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(20);

/// A collector that answers each export with the next of its answers, then with 200.
#[derive(Clone, Default)]
struct Receiver {
    exports: Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>,
    answers: Arc<Mutex<Vec<StatusCode>>>,
}

impl Receiver {
    async fn start(answers: &[u16]) -> (Self, String) {
        let receiver = Self::default();
        let codes = answers.iter().rev().map(|code| StatusCode::from_u16(*code).unwrap());
        receiver.answers.lock().unwrap().extend(codes);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/v1/traces", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (receiver, url)
    }

    fn spans(&self) -> usize {
        let of = |request: &ExportTraceServiceRequest| {
            let scopes = request.resource_spans.iter().flat_map(|spans| &spans.scope_spans);
            scopes.map(|scope| scope.spans.len()).sum::<usize>()
        };
        self.exports.lock().unwrap().iter().map(|(_, request)| of(request)).sum()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let answer = receiver.answers.lock().unwrap().pop().unwrap_or(StatusCode::OK);
    if answer == StatusCode::OK {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        receiver.exports.lock().unwrap().push((headers, request));
    }
    answer
}

fn tracing_to(url: &str) -> (Tracer, Delivery, Registry) {
    let mut registry = Registry::default();
    let collector = Collector::at(url).unwrap().with_headers("x-key=secret").unwrap();
    let resource = vec![("service.name", "nemeses-test".to_owned())];
    let all = Ratio::new(1.0).unwrap();
    let (tracer, delivery) = Tracer::new(all, collector, resource, &mut registry);
    let limits = Limits {
        gather: Duration::from_millis(5),
        retry: (Duration::from_millis(5), Duration::from_millis(20)),
        answer_within: SOON,
        give_up_after: 2 * SOON,
        flush_within: SOON,
    };
    (tracer, delivery.with_limits(limits), registry)
}

fn spans(tracer: &Tracer, count: usize) {
    for _ in 0..count {
        tracer.begin("publish", SpanKind::Server, None).unwrap().end();
    }
}

fn value_of(registry: &Registry, name: &str) -> u64 {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("not soon: {what}"));
}

fn value_at<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text(words: &str) -> Value {
    Value::StringValue(words.to_owned())
}

/// Two spans, delivered as the process ends.
async fn two_spans() -> (Receiver, TraceContext, u64) {
    let (receiver, url) = Receiver::start(&[]).await;
    let (tracer, delivery, registry) = tracing_to(&url);
    let asked = TraceContext { trace_id: [7; 16], span_id: [9; 8], sampled: true };
    let before_ns = now_ns();
    let root = tracer.begin("publish", SpanKind::Server, Some(asked)).unwrap();
    let below = root.context();
    let mut child = tracer.below(&below, "commit", SpanKind::Client, now_ns()).unwrap();
    child.set("nemeses.batch.rows", 12_usize);
    child.set("nemeses.device", "0A3F73".to_owned());
    child.fail("no");
    child.end();
    root.end();
    let stop = CancellationToken::new();
    stop.cancel();
    delivery.run(stop).await.unwrap();
    assert_eq!(value_of(&registry, "nemeses_traces_exported_total"), 2);
    (receiver, below, before_ns)
}

#[tokio::test]
async fn spans_are_read_by_the_official_types() {
    let (receiver, below, before_ns) = two_spans().await;
    let exports = receiver.exports.lock().unwrap();
    let (headers, request) = exports.first().unwrap();
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-key"], "secret");
    let resource = &request.resource_spans[0];
    let named = &resource.resource.as_ref().unwrap().attributes;
    assert_eq!(value_at(named, "service.name"), Some(&text("nemeses-test")));
    let [commit, publish] = &*resource.scope_spans[0].spans else { panic!("{request:?}") };
    assert_eq!((&*publish.name, publish.kind()), ("publish", SentKind::Server));
    assert_eq!((&*commit.name, commit.kind()), ("commit", SentKind::Client));
    assert_eq!((&*publish.trace_id, &*publish.parent_span_id), (&[7; 16][..], &[9; 8][..]));
    assert_eq!(publish.span_id, below.span_id);
    assert_eq!((&commit.trace_id, &commit.parent_span_id), (&publish.trace_id, &publish.span_id));
    assert!(publish.status.is_none());
    let status = commit.status.as_ref().unwrap();
    assert_eq!((status.code(), &*status.message), (SpanStatus::Error, "no"));
    assert_eq!(value_at(&commit.attributes, "nemeses.batch.rows"), Some(&Value::IntValue(12)));
    assert_eq!(value_at(&commit.attributes, "nemeses.device"), Some(&text("0A3F73")));
    let times = [
        before_ns,
        publish.start_time_unix_nano,
        commit.start_time_unix_nano,
        commit.end_time_unix_nano,
        publish.end_time_unix_nano,
    ];
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn a_collector_without_time_is_asked_again_and_one_that_refuses_is_not() {
    let (receiver, url) = Receiver::start(&[503, 429, 200, 400]).await;
    let (tracer, delivery, registry) = tracing_to(&url);
    let tasks = Tasks::new();
    spans(&tracer, 3);
    tasks.spawn_rest("traces", delivery.run(tasks.stop().all));
    until("taken at the third attempt", || receiver.spans() == 3).await;
    spans(&tracer, 1);
    let refused = "nemeses_traces_dropped_total{reason=\"refused\"}";
    until("refused", || value_of(&registry, refused) == 1).await;
    spans(&tracer, 1);
    until("taken again", || receiver.spans() == 4).await;
    tasks.run_until(async {}, SOON).await.unwrap();
    assert_eq!(value_of(&registry, "nemeses_traces_exported_total"), 4);
}

#[tokio::test]
async fn what_waits_is_delivered_at_the_end() {
    let (receiver, url) = Receiver::start(&[]).await;
    let (tracer, delivery, registry) = tracing_to(&url);
    spans(&tracer, 2000);
    let stop = CancellationToken::new();
    stop.cancel();
    delivery.run(stop).await.unwrap();
    assert_eq!(receiver.spans(), 2000);
    assert_eq!(value_of(&registry, "nemeses_traces_waiting"), 0);
}

/// A collector that takes connections and never answers: spans are given up, counted,
/// and the end comes in time.
#[tokio::test]
async fn a_hanging_collector_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tracer, delivery, registry) = tracing_to(&url);
    let limits = Limits {
        gather: Duration::from_millis(5),
        retry: (Duration::from_millis(5), Duration::from_millis(10)),
        answer_within: Duration::from_millis(20),
        give_up_after: Duration::from_millis(60),
        flush_within: Duration::from_millis(100),
    };
    let tasks = Tasks::new();
    tasks.spawn_rest("traces", delivery.with_limits(limits).run(tasks.stop().all));
    spans(&tracer, 5);
    let given_up = "nemeses_traces_dropped_total{reason=\"unreachable\"}";
    until("given up", || value_of(&registry, given_up) == 5).await;
    spans(&tracer, 700);
    tasks.run_until(async {}, SOON).await.unwrap();
    let stopped = value_of(&registry, "nemeses_traces_dropped_total{reason=\"stopped\"}");
    assert_eq!(stopped + value_of(&registry, given_up), 705);
    assert_eq!(value_of(&registry, "nemeses_traces_exported_total"), 0);
}

#[tokio::test]
async fn a_probe_is_an_export_without_spans() {
    let (_receiver, url) = Receiver::start(&[200, 404]).await;
    let collector = Collector::at(&url).unwrap();
    assert_eq!(collector.probe().await, Ok(()));
    assert!(collector.probe().await.unwrap_err().contains("404"));
}
