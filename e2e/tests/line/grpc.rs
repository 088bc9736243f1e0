//! gRPC: each call, what it may, what it refuses, over TLS, and at the end of the server.

use std::time::Duration;

use nemeses_api::grpc::v1::{
    Box as Rectangle, Event, GetChannelsRequest, GetLocationRequest, GetMeanRequest,
    GetSeriesRequest, Place, PublishRequest, Record, Source, StreamRequest, Value, event::What,
    value::Kind,
};
use nemeses_e2e::{
    Certificate, Grpc, Line, Port, Process, Ready, SOON, Shape, Spec, expect_log, nemeses_binary,
    wait_for,
};
use serde_json::json;
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const BOILER: &str = "id:boiler-3";
const TRACKER: &str = "0A3F73";

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

/// Events that tell something, until one does what is waited for.
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

/// Stored once, answered after the commit.
async fn published(calls: &mut Calls, now_ms: i64) {
    let ten = (0..10).map(|minute| {
        let at_ms = now_ms - 600_000 + minute * 60_000;
        #[expect(clippy::cast_precision_loss, reason = "below 10")]
        let value = number(20.0 + minute as f64);
        Record {
            units: [("temperature".to_owned(), "Cel".to_owned())].into(),
            ..record(BOILER, Some(at_ms), "temperature", value)
        }
    });
    let answer = calls.publish(publish(ten.clone().collect(), "")).await.unwrap().into_inner();
    assert_eq!((answer.stored, answer.duplicate, answer.rejected.len()), (10, 0, 0));
    let answer = calls.publish(publish(ten.collect(), "")).await.unwrap().into_inner();
    assert_eq!((answer.stored, answer.duplicate), (0, 10), "each has its time");

    // Without a time a key alone makes it the same request, however many ask at once.
    let timeless = || {
        publish(vec![record(BOILER, None, "door", Value { kind: Some(Kind::Flag(true)) })], "k-1")
    };
    let asked = (0..6).map(|_| {
        let mut calls = calls.clone();
        async move { calls.publish(timeless()).await.unwrap().into_inner() }
    });
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!((answer.stored, answer.duplicate), (1, 0));
    }
    let other = publish(vec![record(BOILER, None, "door", number(0.0))], "k-1");
    let refused = calls.publish(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert_eq!(refused.metadata().get("nemeses-problem").unwrap(), "key-reused");

    let place = Place {
        latitude: -19.932_833,
        longitude: 43.938_493,
        speed_kmh: Some(60.5),
        satellites: Some(7),
        ..Place::default()
    };
    let whole = Record { position: Some(place), time_ms: Some(now_ms), ..Record::default() };
    let request = PublishRequest { device_id: TRACKER.to_owned(), ..publish(vec![whole], "") };
    assert_eq!(calls.publish(request).await.unwrap().into_inner().stored, 1);

    // A part that cannot be stored is said, and the rest is stored.
    let bad = record(BOILER, Some(now_ms), "\n", number(1.0));
    let good = record(BOILER, Some(now_ms), "pulses", Value { kind: Some(Kind::Integer(7)) });
    let answer = calls.publish(publish(vec![bad, good], "")).await.unwrap().into_inner();
    assert_eq!((answer.stored, answer.rejected.len()), (1, 1), "{answer:?}");
}

/// What a device said last.
async fn newest(calls: &mut Calls, now_ms: i64) {
    let located = wait_for(SOON, "it is there", async || {
        let asked = GetLocationRequest { device_id: TRACKER.to_owned() };
        Ok(calls.clone().get_location(asked).await?.into_inner())
    })
    .await
    .unwrap();
    assert!(located.online && located.latitude == Some(-19.932_833), "{located:?}");
    assert_eq!(located.longitude, Some(43.938_493));

    let channels = wait_for(SOON, "all channels are there", async || {
        let asked = GetChannelsRequest { device_id: BOILER.to_owned(), channel: Vec::new() };
        let answer = calls.clone().get_channels(asked).await?.into_inner();
        anyhow::ensure!(answer.channels.len() == 3, "{answer:?}");
        Ok(answer)
    })
    .await
    .unwrap();
    let temperature =
        channels.channels.iter().find(|channel| channel.name == "temperature").unwrap();
    assert_eq!(temperature.value, Some(number(29.0)), "{temperature:?}");
    assert_eq!((temperature.unit.as_deref(), temperature.kind.as_str()), (Some("Cel"), "gauge"));
    assert_eq!(temperature.recorded_at_ms, Some(now_ms - 60_000));
    assert_ne!(temperature.value_from, i32::from(Source::Unspecified));
    let asked =
        GetChannelsRequest { device_id: BOILER.to_owned(), channel: vec!["door".to_owned()] };
    assert_eq!(calls.get_channels(asked).await.unwrap().into_inner().channels.len(), 1);
}

