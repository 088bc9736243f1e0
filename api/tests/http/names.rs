//! Devices that are known by a name: taken in either spelling, answered by the name, and
//! hidden as well as others.

use nemeses_protocol::{
    BatchKey, DeviceId, Identity, Reading, ReadingsRecord, Record, Value as Measured, readings_hash,
};
use nemeses_store::history::Part;
use nemeses_store::live::{LiveEntry, LiveStore as _};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, NOW_MS, RECORDED, record};
use crate::site::{REMEMBERED_MS, Site, text};

/// With what separates parts of a path and of a list.
const PHONE: &str = "owntracks:jane/phone,2";
const IN_PATH: &str = "owntracks:jane%2Fphone%2C2";
/// In a list within a query.
const IN_LIST: &str = "owntracks:jane%252Fphone%252C2";
const HIDDEN: &str = "host:hidden";

struct Named {
    site: Site,
    phone: DeviceId,
    hidden: DeviceId,
    operator: String,
    viewer: String,
    viewer_id: u64,
}

async fn named() -> Named {
    let site = Site::start().await;
    let identities: Vec<Identity> = [PHONE, HIDDEN].map(|name| name.parse().unwrap()).into();
    let given = site.database.identities().give_numbers(&identities, NOW_MS).await.unwrap();
    let [phone, hidden] = given[..] else { panic!("{given:?}") };
    let mut records = Vec::new();
    for (device, identity) in [phone, hidden].into_iter().zip(identities) {
        let mut position = record(RECORDED, 1);
        position.position.device = device;
        site.live.merge(&[LiveEntry::from_record(&position)], NOW_MS).await.unwrap();
        records.push(Record::Position(position));
        let value = Measured::Number(21.5);
        let readings = vec![Reading { channel: "cpu".into(), unit: None, value }];
        records.push(Record::Readings(Box::new(ReadingsRecord {
            identity,
            recorded_at_ms: NOW_MS,
            timeless: false,
            content_hash: readings_hash(&readings),
            received_at_ms: NOW_MS,
            position: None,
            readings,
        })));
    }
    let key = BatchKey { worker: "test".to_owned(), run: 1, sequence: 1 };
    let part = Part { key, tallies: Vec::new(), records };
    site.database.history().commit(&[part], "test").await.unwrap();
    let (operator, viewer) = (site.token("operator").await, site.token("viewer").await);
    let viewer_id = site.database.users().by_email("viewer@b.c").await.unwrap().unwrap().id;
    Named { site, phone, hidden, operator, viewer, viewer_id }
}

impl Named {
    async fn get(&self, path: &str) -> Answer {
        self.site.one.get_as(&self.operator, path).await
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.site.one.send_as(&self.operator, method, path, body).await
    }
}

#[tokio::test]
async fn every_spelling_is_taken_and_the_name_answered() {
    let named = named().await;
    let digits = named.phone.to_string();
    let whole_day = "from=2020-07-01T00:00:00Z&to=2020-07-01T23:59:59Z";
    for spelling in [IN_PATH, "owntracks%3ajane%2fphone%2c2", &digits] {
        for (path, pointer) in [
            (format!("location?device_id={spelling}"), "/device_id"),
            (format!("devices/{spelling}"), "/device_id"),
            (format!("devices/{spelling}"), "/location/device_id"),
            (format!("devices/{spelling}/channels"), "/device_id"),
            (format!("report?device_id={spelling}"), "/device_id"),
            (format!("report?device_id={spelling}"), "/rows/0/device_id"),
            (format!("report/trips?device_id={spelling}"), "/device_id"),
            (format!("report/stops?device_id={spelling}"), "/device_id"),
            (format!("report/summary?device_id={spelling}"), "/device_id"),
        ] {
            let answer = named.get(&format!("/api/v1/{path}")).await.ok();
            assert_eq!(answer.pointer(pointer), Some(&json!(PHONE)), "{path}: {answer}");
        }
    }
    for list in [IN_LIST, "owntracks:jane%252Fphone%252C2,host:hidden", &digits] {
        for (path, pointer) in [
            (format!("locations?device_ids={list}"), "/locations/0/device_id"),
            (format!("devices?ids={list}"), "/devices/0/device_id"),
            (format!("report?device_ids={list}"), "/device_ids/0"),
            (format!("series?device_id={list}&channel=cpu&{whole_day}"), ""),
            (format!("fleet/summary?device_ids={list}&from=2020-07-01&to=2020-07-02"), ""),
        ] {
            let answer = named.get(&format!("/api/v1/{path}")).await.ok();
            let found = answer.pointer(pointer);
            assert!(pointer.is_empty() || found == Some(&json!(PHONE)), "{path}: {answer}");
        }
    }
    let path = format!("/api/v1/series?device_id={IN_LIST}&channel=cpu&{whole_day}");
    assert_eq!(named.get(&path).await.ok()["device_id"], PHONE);
    let found = named.get("/api/v1/devices?q=jane/").await.ok();
    assert_eq!(found["devices"][0]["device_id"], PHONE);
    let table = named.get(&format!("/api/v1/report?device_id={IN_PATH}&format=csv")).await;
    assert!(table.text.contains(&format!("\r\n\"{PHONE}\",,2020-07-01T21:00:00")), "{table:?}");
    let file = table.headers["content-disposition"].to_str().unwrap();
    assert!(file.contains("positions-owntracks-jane%2Fphone%2C2.csv"), "{file}");
}

