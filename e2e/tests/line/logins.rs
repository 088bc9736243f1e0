//! Trackers with logins of their own: each speaks for itself only.

use std::net::SocketAddr;

use nemeses_e2e::frames::{bytes, key, live, now_s};
use nemeses_e2e::{Line, Mqtt, SOON, Shape, expect_log, run_nemeses, wait_for};
use nemeses_protocol::{DeviceId, Position};
use serde_json::Value;

/// Runs `nemeses device ...` on the line's database and returns its answer.
async fn device_command(line: &Line, words: &[&str]) -> Value {
    let url = line.database_url();
    let output =
        run_nemeses(&[&["device"], words, &["--json", "--database-url", &url]].concat()).await;
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?} ended with {}: {said}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn connect(address: SocketAddr, name: &str, secret: &str) -> anyhow::Result<Mqtt> {
    Mqtt::connect_as(address, &format!("tracker {name}"), name, secret).await
}

async fn a_device_speaks_for_itself_only(shape: Shape) {
    expect_log(&["clients were not let in", "counts=identity_mismatch"]);
    let line = Line::start(shape, &["--mqtt-anonymous=false"]).await.unwrap();
    let address = line.mqtt_address();
    Mqtt::connect(address, "nobody").await.unwrap_err();
    let added = device_command(&line, &["add", "00AAAA"]).await;
    let secret = added["secret"].as_str().unwrap().to_owned();
    connect(address, "00AAAA", "not the secret").await.unwrap_err();
    let mut device = connect(address, "00AAAA", &secret).await.unwrap();

    let own = live(DeviceId::new(0x00_AAAA), now_s(), 1);
    let foreign = bytes(&live(DeviceId::new(0x00_BBBB), now_s(), 2));
    device.publish("/messenger", &[bytes(&own), foreign.clone()].concat()).await.unwrap();
    assert_eq!(line.tables().positions().await.unwrap(), [key(&own)]);
    let letters = line.tables().dead_letters().await.unwrap();
    assert_eq!(letters, [("identity_mismatch".to_owned(), foreign)]);

    let rotated = device_command(&line, &["rotate", "00AAAA"]).await;
    let new_secret = rotated["secret"].as_str().unwrap().to_owned();
    is_closed(device, &own).await;
    wait_for(SOON, "the new secret is good and the old one is not", async || {
        let mut device = connect(address, "00AAAA", &new_secret).await?;
        device.publish("/messenger", &bytes(&own)).await?;
        anyhow::ensure!(connect(address, "00AAAA", &secret).await.is_err(), "the old one is good");
        Ok(())
    })
    .await
    .unwrap();
    let device = connect(address, "00AAAA", &new_secret).await.unwrap();
    device_command(&line, &["disable", "00AAAA"]).await;
    is_closed(device, &own).await;
    wait_for(SOON, "a disabled login is kept out", async || {
        let let_in = connect(address, "00AAAA", &new_secret).await.is_ok();
        anyhow::ensure!(!let_in, "it is let in");
        Ok(())
    })
    .await
    .unwrap();
    device_command(&line, &["enable", "00AAAA"]).await;
    let device = wait_for(SOON, "an enabled login is let in", async || {
        connect(address, "00AAAA", &new_secret).await
    });
    let device = device.await.unwrap();
    device_command(&line, &["remove", "00AAAA"]).await;
    is_closed(device, &own).await;
    assert_eq!(line.tables().positions().await.unwrap(), [key(&own)]);
    line.audit().await.unwrap();
}

/// A connection whose login holds no longer is closed, also while it is in use.
async fn is_closed(mut device: Mqtt, own: &Position) {
    wait_for(SOON, "the open connection is closed", async || {
        let published = device.publish("/messenger", &bytes(own)).await;
        anyhow::ensure!(published.is_err(), "it is open");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn checked_by_an_embedded_node() {
    a_device_speaks_for_itself_only(Shape::Embedded).await;
}

#[tokio::test]
async fn checked_by_a_node_on_servers() {
    a_device_speaks_for_itself_only(Shape::NodeOnServers).await;
}

#[tokio::test]
async fn checked_by_a_node_on_mysql() {
    if Shape::NodeOnMySql.is_here() {
        a_device_speaks_for_itself_only(Shape::NodeOnMySql).await;
    }
}
