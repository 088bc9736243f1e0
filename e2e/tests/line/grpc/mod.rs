//! gRPC in each shape: every call answers, publishes, streams and refuses as the REST API does.

mod calls;
mod listener;
mod refusals;
mod rights;

use nemeses_api::grpc::v1::telemetry_client::TelemetryClient;
use nemeses_api::grpc::v1::{
    Event, PublishRequest, Record, StreamRequest, Value, event::What, value::Kind,
};
use nemeses_e2e::{Grpc, Line, Port, SOON, Shape, expect_log};
use tonic::{Code, Status, Streaming};

use self::calls::{newest, over_time, published, resumed};
use self::refusals::refusals;

const BOILER: &str = "id:boiler-3";
const TRACKER: &str = "0A3F73";

type Calls = TelemetryClient<Grpc>;

#[tokio::test]
async fn embedded() {
    every_call(Shape::Embedded).await;
}

#[tokio::test]
async fn node_on_servers() {
    every_call(Shape::NodeOnServers).await;
}

#[tokio::test]
async fn stations() {
    every_call(Shape::Stations).await;
}

async fn served(shape: Shape) -> (Line, Grpc, Port) {
    let port = Port::free().unwrap();
    let args = ["--grpc-listen", &port.address().to_string()];
    let line = Line::start(shape, &args).await.unwrap();
    let grpc = Grpc::connect(port.address()).await.unwrap();
    (line, grpc, port)
}

fn number(number: f64) -> Value {
    Value { kind: Some(Kind::Number(number)) }
}

fn record(device_id: &str, time_ms: Option<i64>, channel: &str, value: Value) -> Record {
    let values = [(channel.to_owned(), value)].into();
    Record { device_id: device_id.to_owned(), time_ms, values, ..Record::default() }
}

fn publish(records: Vec<Record>, key: &str) -> PublishRequest {
    PublishRequest { records, idempotency_key: key.to_owned(), ..PublishRequest::default() }
}

fn code<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status.message().to_owned())
}

/// Reads events until `found` returns something; with the id of that event.
async fn until<T>(
    events: &mut Streaming<Event>,
    mut found: impl FnMut(&What) -> Option<T>,
) -> (String, T) {
    let searching = async {
        loop {
            let event = events.message().await.unwrap().expect("the stream goes on");
            if let Some(found) = event.what.as_ref().and_then(&mut found) {
                return (event.id, found);
            }
        }
    };
    tokio::time::timeout(SOON, searching).await.expect("the event comes")
}

async fn every_call(shape: Shape) {
    expect_log(&["bytes became dead letters"]);
    let (line, grpc, _port) = served(shape).await;
    let user = line.user().await.unwrap();
    let mut calls = grpc.with_token(user.token()).telemetry();
    let now_ms = i64::try_from(nemeses_runtime::Clock::system().now_ms()).unwrap();

    // The stream has what is published from here on.
    let asked = StreamRequest { snapshot: true, ..StreamRequest::default() };
    let mut events = calls.stream(asked).await.unwrap().into_inner();
    let (_, hello) = until(&mut events, |what| match what {
        What::Hello(hello) => Some(hello.clone()),
        _ => None,
    })
    .await;
    assert!(!hello.gap && hello.heartbeat_s == 4, "{hello:?}");

    published(&mut calls, now_ms).await;
    let (id, position) = until(&mut events, |what| match what {
        What::Position(position) => Some(position.clone()),
        _ => None,
    })
    .await;
    assert_eq!((position.device_id.as_str(), position.latitude), (TRACKER, Some(-19.932_833)));
    assert_eq!(
        (position.status.as_str(), position.recorded_at_ms),
        ("online", now_ms / 1000 * 1000)
    );
    assert!(!id.is_empty());
    drop(events);

    newest(&mut calls, now_ms).await;
    let (mean, raw) = over_time(&mut calls, now_ms).await;
    resumed(&mut calls, id).await;
    refusals(&grpc, &mut calls, (&mean, &raw)).await;
    line.audit().await.unwrap();
}
