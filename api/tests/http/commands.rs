//! Commands over HTTP: who may send them, what a body may hold, and what is told of
//! their way.

use std::sync::Mutex;

use async_trait::async_trait;
use nemeses_api::{CommandError, CommandSink, Delivered};
use nemeses_protocol::DeviceId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::fakes::INNER_TEXT;
use crate::harness::Answer;
use crate::site::{Site, text};

const DEVICE: &str = "0A3F73";
const OTHER: &str = "0A3F74";
const STRANGER: &str = "FFFFFF";

/// Keeps what it is given, and answers as it is told.
pub(crate) struct FakeCommands {
    outcome: Mutex<Result<Delivered, CommandError>>,
    sent: Mutex<Vec<(DeviceId, Vec<u8>)>>,
}

impl Default for FakeCommands {
    fn default() -> Self {
        Self { outcome: Mutex::new(Ok(Delivered::Connection)), sent: Mutex::default() }
    }
}

impl FakeCommands {
    fn answers(&self, outcome: Result<Delivered, CommandError>) {
        *self.outcome.lock().unwrap() = outcome;
    }

    /// What came since it was asked last.
    fn taken(&self) -> Vec<(String, Vec<u8>)> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        sent.into_iter().map(|(device, payload)| (device.to_string(), payload)).collect()
    }
}

#[async_trait]
impl CommandSink for FakeCommands {
    async fn send(&self, device: DeviceId, payload: Vec<u8>) -> Result<Delivered, CommandError> {
        self.sent.lock().unwrap().push((device, payload));
        self.outcome.lock().unwrap().clone()
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
        let expected = json!({"device_id": DEVICE, "bytes": 6, "delivered_to": "connection"});
        assert_eq!(told, expected);
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
    for delivered in [Delivered::Connection, Delivered::Relay, Delivered::Broker, Delivered::Nobody]
    {
        site.commands.answers(Ok(delivered));
        let answer = send(&site, &operator, DEVICE, &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let told: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(told["delivered_to"], delivered.name());
        assert_eq!(site.commands.taken(), [(DEVICE.to_owned(), vec![0, 255])]);
    }
    site.commands.answers(Err(CommandError::NoWay));
    let answer = send(&site, &operator, DEVICE, &body).await;
    answer.is_problem(503, "commands-unavailable", None);
    assert!(answer.text.contains("--commands-mqtt-url"), "{answer:?}");
    // What a broker or Redis said stays in the log.
    site.commands.answers(Err(CommandError::Unavailable(INNER_TEXT.to_owned())));
    let answer = send(&site, &operator, DEVICE, &body).await;
    answer.is_problem(503, "commands-unavailable", None);
    assert_eq!(answer.headers["retry-after"], "5");
}
