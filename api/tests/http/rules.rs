//! Rules and geofences over HTTP: who sees and changes which, and what a bad one is told.

use nemeses_protocol::{BatchKey, DeviceId, Record};
use nemeses_store::history::{Database, NewReceiver, Part};
use reqwest::Method;
use serde_json::{Value, json};

use crate::alarms::{opened, raise};
use crate::harness::{Answer, DEVICE, NOW_MS, RECORDED, record};
use crate::site::Site;

const RULES: &str = "/api/v1/rules/";
const FENCES: &str = "/api/v1/geofences/";

fn too_fast() -> Value {
    json!({
        "name": "Too fast", "severity": "critical",
        "rule": {"test": {"kind": "overspeed", "limit_kmh": 90}, "for_s": 60},
    })
}

fn depot() -> Value {
    let area = json!({"type": "Point", "coordinates": [-43.938_493, -19.932_833], "radius_m": 200});
    json!({"name": "Depot", "area": area})
}

fn inside(fence: &Value) -> Value {
    let test = json!({"kind": "inside", "geofence": fence["id"]});
    json!({"name": "Inside", "rule": {"test": test}})
}

async fn post(site: &Site, token: &str, path: &str, body: &Value) -> Answer {
    site.one.send_as(token, Method::POST, path, body).await
}

async fn put(site: &Site, token: &str, path: &str, body: &Value) -> Answer {
    site.one.send_as(token, Method::PUT, path, body).await
}

async fn delete(site: &Site, token: &str, path: &str) -> Answer {
    let request = site.one.request(Method::DELETE, path).bearer_auth(token);
    Answer::of(request.send().await.unwrap()).await
}

#[track_caller]
fn made(answer: &Answer) -> Value {
    assert_eq!(answer.status, 201, "{answer:?}");
    serde_json::from_str(&answer.text).unwrap()
}

async fn ids(site: &Site, token: &str, path: &str, what: &str) -> Vec<u64> {
    let answer = site.one.get_as(token, path).await.ok();
    let list = answer[what].as_array().unwrap();
    assert_eq!(answer["count"], list.len());
    list.iter().map(|one| one["id"].as_u64().unwrap()).collect()
}

async fn viewer_sees(site: &Site, device: DeviceId) -> u64 {
    let viewer = site.database.users().by_email("viewer@b.c").await.unwrap().unwrap().id;
    site.database.users().grant(viewer, device, 1).await.unwrap();
    viewer
}

