//! Clients as people use them: rumqttc in both protocols, mosquitto_pub and
//! mosquitto_sub.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]

mod support;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use support::{DEADLINE, TestDoor, eventually};
use tokio::process::Command;
use tokio::time::timeout;

const MESSAGES: usize = 2000;

#[tokio::test]
async fn rumqttc_3_1_1_publishes_by_the_thousand() {
    use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
    let door = TestDoor::start().await;
    door.intake.commit_at_once(true);
    let mut options = MqttOptions::new("rumqttc", "127.0.0.1", door.port());
    options.set_inflight(500);
    let (client, mut events) = AsyncClient::new(options, 100);
    let publisher = tokio::spawn(async move {
        for number in 0..MESSAGES {
            let payload = number.to_string();
            client.publish("/messenger", QoS::AtLeastOnce, false, payload).await.unwrap();
        }
        client
    });
    let acknowledged = async {
        let mut acknowledged = 0;
        while acknowledged < MESSAGES {
            if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.unwrap() {
                acknowledged += 1;
            }
        }
    };
    timeout(DEADLINE, acknowledged).await.unwrap();
    publisher.await.unwrap();
    let expected: Vec<_> = (0..MESSAGES).map(|number| number.to_string().into_bytes()).collect();
    assert_eq!(door.intake.payloads(), expected);
}

#[tokio::test]
async fn rumqttc_5_carries_messages_of_every_quality_from_client_to_client() {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::Packet;
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let door = TestDoor::start().await;
    let options = |id: &str| MqttOptions::new(id, "127.0.0.1", door.port());
    let (listener, mut heard) = AsyncClient::new(options("listener"), 100);
    listener.subscribe("a/#", QoS::ExactlyOnce).await.unwrap();
    timeout(DEADLINE, async {
        while !matches!(heard.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
    })
    .await
    .unwrap();
    let (publisher, mut events) = AsyncClient::new(options("publisher"), 100);
    let polling = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let sender = tokio::spawn(async move {
        for number in 0..600_usize {
            let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number % 3];
            publisher.publish("a/b", qos, false, number.to_string()).await.unwrap();
        }
        publisher
    });
    let mut payloads = Vec::new();
    timeout(DEADLINE, async {
        while payloads.len() < 600 {
            if let Event::Incoming(Packet::Publish(publish)) = heard.poll().await.unwrap() {
                payloads.push(String::from_utf8(publish.payload.to_vec()).unwrap());
            }
        }
    })
    .await
    .unwrap();
    let expected: Vec<_> = (0..600).map(|number| number.to_string()).collect();
    assert_eq!(payloads, expected);
    sender.await.unwrap();
    polling.abort();
}

/// The founding document's commands: a frame, and a ping with its reply.
#[tokio::test]
async fn mosquitto_pub_and_sub_work_as_people_type_them() {
    let door = TestDoor::start().await;
    door.intake.commit_at_once(true);
    for (version, qos) in
        [("mqttv311", "0"), ("mqttv311", "1"), ("mqttv5", "1"), ("mqttv5", "2"), ("mqttv311", "2")]
    {
        let mut sub = mosquitto("mosquitto_sub", &door, version);
        sub.args(["-t", "/messenger", "-q", qos, "-C", "1"]);
        let sub = sub.stdout(Stdio::piped()).spawn().unwrap();
        eventually("subscribed", || door.handle.has_subscriber("/messenger")).await;
        let before = door.intake.count();
        let mut publish = mosquitto("mosquitto_pub", &door, version);
        publish.args(["-t", "/messenger", "-m", "50F70A3F73", "-q", qos]);
        assert!(publish.status().await.unwrap().success());
        let seen = timeout(DEADLINE, sub.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(seen.stdout).unwrap(), "50F70A3F73\n");
        eventually("taken", || door.intake.count() == before + 1).await;
        eventually("left", || !door.handle.has_subscriber("/messenger")).await;
    }
}

#[tokio::test]
async fn mosquitto_sub_sees_replies_and_retained_messages() {
    let door = TestDoor::start().await;
    let intake = Arc::clone(&door.intake);
    intake.commit_at_once(true);
    let mut sub = mosquitto("mosquitto_sub", &door, "mqttv5");
    sub.args(["-t", "/ping/#", "-C", "1", "-F", "%t %X"]);
    let sub = sub.stdout(Stdio::piped()).spawn().unwrap();
    eventually("subscribed", || door.handle.has_subscriber("/ping/0A3F73")).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), support::PING).unwrap();
    let mut publish = mosquitto("mosquitto_pub", &door, "mqttv311");
    publish.args(["-t", "/messenger", "-q", "1", "-f"]).arg(file.path());
    assert!(publish.status().await.unwrap().success());
    let seen = timeout(DEADLINE, sub.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(seen.stdout, b"/ping/0A3F73 50F70150494E4773C4\n");
    let mut retain = mosquitto("mosquitto_pub", &door, "mqttv5");
    retain.args(["-t", "state", "-m", "on", "-r", "-q", "1"]);
    assert!(retain.status().await.unwrap().success());
    let mut sub = mosquitto("mosquitto_sub", &door, "mqttv311");
    let seen = sub.args(["-t", "state", "-C", "1", "-F", "%r %p"]).output();
    let seen = timeout(DEADLINE, seen).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(seen.stdout).unwrap(), "1 on\n");
}

#[tokio::test]
async fn mosquitto_pub_is_told_when_it_may_not() {
    let door = TestDoor::start().await;
    let mut publish = mosquitto("mosquitto_pub", &door, "mqttv5");
    publish.args(["-u", "0A3F73", "-P", "wrong", "-t", "/messenger", "-m", "x"]);
    let refused = publish.stderr(Stdio::piped()).output().await.unwrap();
    assert!(!refused.status.success());
}

fn mosquitto(program: &str, door: &TestDoor, version: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &door.port().to_string(), "-V", version]);
    command.kill_on_drop(true);
    let seconds = Duration::from_secs(10).as_secs().to_string();
    command.args(["-k", &seconds]);
    command
}
