//! The newest values of channels: as they come, to whom they may come, and beside what history
//! has.

use std::time::Duration;

use nemeses_api::ApiConfig;
use nemeses_protocol::{
    BatchKey, DeviceId, Identity, Reading, ReadingsRecord, Record, Value as Measured, readings_hash,
};
use nemeses_store::history::{Part, Role};
use nemeses_store::live::{LiveEntry, LiveStore as _};
use serde_json::{Value, json};

use super::client::Socket;
use super::{OTHER, Site, TTL_MS, VIEWER, flood};
use crate::harness::{DEVICE, NOW_MS};

/// What a device said so many milliseconds before now.
fn said(device: DeviceId, ago_ms: u64, values: &[(&str, Measured)]) -> ReadingsRecord {
    let readings: Vec<Reading> = values
        .iter()
        .map(|(name, value)| Reading {
            channel: (*name).into(),
            unit: (*name == "t").then(|| "Cel".into()),
            value: value.clone(),
        })
        .collect();
    ReadingsRecord {
        identity: Identity::Number(device),
        recorded_at_ms: NOW_MS - ago_ms,
        timeless: false,
        content_hash: readings_hash(&readings),
        received_at_ms: NOW_MS,
        position: None,
        readings,
    }
}

fn number(value: f64) -> Measured {
    Measured::Number(value)
}

impl Site {
    async fn says(&self, device: DeviceId, ago_ms: u64, values: &[(&str, Measured)]) {
        let entry = LiveEntry::from_readings(device, &said(device, ago_ms, values));
        self.live.merge(&[entry], NOW_MS).await.unwrap();
    }
}

impl Site {
    async fn commits(&self, sequence: u64, record: ReadingsRecord) {
        let part = Part {
            key: BatchKey { worker: "w".into(), run: 1, sequence },
            tallies: Vec::new(),
            records: vec![Record::Readings(Box::new(record))],
        };
        self.database.history().commit(&[part], "x").await.unwrap();
    }
}

/// The device and what it says.
fn told(event: &Value) -> (String, Vec<(String, Value)>) {
    let values = event["values"].as_array().unwrap();
    let value =
        |value: &Value| (value["channel"].as_str().unwrap().to_owned(), value["value"].clone());
    (event["device_id"].as_str().unwrap().to_owned(), values.iter().map(value).collect())
}

fn expected(device: &str, values: &[(&str, Value)]) -> (String, Vec<(String, Value)>) {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    (device.to_owned(), values.collect())
}