#[tokio::test]
async fn a_rule_lives_its_life() {
    let site = Site::start().await;
    let operator = site.token("operator").await;
    let mut body = too_fast();
    body["devices"] = json!(["0A3F73", "host:web1", "0A3F73"]);
    let rule = made(&post(&site, &operator, RULES, &body).await);
    let spec = json!({
        "test": {"kind": "overspeed", "limit_kmh": 90.0}, "for_s": 60, "keep_for_s": 0,
        "hold_s": 3600, "notify_if_younger_s": 900,
    });
    let expected = json!({
        "id": 1, "name": "Too fast", "severity": "critical", "devices": ["0A3F73", "host:web1"],
        "group": null, "rule": spec, "enabled": true, "receivers": [], "shared": true, "editable": true,
        "version": 1, "open_alarms": 0, "created_at": "2020-07-01T21:01:00Z",
        "updated_at": "2020-07-01T21:01:00Z",
    });
    assert_eq!(rule, expected);
    assert_eq!(site.one.get_as(&operator, "/api/v1/rules/1").await.ok(), rule);

    let mut alarm = opened(1, DEVICE);
    alarm.key.rule = 1;
    raise(&site.database, vec![alarm]).await;
    let group = site.database.groups().add("North", NOW_MS).await.unwrap();
    site.later(1000);
    let changed = json!({
        "name": " Idle ", "group": group, "enabled": false, "rule": {"test": {"kind": "idling"}},
    });
    let changed = put(&site, &operator, "/api/v1/rules/1", &changed).await.ok();
    assert_eq!((&changed["name"], &changed["severity"]), (&json!("Idle"), &json!("warning")));
    assert_eq!((&changed["devices"], &changed["group"]), (&Value::Null, &json!(group)));
    assert_eq!((&changed["enabled"], &changed["version"]), (&json!(false), &json!(2)));
    assert_eq!(changed["updated_at"], "2020-07-01T21:01:01Z");
    assert_eq!(changed["open_alarms"], 1);

    for _ in 0..3 {
        made(&post(&site, &operator, RULES, &too_fast()).await);
    }
    let first = site.one.get_as(&operator, "/api/v1/rules?limit=3").await.ok();
    assert_eq!((&first["count"], &first["next_cursor"]), (&json!(3), &json!("3")));
    assert_eq!(first["rules"][0]["open_alarms"], 1);
    assert_eq!(ids(&site, &operator, "/api/v1/rules?limit=3&cursor=3", "rules").await, [4]);
    assert_eq!(delete(&site, &operator, "/api/v1/rules/1").await.status, 204);
    let gone = delete(&site, &operator, "/api/v1/rules/1").await;
    gone.is_problem(404, "unknown-id", Some("rule_id"));
    site.one.get_as(&operator, "/api/v1/rules/1").await.is_problem(
        404,
        "unknown-id",
        Some("rule_id"),
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_rule_is_named() {
    let site = Site::start().await;
    let operator = site.token("operator").await;
    let wrong = async |name: &str, value: Value, status: u16, code: &str, at: &str| {
        let mut body = too_fast();
        body[name] = value;
        let answer = post(&site, &operator, RULES, &body).await;
        answer.is_problem(status, code, Some(at));
        serde_json::from_str::<Value>(&answer.text).unwrap()
    };
    let test = |test: Value| json!({"test": test});
    for (name, value, at) in [
        ("name", json!(""), "name"),
        ("name", json!("a\nb"), "name"),
        ("name", json!("é".repeat(191)), "name"),
        ("name", json!(7), "name"),
        ("severity", json!("fatal"), "severity"),
        ("devices", json!([]), "devices"),
        ("devices", json!(["x"]), "devices"),
        ("devices", json!(vec!["0A3F73"; 1001]), "devices"),
        ("enabled", json!(1), "enabled"),
        ("more", json!(1), "more"),
        ("rule", test(json!({"kind": "overspeed"})), "rule"),
        ("rule", test(json!({"kind": "overspeed", "limit_kmh": 0})), "rule.test.limit_kmh"),
        ("rule", test(json!({"kind": "inside", "geofence": 9})), "rule.test"),
        ("rule", json!({"test": {"kind": "idling"}, "for_s": -1}), "rule"),
    ] {
        wrong(name, value, 422, "invalid-field", at).await;
    }
    wrong("group", json!(9), 404, "unknown-group", "group").await;
    let condition = test(json!({"kind": "condition", "when": "speed_kmh >> 5"}));
    let problem = wrong("rule", condition, 422, "invalid-field", "rule.test.when").await;
    assert_eq!(problem["column"], 12, "{problem}");
    let large = json!("x".repeat(256 * 1024));
    let answer = post(&site, &operator, RULES, &large).await;
    answer.is_problem(413, "body-too-large", None);
    assert!(answer.text.contains("256 KiB"), "{answer:?}");
    assert_eq!(ids(&site, &operator, RULES, "rules").await, [0; 0]);
}

#[tokio::test]
async fn everybodys_are_seen_by_all_and_own_ones_by_their_owner() {
    let site = Site::start().await;
    viewer_sees(&site, DEVICE).await;
    let (admin, operator, viewer) =
        (site.token("admin").await, site.token("operator").await, site.token("viewer").await);
    let shared = made(&post(&site, &operator, RULES, &too_fast()).await);
    let mut body = too_fast();
    body["shared"] = json!(true);
    post(&site, &viewer, RULES, &body).await.is_problem(403, "forbidden", None);
    body["shared"] = json!(false);
    let private = made(&post(&site, &operator, RULES, &body).await);
    let mut own = too_fast();
    own["devices"] = json!(["0A3F74"]);
    let hidden = post(&site, &viewer, RULES, &own).await;
    hidden.is_problem(404, "unknown-device", Some("devices"));
    own["devices"] = json!(["0A3F73"]);
    let own = made(&post(&site, &viewer, RULES, &own).await);
    assert_eq!((&shared["shared"], &private["shared"]), (&json!(true), &json!(false)));
    assert_eq!((&own["shared"], &own["editable"]), (&json!(false), &json!(true)));
    assert_eq!(ids(&site, &admin, RULES, "rules").await, [1, 2, 3]);
    assert_eq!(ids(&site, &operator, RULES, "rules").await, [1, 2]);
    assert_eq!(ids(&site, &viewer, RULES, "rules").await, [1, 3]);

    let seen = site.one.get_as(&viewer, "/api/v1/rules/1").await.ok();
    assert_eq!(seen["editable"], false);
    put(&site, &viewer, "/api/v1/rules/1", &too_fast()).await.is_problem(403, "forbidden", None);
    delete(&site, &viewer, "/api/v1/rules/1").await.is_problem(403, "forbidden", None);
    for (token, id) in [(&viewer, 2), (&operator, 3)] {
        let path = format!("/api/v1/rules/{id}");
        for answer in [
            site.one.get_as(token, &path).await,
            put(&site, token, &path, &too_fast()).await,
            delete(&site, token, &path).await,
        ] {
            answer.is_problem(404, "unknown-id", Some("rule_id"));
        }
    }
    // Whose it is stays.
    let mut taken = too_fast();
    taken["shared"] = json!(true);
    let refused = put(&site, &viewer, "/api/v1/rules/3", &taken).await;
    refused.is_problem(422, "invalid-field", Some("shared"));
    assert_eq!(put(&site, &admin, "/api/v1/rules/3", &too_fast()).await.ok()["shared"], false);
    assert_eq!(delete(&site, &admin, "/api/v1/rules/3").await.status, 204);
}

#[tokio::test]
async fn devices_and_groups_that_are_not_seen_are_left_out() {
    let site = Site::start().await;
    viewer_sees(&site, DEVICE).await;
    let (operator, viewer) = (site.token("operator").await, site.token("viewer").await);
    let group = site.database.groups().add("North", NOW_MS).await.unwrap();
    let mut named = too_fast();
    named["devices"] = json!(["0A3F73", "0A3F74"]);
    made(&post(&site, &operator, RULES, &named).await);
    let mut grouped = too_fast();
    grouped["group"] = json!(group);
    made(&post(&site, &operator, RULES, &grouped).await);
    let seen = site.one.get_as(&viewer, RULES).await.ok();
    assert_eq!(seen["rules"][0]["devices"], json!(["0A3F73"]));
    assert_eq!(
        (&seen["rules"][1]["devices"], &seen["rules"][1]["group"]),
        (&json!([]), &Value::Null)
    );
    let hidden = post(&site, &viewer, RULES, &grouped).await;
    hidden.is_problem(404, "unknown-group", Some("group"));
}

#[tokio::test]
async fn geofences_live_their_life() {
    let site = Site::start().await;
    let (admin, operator, viewer) =
        (site.token("admin").await, site.token("operator").await, site.token("viewer").await);
    let fence = made(&post(&site, &operator, FENCES, &depot()).await);
    let expected = json!({
        "id": 1, "name": "Depot", "area": depot()["area"], "shared": true, "editable": true,
        "version": 1, "created_at": "2020-07-01T21:01:00Z", "updated_at": "2020-07-01T21:01:00Z",
    });
    assert_eq!(fence, expected);
    let own = made(&post(&site, &viewer, FENCES, &depot()).await);
    assert_eq!(own["shared"], false);
    assert_eq!(ids(&site, &viewer, FENCES, "geofences").await, [1, 2]);
    assert_eq!(ids(&site, &operator, FENCES, "geofences").await, [1]);
    let first = site.one.get_as(&admin, "/api/v1/geofences?limit=1").await.ok();
    assert_eq!((&first["count"], &first["next_cursor"]), (&json!(1), &json!("1")));
    assert_eq!(ids(&site, &admin, "/api/v1/geofences?limit=1&cursor=1", "geofences").await, [2]);

    let mut moved = depot();
    moved["area"]["radius_m"] = json!(500);
    let changed = put(&site, &operator, "/api/v1/geofences/1", &moved).await.ok();
    assert_eq!((&changed["version"], &changed["area"]["radius_m"]), (&json!(2), &json!(500)));
    for answer in [
        put(&site, &viewer, "/api/v1/geofences/1", &moved).await,
        delete(&site, &viewer, "/api/v1/geofences/1").await,
    ] {
        answer.is_problem(403, "forbidden", None);
    }
    site.one.get_as(&operator, "/api/v1/geofences/2").await.is_problem(
        404,
        "unknown-id",
        Some("geofence_id"),
    );
    moved["shared"] = json!(false);
    let refused = put(&site, &operator, "/api/v1/geofences/1", &moved).await;
    refused.is_problem(422, "invalid-field", Some("shared"));

    // A rule asks for everybody's and its owner's geofences.
    let refused = post(&site, &admin, RULES, &inside(&own)).await;
    refused.is_problem(422, "invalid-field", Some("rule.test"));
    made(&post(&site, &operator, RULES, &inside(&fence)).await);
    made(&post(&site, &viewer, RULES, &inside(&fence)).await);
    made(&post(&site, &viewer, RULES, &inside(&own)).await);
    let used = delete(&site, &operator, "/api/v1/geofences/1").await;
    used.is_problem(409, "in-use", None);
    assert!(used.text.contains("\\\"Inside\\\", and of somebody else"), "{used:?}");
    for rule in 1..=3 {
        assert_eq!(delete(&site, &admin, &format!("{RULES}{rule}")).await.status, 204);
    }
    assert_eq!(delete(&site, &operator, "/api/v1/geofences/1").await.status, 204);
    assert_eq!(delete(&site, &viewer, "/api/v1/geofences/2").await.status, 204);
    assert_eq!(ids(&site, &admin, FENCES, "geofences").await, [0; 0]);
}

#[tokio::test]
async fn what_is_wrong_with_a_geofence_is_named() {
    let site = Site::start().await;
    let operator = site.token("operator").await;
    let ring = |points: &[[f64; 2]]| json!({"type": "Polygon", "coordinates": [points]});
    let many: Vec<[f64; 2]> = vec![[1.0, 1.0]; 10_001];
    for (name, value, at) in [
        ("name", json!(" "), "name"),
        ("area", Value::Null, "area"),
        ("area", json!([]), "area"),
        ("area", json!({"type": "Point", "coordinates": [0, 0]}), "area"),
        ("area", ring(&[[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]), "area"),
        ("area", ring(&many), "area"),
        ("shared", json!("yes"), "shared"),
        ("more", json!(1), "more"),
    ] {
        let mut body = depot();
        body[name] = value;
        let answer = post(&site, &operator, FENCES, &body).await;
        answer.is_problem(422, "invalid-field", Some(at));
    }
    let large = json!("x".repeat(1024 * 1024));
    let answer = post(&site, &operator, FENCES, &large).await;
    answer.is_problem(413, "body-too-large", None);
    assert_eq!(ids(&site, &operator, FENCES, "geofences").await, [0; 0]);
}

#[tokio::test]
async fn a_rule_notifies_everybodys_receivers_and_its_owners() {
    let site = Site::start().await;
    let (operator, viewer) = (site.token("operator").await, site.token("viewer").await);
    let viewer_id = site.database.users().by_email("viewer@b.c").await.unwrap().unwrap().id;
    let receiver = NewReceiver {
        name: "r".into(),
        kind: "webhook".into(),
        target: "{}".into(),
        delivery: "{}".into(),
        enabled: true,
    };
    let receivers = site.database.receivers();
    let shared = receivers.add_receiver(None, &receiver, Some(1), 1).await.unwrap();
    let own = receivers.add_receiver(Some(viewer_id), &receiver, Some(1), 1).await.unwrap();
    let mut body = too_fast();
    body["receivers"] = json!([shared, shared]);
    let rule = made(&post(&site, &operator, RULES, &body).await);
    assert_eq!(rule["receivers"], json!([shared]));
    body["receivers"] = json!([own, shared]);
    let refused = post(&site, &operator, RULES, &body).await;
    refused.is_problem(422, "invalid-field", Some("receivers"));
    let rule = made(&post(&site, &viewer, RULES, &body).await);
    assert_eq!(rule["receivers"], json!([shared, own]));
    body["receivers"] = json!([99]);
    let refused = post(&site, &viewer, RULES, &body).await;
    refused.is_problem(422, "invalid-field", Some("receivers"));
    assert!(refused.text.contains("receiver 99"), "{refused:?}");
    let path = format!("{RULES}{}", rule["id"]);
    assert_eq!(put(&site, &viewer, &path, &too_fast()).await.ok()["receivers"], json!([]));
}

#[tokio::test]
async fn own_rules_and_geofences_are_bounded() {
    let site = Site::start().await;
    let (operator, viewer) = (site.token("operator").await, site.token("viewer").await);
    for _ in 0..100 {
        made(&post(&site, &viewer, RULES, &too_fast()).await);
    }
    let one_more = post(&site, &viewer, RULES, &too_fast()).await;
    one_more.is_problem(409, "too-many", None);
    made(&post(&site, &operator, RULES, &too_fast()).await);
}

async fn commit(database: &Database, rows: impl Iterator<Item = (u32, u8)>) {
    let row = |(at, speed_kmh)| {
        let mut record = record(at, u64::from(at));
        record.position.speed_kmh = speed_kmh;
        Record::Position(record)
    };
    let records = rows.map(row).collect();
    let key = BatchKey { worker: "w".into(), run: 1, sequence: 1 };
    let part = Part { key, tallies: Vec::new(), records };
    database.history().commit(&[part], "x").await.unwrap();
}

#[tokio::test]
async fn a_rule_is_tried_on_what_is_stored() {
    let site = Site::start().await;
    viewer_sees(&site, DEVICE).await;
    let (operator, viewer) = (site.token("operator").await, site.token("viewer").await);
    let day_before = RECORDED - 86_400;
    let rows =
        (0..300_u32).map(|second| (day_before + second, if second < 120 { 100 } else { 60 }));
    commit(&site.database, rows).await;
    let body = json!({"rule": too_fast()["rule"], "device_id": "0A3F73", "days": 2});
    let path = "/api/v1/rules/test";
    let tried = post(&site, &viewer, path, &body).await.ok();
    let expected = json!({
        "device_id": "0A3F73", "from": "2020-06-29T21:01:00Z", "to": "2020-07-01T21:01:00Z",
        "rows": 300, "count": 1, "complete": true,
        "alarms": [{
            "opened_at": "2020-06-30T21:01:00Z", "cleared_at": "2020-06-30T21:02:00Z",
            "value": "100", "latitude": -19.932_833, "longitude": -43.938_493,
        }],
    });
    assert_eq!(tried, expected);
    let mut short = body.clone();
    short["days"] = json!(1);
    // A day before now it has driven on for some seconds too few.
    assert_eq!(post(&site, &operator, path, &short).await.ok()["rows"], 240);
    assert_eq!(ids(&site, &operator, RULES, "rules").await, [0; 0], "nothing is written");

    let fence = made(&post(&site, &operator, FENCES, &depot()).await);
    let mut at_depot = body.clone();
    at_depot["rule"] = inside(&fence)["rule"].clone();
    assert_eq!(post(&site, &viewer, path, &at_depot).await.ok()["count"], 1);

    for (name, value, status, code, at) in [
        ("device_id", json!("0A3F74"), 404, "unknown-device", "device_id"),
        ("device_id", json!("x"), 422, "invalid-field", "device_id"),
        ("days", json!(93), 422, "invalid-field", "days"),
        ("days", json!(0), 422, "invalid-field", "days"),
        ("rule", json!({}), 422, "invalid-field", "rule"),
        (
            "rule",
            json!({"test": {"kind": "left", "geofence": 9}}),
            422,
            "invalid-field",
            "rule.test",
        ),
        ("name", json!("n"), 422, "invalid-field", "name"),
    ] {
        let mut bad = body.clone();
        bad[name] = value;
        post(&site, &viewer, path, &bad).await.is_problem(status, code, Some(at));
    }
}

#[tokio::test]
async fn tokens_read_rules_and_links_do_not() {
    let site = Site::start().await;
    let operator = site.token("operator").await;
    made(&post(&site, &operator, RULES, &too_fast()).await);
    let body = json!({"name": "t", "device_ids": ["0A3F73"], "scopes": ["read"]});
    let token = made(&post(&site, &operator, "/api/v1/tokens", &body).await);
    let token = token["token"].as_str().unwrap().to_owned();
    let seen = site.one.get_as(&token, "/api/v1/rules/1").await.ok();
    assert_eq!(seen["editable"], false);
    for (path, body) in [(RULES, too_fast()), (FENCES, depot())] {
        post(&site, &token, path, &body).await.is_problem(403, "forbidden", None);
    }
    let body = json!({"name": "s", "device_ids": ["0A3F73"]});
    let link = made(&post(&site, &operator, "/api/v1/shares", &body).await);
    let secret = link["url"].as_str().unwrap().strip_prefix("/#share=").unwrap();
    let opened = site.one.post("/share/open", &json!({"token": secret})).await.ok();
    let link = opened["token"].as_str().unwrap();
    for path in [RULES, FENCES, "/api/v1/rules/1", "/api/v1/geofences/1"] {
        site.one.get_as(link, path).await.is_problem(403, "forbidden", None);
    }
}
