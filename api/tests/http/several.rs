//! Reports of several devices and of groups, and the forms that people keep.

use nemeses_protocol::{DeviceId, PositionRecord};
use nemeses_store::history::{Profile, Role};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, DEVICE, RECORDED, record};

const SECOND: DeviceId = DeviceId::new(0x0A_3F74);
const HIDDEN: DeviceId = DeviceId::new(0x0A_3F75);
const VIEWER: u64 = 8;

/// A drive of 20 minutes between two stands of 10.
fn drive(device: DeviceId) -> Vec<PositionRecord> {
    let row = |n: u32| {
        let mut row = record(RECORDED - 7200 + n * 10, u64::from(n));
        let metres = 200 * n.clamp(60, 180);
        row.position.device = device;
        row.position.speed_kmh = if (61..180).contains(&n) { 72 } else { 0 };
        row.position.composition.0 = 0x8000 | if (60..=180).contains(&n) { 0x2000 } else { 0 };
        row.position.odometer_m = 1000 + metres;
        row.position.latitude_udeg = 0;
        row.position.longitude_udeg = i32::try_from(metres * 9).unwrap();
        row
    };
    (0..240).map(row).collect()
}

/// Two devices in a group, one of which the viewer sees, and a hidden one.
async fn filled() -> (Api, u64) {
    let api = Api::start().await;
    let groups = api.database.groups();
    let group = groups.add("North", 0).await.unwrap();
    for device in [DEVICE, SECOND, HIDDEN] {
        api.history.put(drive(device));
        let profile = Profile { name: format!("Truck {device}"), ..Profile::new(device, 0) };
        api.database.devices().put(&profile).await.unwrap();
        if device != HIDDEN {
            groups.put(group, device, 0).await.unwrap();
        }
    }
    api.users.set_access(VIEWER, Role::Viewer, &[DEVICE]);
    (api, group)
}

fn ids(list: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> =
        list.as_array().unwrap().iter().map(|thing| thing["device_id"].as_str().unwrap()).collect();
    ids.dedup();
    ids
}

#[tokio::test]
async fn each_report_of_several_is_the_reports_of_each() {
    let (api, group) = filled().await;
    for (what, list) in
        [("/trips", "trips"), ("/stops", "stops"), ("/events", "events"), ("", "rows")]
    {
        let of = async |whose: &str| {
            let path = format!("/api/v1/report{what}?{whose}");
            api.get(&path).await.ok()
        };
        let one = of("device_id=0A3F73").await[list].as_array().unwrap().clone();
        let two = of("device_id=0A3F74").await[list].as_array().unwrap().clone();
        assert!(!one.is_empty() && one.len() == two.len(), "{what}");
        let both = of("device_ids=0A3F74,0A3F73").await;
        assert_eq!(both[list], json!([one, two].concat()), "{what}");
        assert_eq!(both["device_ids"], json!(["0A3F73", "0A3F74"]));
        assert_eq!(of(&format!("group={group}")).await, both, "{what}");
    }
    let both = api.get(&format!("/api/v1/report/summary?group={group}")).await.ok();
    assert_eq!((ids(&both["devices"]), &both["count"]), (vec!["0A3F73", "0A3F74"], &json!(2)));
    let one = api.get("/api/v1/report/summary?device_id=0A3F74").await.ok();
    assert_eq!(both["devices"][1]["total"], one["total"]);
}

#[tokio::test]
async fn pages_go_on_from_device_to_device() {
    let (api, _) = filled().await;
    let path = "/api/v1/report?device_ids=0A3F73,0A3F74&order=desc&limit=";
    let whole = api.get(&format!("{path}1000")).await.ok();
    assert_eq!((&whole["count"], &whole["next_cursor"]), (&json!(480), &json!(null)));
    // 240 ends with the first device's last row, and something follows.
    for limit in [100, 239, 240, 241] {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.get(&format!("{path}{limit}&cursor={cursor}")).await.ok();
            rows.extend(page["rows"].as_array().unwrap().clone());
            let Some(next) = page["next_cursor"].as_str() else { break };
            next.clone_into(&mut cursor);
        }
        assert_eq!(json!(rows), whole["rows"], "{limit}");
    }
}

