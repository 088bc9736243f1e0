//! Series of several devices and channels, of positions, as files, and their statistics.

use nemeses_protocol::{
    BatchKey, DeviceId, Identity, Reading, ReadingsRecord, Record, Value as Measured, readings_hash,
};
use nemeses_store::history::{Part, Profile};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, RECORDED, record};
use crate::site::{Site, text};

const ONE: DeviceId = DeviceId::new(0x0A_3F73);
const TWO: DeviceId = DeviceId::new(0x0A_3F74);
const HIDDEN: DeviceId = DeviceId::new(0x0A_3F75);
/// The hour that all values are of.
const HOUR: &str = "from=2020-07-01T21:00:00Z&to=2020-07-01T21:59:59Z";

fn readings(device: DeviceId, minute: u32, values: &[(&str, Measured)]) -> Record {
    let at_ms = u64::from(RECORDED + minute * 60) * 1000;
    let reading = |(channel, value): &(&str, Measured)| Reading {
        channel: (*channel).into(),
        unit: (*channel == "fuel").then(|| "L".into()),
        value: value.clone(),
    };
    let readings: Vec<Reading> = values.iter().map(reading).collect();
    Record::Readings(Box::new(ReadingsRecord {
        identity: Identity::Number(device),
        recorded_at_ms: at_ms,
        timeless: false,
        content_hash: readings_hash(&readings),
        received_at_ms: at_ms,
        position: None,
        readings,
    }))
}

/// Fuel that falls by a litre a minute from 100 or from 50, and positions of the first device.
async fn site() -> (Site, String) {
    let site = Site::start().await;
    let mut records = Vec::new();
    for minute in 0..40 {
        let level = f64::from(100 - minute);
        let door = ("door{side=left,row=1}", Measured::Flag(minute % 2 == 0));
        let fuel = |share: f64| ("fuel", Measured::Number(level * share));
        records.push(readings(ONE, minute, &[door, fuel(1.0)]));
        records.push(readings(TWO, minute, &[fuel(0.5)]));
        records.push(readings(HIDDEN, minute, &[fuel(2.0)]));
        let mut position = record(RECORDED + minute * 60, minute.into());
        position.position.speed_kmh = u8::try_from(minute).unwrap();
        position.position.odometer_m = 1000 + minute * 100;
        records.push(Record::Position(position));
    }
    let key = BatchKey { worker: "test".to_owned(), run: 1, sequence: 1 };
    let part = Part { key, tallies: Vec::new(), records };
    site.database.history().commit(&[part], "test").await.unwrap();
    let group = site.database.groups().add("North", 0).await.unwrap();
    assert_eq!(group, 1);
    for device in [ONE, TWO] {
        site.database.groups().put(1, device, 0).await.unwrap();
        let profile = Profile { tags: vec!["cold".to_owned()], ..Profile::new(device, 0) };
        site.database.devices().put(&profile).await.unwrap();
    }
    let viewer = site.database.users().by_email("viewer@b.c").await.unwrap().unwrap().id;
    for device in [ONE, TWO] {
        site.database.users().grant(viewer, device, 1).await.unwrap();
    }
    let viewer = site.token("viewer").await;
    (site, viewer)
}

async fn series(site: &Site, token: &str, query: &str) -> Answer {
    site.one.get_as(token, &format!("/api/v1/series?{query}")).await
}

#[tokio::test]
async fn several_devices_and_channels_in_one_answer() {
    let (site, viewer) = site().await;
    let get = async |query: &str| series(&site, &viewer, &format!("{query}&{HOUR}")).await.ok();
    let both = get("device_id=0A3F74,0A3F73&channel=fuel,door{side=left,row=1}&step=1h").await;
    assert_eq!(both["count"], 3);
    let shown: Vec<[&Value; 4]> = (both["series"].as_array().unwrap().iter())
        .map(|one| [&one["device_id"], &one["channel"], &one["unit"], &one["values"]["mean"]])
        .collect();
    assert_eq!(
        json!(shown),
        json!([
            ["0A3F73", "fuel", "L", [80.5]],
            ["0A3F73", "door{side=left,row=1}", null, null],
            ["0A3F74", "fuel", "L", [40.25]],
        ])
    );
    assert_eq!(both["series"][1]["values"], json!({"last": [false]}));
    let by_tag = get("tag=Cold&channel=fuel&step=1h").await;
    assert_eq!(by_tag["count"], 2);
    // One device and one channel are the series itself, also where its name has a comma.
    let one = get("device_id=0A3F73&channel=door{side=left,row=1}&step=raw").await;
    assert_eq!((&one["count"], &one["values"]["value"][1]), (&json!(40), &json!(false)));
}

