//! What each call answers: publishing, the newest values, values over time, and a stream that is resumed.

use nemeses_api::grpc::v1::{
    GetChannelsRequest, GetLocationRequest, GetMeanRequest, GetSeriesRequest, Place,
    PublishRequest, Record, Source, StreamRequest, Value, event::What, value::Kind,
};
use nemeses_e2e::{SOON, wait_for};
use tonic::Code;

use super::{BOILER, Calls, TRACKER, number, publish, record, until};

/// Stored once, answered after the commit.
pub(super) async fn published(calls: &mut Calls, now_ms: i64) {
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
pub(super) async fn newest(calls: &mut Calls, now_ms: i64) {
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
pub(super) async fn over_time(
    calls: &mut Calls,
    now_ms: i64,
) -> (GetMeanRequest, GetSeriesRequest) {
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
pub(super) async fn resumed(calls: &mut Calls, id: String) {
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