#[tokio::test]
async fn values_come_as_they_are_new_and_stand_in_the_first_picture() {
    let site = Site::start().await;
    let (mut all, mut none) = (site.socket("").await, site.socket("values=false&").await);
    let mut some = site.socket("channels=door&").await;
    site.says(DEVICE, 9_000, &[("door", Measured::Flag(true)), ("t", number(21.5))]).await;
    let event = all.next_of("values").await;
    assert_eq!(told(&event), expected("0A3F73", &[("door", json!(true)), ("t", json!(21.5))]));
    let shown = &event["values"][1];
    assert_eq!(
        (&shown["unit"], &shown["recorded_at"]),
        (&json!("Cel"), &json!("2020-07-01T21:00:51Z"))
    );
    assert_eq!(told(&some.next_of("values").await), expected("0A3F73", &[("door", json!(true))]));
    // One is older than what is held, and one as it was.
    site.says(DEVICE, 9_500, &[("t", number(1.0)), ("u", number(3.0))]).await;
    assert_eq!(told(&all.next_of("values").await), expected("0A3F73", &[("u", json!(3.0))]));
    site.moves(DEVICE, 1).await;
    assert_eq!(none.next_of("status").await["status"], "online");
    assert_eq!(none.next().await["type"], "position", "no values between");
    let mut later = site.socket("snapshot=true&channels=u,t&").await;
    let standing = later.next_of("values").await;
    assert_eq!(told(&standing), expected("0A3F73", &[("t", json!(21.5)), ("u", json!(3.0))]));
    let mut only = site.socket("values=only&snapshot=true&").await;
    assert_eq!(only.next().await["type"], "hello");
    assert_eq!(told(&only.next().await).1.len(), 3);
    site.moves(DEVICE, 2).await;
    site.says(DEVICE, 0, &[("t", number(22.5))]).await;
    assert_eq!(told(&only.next().await), expected("0A3F73", &[("t", json!(22.5))]));
    let names = site.served.get("/api/v1/channels").await.ok();
    let listed = |name: &str, unit: Value| json!({"name": name, "unit": unit, "devices": 1});
    let expected =
        [listed("door", Value::Null), listed("t", json!("Cel")), listed("u", Value::Null)];
    assert_eq!(names, json!({"channels": expected, "count": 3}));
    // Who resumes gets those of then.
    let mut again = site.socket("past_ms=60000&").await;
    assert_eq!(told(&again.next_of("values").await).1.len(), 2);
    for (bad, name) in [("channels=a,,b", "channels"), ("values=1", "values")] {
        let answer = site.served.get(&format!("/api/v1/stream/?{bad}")).await;
        answer.is_problem(400, "invalid-parameter", Some(name));
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_gets_the_values_of_when_it_does() {
    let patient = Duration::from_secs(600);
    let config = ApiConfig { stream_stall: patient, write_stall: patient, ..ApiConfig::default() };
    let site = Site::start_with(config).await;
    let (mut slow, mut quick) = (site.socket("").await, site.socket("").await);
    flood(&site, 30, &mut quick).await;
    for (ago_ms, said) in [(2_000, 2.0), (1_000, 3.0)] {
        site.says(DEVICE, ago_ms, &[("t", number(said))]).await;
        let expected = expected("0A3F73", &[("t", json!(said))]);
        while told(&quick.next_of("values").await) != expected {}
    }
    slow.next_of("thinned").await;
    assert_eq!(told(&slow.next_of("values").await), expected("0A3F73", &[("t", json!(3.0))]));
}

#[tokio::test]
async fn a_viewer_gets_values_of_granted_devices_alone() {
    let site = Site::start().await;
    site.users.set_access(VIEWER, Role::Viewer, &[DEVICE]);
    let token = site.served.token_of(VIEWER);
    site.says(OTHER, 0, &[("t", number(1.0))]).await;
    let mut socket = Socket::open(&site.served, &token, "snapshot=true&").await;
    assert_eq!(socket.next().await["type"], "hello");
    site.says(OTHER, 0, &[("t", number(2.0))]).await;
    site.says(DEVICE, 0, &[("t", number(3.0))]).await;
    assert_eq!(told(&socket.next_of("values").await), expected("0A3F73", &[("t", json!(3.0))]));
}

#[tokio::test]
async fn channels_have_the_live_value_and_else_that_of_history() {
    let site = Site::start().await;
    let long = "x".repeat(300);
    let before =
        [("old", number(1.0)), ("t", number(20.0)), ("text", Measured::Text(long.as_str().into()))];
    let stored = said(DEVICE, 60_000, &before);
    site.commits(1, stored).await;
    site.says(DEVICE, 60_000, &before[2..]).await;
    site.says(DEVICE, 5_000, &[("t", number(21.0))]).await;
    let shown = async || {
        let answer = site.served.get("/api/v1/devices/0A3F73/channels").await.ok();
        let channels = answer["channels"].as_array().unwrap().clone();
        let of = |name: &str| {
            let channel = channels.iter().find(|channel| channel["name"] == name).unwrap();
            (channel["value"].clone(), channel["age_s"].clone(), channel["value_from"].clone())
        };
        ["old", "t", "text"].map(of)
    };
    let history = |value: Value| (value, json!(60), json!("history"));
    // A text that the live store has cut is whole in history.
    let now = (json!(21.0), json!(5), json!("live"));
    assert_eq!(shown().await, [history(json!(1.0)), now, history(json!(long))]);
    // What came past the live store, as from a file, is newer.
    let imported = said(DEVICE, 2_000, &[("t", number(19.0))]);
    site.commits(2, imported).await;
    assert_eq!(shown().await[1], (json!(19.0), json!(2), json!("history")));
    site.clock.set(NOW_MS + TTL_MS);
    let (value, age_s, from) = shown().await[1].clone();
    assert_eq!((value, age_s, from), (json!(19.0), json!(302), json!("history")));
}
