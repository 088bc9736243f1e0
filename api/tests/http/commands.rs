//! Commands over HTTP: who may send them, what a body may hold, what is told of their way
//! and what is kept of them.

use std::sync::Mutex;

use async_trait::async_trait;
use nemeses_api::{CommandSink, Delivered, KeptCommand, NoWay};
use nemeses_store::history::CommandStep;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Answer;
use crate::site::{Site, text};

const DEVICE: &str = "0A3F73";
const OTHER: &str = "0A3F74";
const STRANGER: &str = "FFFFFF";

/// Keeps what it is given, and answers as it is told.
pub(crate) struct FakeCommands {
    outcome: Mutex<Result<Delivered, NoWay>>,
    sent: Mutex<Vec<KeptCommand>>,
}

impl Default for FakeCommands {
    fn default() -> Self {
        Self { outcome: Mutex::new(Ok(Delivered::Connection)), sent: Mutex::default() }
    }
}

impl FakeCommands {
    fn answers(&self, outcome: Result<Delivered, NoWay>) {
        *self.outcome.lock().unwrap() = outcome;
    }

    /// What came since it was asked last.
    fn taken(&self) -> Vec<(String, Vec<u8>)> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        sent.into_iter().map(|sent| (sent.device.to_string(), sent.payload)).collect()
    }
}

#[async_trait]
impl CommandSink for FakeCommands {
    async fn send(&self, command: KeptCommand) -> Result<Delivered, NoWay> {
        self.sent.lock().unwrap().push(command);
        *self.outcome.lock().unwrap()
    }
}

fn path(device: &str) -> String {
    format!("/api/v1/devices/{device}/commands")
}

async fn send(site: &Site, token: &str, device: &str, body: &Value) -> Answer {
    site.one.send_as(token, Method::POST, &path(device), body).await
}