/// Values over time; returns questions that are good ones.
async fn over_time(calls: &mut Calls, now_ms: i64) -> (GetMeanRequest, GetSeriesRequest) {
    let mean = GetMeanRequest {
        device_id: BOILER.to_owned(),
        channel: "temperature".to_owned(),
        last_n: 4,
    };
    let answer = calls.get_mean(mean.clone()).await.unwrap().into_inner();
    assert_eq!((answer.mean, answer.count), (Some(27.5), 4), "{answer:?}");
    assert_eq!((answer.from_ms, answer.to_ms), (Some(now_ms - 240_000), Some(now_ms - 60_000)));
    let all = GetMeanRequest { last_n: 100_000, ..mean.clone() };
    assert_eq!(calls.get_mean(all).await.unwrap().into_inner().count, 10);

    let raw = GetSeriesRequest {
        device_id: vec![BOILER.to_owned()],
        channel: vec!["temperature".to_owned(), "pulses".to_owned()],
        step: "raw".to_owned(),
        ..GetSeriesRequest::default()
    };
    let series = calls.get_series(raw.clone()).await.unwrap().into_inner().series;
    assert_eq!(
        (series.len(), series[0].channel.as_str(), series[0].t.len()),
        (2, "temperature", 10)
    );
    assert_eq!(
        (series[0].columns[0].name.as_str(), &series[0].columns[0].values[9]),
        ("value", &number(29.0))
    );
    let agg = ["min", "max", "count"].map(str::to_owned).to_vec();
    let windows = GetSeriesRequest { step: "1d".to_owned(), agg, ..raw.clone() };
    let series = calls.get_series(windows).await.unwrap().into_inner().series;
    let column = |name: &str| {
        let column = series[0].columns.iter().find(|column| column.name == name).unwrap();
        let numbers = column.values.iter().filter_map(|value| match value.kind {
            Some(Kind::Number(number)) => Some(number),
            _ => None,
        });
        numbers.collect::<Vec<_>>()
    };
    assert!((column("count").iter().sum::<f64>() - 10.0).abs() < 1e-9, "{series:?}");
    assert!(column("max").contains(&29.0) && column("min").contains(&20.0), "{series:?}");
    (mean, raw)
}

/// A stream that goes on behind an event, of a part of what there is.
async fn resumed(calls: &mut Calls, id: String) {
    // Behind the event that the client had, and a part of the devices.
    let asked = StreamRequest {
        device_id: vec![BOILER.to_owned()],
        values: "only".to_owned(),
        channel: vec!["door".to_owned()],
        latest_id: id,
        ..StreamRequest::default()
    };
    let mut events = calls.stream(asked).await.unwrap().into_inner();
    calls.publish(publish(vec![record(BOILER, None, "door", number(3.0))], "")).await.unwrap();
    let (_, values) = until(&mut events, |what| match what {
        What::Values(values) if values.values.iter().any(|one| one.value == Some(number(3.0))) => {
            Some(values.clone())
        }
        What::Position(position) => panic!("{position:?}"),
        _ => None,
    })
    .await;
    assert_eq!((values.device_id.as_str(), values.values[0].channel.as_str()), (BOILER, "door"));
}

fn code<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status.message().to_owned())
}

type Calls = nemeses_api::grpc::v1::telemetry_client::TelemetryClient<Grpc>;

