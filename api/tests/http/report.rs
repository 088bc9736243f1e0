//! Reports: both orders, both forms, page by page and all at once.

use nemeses_protocol::PositionRecord;
use nemeses_store::live::LiveEntry;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, DEVICE, NOW_MS, RECORDED, record};

const ROWS: u32 = 10_500;

/// Rows every second, three in the same second now and then, in no order.
fn rows() -> Vec<PositionRecord> {
    (0..ROWS)
        .rev()
        .map(|n| {
            let second = if n % 100 < 3 { n - n % 100 } else { n };
            let mut row = record(RECORDED + second, u64::MAX / 2 + u64::from(n));
            row.position.odometer_m = n;
            row
        })
        .collect()
}

async fn filled() -> Api {
    let api = Api::start().await;
    api.history.put(rows());
    api
}

fn odometers(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["odometer_m"].as_u64().unwrap()).collect()
}

fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/x-ndjson"));
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_row_has_every_field_exactly() {
    let api = Api::start().await;
    let mut historical = record(RECORDED, 1);
    historical.position.composition.0 = 0x7800;
    api.history.put([historical]);
    for path in ["/api/v1/report/?device_id=0A3F73", "/api/v1/report?device_id=0a3f73"] {
        let answer = api.get(path).await.ok();
        let row = json!({
            "device_id": "0A3F73", "recorded_at": "2020-07-01T21:00:00Z",
            "received_at": "2020-07-01T21:00:00.250Z", "latitude": -19.932_833,
            "longitude": -43.938_493, "speed_kmh": 60, "direction_deg": 54.87,
            "odometer_m": 25_000_000, "hour_meter_min": 36_000, "ignition": true,
            "gps_fix": false, "historical": true,
        });
        let expected = json!({
            "device_id": "0A3F73", "from": "1970-01-01T00:00:00Z", "to": "2106-02-07T06:28:15Z",
            "order": "asc", "rows": [row], "count": 1, "next_cursor": null,
        });
        assert_eq!(answer, expected);
    }
}

#[tokio::test]
async fn pages_of_any_size_make_the_whole_in_both_orders() {
    let api = filled().await;
    for (order, limit) in
        [("asc", 1000), ("asc", 1777), ("desc", 1000), ("desc", 333), ("desc", 2500)]
    {
        let base = format!("/api/v1/report/?device_id=0A3F73&order={order}");
        let whole = api.get(&format!("{base}&limit=100000")).await.ok();
        let whole = whole["rows"].as_array().unwrap();
        let mut expected: Vec<u64> = (0..u64::from(ROWS)).collect();
        if order == "desc" {
            expected.reverse();
        }
        assert_eq!(odometers(whole), expected);

        let mut paged: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = api.get(&format!("{base}&limit={limit}&cursor={cursor}")).await.ok();
            let rows = page["rows"].as_array().unwrap();
            assert_eq!(page["count"], rows.len());
            paged.extend(rows.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
            assert_eq!(rows.len(), limit);
        }
        assert!(&paged == whole, "{order} {limit}: {} rows", paged.len());
    }
}

#[tokio::test]
async fn ndjson_is_the_rows_of_json() {
    let api = filled().await;
    let base = "/api/v1/report/?device_id=0A3F73&limit=100000";
    let json = api.get(base).await.ok();
    let lines_of = lines(&api.get(&format!("{base}&format=ndjson")).await);
    assert!(json["rows"] == Value::Array(lines_of));
}