#[tokio::test]
async fn what_is_unknown_and_what_is_hidden_are_answered_alike() {
    let named = named().await;
    let hidden_number = named.hidden.to_string();
    for (whose, parameter) in [
        ("location?device_id=", "device_id"),
        ("report?device_id=", "device_id"),
        ("report?device_ids=", "device_ids"),
        ("locations?device_ids=", "device_ids"),
    ] {
        let ask = async |id: &str| {
            named.site.one.get_as(&named.viewer, &format!("/api/v1/{whose}{id}")).await
        };
        let (by_name, by_number) = (ask(HIDDEN).await, ask(&hidden_number).await);
        by_name.is_problem(404, "unknown-device", Some(parameter));
        assert_eq!(by_name.text, by_number.text, "a number tells no name");
        assert_eq!(by_name.text, ask("host:nobody").await.text);
    }
    let path = format!("/api/v1/devices/{IN_PATH}");
    let refused = named.site.one.get_as(&named.viewer, &path).await;
    refused.is_problem(404, "unknown-device", Some("device_id"));
    for bad in ["web1", "tag:web1", "imei:12", "host:%20"] {
        let refused = named.get(&format!("/api/v1/devices/{bad}")).await;
        refused.is_problem(400, "invalid-parameter", Some("device_id"));
    }
}

#[tokio::test]
async fn a_name_gets_its_number_where_it_is_made_known() {
    let named = named().await;
    let body = json!({"name": "Web server"});
    let made = named.send(Method::PUT, "/api/v1/devices/host:WEB1", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made: Value = serde_json::from_str(&made.text).unwrap();
    assert_eq!((&made["device_id"], &made["name"]), (&json!("host:web1"), &json!("Web server")));
    // Another instance, and another spelling.
    let identity = "host:web1".parse().unwrap();
    let number = named.site.database.identities().number_of(&identity).await.unwrap().unwrap();
    let path = format!("/api/v1/devices/{number}");
    let found = named.site.two.get_as(&named.operator, &path).await.ok();
    assert_eq!(found["device_id"], "host:web1");

    let path = "/api/v1/devices/eui:0004a30b001c0530/login";
    let login = named.send(Method::POST, path, &json!({})).await;
    let login: Value = serde_json::from_str(&login.text).unwrap();
    assert_eq!(login["username"], "eui:0004A30B001C0530");

    let group = named.send(Method::POST, "/api/v1/groups", &json!({"name": "Servers"})).await;
    let group: Value = serde_json::from_str(&group.text).unwrap();
    let group = format!("/api/v1/groups/{}", group["group_id"]);
    let put = named.send(Method::PUT, &format!("{group}/devices/{IN_PATH}"), &json!({})).await;
    assert_eq!(put.status, 204, "{put:?}");
    assert_eq!(named.get(&group).await.ok()["device_ids"], json!([PHONE]));

    let path = format!("/api/v1/devices/{IN_PATH}/commands");
    let sent = named.send(Method::POST, &path, &json!({"text": "beep"})).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    let kept = named.get(&path).await.ok();
    assert_eq!(kept["commands"][0]["device_id"], PHONE);
}

#[tokio::test]
async fn rights_are_given_by_name() {
    let named = named().await;
    let admin = named.site.token("admin").await;
    let user = format!("/api/v1/users/{}", named.viewer_id);
    let grant = format!("{user}/devices/{IN_PATH}");
    let granted = named.site.one.send_as(&admin, Method::PUT, &grant, &json!({})).await;
    assert_eq!(granted.status, 204, "{granted:?}");
    named.site.later(REMEMBERED_MS + 1);
    let whole = named.site.one.get_as(&admin, &user).await.ok();
    assert_eq!(whole["device_ids"], json!([PHONE]));

    let body = json!({"name": "t", "device_ids": [PHONE], "scopes": ["read"]});
    let path = "/api/v1/tokens";
    let made = named.site.one.send_as(&named.viewer, Method::POST, path, &body).await;
    let made: Value = serde_json::from_str(&made.text).unwrap();
    assert_eq!(made["device_ids"], json!([PHONE]));
    let token = text(&made, "token");
    let location = format!("/api/v1/location?device_id={IN_PATH}");
    assert_eq!(named.site.two.get_as(&token, &location).await.ok()["device_id"], PHONE);
    let me = named.site.one.get_as(&token, "/api/v1/me").await.ok();
    assert_eq!(me["devices"]["device_ids"], json!([PHONE]));
    let body = json!({"name": "t", "device_ids": [HIDDEN], "scopes": ["read"]});
    let refused = named.site.one.send_as(&named.viewer, Method::POST, path, &body).await;
    refused.is_problem(404, "unknown-device", Some("device_ids"));

    let revoked = named.site.one.send_as(&admin, Method::DELETE, &grant, &json!({})).await;
    assert_eq!(revoked.status, 204, "{revoked:?}");
}
