//! Commands that the REST API takes: they reach the device that they are for, as they
//! are, and nobody else, by whatever way the shape of the line has; and a device that is
//! away gets them when it is back.

use nemeses_e2e::{Api, Line, Mqtt, Node, SOON, Shape, User, expect_log, run_nemeses, wait_for};
use nemeses_protocol::DeviceId;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::in_every_shape;

in_every_shape!(a_command_reaches_its_device_alone, a_command_waits_for_a_device_that_is_away);

const ONE: DeviceId = DeviceId::new(0x0A_3F73);
const OTHER: DeviceId = DeviceId::new(0x0A_3F74);
const ABSENT: DeviceId = DeviceId::new(0x0A_3F75);
/// Neither text nor frames.
const BYTES: [u8; 4] = [0x00, 0xFF, b'\n', 0x50];

/// Sends one; what was told of its way.
async fn command(user: &User, device: DeviceId, body: &Value) -> String {
    let path = format!("/api/v1/devices/{device}/commands");
    let (status, answer) = user.post(&path, body).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert_eq!(answer["device_id"], device.to_string());
    answer["delivered_to"].as_str().unwrap().to_owned()
}

async fn listening(mut mqtt: Mqtt, device: DeviceId) -> Mqtt {
    mqtt.subscribe(&format!("/command/{device}")).await.unwrap();
    mqtt
}

/// What comes next.
async fn heard(mqtt: &mut Mqtt) -> (String, Vec<u8>) {
    let publish = mqtt.next_publish(SOON).await.unwrap();
    (publish.topic, publish.payload.to_vec())
}

async fn a_command_reaches_its_device_alone(line: Line) {
    let user = line.user().await.unwrap();
    let mut one = listening(line.device("one").await.unwrap(), ONE).await;
    let mut other = listening(line.device("other").await.unwrap(), OTHER).await;
    let (here, absent) = match (&line.node, &line.redis) {
        (Some(_), None) => ("connection", "nobody"),
        (Some(_), Some(_)) => ("connection", "relay"),
        (None, _) => ("broker", "nobody"),
    };
    let body = json!({ "hex": hex::encode(BYTES) });
    assert_eq!(command(&user, ONE, &body).await, here);
    assert_eq!(heard(&mut one).await, ("/command/0A3F73".to_owned(), BYTES.to_vec()));
    // The first that comes to the other is its own.
    assert_eq!(command(&user, OTHER, &json!({"text": "own"})).await, here);
    assert_eq!(heard(&mut other).await, ("/command/0A3F74".to_owned(), b"own".to_vec()));
    assert_eq!(command(&user, ABSENT, &json!({"base64": "AA=="})).await, absent);
}

fn commands_of(device: DeviceId) -> String {
    format!("/api/v1/devices/{device}/commands")
}

/// Asks for one; its number and how it stands.
async fn asked(user: &User, device: DeviceId, text: &str) -> (u64, String) {
    let body = json!({"text": text, "expires_in_s": 3600});
    let (status, answer) = user.post(&commands_of(device), &body).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    (answer["id"].as_u64().unwrap(), answer["state"].as_str().unwrap().to_owned())
}

/// Waits until a command stands like this.
async fn becomes(user: &User, device: DeviceId, id: u64, state: &str) {
    let path = format!("{}/{id}", commands_of(device));
    wait_for(SOON, &format!("command {id} is {state}"), async || {
        let (status, command) = user.get(&path).await?;
        anyhow::ensure!(status == StatusCode::OK && command["state"] == state, "{command}");
        Ok(())
    })
    .await
    .unwrap();
}

async fn acknowledged(mqtt: &mut Mqtt) -> Vec<u8> {
    let publish = mqtt.next_publish(SOON).await.unwrap();
    mqtt.acknowledge(&publish).await.unwrap();
    publish.payload.to_vec()
}