#[tokio::test]
async fn ndjson_ends_with_a_cursor_only_when_rows_are_left() {
    let api = filled().await;
    let base = "/api/v1/report/?device_id=0A3F73&limit=9000&format=ndjson";
    let mut first = lines(&api.get(base).await);
    let last = first.pop().unwrap();
    assert_eq!((first.len(), last.as_object().unwrap().len()), (9000, 1));
    let cursor = last["next_cursor"].as_str().unwrap();
    let rest = lines(&api.get(&format!("{base}&cursor={cursor}")).await);
    first.extend(rest);
    assert_eq!(odometers(&first), (0..u64::from(ROWS)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_limit_that_is_met_exactly_leaves_nothing() {
    let api = Api::start().await;
    api.history.put((0..2000).map(|n| record(RECORDED + n, 1)));
    for limit in [2000, 2001, 100_000] {
        let answer = api.get(&format!("/api/v1/report/?device_id=0A3F73&limit={limit}")).await.ok();
        assert_eq!((&answer["count"], &answer["next_cursor"]), (&json!(2000), &json!(null)));
    }
    let answer = api.get("/api/v1/report/?device_id=0A3F73&limit=1999").await.ok();
    assert_eq!(answer["count"], 1999);
    assert!(answer["next_cursor"].is_string());
    let by_default = api.get("/api/v1/report/?device_id=0A3F73").await.ok();
    assert_eq!(by_default["count"], 1000);
}

#[tokio::test]
async fn ranges_include_both_ends() {
    let api = Api::start().await;
    api.history.put((0..10).map(|n| record(RECORDED + n, 1)));
    for range in [
        "from=2020-07-01T21:00:02Z&to=2020-07-01T21:00:04Z",
        "from=1593637202&to=1593637204",
        "from=2020-07-01T18:00:02-03:00&to=2020-07-01T23:00:04%2B02:00",
        "from=2020-07-01T21:00:01.5Z&to=2020-07-01T21:00:04.999Z",
    ] {
        let answer = api.get(&format!("/api/v1/report/?device_id=0A3F73&{range}")).await.ok();
        assert_eq!(answer["count"], 3, "{range}");
        assert_eq!(answer["rows"][0]["recorded_at"], "2020-07-01T21:00:02Z");
        assert_eq!(
            (&answer["from"], &answer["to"]),
            (&json!("2020-07-01T21:00:02Z"), &json!("2020-07-01T21:00:04Z"))
        );
    }
    let empty = api.get("/api/v1/report/?device_id=0A3F73&to=5").await.ok();
    assert_eq!((&empty["count"], &empty["rows"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn empty_for_the_known_and_404_for_strangers() {
    let api = Api::start().await;
    let path = "/api/v1/report/?device_id=0A3F73";
    api.get(path).await.is_problem(404, "unknown-device", Some("device_id"));
    // Only heard by a ping: the live store alone knows it.
    api.live.put(LiveEntry::seen(DEVICE, NOW_MS));
    assert_eq!(api.get(path).await.ok()["count"], 0);
    let ndjson = api.get(&format!("{path}&format=ndjson")).await;
    assert_eq!((ndjson.status, ndjson.text.as_str()), (200, ""));
    api.live.switch.off();
    api.get(path).await.is_problem(503, "live-unavailable", None);
    api.history.know(DEVICE);
    assert_eq!(api.get(path).await.ok()["count"], 0);
}

#[tokio::test]
async fn a_database_that_is_down_is_503_before_the_first_row() {
    let api = filled().await;
    api.history.switch.off();
    let answer = api.get("/api/v1/report/?device_id=0A3F73").await;
    answer.is_problem(503, "history-unavailable", None);
}

#[tokio::test]
async fn a_database_that_goes_down_on_the_way_breaks_the_answer_off() {
    for format in ["json", "ndjson"] {
        let api = filled().await;
        api.history.switch.off_after(3);
        let path = format!("/api/v1/report/?device_id=0A3F73&limit=100000&format={format}");
        let response = api.served.signed(&path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap_err();
    }
}

#[tokio::test]
async fn hostile_parameters_are_named() {
    let api = filled().await;
    let page = api.get("/api/v1/report/?device_id=0A3F73&limit=1").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    let long = "9".repeat(5000);
    for (query, name) in [
        ("limit=5".to_owned(), "device_id"),
        ("device_id=0A3F7".to_owned(), "device_id"),
        ("device_id=0A3F73&from=2020-02-30T00:00:00Z".to_owned(), "from"),
        ("device_id=0A3F73&from=10&to=9".to_owned(), "from"),
        (format!("device_id=0A3F73&to={long}"), "to"),
        ("device_id=0A3F73&limit=100001".to_owned(), "limit"),
        ("device_id=0A3F73&limit=-1".to_owned(), "limit"),
        ("device_id=0A3F73&order=ASC%3B".to_owned(), "order"),
        ("device_id=0A3F73&format=ods".to_owned(), "format"),
        (format!("device_id=0A3F73&cursor={long}"), "cursor"),
        (format!("device_id=0A3F74&cursor={cursor}"), "cursor"),
        (format!("device_id=0A3F73&order=desc&cursor={cursor}"), "cursor"),
        ("device_id=0A3F73&offset=3".to_owned(), "offset"),
    ] {
        let answer = api.get(&format!("/api/v1/report/?{query}")).await;
        answer.is_problem(400, "invalid-parameter", Some(name));
    }
}

/// Jumps here and there, in rows of ten seconds.
fn with_doubtful_rows() -> Vec<PositionRecord> {
    let row = |n: u32| {
        let mut row = record(RECORDED + n * 10, u64::from(n));
        row.position.composition.0 = 1 << 15;
        row.position.latitude_udeg = i32::try_from(n * 1500).unwrap();
        match n % 400 {
            7 => (row.position.latitude_udeg, row.position.longitude_udeg) = (0, 0),
            57 => row.position.longitude_udeg += 50_000,
            90 => row.position.speed_kmh = 255,
            _ => {}
        }
        row
    };
    (0..2500).map(row).collect()
}

#[tokio::test]
async fn doubtful_rows_are_marked_the_same_in_every_page_and_order() {
    let api = Api::start().await;
    api.history.put(with_doubtful_rows());
    let marks = |rows: &[Value]| -> Vec<(u64, String)> {
        let marked = rows.iter().filter(|row| row.get("doubtful").is_some());
        let mark = |row: &Value| {
            let at = row["recorded_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            let n = (u64::try_from(at.as_second()).unwrap() - u64::from(RECORDED)) / 10;
            (n, row["doubtful"].as_str().unwrap().to_owned())
        };
        marked.map(mark).collect()
    };
    let reasons = [(7, "zero_place"), (57, "jump"), (90, "speed")];
    let places = (0..7_u64).map(|n| n * 400).flat_map(|n| reasons.map(|(at, why)| (n + at, why)));
    let expected: Vec<(u64, String)> =
        places.filter(|(n, _)| *n < 2500).map(|(n, why)| (n, why.to_owned())).collect();
    for (order, limit) in [("asc", 100_000), ("asc", 58), ("desc", 100_000), ("desc", 90)] {
        let base = format!("/api/v1/report/?device_id=0A3F73&order={order}&limit={limit}");
        let (mut rows, mut cursor): (Vec<Value>, _) = (Vec::new(), String::new());
        loop {
            let page = api.get(&format!("{base}&cursor={cursor}")).await.ok();
            rows.extend(page["rows"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else { break };
            next.clone_into(&mut cursor);
        }
        if order == "desc" {
            rows.reverse();
        }
        assert_eq!(marks(&rows), expected, "{order} {limit}");
    }
    let from = RECORDED + 10 * 57;
    let page = api.get(&format!("/api/v1/report/?device_id=0A3F73&from={from}&limit=1")).await.ok();
    assert_eq!(page["rows"][0]["doubtful"], "jump");
    // No point of a track, and no place of a feature.
    let gpx = api.get("/api/v1/report/?device_id=0A3F73&format=gpx").await.text;
    let out = expected.iter().filter(|(_, why)| why != "speed").count();
    assert_eq!(gpx.matches("<trkpt").count(), 2500 - out);
    let path = format!("/api/v1/report/?device_id=0A3F73&format=geojson&from={from}&limit=1");
    let features = api.get(&path).await;
    let features: Value = serde_json::from_str(&features.text).unwrap();
    assert_eq!(features["features"][0]["geometry"], Value::Null);
}
