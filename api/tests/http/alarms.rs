//! Alarms over HTTP: who sees which, and who acknowledges and silences them.

use nemeses_protocol::DeviceId;
use nemeses_store::history::{AlarmChange, AlarmKey, AlarmStep, Database, RULES_LEASE, Turn};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, DEVICE, NOW_MS};
use crate::site::{Site, text};

const OTHER: DeviceId = DeviceId::new(0x0A_3F74);
const RULE: u64 = 3;

/// An alarm of everybody's rule.
pub(crate) fn opened(episode: u32, device: DeviceId) -> AlarmChange {
    AlarmChange {
        key: AlarmKey { rule: RULE, version: 2, device, episode },
        step: AlarmStep::Opened,
        at_ms: NOW_MS - 60_000,
        raised_at_ms: NOW_MS - 59_750,
        late: false,
        notified: true,
        value: Some("97".into()),
        place: Some((-19_932_833, -43_938_493)),
        rule_name: "Too fast".into(),
        owner: None,
        severity: "critical".into(),
    }
}

/// Writes changes of alarms as an evaluator does; the first alarm of a database is number 1.
pub(crate) async fn raise(database: &Database, alarms: Vec<AlarmChange>) {
    assert!(database.daily().lease(RULES_LEASE, "a", 0, 9).await.unwrap());
    let turn = Turn { alarms, ..Turn::default() };
    assert!(database.evaluation().write_turn("a", 9, &turn).await.unwrap());
}

/// Two alarms of the viewer's device, of which the first is over and late, one of another
/// device, and one of a rule of the viewer's own.
async fn site() -> Site {
    let site = Site::start().await;
    let viewer = viewer(&site).await;
    site.database.users().grant(viewer, DEVICE, 1).await.unwrap();
    let late = AlarmChange { late: true, notified: false, ..opened(1, DEVICE) };
    let cleared = AlarmChange { step: AlarmStep::Cleared, at_ms: NOW_MS - 1000, ..late.clone() };
    let mut owned = AlarmChange { owner: Some(viewer), ..opened(1, DEVICE) };
    owned.key.rule = RULE + 1;
    owned.severity = "info".into();
    let alarms = vec![late, cleared, opened(2, DEVICE), opened(1, OTHER), owned];
    raise(&site.database, alarms).await;
    site
}

async fn viewer(site: &Site) -> u64 {
    site.database.users().by_email("viewer@b.c").await.unwrap().unwrap().id
}

async fn listed(site: &Site, token: &str, query: &str) -> Vec<u64> {
    let answer = site.one.get_as(token, &format!("/api/v1/alarms/?{query}")).await.ok();
    let alarms = answer["alarms"].as_array().unwrap();
    assert_eq!(answer["count"], alarms.len());
    alarms.iter().map(|alarm| alarm["id"].as_u64().unwrap()).collect()
}

async fn change(site: &Site, token: &str, path: &str, body: &Value) -> Answer {
    site.one.send_as(token, Method::POST, &format!("/api/v1/alarms/{path}"), body).await
}

#[tokio::test]
async fn alarms_are_listed_newest_first_and_filtered() {
    let site = site().await;
    let admin = site.token("admin").await;
    let all = site.one.get_as(&admin, "/api/v1/alarms/?device_id=0A3F73&rule_id=3").await.ok();
    assert_eq!((&all["count"], &all["next_cursor"]), (&json!(2), &Value::Null));
    let expected = json!({
        "id": 1, "rule_id": 3, "rule_version": 2, "rule_name": "Too fast", "device_id": "0A3F73",
        "episode": 1, "severity": "critical", "late": true,
        "opened_at": "2020-07-01T21:00:00Z", "raised_at": "2020-07-01T21:00:00.250Z",
        "cleared_at": "2020-07-01T21:00:59Z", "withdrawn": false, "value": "97",
        "latitude": -19.932_833, "longitude": -43.938_493, "acknowledged": null, "silenced": null,
    });
    assert_eq!(all["alarms"][1], expected);
    for (query, ids) in [
        ("", vec![4, 3, 2, 1]),
        ("open=true", vec![4, 3, 2]),
        ("open=false", vec![1]),
        ("late=true", vec![1]),
        ("late=false&device_id=0A3F73", vec![4, 2]),
        ("rule_id=4", vec![4]),
        ("severity=info", vec![4]),
        ("severity=warning", vec![]),
        ("device_id=0A3F74&rule_id=4", vec![]),
        ("cursor=3", vec![2, 1]),
    ] {
        assert_eq!(listed(&site, &admin, query).await, ids, "{query}");
    }
    change(&site, &admin, "3/acknowledge", &json!({})).await.ok();
    assert_eq!(listed(&site, &admin, "acknowledged=true").await, [3]);
    assert_eq!(listed(&site, &admin, "acknowledged=false&open=true").await, [4, 2]);
    assert_eq!(site.one.get_as(&admin, "/api/v1/alarms/1").await.ok(), expected);
    let first = site.one.get_as(&admin, "/api/v1/alarms?limit=3").await.ok();
    let cursor = text(&first, "next_cursor");
    let rest = listed(&site, &admin, &format!("limit=3&cursor={cursor}")).await;
    assert_eq!((&first["count"], rest), (&json!(3), vec![1]));
    let bad = site.one.get_as(&admin, "/api/v1/alarms?open=maybe").await;
    bad.is_problem(400, "invalid-parameter", Some("open"));
}