async fn a_command_waits_for_a_device_that_is_away(line: Line) {
    let user = line.user().await.unwrap();
    let (first, state) = asked(&user, ONE, "first").await;
    assert_eq!(state, "queued");
    let (second, _) = asked(&user, ONE, "second").await;
    let mut one = listening(line.device("one").await.unwrap(), ONE).await;
    // A broker's acknowledgement is all that there is of one: it does not tell the device's.
    let at_the_end = if line.node.is_some() { "answered" } else { "sent" };
    for (id, text) in [(first, "first"), (second, "second")] {
        assert_eq!(acknowledged(&mut one).await, text.as_bytes());
        becomes(&user, ONE, id, at_the_end).await;
    }
    // It is back, and gets nothing again: what comes first is new.
    drop(one);
    let mut one = listening(line.device("one").await.unwrap(), ONE).await;
    let (third, _) = asked(&user, ONE, "third").await;
    assert_eq!(acknowledged(&mut one).await, b"third");
    becomes(&user, ONE, third, at_the_end).await;
}

#[tokio::test]
async fn what_was_not_acknowledged_goes_out_again_and_what_was_does_not() {
    let mut line = Line::start(Shape::Embedded, &[]).await.unwrap();
    let user = line.user().await.unwrap();
    let (first, _) = asked(&user, ONE, "first").await;
    let mut one = listening(line.device("one").await.unwrap(), ONE).await;
    assert_eq!(heard(&mut one).await.1, b"first");
    becomes(&user, ONE, first, "sent").await;
    // The device is gone before it acknowledges, and comes back.
    drop(one);
    let mut one = listening(line.device("one").await.unwrap(), ONE).await;
    assert_eq!(heard(&mut one).await.1, b"first");
    // The node is gone before it does.
    let (second, _) = asked(&user, ONE, "second").await;
    assert_eq!(heard(&mut one).await.1, b"second");
    becomes(&user, ONE, second, "sent").await;
    line.node.as_mut().unwrap().start_again().await.unwrap();
    let user = line.user().await.unwrap();
    let mut one = listening(line.device("one").await.unwrap(), ONE).await;
    for (id, text) in [(first, "first"), (second, "second")] {
        assert_eq!(acknowledged(&mut one).await, text.as_bytes());
        becomes(&user, ONE, id, "answered").await;
    }
    let path = format!("{}/{first}", commands_of(ONE));
    assert_eq!(user.get(&path).await.unwrap().1["attempts"], 3);
    // Acknowledged, a restart does not send it again.
    line.node.as_mut().unwrap().start_again().await.unwrap();
    let user = line.user().await.unwrap();
    let mut one = listening(line.device("one").await.unwrap(), ONE).await;
    let (third, _) = asked(&user, ONE, "third").await;
    assert_eq!(acknowledged(&mut one).await, b"third");
    becomes(&user, ONE, third, "answered").await;
}

#[tokio::test]
async fn a_command_finds_its_device_at_another_node_with_redis_and_without() {
    for with_redis in [true, false] {
        let line = Line::start(Shape::NodeOnServers, &[]).await.unwrap();
        let redis = line.redis.as_ref().unwrap().url();
        let database = line.database_url();
        let mut stores = vec!["--database-url", &database];
        if with_redis {
            stores.extend(["--redis-url", &redis]);
        }
        let other = Node::start(&stores).await.unwrap();
        let user = line.user().await.unwrap();
        let mqtt = Mqtt::connect(other.mqtt().address(), "one").await.unwrap();
        let mut one = listening(mqtt, ONE).await;
        let (id, state) = asked(&user, ONE, "from afar").await;
        assert_eq!(state, "queued");
        assert_eq!(acknowledged(&mut one).await, b"from afar");
        becomes(&user, ONE, id, "answered").await;
        // One of them sends it, however many know of it.
        one.ping().await.unwrap();
        assert_eq!(one.unread(), 0);
        // Away from both, and back at the first.
        drop(one);
        let (id, _) = asked(&user.at(&other.api_url()), ONE, "for later").await;
        let mut one = listening(line.device("one").await.unwrap(), ONE).await;
        assert_eq!(acknowledged(&mut one).await, b"for later");
        becomes(&user, ONE, id, "answered").await;
    }
}

