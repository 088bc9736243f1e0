//! Where a device is, in every state of the two stores.

use std::time::Duration;

use nemeses_api::ApiConfig;
use nemeses_store::live::LiveEntry;
use serde_json::json;

use crate::harness::{Api, DEVICE, NOW_MS, RECORDED, record};

const PATH: &str = "/api/v1/location/?device_id=0A3F73";

#[tokio::test]
async fn online_as_the_founding_example_says() {
    let api = Api::start().await;
    api.live.put(LiveEntry::from_record(&record(RECORDED, 1)));
    // The live entry says all: history may be down, once the user is known.
    api.get("/api/v1/location/?device_id=FFFFFF").await.is_problem(
        404,
        "unknown-device",
        Some("device_id"),
    );
    api.history.switch.off();
    let expected = json!({
        "device_id": "0A3F73", "status": "online", "message": null,
        "recorded_at": "2020-07-01T21:00:00Z", "received_at": "2020-07-01T21:00:00.250Z",
        "seen_at": "2020-07-01T21:00:00.250Z", "age_s": 60,
        "latitude": -19.932_833, "longitude": -43.938_493,
        "position_recorded_at": "2020-07-01T21:00:00Z", "position_age_s": 60,
        "position_from": "live", "speed_kmh": 60, "direction_deg": 54.87, "ignition": true,
        "gps_fix": true, "odometer_m": 25_000_000, "hour_meter_min": 36_000,
    });
    for path in [PATH, "/api/v1/location?device_id=0a3f73"] {
        let answer = api.get(path).await;
        assert_eq!(answer.ok(), expected);
        assert!(answer.text.contains("\"latitude\":-19.932833,\"longitude\":-43.938493,"));
    }
}

#[tokio::test]
async fn only_pings_is_online_with_the_past() {
    let api = Api::start().await;
    api.live.put(LiveEntry::seen(DEVICE, NOW_MS));
    api.history.put([record(RECORDED - 3600, 1), record(RECORDED - 7200, 2)]);
    let answer = api.get(PATH).await.ok();
    assert_eq!(answer["status"], "online");
    assert_eq!(answer["seen_at"], "2020-07-01T21:01:00Z");
    assert_eq!(answer["position_recorded_at"], "2020-07-01T20:00:00Z");
    assert_eq!(answer["position_from"], "history");
    api.history.switch.off();
    api.get(PATH).await.is_problem(503, "history-unavailable", None);
}

#[tokio::test]
async fn without_a_fix_the_last_good_position_is_shown() {
    let api = Api::start().await;
    let mut blind = record(RECORDED, 1);
    blind.position.composition.0 = 0x2000;
    api.live.put(LiveEntry::from_record(&blind));
    api.history.put([record(RECORDED - 60, 2), blind]);
    let answer = api.get(PATH).await.ok();
    assert_eq!((&answer["status"], &answer["gps_fix"]), (&json!("online"), &json!(false)));
    assert_eq!(answer["recorded_at"], "2020-07-01T21:00:00Z");
    assert_eq!(answer["position_recorded_at"], "2020-07-01T20:59:00Z");
}

#[tokio::test]
async fn an_expired_entry_is_offline_with_the_past() {
    let api = Api::start().await;
    api.live.put(LiveEntry::from_record(&record(RECORDED, 1)));
    let mut blind = record(RECORDED + 10, 2);
    blind.position.composition.0 = 0;
    // A row of a device whose clock is wrong by years is not its newest.
    api.history.put([record(RECORDED, 1), blind, record(RECORDED + 40_000_000, 3)]);
    api.live.expire_all();
    let answer = api.get(PATH).await.ok();
    assert_eq!(answer["status"], "offline");
    assert!(answer["message"].as_str().unwrap().contains("last known position"));
    assert_eq!(answer["recorded_at"], "2020-07-01T21:00:10Z");
    assert_eq!(answer["position_recorded_at"], "2020-07-01T21:00:00Z");
    assert_eq!((&answer["latitude"], &answer["seen_at"]), (&json!(-19.932_833), &json!(null)));
    api.history.switch.off();
    api.get(PATH).await.is_problem(503, "history-unavailable", None);
}

#[tokio::test]
async fn known_without_any_row_is_offline_without_a_position() {
    let api = Api::start().await;
    api.history.know(DEVICE);
    let answer = api.get(PATH).await.ok();
    assert_eq!((&answer["status"], &answer["latitude"]), (&json!("offline"), &json!(null)));
}

#[tokio::test]
async fn a_stranger_is_not_found() {
    let api = Api::start().await;
    api.history.put([record(RECORDED, 1)]);
    let answer = api.get("/api/v1/location/?device_id=FFFFFF").await;
    answer.is_problem(404, "unknown-device", Some("device_id"));
}

#[tokio::test]
async fn a_live_store_that_is_down_or_silent_is_said_clearly() {
    let short = ApiConfig { store_timeout: Duration::from_millis(50), ..ApiConfig::default() };
    let api = Api::start_with(short).await;
    api.history.put([record(RECORDED, 1)]);
    api.live.switch.off();
    let answer = api.get(PATH).await;
    answer.is_problem(503, "live-unavailable", None);
    assert!(answer.text.contains("live store"), "{answer:?}");
    api.live.switch.on();
    api.live.switch.silence();
    api.get(PATH).await.is_problem(503, "live-unavailable", None);
    api.live.switch.on();
    assert_eq!(api.get(PATH).await.ok()["status"], "offline");
}

#[tokio::test]
async fn hostile_parameters_are_named() {
    let api = Api::start().await;
    for (query, name) in [
        ("", "device_id"),
        ("?device_id=", "device_id"),
        ("?device_id=671603x", "device_id"),
        ("?device_id=0A3F73%00", "device_id"),
        ("?device_id=0A3F73&device_id=0A3F74", "device_id"),
        ("?device=0A3F73&device_id=0A3F73", "device"),
    ] {
        let answer = api.get(&format!("/api/v1/location/{query}")).await;
        answer.is_problem(400, "invalid-parameter", Some(name));
    }
}