#[tokio::test]
async fn positions_are_channels_too() {
    let (site, viewer) = site().await;
    let get = async |query: &str| series(&site, &viewer, &format!("{query}&{HOUR}")).await.ok();
    let speed = get("device_id=0A3F73&channel=position.speed_kmh&step=10m&agg=max").await;
    assert_eq!(
        (&speed["values"]["max"], &speed["unit"], &speed["kind"]),
        (&json!([9, 19, 29, 39, null, null]), &json!("km/h"), &json!("gauge"))
    );
    let query = "device_id=0A3F73&channel=position.odometer_m,fuel&step=30m&agg=delta&gaps=false";
    let both = get(query).await;
    assert_eq!(both["series"][0]["values"]["delta"], json!([2900, 1000]));
    assert_eq!(both["series"][1]["values"]["delta"], json!([-29, -10]));
    let refused = series(&site, &viewer, "device_id=0A3F73&channel=position.speed").await;
    refused.is_problem(400, "invalid-parameter", Some("channel"));
    assert!(refused.text.contains("position.odometer_m"), "{refused:?}");
}

#[tokio::test]
async fn the_newest_values_and_points_to_draw() {
    let (site, viewer) = site().await;
    let last =
        series(&site, &viewer, "device_id=0A3F73&channel=fuel&last_n=3&to=2020-07-01T22:00:00Z");
    let last = last.await.ok();
    assert_eq!(last["values"]["value"], json!([63, 62, 61]));
    assert_eq!(last["t"][2], json!(u64::from(RECORDED + 39 * 60) * 1000));
    let get = async |query: &str| series(&site, &viewer, &format!("{query}&{HOUR}")).await.ok();
    let drawn = get("device_id=0A3F73&channel=fuel&points=4").await;
    let points = drawn["values"]["value"].as_array().unwrap();
    assert!(points.len() <= 4 && points[0] == 100 && points[points.len() - 1] == 61, "{drawn}");
    let gaps = get("device_id=0A3F73&channel=fuel&points=100&longest_gap=30s").await;
    assert_eq!(gaps["values"]["value"][1], Value::Null);
    let sparse = get("device_id=0A3F73&channel=fuel&step=30s&agg=mean&gaps=false").await;
    assert_eq!(sparse["count"], 40);
}

#[tokio::test]
async fn series_as_files() {
    let (site, _) = site().await;
    let operator = site.token("operator").await;
    let get = async |form: &str| {
        let whose = "group=1&channel=fuel&step=30m&agg=min,max&tz=-03:00";
        series(&site, &operator, &format!("{whose}&{HOUR}&format={form}")).await
    };
    let csv = get("csv").await;
    let lines: Vec<&str> = csv.text.lines().collect();
    assert_eq!(lines[0], "device_id,channel,unit,time,aggregate,value,text");
    assert_eq!(lines[1], "0A3F73,fuel,L,2020-07-01T18:00:00-03:00,max,100,");
    assert_eq!(lines.len(), 1 + 2 * 2 * 2);
    let file = csv.headers["content-disposition"].to_str().unwrap();
    assert!(file.contains("series-group-1.csv"), "{file}");
    let first: Value =
        serde_json::from_str(get("ndjson").await.text.lines().next().unwrap()).unwrap();
    assert_eq!((&first["value"], &first["aggregate"]), (&json!(100), &json!("max")));
    assert!(get("parquet").await.text.starts_with("PAR1"));
    get("gpx").await.is_problem(400, "invalid-parameter", Some("format"));
}

#[tokio::test]
async fn statistics_of_series() {
    let (site, viewer) = site().await;
    let path =
        format!("/api/v1/series/statistics?tag=cold&channel=fuel&step=1m&by=greatest_fall&{HOUR}");
    let found = site.one.get_as(&viewer, &path).await.ok();
    let one = &found["series"][0];
    assert_eq!((&one["mean"], &one["change"]), (&json!(80.5), &json!(-39.0)));
    assert_eq!(one["greatest_drawdown"]["share"], json!(0.39));
    assert_eq!(one["greatest_fall"]["peak_at"], "2020-07-01T21:00:00Z");
    assert_eq!(found["top"], json!({"by": "greatest_fall", "places": [0, 1]}));
    let alike = found["correlations"]["matrix"][0][1].as_f64().unwrap();
    assert!((alike - 1.0).abs() < 1e-9, "{found}");
    assert_eq!(found["combined"], json!([]));

    // 100 and 50 litres at first, 61 and 30.5 at last.
    for (by, mean, change) in [("sum", 120.75, -58.5), ("mean", 60.375, -29.25)] {
        let path = format!("{path}&combine={by}");
        let found = site.one.get_as(&viewer, &path).await.ok();
        let all = &found["combined"][0];
        assert_eq!((&all["mean"], &all["change"]), (&json!(mean), &json!(change)), "{all}");
        assert_eq!((&all["devices"], &all["count"]), (&json!(2), &json!(40)));
        assert_eq!((&all["channel"], &all["unit"]), (&json!("fuel"), &json!("L")));
    }
}

