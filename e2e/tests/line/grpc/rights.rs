//! Who may call: the scopes and devices of a token, and the calls that need none.

use nemeses_api::grpc::v1::{
    GetChannelsRequest, GetMeanRequest, GetSeriesRequest, PublishRequest, StreamRequest,
    event::What,
};
use nemeses_e2e::{Grpc, Shape};
use serde_json::json;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::{BOILER, code, number, publish, record, served, until};

/// A token has the rights of its scopes, for its own devices alone.
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

    // Calls are counted under their path.
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

/// Health needs no token; calls that stay open need one.
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
