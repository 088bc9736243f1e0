//! Scoped tokens and share links: for their devices and purposes, never more than
//! their maker, and gone when revoked.

use nemeses_api::declared_routes;
use nemeses_protocol::{BatchKey, DeviceId, Record, WorkerName};
use nemeses_store::history::{Part, Role};
use nemeses_store::live::{LiveEntry, LiveStore as _};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{NOW_MS, RECORDED, record};
use crate::site::{REMEMBERED_MS, Site, text};

/// Devices that the viewer sees, and one that only others see.
const SEEN: &str = "0A3F73";
const SEEN_TOO: &str = "0A3F75";
const HIDDEN: &str = "0A3F74";

/// The paths of all reports.
fn reports() -> impl Iterator<Item = &'static str> {
    declared_routes()
        .into_iter()
        .map(|route| route.path)
        .filter(|path| path.starts_with("/api/v1/report"))
}

async fn site() -> Site {
    let site = Site::start().await;
    let users = site.database.users();
    let viewer = users.by_email("viewer@b.c").await.unwrap().unwrap().id;
    for device in [SEEN, SEEN_TOO] {
        users.grant(viewer, device.parse().unwrap(), 1).await.unwrap();
    }
    let entries = [SEEN, SEEN_TOO, HIDDEN].map(|device| {
        let mut record = record(RECORDED, 1);
        record.position.device = device.parse::<DeviceId>().unwrap();
        LiveEntry::from_record(&record)
    });
    site.live.merge(&entries, NOW_MS).await.unwrap();
    site
}

fn location(device: &str) -> String {
    format!("/api/v1/location/?device_id={device}")
}