#[tokio::test]
async fn a_hidden_device_or_group_is_as_if_it_did_not_exist() {
    let (api, group) = filled().await;
    let token = api.served.token_of(VIEWER);
    for what in ["", "/trips", "/stops", "/events", "/summary"] {
        let get = async |query: &str| {
            api.served.get_as(&token, &format!("/api/v1/report{what}?{query}")).await
        };
        get("device_ids=0A3F73").await.ok();
        let hidden = get("device_ids=0A3F73,0A3F75").await;
        hidden.is_problem(404, "unknown-device", Some("device_ids"));
        let unknown = get("device_ids=0A3F73,0A3FFF").await;
        assert_eq!(hidden.text.replace("0A3F75", "0A3FFF"), unknown.text);
        get(&format!("group={group}")).await.is_problem(404, "unknown-group", Some("group"));
        get("group=999").await.is_problem(404, "unknown-group", Some("group"));
        get("device_id=0A3F73&group=1").await.is_problem(
            400,
            "invalid-parameter",
            Some("device_id"),
        );
        let admin = format!("/api/v1/report{what}?device_ids=0A3F73,0A3FFF");
        api.get(&admin).await.is_problem(404, "unknown-device", Some("device_ids"));
    }
}

#[tokio::test]
async fn thresholds_are_the_profiles_unless_the_request_names_them() {
    let (api, _) = filled().await;
    let profile = Profile { motion_kmh: Some(3), stop_s: Some(900), ..Profile::new(SECOND, 0) };
    api.database.devices().put(&profile).await.unwrap();
    let settings = async |query: &str| {
        let answer = api.get(&format!("/api/v1/report/stops?{query}")).await.ok();
        (answer["settings"].clone(), answer["own_settings"].clone())
    };
    let (used, _) = settings("device_id=0A3F74").await;
    assert_eq!((&used["motion_kmh"], &used["stop_s"]), (&json!(3), &json!(900)));
    let (used, _) = settings("device_id=0A3F74&stop_s=60").await;
    assert_eq!((&used["motion_kmh"], &used["stop_s"]), (&json!(3), &json!(60)));
    let (usual, own) = settings("device_ids=0A3F73,0A3F74").await;
    assert_eq!((&usual["stop_s"], &own["0A3F74"]["stop_s"]), (&json!(180), &json!(900)));
    let stops = api.get("/api/v1/report/stops?device_ids=0A3F73,0A3F74").await.ok();
    assert_eq!(ids(&stops["stops"]), ["0A3F73"], "600 s are no stop of the second");
}

async fn bytes(api: &Api, path: &str) -> (Answer, Vec<u8>) {
    let sent = api.served.signed(path).send().await.unwrap();
    let (status, headers) = (sent.status().as_u16(), sent.headers().clone());
    let content_type = headers["content-type"].to_str().unwrap().to_owned();
    let body = sent.bytes().await.unwrap().to_vec();
    (Answer { status, content_type, headers, text: String::new() }, body)
}

#[tokio::test]
async fn every_report_comes_in_every_form_that_fits() {
    let (api, _) = filled().await;
    for what in ["", "/trips", "/stops", "/events", "/summary"] {
        for form in [
            "ndjson",
            "csv",
            "csv-excel",
            "csv-semicolon",
            "geojson",
            "gpx",
            "kml",
            "xlsx",
            "parquet",
        ] {
            let path = format!("/api/v1/report{what}?device_id=0A3F73&tz=%2B02:00&format={form}");
            let (answer, body) = bytes(&api, &path).await;
            if what == "/summary" && ["geojson", "gpx", "kml"].contains(&form) {
                assert_eq!(answer.status, 400, "{path}");
                continue;
            }
            assert_eq!(answer.status, 200, "{path}");
            let begin = match form {
                "geojson" => "{\"type\":\"FeatureCollection\"",
                "gpx" | "kml" => "<?xml",
                "xlsx" => "PK",
                "parquet" => "PAR1",
                "csv" => "device_id,device_name,",
                "csv-excel" => "\u{FEFF}device_id,device_name,",
                "csv-semicolon" => "\u{FEFF}device_id;device_name;",
                _ => "{\"device_id\":\"0A3F73\"",
            };
            assert!(body.starts_with(begin.as_bytes()), "{path}");
            let end = match form {
                "gpx" => "</gpx>\n",
                "kml" => "</kml>\n",
                "parquet" => "PAR1",
                "csv" | "csv-excel" | "csv-semicolon" => "\r\n",
                "geojson" => "}",
                "ndjson" => "}\n",
                _ => "\0\0",
            };
            assert!(body.ends_with(end.as_bytes()), "{path}");
            let name = answer.headers.get("content-disposition");
            let list = if what.is_empty() { "positions" } else { &what[1..] };
            let named = name.map(|name| name.to_str().unwrap().to_owned());
            let suffix = if form.starts_with("csv") { "csv" } else { form };
            let expected = format!("attachment; filename=\"{list}-0A3F73.{suffix}\"");
            assert_eq!(named, (form != "ndjson").then_some(expected), "{path}");
        }
    }
}