#[tokio::test]
async fn alarms_of_other_devices_and_of_other_peoples_rules_are_hidden() {
    let site = site().await;
    let (operator, viewer) = (site.token("operator").await, site.token("viewer").await);
    assert_eq!(listed(&site, &operator, "").await, [3, 2, 1]);
    assert_eq!(listed(&site, &viewer, "").await, [4, 2, 1]);
    let hidden = site.one.get_as(&viewer, "/api/v1/alarms/?device_id=0A3F74").await;
    hidden.is_problem(404, "unknown-device", Some("device_id"));
    let unknown = site.one.get_as(&viewer, "/api/v1/alarms/?device_id=0A3F75").await;
    assert_eq!(hidden.text.replace("0A3F74", "0A3F75"), unknown.text);
    // What a caller does not see he does not change, and it looks as if it were not there.
    let unknown = change(&site, &viewer, "99/acknowledge", &json!({})).await;
    unknown.is_problem(404, "unknown-id", Some("alarm_id"));
    for (token, id) in [(&viewer, 3), (&operator, 4)] {
        let hidden = site.one.get_as(token, &format!("/api/v1/alarms/{id}")).await;
        assert_eq!((hidden.status, &hidden.text), (404, &unknown.text), "{id}");
        for what in ["acknowledge", "silence"] {
            let body =
                if what == "silence" { json!({"reason": "r", "for_s": 9}) } else { json!({}) };
            let hidden = change(&site, token, &format!("{id}/{what}"), &body).await;
            assert_eq!((hidden.status, &hidden.text), (404, &unknown.text), "{id} {what}");
        }
    }
    let alarm = site.database.alarms().find(3).await.unwrap().unwrap();
    assert_eq!((alarm.acknowledged, alarm.silence), (None, None));
}