#[tokio::test]
async fn a_command_that_expired_or_was_withdrawn_does_not_go_out() {
    let line = Line::start(Shape::Embedded, &[]).await.unwrap();
    let user = line.user().await.unwrap();
    let body = json!({"text": "short", "expires_in_s": 1});
    let (_, answer) = user.post(&commands_of(ONE), &body).await.unwrap();
    becomes(&user, ONE, answer["id"].as_u64().unwrap(), "expired").await;
    let (withdrawn, _) = asked(&user, ONE, "withdrawn").await;
    let path = format!("{}/{withdrawn}", commands_of(ONE));
    assert_eq!(user.delete(&path).await.unwrap(), StatusCode::NO_CONTENT);
    becomes(&user, ONE, withdrawn, "failed").await;
    let (last, _) = asked(&user, ONE, "last").await;
    let mut one = listening(line.device("one").await.unwrap(), ONE).await;
    assert_eq!(acknowledged(&mut one).await, b"last");
    becomes(&user, ONE, last, "answered").await;
}

/// An API of its own on the servers of a line, without a broker.
async fn api_beside(line: &Line) -> Api {
    let redis = line.redis.as_ref().unwrap().url();
    Api::start(&["--redis-url", &redis, "--database-url", &line.database_url()]).await.unwrap()
}

#[tokio::test]
async fn an_api_without_a_broker_reaches_devices_through_the_nodes_on_its_redis() {
    let line = Line::start(Shape::NodeOnServers, &[]).await.unwrap();
    let api = api_beside(&line).await;
    let user = line.user().await.unwrap().at(&api.url());
    let mut one = listening(line.device("one").await.unwrap(), ONE).await;
    let path = format!("/api/v1/devices/{ONE}/commands");
    // A node listens in Redis soon after it is up.
    let sent = wait_for(SOON, "a node listens", async || {
        let (status, answer) = user.post(&path, &json!({"text": "from afar"})).await?;
        anyhow::ensure!(status == StatusCode::ACCEPTED, "{answer}");
        Ok(answer)
    });
    assert_eq!(sent.await.unwrap()["delivered_to"], "relay");
    assert_eq!(heard(&mut one).await.1, b"from afar");
}

#[tokio::test]
async fn an_api_without_broker_and_nodes_says_what_is_missing() {
    expect_log(&["nothing here reaches devices"]);
    let line = Line::start(Shape::Stations, &[]).await.unwrap();
    let api = api_beside(&line).await;
    let user = line.user().await.unwrap().at(&api.url());
    let path = format!("/api/v1/devices/{ONE}/commands");
    let (status, answer) = user.post(&path, &json!({"text": "x"})).await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert_eq!(answer["type"], "urn:nemeses:problem:commands-unavailable");
    assert!(answer["detail"].as_str().unwrap().contains("--commands-mqtt-url"), "{answer}");
}

#[tokio::test]
async fn a_device_with_a_login_gets_its_own_commands() {
    let line = Line::start(Shape::Embedded, &["--mqtt-anonymous=false"]).await.unwrap();
    let user = line.user().await.unwrap();
    let mut connections = Vec::new();
    for device in [ONE, OTHER] {
        let name = device.to_string();
        let url = line.database_url();
        let added = ["device", "add", &name, "--json", "--database-url", &url];
        let added = run_nemeses(added).await.unwrap();
        let login: Value = serde_json::from_slice(&added.stdout).unwrap();
        let secret = login["secret"].as_str().unwrap();
        let mqtt = Mqtt::connect_as(line.mqtt_address(), &name, &name, secret).await.unwrap();
        connections.push(listening(mqtt, device).await);
    }
    connections[1].subscribe("/command/0A3F73").await.unwrap_err();
    let body = json!({ "hex": hex::encode(BYTES) });
    assert_eq!(command(&user, ONE, &body).await, "connection");
    assert_eq!(heard(&mut connections[0]).await.1, BYTES);
    assert_eq!(command(&user, OTHER, &json!({"text": "own"})).await, "connection");
    assert_eq!(heard(&mut connections[1]).await.1, b"own");
}