async fn scoped(site: &Site, by: &str, scopes: &[&str]) -> String {
    let body = json!({"name": "t", "device_ids": [DEVICE], "scopes": scopes});
    let made = site.one.send_as(by, Method::POST, "/api/v1/tokens", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    text(&serde_json::from_str(&made.text).unwrap(), "token")
}

async fn shared(site: &Site, by: &str) -> String {
    let body = json!({"name": "s", "device_ids": [DEVICE]});
    let made = site.one.send_as(by, Method::POST, "/api/v1/shares", &body).await;
    let link: Value = serde_json::from_str(&made.text).unwrap();
    let secret = link["url"].as_str().unwrap().strip_prefix("/#share=").unwrap();
    let opened = site.one.post("/share/open", &json!({ "token": secret })).await.ok();
    text(&opened, "token")
}

/// With a device that the viewer sees.
async fn site() -> Site {
    let site = Site::start().await;
    let users = site.database.users();
    let viewer = users.by_email("viewer@b.c").await.unwrap().unwrap().id;
    users.grant(viewer, DEVICE.parse().unwrap(), 1).await.unwrap();
    site
}

#[tokio::test]
async fn operators_admins_and_tokens_for_it_command_and_nobody_else() {
    let site = site().await;
    let (admin, operator, viewer) =
        (site.token("admin").await, site.token("operator").await, site.token("viewer").await);
    let body = json!({"text": "reboot"});
    let token = scoped(&site, &operator, &["command"]).await;
    for allowed in [&admin, &operator, &token] {
        let answer = send(&site, allowed, "0a3f73", &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let told: Value = serde_json::from_str(&answer.text).unwrap();
        assert!(told["id"].is_u64() && told["expires_at"].is_string(), "{told}");
        assert_eq!((&told["device_id"], &told["bytes"]), (&json!(DEVICE), &json!(6)));
        assert_eq!((&told["delivered_to"], &told["state"]), (&json!("connection"), &json!("sent")));
        assert_eq!(site.commands.taken(), [(DEVICE.to_owned(), b"reboot".to_vec())]);
    }
    let to_read = scoped(&site, &operator, &["read", "stream"]).await;
    let of_viewer = scoped(&site, &viewer, &["command"]).await;
    let link = shared(&site, &admin).await;
    for denied in [&viewer, &to_read, &of_viewer, &link] {
        let mut told = Vec::new();
        for device in [DEVICE, OTHER, STRANGER] {
            let answer = send(&site, denied, device, &body).await;
            answer.is_problem(403, "forbidden", None);
            told.push(answer.text);
        }
        told.dedup();
        assert_eq!(told.len(), 1, "the answer tells devices apart");
    }
    // A token for one device cannot tell another from nothing.
    let hidden = send(&site, &token, OTHER, &body).await;
    hidden.is_problem(404, "unknown-device", Some("device_id"));
    let unknown = send(&site, &token, STRANGER, &body).await;
    assert_eq!(hidden.text.replace(OTHER, STRANGER), unknown.text);
    let stranger = site.one.request(Method::POST, &path(DEVICE)).json(&body).send().await;
    Answer::of(stranger.unwrap()).await.is_problem(401, "unauthorized", None);
    assert_eq!(site.commands.taken(), []);
}

#[tokio::test]
async fn a_command_without_a_good_body_is_not_sent() {
    let site = site().await;
    let operator = site.token("operator").await;
    for (body, field) in [
        (json!({}), "hex"),
        (json!({"hex": "0"}), "hex"),
        (json!({"hex": ""}), "hex"),
        (json!({"text": ""}), "text"),
        (json!({"text": "é".repeat(513)}), "text"),
        (json!({"base64": "!"}), "base64"),
        (json!({"hex": "00", "base64": "AA=="}), "base64"),
        (json!({"hex": "00", "qos": 2}), "qos"),
    ] {
        let answer = send(&site, &operator, DEVICE, &body).await;
        answer.is_problem(422, "invalid-field", Some(field));
    }
    let answer = send(&site, &operator, DEVICE, &json!([])).await;
    answer.is_problem(400, "malformed-body", None);
    let answer = send(&site, &operator, "0A3F7", &json!({"text": "x"})).await;
    answer.is_problem(400, "invalid-parameter", Some("device_id"));
    let bare = site.one.request(Method::POST, &path(DEVICE)).bearer_auth(&operator).send().await;
    Answer::of(bare.unwrap()).await.is_problem(415, "unsupported-media-type", None);
    assert_eq!(site.commands.taken(), []);
    let most = json!({"hex": "ff".repeat(1024)});
    assert_eq!(send(&site, &operator, DEVICE, &most).await.status, 202);
    assert_eq!(site.commands.taken(), [(DEVICE.to_owned(), vec![0xFF; 1024])]);
}

#[tokio::test]
async fn what_is_known_of_a_commands_way_is_told() {
    let site = site().await;
    let operator = site.token("operator").await;
    let body = json!({"base64": "AP8="});
    for (delivered, state) in [
        (Delivered::Connection, "sent"),
        (Delivered::Relay, "queued"),
        (Delivered::Broker, "sent"),
        (Delivered::Watchers, "queued"),
        (Delivered::Nobody, "queued"),
    ] {
        site.commands.answers(Ok(delivered));
        let answer = send(&site, &operator, DEVICE, &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let told: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(
            (&told["delivered_to"], &told["state"]),
            (&json!(delivered.name()), &json!(state))
        );
        assert_eq!(site.commands.taken(), [(DEVICE.to_owned(), vec![0, 255])]);
    }
    site.commands.answers(Err(NoWay));
    let answer = send(&site, &operator, DEVICE, &body).await;
    answer.is_problem(503, "commands-unavailable", None);
    assert!(answer.text.contains("--commands-mqtt-url"), "{answer:?}");
    // It does not wait for somebody who never comes.
    let listed = site.one.get_as(&operator, &path(DEVICE)).await.ok();
    let newest = &listed["commands"][0];
    assert_eq!((&newest["state"], &newest["reason"]), (&json!("failed"), &json!("no_way")));
}

#[tokio::test]
async fn commands_are_listed_with_who_asked_and_what_became_of_them() {
    let site = site().await;
    let operator = site.token("operator").await;
    site.commands.answers(Ok(Delivered::Nobody));
    let token = scoped(&site, &operator, &["command"]).await;
    let mut ids = Vec::new();
    for by in [&operator, &token, &operator] {
        let told = send(&site, by, DEVICE, &json!({"hex": "00ff", "expires_in_s": 60})).await;
        let told: Value = serde_json::from_str(&told.text).unwrap();
        ids.push(told["id"].as_u64().unwrap());
    }
    let listed = site.one.get_as(&token, &path(DEVICE)).await.ok();
    assert_eq!((&listed["count"], &listed["next_cursor"]), (&json!(3), &Value::Null));
    let of = |listed: &Value, name: &str| {
        let commands = listed["commands"].as_array().unwrap();
        commands.iter().map(|command| command[name].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(&listed, "id"), [json!(ids[2]), json!(ids[1]), json!(ids[0])]);
    assert_eq!(of(&listed, "state"), ["queued"; 3]);
    assert_eq!(of(&listed, "hex"), ["00FF"; 3]);
    let asked_by = of(&listed, "asked_by");
    assert_eq!((&asked_by[0], &asked_by[2]), (&json!("operator@b.c"), &json!("operator@b.c")));
    assert!(asked_by[1].as_str().unwrap().starts_with("operator@b.c by token "), "{asked_by:?}");
    // In pages.
    let first = site.one.get_as(&operator, &(path(DEVICE) + "?limit=2")).await.ok();
    let next = first["next_cursor"].as_str().unwrap();
    let rest = site.one.get_as(&operator, &format!("{}?cursor={next}", path(DEVICE))).await.ok();
    assert_eq!(of(&rest, "id"), [json!(ids[0])]);

    let commands = site.database.commands();
    let device = [DEVICE.parse().unwrap()];
    let now_ms = site.clock.now_ms();
    commands.claim(&device, "a node", now_ms, now_ms + 1).await.unwrap();
    let answered = CommandStep::Answered(Some(b"OK".to_vec()));
    let steps = [(ids[0], CommandStep::Sent), (ids[0], answered)];
    commands.note("a node", &steps, now_ms).await.unwrap();
    let one = |id: u64| format!("{}/{id}", path(DEVICE));
    let found = site.one.get_as(&operator, &one(ids[0])).await.ok();
    assert_eq!((&found["state"], &found["answer_hex"]), (&json!("answered"), &json!("4F4B")));
    assert_eq!(found["attempts"], 1);

    let delete = async |token: &str, path: &str| {
        let request = site.one.request(Method::DELETE, path).bearer_auth(token).send().await;
        Answer::of(request.unwrap()).await
    };
    delete(&operator, &one(ids[0])).await.is_problem(409, "closed", None);
    delete(&operator, &one(999)).await.is_problem(404, "unknown-id", Some("command_id"));
    assert_eq!(delete(&token, &one(ids[1])).await.status, 204);
    let found = site.one.get_as(&operator, &one(ids[1])).await.ok();
    assert_eq!((&found["state"], &found["reason"]), (&json!("failed"), &json!("withdrawn")));
    // Time passes.
    site.clock.set(now_ms + 61_000);
    let found = site.one.get_as(&operator, &one(ids[2])).await.ok();
    assert_eq!(found["state"], "expired");
    for path in [one(ids[2] + 1), one(0)] {
        site.one.get_as(&operator, &path).await.is_problem(404, "unknown-id", Some("command_id"));
    }
    // Who may not command the device learns nothing of its commands.
    let viewer = site.token("viewer").await;
    for path in [path(DEVICE), one(ids[0])] {
        site.one.get_as(&viewer, &path).await.is_problem(403, "forbidden", None);
        delete(&viewer, &one(ids[2])).await.is_problem(403, "forbidden", None);
    }
    let other = format!("{}/{}", path(OTHER), ids[0]);
    site.one.get_as(&token, &other).await.is_problem(404, "unknown-device", Some("device_id"));
    site.one.get_as(&operator, &other).await.is_problem(404, "unknown-id", Some("command_id"));
}

#[tokio::test]
async fn a_device_has_so_many_open_commands() {
    let site = site().await;
    let operator = site.token("operator").await;
    site.commands.answers(Ok(Delivered::Nobody));
    for _ in 0..32 {
        assert_eq!(send(&site, &operator, DEVICE, &json!({"text": "x"})).await.status, 202);
    }
    let answer = send(&site, &operator, DEVICE, &json!({"text": "x"})).await;
    answer.is_problem(409, "too-many", None);
    assert_eq!(send(&site, &operator, OTHER, &json!({"text": "x"})).await.status, 202);
}
