//! The forms of a report other than JSON, read back as their readers would.

use nemeses_protocol::{OptionalField, PositionRecord};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, RECORDED, record};

const ROWS: u32 = 2500;

/// Every tenth row has no fix; places go around the origin, where numbers are small.
fn rows() -> Vec<PositionRecord> {
    let row = |n: u32| {
        let mut row = record(RECORDED + n, u64::from(n));
        row.position.composition.0 = if n % 10 == 9 { 1 << 13 } else { 1 << 15 };
        row.position.latitude_udeg = i32::try_from(n).unwrap() - 1000;
        row.position.longitude_udeg = 7 * (1000 - i32::try_from(n).unwrap());
        row
    };
    (0..ROWS).map(row).collect()
}

async fn get(format: &str, content_type: &str) -> (Answer, Vec<Value>) {
    let api = Api::start().await;
    api.history.put(rows());
    let base = "/api/v1/report?device_id=0A3F73";
    let json = api.get(&format!("{base}&limit=100000")).await.ok();
    let answer = api.get(&format!("{base}&format={format}")).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (200, content_type));
    let name = answer.headers["content-disposition"].to_str().unwrap();
    assert_eq!(name, format!("attachment; filename=\"positions-0A3F73.{format}\""));
    let accept = content_type.split(';').next().unwrap().to_owned();
    let by_accept = api.served.signed(base).header("accept", accept).send().await.unwrap();
    let by_accept = Answer::of(by_accept).await;
    assert!(by_accept.text == answer.text, "by Accept");
    (answer, json["rows"].as_array().unwrap().clone())
}

/// The texts of all elements of a name, and that every element is closed in order.
fn elements<'a>(xml: &'a str, wanted: &str) -> Vec<(&'a str, &'a str)> {
    let mut open: Vec<(&str, &str, usize)> = Vec::new();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = xml[at..].find('<').map(|n| n + at) {
        let end = start + xml[start..].find('>').unwrap();
        let tag = &xml[start + 1..end];
        at = end + 1;
        if tag.starts_with('?') {
            assert_eq!(start, 0);
        } else if let Some(name) = tag.strip_prefix('/') {
            let (opened, attributes, from) = open.pop().unwrap();
            assert_eq!(opened, name);
            if name == wanted {
                found.push((attributes, &xml[from..start]));
            }
        } else {
            let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            open.push((name, attributes, at));
        }
    }
    assert!(open.is_empty() && xml[at..].trim().is_empty());
    found
}

fn with_fix(rows: &[Value]) -> Vec<&Value> {
    rows.iter().filter(|row| row["gps_fix"] == true).collect()
}

fn same(text: &str, number: &Value) {
    let parsed: f64 = text.parse().unwrap();
    assert_eq!(parsed.to_bits(), number.as_f64().unwrap().to_bits(), "{text}");
    assert!(!text.contains('e'), "{text} is no xsd:decimal");
}

#[tokio::test]
async fn csv_is_the_rows_of_json() {
    let (answer, rows) = get("csv", "text/csv; charset=utf-8").await;
    let mut lines = answer.text.split_terminator("\r\n");
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let table: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    // And the device's name, which JSON does not repeat in each row; a doubt, of which a row
    // that is believed says nothing there; and optional fields, which these devices do not send.
    let optional = OptionalField::ALL.map(|field| field.spec().shown);
    let fields = rows[0].as_object().unwrap().len() + 2 + optional.len();
    assert!(names.ends_with(&optional), "{names:?}");
    assert_eq!((table.len(), names.len()), (rows.len(), fields));
    for (fields, row) in table.iter().zip(&rows) {
        for (name, field) in names.iter().zip(fields) {
            match &row[*name] {
                Value::String(text) => assert_eq!(field, text),
                Value::Number(_) => same(field, &row[*name]),
                Value::Null => {
                    let may_be_empty = ["device_name", "doubtful"].contains(name);
                    assert!(field.is_empty() && (may_be_empty || optional.contains(name)));
                }
                other => assert_eq!(*field, other.to_string()),
            }
        }
    }
}

#[tokio::test]
async fn gpx_is_a_track_of_the_rows_with_a_fix() {
    let (answer, rows) = get("gpx", "application/gpx+xml").await;
    let points = elements(&answer.text, "trkpt");
    let times = elements(&answer.text, "time");
    let expected = with_fix(&rows);
    assert_eq!((points.len(), times.len()), (expected.len(), expected.len()));
    for ((row, (attributes, _)), (_, time)) in expected.iter().zip(points).zip(times) {
        let quoted: Vec<&str> = attributes.split('"').collect();
        let ["lat=", latitude, " lon=", longitude, ""] = quoted[..] else { panic!("{quoted:?}") };
        same(latitude, &row["latitude"]);
        same(longitude, &row["longitude"]);
        assert_eq!(time, row["recorded_at"]);
    }
    assert_eq!(elements(&answer.text, "name"), [("", "0A3F73")]);
}

#[tokio::test]
async fn kml_has_a_point_with_its_time_for_each_row_with_a_fix() {
    let (answer, rows) = get("kml", "application/vnd.google-earth.kml+xml").await;
    let (whens, places) = (elements(&answer.text, "when"), elements(&answer.text, "Point"));
    let expected = with_fix(&rows);
    assert_eq!((whens.len(), places.len()), (expected.len(), expected.len()));
    for ((row, (_, when)), (_, place)) in expected.iter().zip(whens).zip(places) {
        let place = place
            .strip_prefix("<coordinates>")
            .and_then(|place| place.strip_suffix("</coordinates>"));
        let (longitude, latitude) = place.unwrap().split_once(',').unwrap();
        same(latitude, &row["latitude"]);
        same(longitude, &row["longitude"]);
        assert_eq!(when, row["recorded_at"]);
    }
}

#[tokio::test]
async fn geojson_has_a_feature_for_each_row_and_pages() {
    let api = Api::start().await;
    api.history.put(rows());
    let path = "/api/v1/report?device_id=0A3F73&format=geojson&limit=2000";
    let answer = api.get(path).await;
    assert_eq!(answer.content_type, "application/geo+json");
    let page: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((&page["type"], &page["count"]), (&json!("FeatureCollection"), &json!(2000)));
    let feature = &page["features"][0];
    assert_eq!(feature["type"], "Feature");
    assert_eq!(feature["geometry"], json!({"type": "Point", "coordinates": [0.007, -0.001]}));
    assert_eq!(feature["properties"]["recorded_at"], "2020-07-01T21:00:00Z");
    assert_eq!(page["features"][9]["geometry"], json!(null));
    let next = page["next_cursor"].as_str().unwrap();
    let rest: Value =
        serde_json::from_str(&api.get(&format!("{path}&cursor={next}")).await.text).unwrap();
    assert_eq!((&rest["count"], &rest["next_cursor"]), (&json!(500), &json!(null)));
}

#[tokio::test]
async fn nothing_is_still_a_whole_file() {
    let api = Api::start().await;
    api.history.put(rows());
    let base = "/api/v1/report?device_id=0A3F73&to=5";
    let csv = api.get(&format!("{base}&format=csv")).await;
    assert_eq!(csv.text.split_terminator("\r\n").count(), 1);
    for format in ["gpx", "kml"] {
        let answer = api.get(&format!("{base}&format={format}")).await;
        assert_eq!(elements(&answer.text, format).len(), 1);
    }
}