#[tokio::test]
async fn tokens_read_alarms_and_links_do_not() {
    let site = site().await;
    let operator = site.token("operator").await;
    let made = async |path: &str, body: Value| {
        let made = site.one.send_as(&operator, Method::POST, path, &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        serde_json::from_str::<Value>(&made.text).unwrap()
    };
    let token = async |scope: &str| {
        let body = json!({"name": "t", "device_ids": ["0A3F73"], "scopes": [scope]});
        text(&made("/api/v1/tokens", body).await, "token")
    };
    let (reads, streams) = (token("read").await, token("stream").await);
    assert_eq!(listed(&site, &reads, "").await, [2, 1]);
    let link = made("/api/v1/shares", json!({"name": "s", "device_ids": ["0A3F73"]})).await;
    let secret = link["url"].as_str().unwrap().strip_prefix("/#share=").unwrap();
    let opened = site.one.post("/share/open", &json!({"token": secret})).await.ok();
    for denied in [streams, text(&opened, "token")] {
        site.one.get_as(&denied, "/api/v1/alarms/").await.is_problem(403, "forbidden", None);
    }
    let denied = change(&site, &reads, "2/acknowledge", &json!({})).await;
    denied.is_problem(403, "forbidden", None);
}

#[tokio::test]
async fn the_first_acknowledgement_stays() {
    let site = site().await;
    let (admin, operator, viewer) =
        (site.token("admin").await, site.token("operator").await, site.token("viewer").await);
    let denied = change(&site, &viewer, "2/acknowledge", &json!({})).await;
    denied.is_problem(403, "forbidden", None);
    let note = json!({"note": " called the driver "});
    let first = change(&site, &operator, "2/acknowledge", &note).await.ok();
    let expected = json!({
        "at": "2020-07-01T21:01:00Z", "by": "operator@b.c", "note": "called the driver",
    });
    assert_eq!((&first["id"], &first["acknowledged"]), (&json!(2), &expected));
    site.later(1000);
    let path = "/api/v1/alarms/2/acknowledge";
    let again = site.one.request(Method::POST, path).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(Answer::of(again).await.ok(), first, "without a body, and by somebody else");
    // The owner of a rule need be no more than a viewer.
    let own = change(&site, &viewer, "4/acknowledge", &json!({"note": null})).await.ok();
    assert_eq!(own["acknowledged"]["by"], "viewer@b.c");
    for (body, field) in [
        (json!({"note": 1}), "note"),
        (json!({"note": ""}), "note"),
        (json!({"note": "é".repeat(1001)}), "note"),
        (json!({"by": "me"}), "by"),
    ] {
        let bad = change(&site, &admin, "3/acknowledge", &body).await;
        bad.is_problem(422, "invalid-field", Some(field));
    }
    let bad = change(&site, &admin, "three/acknowledge", &json!({})).await;
    bad.is_problem(400, "invalid-parameter", Some("alarm_id"));
    assert_eq!(listed(&site, &admin, "device_id=0A3F74").await, [3]);
    let alarm = site.database.alarms().find(3).await.unwrap().unwrap();
    assert_eq!(alarm.acknowledged, None, "a bad request acknowledges nothing");
}

#[tokio::test]
async fn a_silence_has_a_reason_and_ends() {
    let site = site().await;
    let (operator, viewer) = (site.token("operator").await, site.token("viewer").await);
    let body = json!({"reason": "in the workshop", "for_s": 60});
    change(&site, &viewer, "2/silence", &body).await.is_problem(403, "forbidden", None);
    let silenced = async || {
        let found = site.one.get_as(&operator, "/api/v1/alarms/?cursor=3&limit=1").await.ok();
        found["alarms"][0]["silenced"].clone()
    };
    assert_eq!(silenced().await, Value::Null);
    let made = change(&site, &operator, "2/silence", &body).await.ok();
    let expected = json!({
        "until": "2020-07-01T21:02:00Z", "by": "operator@b.c", "reason": "in the workshop",
    });
    assert_eq!((&made["silenced"], silenced().await), (&expected, expected.clone()));
    site.later(60_000);
    assert_eq!(silenced().await, Value::Null, "it is over");
    change(&site, &operator, "2/silence", &body).await.ok();
    assert_eq!(silenced().await["until"], "2020-07-01T21:03:00Z");
    for _ in 0..2 {
        let path = "/api/v1/alarms/2/silence";
        let ended = site.one.send_as(&operator, Method::DELETE, path, &json!({})).await;
        assert_eq!(ended.status, 204, "{ended:?}");
        assert_eq!(silenced().await, Value::Null);
    }
    for (body, field) in [
        (json!({"for_s": 60}), "reason"),
        (json!({"reason": " ", "for_s": 60}), "reason"),
        (json!({"reason": "r"}), "for_s"),
        (json!({"reason": "r", "for_s": 0}), "for_s"),
        (json!({"reason": "r", "for_s": 2_592_001}), "for_s"),
        (json!({"reason": "r", "for_s": 60, "until": "x"}), "until"),
    ] {
        let bad = change(&site, &operator, "2/silence", &body).await;
        bad.is_problem(422, "invalid-field", Some(field));
    }
    assert_eq!(silenced().await, Value::Null);
}

#[tokio::test]
async fn alarms_are_a_report_in_every_form() {
    let site = site().await;
    let (operator, viewer) = (site.token("operator").await, site.token("viewer").await);
    let path = "/api/v1/alarms/report?late=true";
    let report = site.one.get_as(&operator, &format!("{path}&tz=America/Sao_Paulo")).await.ok();
    let expected = json!({
        "id": 1, "rule_id": 3, "rule_name": "Too fast", "device_id": "0A3F73",
        "severity": "critical", "late": true, "opened_at": "2020-07-01T18:00:00-03:00",
        "cleared_at": "2020-07-01T18:00:59-03:00", "duration_s": 59, "withdrawn": false,
        "value": "97", "at": {"latitude": -19.932_833, "longitude": -43.938_493},
        "acknowledged_at": null, "acknowledged_by": null, "note": null,
    });
    assert_eq!((&report["alarms"], &report["count"]), (&json!([expected]), &json!(1)));
    assert_eq!(report["tz"], "America/Sao_Paulo");
    let count = async |token: &str, query: &str| {
        let path = format!("/api/v1/alarms/report?{query}");
        site.one.get_as(token, &path).await.ok()["count"].as_u64().unwrap()
    };
    assert_eq!(count(&operator, "").await, 3);
    assert_eq!(count(&viewer, "").await, 3);
    assert_eq!(count(&viewer, "device_id=0A3F73&open=true").await, 2);
    assert_eq!(count(&operator, "from=2020-07-01T21:00:01Z").await, 0);
    assert_eq!(count(&operator, "to=2020-07-01T20:59:59Z").await, 0);
    change(&site, &operator, "1/acknowledge", &json!({"note": "a, \"b\""})).await.ok();
    let csv = site.one.get_as(&operator, &format!("{path}&format=csv")).await;
    let lines: Vec<&str> = csv.text.lines().collect();
    assert_eq!(
        lines[0],
        "id,rule_id,rule_name,device_id,severity,late,opened_at,cleared_at,duration_s,withdrawn,\
         value,at_latitude,at_longitude,acknowledged_at,acknowledged_by,note"
    );
    assert_eq!(
        lines[1],
        "1,3,Too fast,0A3F73,critical,true,2020-07-01T21:00:00Z,2020-07-01T21:00:59Z,59,false,\
         97,-19.932833,-43.938493,2020-07-01T21:01:00Z,operator@b.c,\"a, \"\"b\"\"\""
    );
    for (form, begins) in [
        ("ndjson", "{\"id\":1,"),
        ("geojson", "{\"type\":\"FeatureCollection\","),
        ("gpx", "<?xml"),
        ("kml", "<?xml"),
        ("xlsx", "PK"),
        ("parquet", "PAR1"),
    ] {
        let answer = site.one.get_as(&operator, &format!("{path}&format={form}")).await;
        assert_eq!(answer.status, 200, "{form} {answer:?}");
        assert!(answer.text.starts_with(begins), "{form} {answer:?}");
    }
    for (query, at) in [
        ("from=2020-07-02T00:00:00Z&to=2020-07-01T00:00:00Z", "from"),
        ("cursor=1", "cursor"),
        ("format=pdf", "format"),
    ] {
        let bad = site.one.get_as(&operator, &format!("/api/v1/alarms/report?{query}")).await;
        bad.is_problem(400, "invalid-parameter", Some(at));
    }
}

#[tokio::test]
async fn alarms_are_counted_by_rule_device_and_day() {
    let site = site().await;
    let (admin, viewer) = (site.token("admin").await, site.token("viewer").await);
    let counts = async |token: &str, query: &str| {
        let answer = site.one.get_as(token, &format!("/api/v1/alarms/counts?{query}")).await.ok();
        assert_eq!(answer["count"], answer["counts"].as_array().unwrap().len());
        answer["counts"].clone()
    };
    let row = |rule: Value, name: Value, device: Value, day: Value, opened: u64| json!({"rule_id": rule, "rule_name": name, "device_id": device, "day": day, "opened": opened});
    let (null, name) = (Value::Null, json!("Too fast"));
    let of_rule =
        |rule: u64, opened| row(json!(rule), name.clone(), null.clone(), null.clone(), opened);
    assert_eq!(counts(&admin, "").await, json!([of_rule(3, 3), of_rule(4, 1)]));
    assert_eq!(counts(&viewer, "by=rule&open=true").await, json!([of_rule(3, 1), of_rule(4, 1)]));
    let of_device =
        |device: &str, opened| row(null.clone(), null.clone(), json!(device), null.clone(), opened);
    let devices = json!([of_device("0A3F73", 3), of_device("0A3F74", 1)]);
    assert_eq!(counts(&admin, "by=device").await, devices);
    let day = row(null.clone(), null.clone(), null.clone(), json!("2020-07-01"), 4);
    assert_eq!(counts(&admin, "by=day").await, json!([day]));
    assert_eq!(counts(&admin, "by=day&to=2020-06-30T23:59:59Z").await, json!([]));
    for (query, at) in
        [("by=group", "by"), ("from=2010-01-01T00:00:00Z", "from"), ("limit=3", "limit")]
    {
        let bad = site.one.get_as(&admin, &format!("/api/v1/alarms/counts?{query}")).await;
        bad.is_problem(400, "invalid-parameter", Some(at));
    }
}
