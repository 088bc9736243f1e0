//! A bridge of Mosquitto at a node: its frames become rows, and commands come through it.

use nemeses_e2e::frames::{bytes, live, now_s};
use nemeses_e2e::{Line, Mosquitto, Mqtt, SOON, Shape, run_nemeses, wait_for};
use nemeses_protocol::DeviceId;
use serde_json::{Value, json};

const ONE: DeviceId = DeviceId::new(0x0A_3F73);

/// As docs/mqtt.md has it, but for its place and secret.
fn bridge(line: &Line, secret: &str, version: &str) -> String {
    format!(
        "connection nemeses\naddress {}\nremote_username edge\nremote_password {secret}\n\
         {version}cleansession true\nrestart_timeout 1\n\
         topic /messenger/# out 1\ntopic /command/{ONE} in 1\ntopic /ping/{ONE} in 0\n",
        line.mqtt_address()
    )
}

#[tokio::test]
async fn a_bridge_brings_frames_and_takes_commands() {
    let line = Line::start(Shape::Embedded, &["--mqtt-anonymous=false"]).await.unwrap();
    let url = line.database_url();
    let added = ["device", "add", "edge", "--role", "gateway", "--json", "--database-url", &url];
    let added = run_nemeses(added).await.unwrap();
    let login: Value = serde_json::from_slice(&added.stdout).unwrap();
    let secret = login["secret"].as_str().unwrap();
    let user = line.user().await.unwrap();
    // As it comes it asks with 0x84 and falls back; so does 3.1.
    let versions = ["", "bridge_protocol_version mqttv31\n", "bridge_protocol_version mqttv50\n"];
    for (round, version) in (1..).zip(versions) {
        let mosquitto = Mosquitto::plain(&bridge(&line, secret, version)).await.unwrap();
        let mut device = Mqtt::connect(mosquitto.port().address(), "tracker").await.unwrap();
        device.subscribe(&format!("/command/{ONE}")).await.unwrap();
        let path = format!("/api/v1/devices/{ONE}/commands");
        let (_, asked) = user.post(&path, &json!({"text": "through"})).await.unwrap();
        let command = device.next_publish(SOON).await.unwrap();
        assert_eq!(command.payload, "through", "{version}");
        // The bridge has acknowledged it.
        let path = format!("{path}/{}", asked["id"]);
        wait_for(SOON, "the command is acknowledged", async || {
            let (_, command) = user.get(&path).await?;
            anyhow::ensure!(command["state"] == "answered", "{command}");
            Ok(())
        })
        .await
        .unwrap();
        let frame = bytes(&live(ONE, now_s(), round));
        device.publish("/messenger", &frame).await.unwrap();
        line.wait_rows(usize::try_from(round).unwrap()).await.unwrap();
    }
    let log = line.node.as_ref().unwrap().log().unwrap();
    assert!(!log.contains("were not let in"), "a bridge that falls back is no news: {log}");
    line.audit().await.unwrap();
}