#[tokio::test]
async fn csv_says_what_json_says() {
    let (api, _) = filled().await;
    for (what, list) in [("trips", "trips"), ("stops", "stops"), ("events", "events")] {
        let path = format!("/api/v1/report/{what}?device_ids=0A3F73,0A3F74&tz=America/Sao_Paulo");
        let json = api.get(&path).await.ok();
        let csv = api.get(&format!("{path}&format=csv")).await.text;
        let mut lines = csv.split_terminator("\r\n");
        let head: Vec<&str> = lines.next().unwrap().split(',').collect();
        let things = json[list].as_array().unwrap();
        let lines: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        assert_eq!(lines.len(), things.len());
        for (thing, line) in things.iter().zip(lines) {
            let mut flat = serde_json::Map::new();
            for (name, value) in thing.as_object().unwrap() {
                match value {
                    Value::Object(inner) => flat.extend(
                        inner.iter().map(|(part, v)| (format!("{name}_{part}"), v.clone())),
                    ),
                    value => {
                        flat.insert(name.clone(), value.clone());
                    }
                }
            }
            let found: serde_json::Map<String, Value> = head
                .iter()
                .zip(line)
                .filter(|(_, field)| !field.is_empty())
                .map(|(name, field)| {
                    let text = Value::from(field);
                    let number = serde_json::from_str(field).unwrap_or(text.clone());
                    (name.to_string(), if flat[*name].is_string() { text } else { number })
                })
                .collect();
            flat.retain(|_, value| !value.is_null());
            for (name, value) in flat {
                let same = match (value.as_f64(), found[&name].as_f64()) {
                    (Some(one), Some(two)) => (one - two).abs() < 1e-9,
                    _ => value == found[&name],
                };
                assert!(same, "{what} {name}: {value} {}", found[&name]);
            }
        }
    }
}

#[tokio::test]
async fn a_summary_has_the_same_lines_in_every_form() {
    let (api, group) = filled().await;
    let path = format!("/api/v1/report/summary?group={group}&tz=Asia/Tokyo");
    let json = api.get(&path).await.ok();
    let lines = async |form: &str, more: &str| {
        let text = api.get(&format!("{path}&format={form}{more}")).await.text;
        text.split_terminator('\n').map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
    };
    for (more, of_device) in [
        ("", (|device| device["days"].as_array().unwrap().clone()) as fn(&Value) -> Vec<Value>),
        ("&lines=days", |device| device["days"].as_array().unwrap().clone()),
        ("&lines=totals", |device| vec![device["total"].clone()]),
    ] {
        let devices = json["devices"].as_array().unwrap();
        let expected: Vec<Value> = devices
            .iter()
            .flat_map(|device| {
                of_device(device).into_iter().map(|mut line| {
                    line["device_id"] = device["device_id"].clone();
                    line["device_name"] = device["device_name"].clone();
                    line
                })
            })
            .collect();
        let told = lines("ndjson", more).await;
        let told: Vec<Value> =
            told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told, expected, "{more}");
        for form in ["csv", "csv-excel", "csv-semicolon"] {
            let told = lines(form, more).await;
            assert_eq!(told.len(), 1 + expected.len(), "{form}{more}");
            assert_eq!(told[0].contains("date"), more != "&lines=totals", "{form}{more}");
            assert!(told[1].contains("Truck 0A3F73"), "{told:?}");
        }
    }
    let refused = api.get(&format!("{path}&lines=weeks")).await;
    refused.is_problem(400, "invalid-parameter", Some("lines"));
}

#[tokio::test]
async fn files_bear_the_names_of_devices() {
    let (api, _) = filled().await;
    for (path, wanted) in [
        ("?format=csv&", "0A3F73,Truck 0A3F73,2020-"),
        ("?format=gpx&", "<name>Truck 0A3F73 (0A3F73)</name>"),
        ("?format=kml&", "<name>Truck 0A3F73 (0A3F73)</name>"),
        ("/trips?format=csv&", "0A3F73,Truck 0A3F73,2020-"),
        ("/trips?format=gpx&", "<name>Truck 0A3F73 (0A3F73)</name>"),
        ("/stops?format=ndjson&", "\"device_name\":\"Truck 0A3F73\""),
        ("/events?format=geojson&", "\"device_name\":\"Truck 0A3F73\""),
    ] {
        let text = api.get(&format!("/api/v1/report{path}device_id=0A3F73")).await.text;
        assert!(text.contains(wanted), "{path}: {text}");
    }
}