/// Asked wrongly.
async fn refusals(
    grpc: &Grpc,
    calls: &mut Calls,
    (mean, raw): (&GetMeanRequest, &GetSeriesRequest),
) {
    for (device_id, expected) in [
        ("", Code::InvalidArgument),
        ("web1", Code::InvalidArgument),
        ("id:nobody", Code::NotFound),
        ("0A3F99", Code::NotFound),
    ] {
        let device_id = device_id.to_owned();
        let (found, why) = code(calls.get_location(GetLocationRequest { device_id }).await);
        assert_eq!(found, expected, "{why}");
        assert!(why.contains("device_id: "), "{why}");
    }
    for (bad, name) in [
        (GetMeanRequest { last_n: 0, ..mean.clone() }, "last_n"),
        (GetMeanRequest { channel: String::new(), ..mean.clone() }, "channel"),
        (GetMeanRequest { channel: "nothing".to_owned(), ..mean.clone() }, "channel"),
        (GetMeanRequest { channel: "temperature,pulses".to_owned(), ..mean.clone() }, "channel"),
    ] {
        let (found, why) = code(calls.get_mean(bad).await);
        assert_eq!(found, Code::InvalidArgument, "{why}");
        assert!(why.starts_with(name), "{why}");
    }
    for (bad, name) in [
        (GetSeriesRequest { step: "often".to_owned(), ..raw.clone() }, "step"),
        (GetSeriesRequest { group: Some(7), ..raw.clone() }, "group"),
        (GetSeriesRequest { from_s: Some(9), to_s: Some(8), ..raw.clone() }, "from"),
    ] {
        let (found, why) = code(calls.get_series(bad).await);
        assert_eq!(found, Code::InvalidArgument, "{why}");
        assert!(why.starts_with(name), "{why}");
    }
    let bbox = Some(Rectangle { west: -181.0, ..Rectangle::default() });
    let (found, why) = code(calls.stream(StreamRequest { bbox, ..StreamRequest::default() }).await);
    assert_eq!(found, Code::InvalidArgument, "{why}");
    let (found, why) = code(calls.publish(publish(Vec::new(), "")).await);
    assert_eq!((found, why.as_str()), (Code::InvalidArgument, "records: There are none."));
    let long = Value { kind: Some(Kind::Text("x".repeat(300 * 1024))) };
    let (found, why) =
        code(calls.publish(publish(vec![record(BOILER, None, "x", long)], "")).await);
    assert!([Code::OutOfRange, Code::ResourceExhausted].contains(&found), "{found:?} {why}");
    let (found, why) =
        code(calls.publish(publish(vec![record(BOILER, None, "x", number(1.0))], "\n")).await);
    assert_eq!(found, Code::InvalidArgument, "{why}");

    let asked = || GetLocationRequest { device_id: TRACKER.to_owned() };
    assert_eq!(code(grpc.telemetry().get_location(asked()).await).0, Code::Unauthenticated);
    let wrong = grpc.with_token("eyJhbGciOiJIUzI1NiJ9.e30.x");
    assert_eq!(code(wrong.telemetry().get_location(asked()).await).0, Code::Unauthenticated);

    // The deadline of a call that has no end.
    let mut request = Request::new(StreamRequest::default());
    request.set_timeout(Duration::from_millis(200));
    let mut events = calls.stream(request).await.unwrap().into_inner();
    let over = loop {
        match events.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(over.code(), Code::DeadlineExceeded, "{over:?}");
    let mut request = Request::new(asked());
    request.metadata_mut().insert("grpc-timeout", "0n".parse().unwrap());
    assert_eq!(code(calls.get_location(request).await).0, Code::DeadlineExceeded);
}

/// A token is for what its scopes say, of its devices alone.
#[tokio::test]
async fn rights_are_those_of_the_rest_api() {
    let (line, grpc, _port) = served(Shape::Embedded).await;
    let user = line.user().await.unwrap();
    let mut admin = grpc.with_token(user.token()).telemetry();
    let records =
        vec![record(BOILER, None, "x", number(1.0)), record("id:other", None, "x", number(1.0))];
    assert_eq!(admin.publish(publish(records, "")).await.unwrap().into_inner().stored, 2);

    let scoped = async |scopes: &[&str]| {
        let body = json!({ "name": "grpc", "device_ids": [BOILER], "scopes": scopes });
        let (status, answer) = user.post("/api/v1/tokens", &body).await.unwrap();
        assert!(status.is_success(), "{answer}");
        grpc.with_token(answer["token"].as_str().unwrap()).telemetry()
    };
    let channels = |device_id: &str| GetChannelsRequest {
        device_id: device_id.to_owned(),
        channel: Vec::new(),
    };
    let mean = |device_id: &str| GetMeanRequest {
        device_id: device_id.to_owned(),
        channel: "x".to_owned(),
        last_n: 1,
    };
    let series = |device_id: &str| GetSeriesRequest {
        device_id: vec![device_id.to_owned()],
        channel: vec!["x".to_owned()],
        ..GetSeriesRequest::default()
    };
    let stream = |device_id: &str| StreamRequest {
        device_id: vec![device_id.to_owned()],
        ..StreamRequest::default()
    };
    let send = |device_id: &str| publish(vec![record(device_id, None, "x", number(2.0))], "");

    let mut read = scoped(&["read"]).await;
    assert_eq!(read.get_channels(channels(BOILER)).await.unwrap().into_inner().channels.len(), 1);
    assert_eq!(read.get_mean(mean(BOILER)).await.unwrap().into_inner().mean, Some(1.0));
    assert_eq!(read.get_series(series(BOILER)).await.unwrap().into_inner().series.len(), 1);
    assert_eq!(code(read.get_channels(channels("id:other")).await).0, Code::NotFound);
    assert_eq!(code(read.get_mean(mean("id:other")).await).0, Code::NotFound);
    assert_eq!(code(read.get_series(series("id:other")).await).0, Code::NotFound);
    assert_eq!(code(read.stream(stream(BOILER)).await).0, Code::PermissionDenied);
    assert_eq!(code(read.publish(send(BOILER)).await).0, Code::PermissionDenied);

    let mut follows = scoped(&["stream"]).await;
    assert_eq!(code(follows.get_channels(channels(BOILER)).await).0, Code::PermissionDenied);
    assert_eq!(code(follows.get_mean(mean(BOILER)).await).0, Code::PermissionDenied);
    assert_eq!(code(follows.stream(stream("id:other")).await).0, Code::NotFound);
    let mut events = follows.stream(StreamRequest::default()).await.unwrap().into_inner();

    let mut writes = scoped(&["write"]).await;
    assert_eq!(writes.publish(send(BOILER)).await.unwrap().into_inner().stored, 1);
    let refused = writes.publish(send("id:other")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let whole = PublishRequest { device_id: "id:other".to_owned(), ..send("") };
    assert_eq!(code(writes.publish(whole).await).0, Code::NotFound);
    assert_eq!(code(writes.get_mean(mean(BOILER)).await).0, Code::PermissionDenied);

    // The stream has its device alone.
    admin.publish(send("id:other")).await.unwrap();
    admin.publish(publish(vec![record(BOILER, None, "x", number(7.0))], "")).await.unwrap();
    let (_, values) = until(&mut events, |what| match what {
        What::Values(values) if values.values.iter().any(|one| one.value == Some(number(7.0))) => {
            Some(values.clone())
        }
        What::Values(values) => {
            assert_eq!(values.device_id, BOILER);
            None
        }
        _ => None,
    })
    .await;
    assert_eq!(values.device_id, BOILER);

    open_and_signed_in(&grpc, user.token()).await;

    // What is asked is counted under its path.
    let metrics = reqwest::get(line.node.as_ref().unwrap().metrics_url()).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for counted in [
        "nemeses_api_requests_total{path=\"/nemeses.v1.Telemetry/GetMean\",status=\"2xx\"} 1",
        "nemeses_api_requests_total{path=\"/nemeses.v1.Telemetry/GetMean\",status=\"4xx\"} 3",
        "nemeses_api_requests_total{path=\"/grpc.health.v1.Health/Check\",status=\"2xx\"} 1",
    ] {
        assert!(metrics.contains(counted), "{counted} in {metrics}");
    }
}

/// Health is for everybody; calls that stay open are for those who signed in.
async fn open_and_signed_in(grpc: &Grpc, token: &str) {
    let check = || HealthCheckRequest { service: String::new() };
    let mut health = HealthClient::with_origin(grpc.clone(), grpc.origin());
    assert_eq!(health.check(check()).await.unwrap().into_inner().status, 1);
    let unknown = HealthCheckRequest { service: "nobody".to_owned() };
    assert_eq!(code(health.check(unknown).await).0, Code::NotFound);
    assert_eq!(code(health.watch(check()).await).0, Code::Unauthenticated);
    let mut reflection = ServerReflectionClient::with_origin(grpc.clone(), grpc.origin());
    let list = || {
        let message_request = Some(MessageRequest::ListServices(String::new()));
        futures_util::stream::iter([ServerReflectionRequest {
            host: String::new(),
            message_request,
        }])
    };
    assert_eq!(code(reflection.server_reflection_info(list()).await).0, Code::Unauthenticated);
    let signed = grpc.with_token(token);
    let mut reflection = ServerReflectionClient::with_origin(signed, grpc.origin());
    let mut answers = reflection.server_reflection_info(list()).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let mut names: Vec<&str> = listed.service.iter().map(|service| service.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "nemeses.v1.Telemetry"]
    );
}

/// Streams end with a status that says to come again, and behind the last event nothing is lost.
#[tokio::test]
async fn a_node_that_stops_says_so() {
    let (mut line, grpc, port) = served(Shape::Embedded).await;
    let user = line.user().await.unwrap();
    let mut calls = grpc.with_token(user.token()).telemetry();
    let mut events = calls.stream(StreamRequest::default()).await.unwrap().into_inner();
    until(&mut events, |what| matches!(what, What::Hello(_)).then_some(())).await;
    line.node.as_mut().unwrap().stop(SOON).await.unwrap();
    let ended = loop {
        match events.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
    assert!(ended.message().contains("stops"), "{ended:?}");
    line.node.as_mut().unwrap().start_again().await.unwrap();
    let grpc = Grpc::connect(port.address()).await.unwrap();
    let mut calls = grpc.with_token(user.token()).telemetry();
    calls.publish(publish(vec![record(BOILER, None, "x", number(1.0))], "k")).await.unwrap();
    line.audit().await.unwrap();
}

/// One certificate for the page and for gRPC.
#[tokio::test]
async fn with_the_certificate_of_the_rest_api() {
    let (folder, certificate) = (tempfile::tempdir().unwrap(), Certificate::new().unwrap());
    let ports = [(); 4].map(|()| Port::free().unwrap());
    let [mqtt, http, admin, calls] = &ports;
    let ready = Ready::HttpOk(format!("http://{}/readyz", admin.address()));
    let key = certificate.cert().replace("cert.pem", "key.pem");
    let spec = Spec::new("node", nemeses_binary().unwrap(), folder.path(), ready)
        .args(["up".as_ref(), "--data-dir".as_ref(), folder.path().join("data").as_os_str()])
        .args(["--mqtt-listen", &mqtt.address().to_string()])
        .args(["--http-listen", &http.address().to_string()])
        .args(["--admin-listen", &admin.address().to_string()])
        .args(["--grpc-listen", &calls.address().to_string()])
        .args(["--http-tls-cert", &certificate.cert(), "--http-tls-key", &key]);
    let _node = Process::start(Spec { is_ours: true, ..spec }).await.unwrap();
    let grpc = Grpc::connect_tls(calls.address(), &certificate).await.unwrap();
    let mut health = HealthClient::with_origin(grpc.clone(), grpc.origin());
    let check = HealthCheckRequest { service: "nemeses.v1.Telemetry".to_owned() };
    assert_eq!(health.check(check).await.unwrap().into_inner().status, 1);
    let asked = GetLocationRequest { device_id: TRACKER.to_owned() };
    assert_eq!(code(grpc.telemetry().get_location(asked).await).0, Code::Unauthenticated);
    // Not without TLS.
    let plain = Grpc::connect(calls.address()).await.unwrap();
    let mut health = HealthClient::with_origin(plain.clone(), plain.origin());
    let check = HealthCheckRequest { service: String::new() };
    health.check(check).await.unwrap_err();
    let other = Certificate::new().unwrap();
    Grpc::connect_tls(calls.address(), &other).await.unwrap_err();
}
