//! Requests that are refused, each with its status, and deadlines.

use std::time::Duration;

use nemeses_api::grpc::v1::{
    Box as Rectangle, GetLocationRequest, GetMeanRequest, GetSeriesRequest, StreamRequest, Value,
    value::Kind,
};
use nemeses_e2e::Grpc;
use tonic::{Code, Request};

use super::{BOILER, Calls, TRACKER, code, number, publish, record};

/// Wrong parameters, wrong tokens, and deadlines that are over.
pub(super) async fn refusals(
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