async fn made(site: &Site, by: &str, path: &str, body: &Value) -> Value {
    let made = site.one.send_as(by, Method::POST, path, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    serde_json::from_str(&made.text).unwrap()
}

#[tokio::test]
async fn a_token_is_for_its_devices_and_scopes() {
    let site = site().await;
    let viewer = site.token("viewer").await;
    let body = json!({
        "name": "plotter", "device_ids": [SEEN, "0a3f73"], "scopes": ["read"], "expires_in": 3600,
    });
    let made = made(&site, &viewer, "/api/v1/tokens/", &body).await;
    assert_eq!((&made["device_ids"], &made["scopes"]), (&json!([SEEN]), &json!(["read"])));
    let token = text(&made, "token");
    for at in [&site.one, &site.two] {
        at.get_as(&token, &location(SEEN)).await.ok();
        for device in [SEEN_TOO, HIDDEN, "FFFFFF"] {
            at.get_as(&token, &location(device)).await.is_problem(
                404,
                "unknown-device",
                Some("device_id"),
            );
        }
    }
    let me = site.one.get_as(&token, "/api/v1/me").await.ok();
    assert_eq!((&me["kind"], &me["devices"]["device_ids"]), (&json!("token"), &json!([SEEN])));
    for path in ["/api/v1/sessions", "/api/v1/tokens", "/api/v1/shares", "/api/v1/books"] {
        site.one.get_as(&token, path).await.is_problem(403, "forbidden", None);
    }
    let no_reading = json!({"name": "s", "device_ids": [SEEN], "scopes": ["stream"]});
    let no_reading = self::made(&site, &viewer, "/api/v1/tokens", &no_reading).await;
    let refused = site.one.get_as(&text(&no_reading, "token"), &location(SEEN)).await;
    refused.is_problem(403, "forbidden", None);

    site.later(3_600_000);
    site.one.get_as(&token, &location(SEEN)).await.is_problem(401, "unauthorized", None);
}

#[tokio::test]
async fn a_token_never_sees_more_than_its_maker() {
    let site = site().await;
    let admin = site.token("admin").await;
    let body = json!({"name": "all", "device_ids": [SEEN, HIDDEN], "scopes": ["read"]});
    let token = text(&made(&site, &admin, "/api/v1/tokens", &body).await, "token");
    site.one.get_as(&token, &location(HIDDEN)).await.ok();
    let users = site.database.users();
    let id = users.by_email("admin@b.c").await.unwrap().unwrap().id;
    users.set_role("admin@b.c", Role::Viewer).await.unwrap();
    users.grant(id, SEEN.parse().unwrap(), 1).await.unwrap();
    site.later(REMEMBERED_MS);
    site.one.get_as(&token, &location(SEEN)).await.ok();
    assert_eq!(site.one.get_as(&token, &location(HIDDEN)).await.status, 404);
    users.set_disabled(id, true).await.unwrap();
    site.later(REMEMBERED_MS);
    site.one.get_as(&token, &location(SEEN)).await.is_problem(401, "unauthorized", None);
}

#[tokio::test]
async fn a_revoked_token_ends_everywhere() {
    let site = site().await;
    let (viewer, operator) = (site.token("viewer").await, site.token("operator").await);
    let body = json!({"name": "t", "device_ids": [SEEN], "scopes": ["read", "stream"]});
    let made = made(&site, &viewer, "/api/v1/tokens", &body).await;
    let token = text(&made, "token");
    site.two.get_as(&token, &location(SEEN)).await.ok();
    let listed = site.two.get_as(&viewer, "/api/v1/tokens").await.ok();
    assert_eq!(listed["tokens"][0]["token_id"], made["token_id"]);
    assert_eq!(listed["tokens"][0].get("token"), None);
    assert_eq!(site.one.get_as(&operator, "/api/v1/tokens").await.ok()["tokens"], json!([]));

    let path = format!("/api/v1/tokens/{}", made["token_id"]);
    let others = site.one.send_as(&operator, Method::DELETE, &path, &json!({})).await;
    others.is_problem(404, "unknown-id", Some("token_id"));
    // A link has numbers of its own.
    let as_share = path.replace("tokens", "shares");
    assert_eq!(site.one.send_as(&viewer, Method::DELETE, &as_share, &json!({})).await.status, 404);
    assert_eq!(site.one.send_as(&viewer, Method::DELETE, &path, &json!({})).await.status, 204);
    site.one.get_as(&token, &location(SEEN)).await.is_problem(401, "unauthorized", None);
    site.later(REMEMBERED_MS);
    site.two.get_as(&token, &location(SEEN)).await.is_problem(401, "unauthorized", None);
}

#[tokio::test]
async fn a_link_shows_its_devices_and_nothing_of_its_maker() {
    let site = site().await;
    let viewer = site.token("viewer").await;
    let body = json!({"name": "for the customer", "device_ids": [SEEN]});
    let link = made(&site, &viewer, "/api/v1/shares/", &body).await;
    let secret = link["url"].as_str().unwrap().strip_prefix("/#share=").unwrap();
    let open = async |token: &str| site.two.post("/share/open", &json!({ "token": token })).await;
    let answer = open(secret).await;
    assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    let opened = answer.ok();
    assert_eq!(opened["device_ids"], json!([SEEN]));
    assert_eq!(
        (&opened["scopes"], &opened["expires_in"]),
        (&json!(["read", "stream"]), &json!(900))
    );
    let token = text(&opened, "token");
    site.one.get_as(&token, &location(SEEN)).await.ok();
    assert_eq!(site.one.get_as(&token, &location(SEEN_TOO)).await.status, 404);
    let me = site.one.get_as(&token, "/api/v1/me").await.ok();
    assert_eq!((&me["kind"], &me["user"]), (&json!("share"), &json!(null)));
    site.one.get_as(&token, "/api/v1/sessions").await.is_problem(403, "forbidden", None);
    for bad in ["", "x", &secret[1..], &"A".repeat(43)] {
        open(bad).await.is_problem(401, "wrong-share", None);
    }
    let listed = site.one.get_as(&viewer, "/api/v1/shares").await.ok();
    assert_eq!(listed["shares"][0].get("url"), None);

    let path = format!("/api/v1/shares/{}", link["share_id"]);
    assert_eq!(site.one.send_as(&viewer, Method::DELETE, &path, &json!({})).await.status, 204);
    site.later(REMEMBERED_MS);
    site.two.get_as(&token, &location(SEEN)).await.is_problem(401, "unauthorized", None);
    open(secret).await.is_problem(401, "wrong-share", None);
}

/// The access token of whoever opens a link that is made of this.
async fn opened(site: &Site, body: &Value) -> (Value, String) {
    let viewer = site.token("viewer").await;
    let link = made(site, &viewer, "/api/v1/shares", body).await;
    let secret = link["url"].as_str().unwrap().strip_prefix("/#share=").unwrap();
    let opened = site.two.post("/share/open", &json!({ "token": secret })).await.ok();
    let token = text(&opened, "token");
    (opened, token)
}

#[tokio::test]
async fn a_link_shows_the_present_and_no_past_unless_it_was_made_to() {
    let site = site().await;
    let (told, token) = opened(&site, &json!({"name": "now", "device_ids": [SEEN]})).await;
    assert_eq!(told["history_from"], json!(null));
    let there = site.one.get_as(&token, &location(SEEN)).await.ok();
    assert_eq!((&there["odometer_m"], &there["hour_meter_min"]), (&json!(null), &json!(null)));
    let owner = site.token("viewer").await;
    let owners = site.one.get_as(&owner, &location(SEEN)).await.ok();
    assert_eq!(there["latitude"], owners["latitude"]);
    let list = site.one.get_as(&token, "/api/v1/devices/").await.ok();
    assert_eq!(list["devices"][0]["location"]["odometer_m"], json!(null));
    for path in reports() {
        let path = format!("{path}?device_id={SEEN}");
        site.one.get_as(&token, &path).await.is_problem(403, "forbidden", None);
    }
    site.one.get_as(&token, "/api/v1/fleet/summary").await.is_problem(403, "forbidden", None);
}

#[tokio::test]
async fn a_link_with_a_past_shows_it_from_its_moment_on() {
    let site = site().await;
    let key = BatchKey { worker: WorkerName::from("node-0"), run: 1, sequence: 1 };
    let records = vec![Record::Position(record(RECORDED, 1))];
    let part = Part { key, tallies: vec![], records };
    site.database.history().commit(&[part], "node-0").await.unwrap();
    let body = json!({"name": "past", "device_ids": [SEEN], "history_from": "yesterday"});
    let viewer = site.token("viewer").await;
    let wrong = site.one.send_as(&viewer, Method::POST, "/api/v1/shares", &body).await;
    wrong.is_problem(422, "invalid-field", Some("history_from"));
    let from = |second: u32| json!({"name": "p", "device_ids": [SEEN], "history_from": second.to_string()});
    let (told, all) = opened(&site, &from(RECORDED)).await;
    assert_eq!(told["history_from"], json!("2020-07-01T21:00:00Z"));
    let (_, later) = opened(&site, &from(RECORDED + 1)).await;
    let report = format!("/api/v1/report/?device_id={SEEN}");
    assert_eq!(site.one.get_as(&all, &report).await.ok()["rows"].as_array().unwrap().len(), 1);
    assert_eq!(site.one.get_as(&later, &report).await.ok()["rows"], json!([]));
    for path in reports() {
        let asked = format!("{path}?device_id={SEEN}&to={RECORDED}");
        site.one.get_as(&all, &asked).await.ok();
        let refused = site.one.get_as(&later, &asked).await;
        refused.is_problem(400, "invalid-parameter", Some("to"));
    }
    let trips = format!("/api/v1/report/trips?device_id={SEEN}");
    let told = site.one.get_as(&later, &trips).await.ok();
    assert_eq!(told["from"], json!("2020-07-01T21:00:01Z"));
    let there = site.one.get_as(&later, &location(SEEN)).await.ok();
    assert!(there["odometer_m"].is_number());
}

#[tokio::test]
async fn a_link_expires_and_its_token_with_it() {
    let site = site().await;
    let viewer = site.token("viewer").await;
    let body = json!({"name": "n", "device_ids": [SEEN], "expires_in": 300});
    let link = made(&site, &viewer, "/api/v1/shares", &body).await;
    let secret =
        json!({ "token": link["url"].as_str().unwrap().strip_prefix("/#share=").unwrap() });
    let opened = site.one.post("/share/open", &secret).await.ok();
    assert_eq!(opened["expires_in"], 300);
    site.later(300_000);
    let token = text(&opened, "token");
    site.one.get_as(&token, &location(SEEN)).await.is_problem(401, "unauthorized", None);
    site.one.post("/share/open", &secret).await.is_problem(401, "wrong-share", None);
    let viewer = site.token("viewer").await;
    let listed = site.one.get_as(&viewer, "/api/v1/shares").await.ok();
    assert_eq!(listed["shares"], json!([]));
}

#[tokio::test]
async fn wishes_are_checked_and_named() {
    let site = site().await;
    let viewer = site.token("viewer").await;
    let good = json!({"name": "n", "device_ids": [SEEN], "scopes": ["read"], "expires_in": 60});
    for (field, value) in [
        ("name", json!("")),
        ("device_ids", json!([])),
        ("device_ids", json!(["5"])),
        ("device_ids", json!(vec![SEEN; 101])),
        ("device_ids", json!(SEEN)),
        ("scopes", json!([])),
        ("scopes", json!(["admin"])),
        ("expires_in", json!(59)),
        ("expires_in", json!(365 * 86_400 + 1)),
        ("expires_in", json!("60")),
        ("more", json!(1)),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = site.one.send_as(&viewer, Method::POST, "/api/v1/tokens", &body).await;
        answer.is_problem(422, "invalid-field", Some(field));
    }
    let mut hidden = good.clone();
    for device in [HIDDEN, "FFFFFF"] {
        hidden["device_ids"] = json!([SEEN, device]);
        let answer = site.one.send_as(&viewer, Method::POST, "/api/v1/tokens", &hidden).await;
        answer.is_problem(404, "unknown-device", Some("device_ids"));
    }
    for _ in 0..200 {
        made(&site, &viewer, "/api/v1/tokens", &good).await;
    }
    let answer = site.one.send_as(&viewer, Method::POST, "/api/v1/tokens", &good).await;
    answer.is_problem(409, "too-many", None);
}

#[tokio::test]
async fn an_admin_sees_and_revokes_what_others_handed_out_and_a_reset_ends_it() {
    let site = site().await;
    let (admin, viewer) = (site.token("admin").await, site.token("viewer").await);
    let id = site.database.users().by_email("viewer@b.c").await.unwrap().unwrap().id;
    let hand_out = async || {
        let token = json!({"name": "t", "device_ids": [SEEN], "scopes": ["read"]});
        let token = made(&site, &viewer, "/api/v1/tokens", &token).await;
        let share = json!({"name": "s", "device_ids": [SEEN]});
        (token, made(&site, &viewer, "/api/v1/shares", &share).await)
    };
    let (token, share) = hand_out().await;
    let of_user = |kind: &str| format!("/api/v1/users/{id}/{kind}");
    for (kind, number, one) in [("tokens", "token_id", &token), ("shares", "share_id", &share)] {
        let listed = site.one.get_as(&admin, &of_user(kind)).await.ok();
        assert_eq!(listed[kind][0][number], one[number], "{listed}");
        assert!(listed[kind][0].get("token").is_none() && listed[kind][0].get("url").is_none());
        site.one.get_as(&viewer, &of_user(kind)).await.is_problem(403, "forbidden", None);
        let path = format!("{}/{}", of_user(kind), one[number]);
        let others = path.replace(&format!("/users/{id}/"), "/users/999999/");
        assert_eq!(site.one.send_as(&admin, Method::DELETE, &others, &json!({})).await.status, 404);
        assert_eq!(site.one.send_as(&admin, Method::DELETE, &path, &json!({})).await.status, 204);
        let again = site.one.send_as(&admin, Method::DELETE, &path, &json!({})).await;
        again.is_problem(404, "unknown-id", Some(number));
        assert_eq!(site.one.get_as(&admin, &of_user(kind)).await.ok()[kind], json!([]));
    }
    let old = text(&token, "token");
    site.one.get_as(&old, &location(SEEN)).await.is_problem(401, "unauthorized", None);

    let (token, share) = hand_out().await;
    let reset = format!("/api/v1/users/{id}/reset");
    site.one.send_as(&admin, Method::POST, &reset, &json!({})).await.ok();
    for kind in ["tokens", "shares"] {
        assert_eq!(site.one.get_as(&admin, &of_user(kind)).await.ok()[kind], json!([]));
    }
    let old = text(&token, "token");
    site.one.get_as(&old, &location(SEEN)).await.is_problem(401, "unauthorized", None);
    let secret = text(&share, "url").replace("/#share=", "");
    let opened = site.one.post("/share/open", &json!({"token": secret})).await;
    opened.is_problem(401, "wrong-share", None);
}
