//! The listener: its streams when the server stops, and its certificate.

use nemeses_api::grpc::v1::{GetLocationRequest, StreamRequest, event::What};
use nemeses_e2e::{Certificate, Grpc, Port, Process, Ready, SOON, Shape, Spec, nemeses_binary};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{BOILER, TRACKER, code, number, publish, record, served, until};

/// Streams end with a status after which a client may retry, and the restarted node answers.
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
