//! The live entry over time: it expires, comes back, and survives what kills
//! its store.

use std::time::Duration;

use nemeses_e2e::frames::{bytes, live, now_s, ping};
use nemeses_e2e::{Line, SOON, Shape, User, expect_log, wait_for};
use nemeses_protocol::DeviceId;

const DEVICE: DeviceId = DeviceId::new(0x0044_4444);
const TOPIC: &str = "/messenger";

async fn wait_status(user: &User, device: DeviceId, status: &str) {
    wait_for(SOON, &format!("{device} is {status}"), async || {
        let location = user.location(device).await?;
        anyhow::ensure!(location["status"] == status, "{location}");
        anyhow::ensure!(location["latitude"].is_number(), "no position in {location}");
        Ok(())
    })
    .await
    .unwrap();
}

async fn a_silent_device_goes_offline_and_a_ping_brings_it_back(shape: Shape) {
    let line = Line::start(shape, &["--live-ttl", "3s"]).await.unwrap();
    let user = line.user().await.unwrap();
    let mut device = line.device("tracker").await.unwrap();
    device.publish(TOPIC, &bytes(&live(DEVICE, now_s(), 1))).await.unwrap();
    wait_status(&user, DEVICE, "online").await;
    wait_status(&user, DEVICE, "offline").await;
    device.publish(TOPIC, &ping(DEVICE)).await.unwrap();
    wait_status(&user, DEVICE, "online").await;
    let (status, _) = user.get("/api/v1/location/?device_id=FFFFFF").await.unwrap();
    assert_eq!(status, 404, "nobody has heard of that device");
}

#[tokio::test]
async fn expires_embedded() {
    a_silent_device_goes_offline_and_a_ping_brings_it_back(Shape::Embedded).await;
}

#[tokio::test]
async fn expires_on_servers() {
    a_silent_device_goes_offline_and_a_ping_brings_it_back(Shape::NodeOnServers).await;
}

#[tokio::test]
async fn expires_on_mysql() {
    if Shape::NodeOnMySql.is_here() {
        a_silent_device_goes_offline_and_a_ping_brings_it_back(Shape::NodeOnMySql).await;
    }
}

#[tokio::test]
async fn expires_with_stations() {
    a_silent_device_goes_offline_and_a_ping_brings_it_back(Shape::Stations).await;
}

/// Devices that were online, each with a position of its own.
async fn fleet(line: &Line) -> Vec<DeviceId> {
    let devices: Vec<DeviceId> = (0..50).map(|n| DeviceId::new(0x0055_0000 + n)).collect();
    let frames: Vec<Vec<u8>> =
        devices.iter().map(|device| bytes(&live(*device, now_s(), device.number()))).collect();
    let mut gateway = line.device("gateway").await.unwrap();
    gateway.publish_all(TOPIC, frames.iter().map(Vec::as_slice), 10).await.unwrap();
    devices
}

async fn wait_online(user: &User, devices: &[DeviceId]) {
    for device in devices {
        wait_for(SOON, &format!("{device} is online"), async || {
            let location = user.location(*device).await?;
            let right = location["odometer_m"] == device.number();
            anyhow::ensure!(location["status"] == "online" && right, "{location}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

async fn entries_are_rebuilt_after_redis_lost_its_memory(shape: Shape) {
    expect_log(&[
        "Redis is not available",
        "until Redis is back",
        "a part of the live stream was missed",
    ]);
    let mut line = Line::start(shape, &[]).await.unwrap();
    let user = line.user().await.unwrap();
    let devices = fleet(&line).await;
    wait_online(&user, &devices).await;
    let redis = line.redis.as_mut().unwrap();
    redis.kill().unwrap();
    let unreachable = wait_for(SOON, "the API says that the live store is away", async || {
        let (status, body) = user.get("/api/v1/location/?device_id=550000").await?;
        anyhow::ensure!(status == 503, "{status} {body}");
        Ok(body)
    })
    .await
    .unwrap();
    assert_eq!(unreachable["status"], 503, "problem+json: {unreachable}");
    redis.start_again().await.unwrap();
    wait_online(&user, &devices).await;
}

#[tokio::test]
async fn rebuilt_by_a_node() {
    entries_are_rebuilt_after_redis_lost_its_memory(Shape::NodeOnServers).await;
}

#[tokio::test]
async fn rebuilt_by_a_node_on_mysql() {
    if Shape::NodeOnMySql.is_here() {
        entries_are_rebuilt_after_redis_lost_its_memory(Shape::NodeOnMySql).await;
    }
}

#[tokio::test]
async fn rebuilt_by_stations() {
    entries_are_rebuilt_after_redis_lost_its_memory(Shape::Stations).await;
}

#[tokio::test]
async fn a_restart_of_the_node_keeps_the_fleet_online() {
    let mut line = Line::start(Shape::Embedded, &[]).await.unwrap();
    let devices = fleet(&line).await;
    let user = line.user().await.unwrap();
    wait_online(&user, &devices).await;
    let node = line.node.as_mut().unwrap();
    let status = node.stop(Duration::from_secs(10)).await.unwrap();
    assert!(status.success(), "{status}");
    node.start_again().await.unwrap();
    // The token is still good too: its secret lies in the data directory.
    wait_online(&user, &devices).await;
}