#[tokio::test]
async fn a_channel_is_described_and_another_computed_from_it() {
    let (site, viewer) = site().await;
    let operator = site.token("operator").await;
    let send = async |method: Method, channel: &str, body: Value| {
        let path = format!("/api/v1/devices/0A3F73/channels/{channel}");
        site.one.send_as(&operator, method, &path, &body).await
    };
    let said = json!({"label": "Tank", "decimals": 1, "kind": "total"});
    let fuel = send(Method::PATCH, "fuel", said).await.ok();
    assert_eq!(
        (&fuel["label"], &fuel["kind"], &fuel["source"]),
        (&json!("Tank"), &json!("total"), &Value::Null)
    );
    let wish = json!({
        "source": "fuel", "unit": "%", "calibration": {"table": [[0, 0], [80, 100]]},
    });
    assert_eq!(send(Method::PUT, "level%2Fpercent", wish.clone()).await.status, 201);
    assert_eq!(send(Method::PUT, "level%2Fpercent", wish.clone()).await.status, 200);
    let level = format!("device_id=0A3F73&channel=level/percent,fuel&step=raw&{HOUR}");
    let level = series(&site, &viewer, &level).await.ok();
    assert_eq!(level["series"][0]["values"]["value"][39], json!(76.25));
    assert_eq!(level["series"][1]["values"]["value"][39], 61, "the raw value stays");
    assert_eq!(
        (&level["series"][1]["label"], &level["series"][1]["decimals"]),
        (&json!("Tank"), &json!(1))
    );
    let path = "/api/v1/devices/0A3F73/channels";
    let list = site.one.get_as(&viewer, path).await.ok();
    let derived = list["channels"].as_array().unwrap().last().unwrap();
    assert_eq!((&derived["name"], &derived["value"]), (&json!("level/percent"), &json!(76.25)));
    assert_eq!(derived["calibration"]["table"][1], json!([80.0, 100.0]));

    send(Method::PUT, "fuel", wish.clone()).await.is_problem(409, "name-taken", Some("channel"));
    let no_source = json!({"source": "oil", "calibration": {"linear": {"factor": 1, "offset": 0}}});
    send(Method::PUT, "oil_l", no_source).await.is_problem(422, "invalid-field", Some("source"));
    send(Method::PATCH, "oil", json!({})).await.is_problem(404, "unknown-id", Some("channel"));
    send(Method::PATCH, "fuel", json!({"decimals": 16})).await.is_problem(
        422,
        "invalid-field",
        Some("decimals"),
    );
    send(Method::DELETE, "fuel", json!({})).await.is_problem(404, "unknown-id", Some("channel"));
    assert_eq!(send(Method::DELETE, "level%2Fpercent", json!({})).await.status, 204);
    let path = "/api/v1/devices/0A3F73/channels/fuel";
    let refused = site.one.send_as(&viewer, Method::PATCH, path, &json!({"decimals": 1})).await;
    refused.is_problem(403, "forbidden", None);
}

#[tokio::test]
async fn nobody_reads_more_than_he_may() {
    let (site, viewer) = site().await;
    for query in ["device_id=0A3F75&channel=fuel", "device_id=0A3F73,0A3F75&channel=fuel"] {
        series(&site, &viewer, query).await.is_problem(404, "unknown-device", Some("device_id"));
    }
    series(&site, &viewer, "group=1&channel=fuel").await.is_problem(
        404,
        "unknown-group",
        Some("group"),
    );
    let admin = site.token("admin").await;
    let all = series(&site, &admin, &format!("tag=cold&channel=fuel&{HOUR}")).await.ok();
    assert_eq!(all["count"], 2);
    // A link that shows the past from a moment on shows nothing before it.
    let body = json!({
        "name": "l", "device_ids": ["0A3F73"], "history_from": "2020-07-01T21:30:00Z",
    });
    let link = site.one.send_as(&viewer, Method::POST, "/api/v1/shares", &body).await;
    let link: Value = serde_json::from_str(&link.text).unwrap();
    let secret = link["url"].as_str().unwrap().strip_prefix("/#share=").unwrap();
    let opened = site.one.post("/share/open", &json!({"token": secret})).await.ok();
    let token = text(&opened, "token");
    let query = format!("device_id=0A3F73&channel=fuel&step=raw&{HOUR}");
    assert_eq!(series(&site, &token, &query).await.ok()["values"]["value"][0], 70);
    let too_many =
        "device_id=0A3F73&channel=fuel&step=1s&from=2020-07-01T00:00:00Z&to=2020-07-01T05:00:00Z";
    series(&site, &viewer, too_many).await.is_problem(400, "invalid-parameter", Some("step"));
}
