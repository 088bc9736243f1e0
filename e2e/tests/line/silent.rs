//! Devices that have fallen silent: where they were last, also when the process was killed
//! before it could note it, and what is said when nothing can be kept.

use std::process::Command;
use std::time::Duration;

use nemeses_e2e::frames::{bytes, live, now_s};
use nemeses_e2e::{Line, SOON, Shape, User, expect_log, wait_for};
use nemeses_protocol::DeviceId;
use serde_json::Value;

const TOPIC: &str = "/messenger";
const TTL: [&str; 2] = ["--live-ttl", "2s"];

async fn wait_silent_at(user: &User, device: DeviceId, odometer_m: u32) {
    wait_for(SOON, &format!("{device} is silent at {odometer_m}"), async || {
        let location = user.location(device).await?;
        let right = location["status"] == "offline" && location["odometer_m"] == odometer_m;
        anyhow::ensure!(right, "{location}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Frames are committed and acknowledged; then the node is killed, again and again: before
/// it noted anything of them, and after.
async fn a_killed_node_answers_with_the_newest_position(shape: Shape) {
    let mut line = Line::start(shape, &TTL).await.unwrap();
    let user = line.user().await.unwrap();
    let devices: Vec<DeviceId> = (0..20).map(|n| DeviceId::new(0x0077_0000 + n)).collect();
    for round in 1..4_u32 {
        let mut gateway = line.device(&format!("gateway-{round}")).await.unwrap();
        // Each round's a second later than the one before, however quick it was.
        let at = now_s() - 10 + round;
        let frames: Vec<Vec<u8>> =
            devices.iter().map(|device| bytes(&live(*device, at, round))).collect();
        gateway.publish_all(TOPIC, frames.iter().map(Vec::as_slice), 10).await.unwrap();
        let node = line.node.as_mut().unwrap();
        if round != 2 {
            node.kill().unwrap();
            node.start_again().await.unwrap();
        }
        wait_silent_at(&user, devices[19], round).await;
        for device in &devices {
            let location = user.location(*device).await.unwrap();
            assert_eq!(location["odometer_m"], round, "{location}");
        }
        let (status, list) = user.get("/api/v1/locations/?limit=1000").await.unwrap();
        assert_eq!(status, 200, "{list}");
        let all = list["locations"].as_array().unwrap();
        let wrong: Vec<&Value> = all.iter().filter(|one| one["odometer_m"] != round).collect();
        assert!(all.len() == devices.len() && wrong.is_empty(), "{wrong:?}");
    }
}

#[tokio::test]
async fn killed_embedded() {
    a_killed_node_answers_with_the_newest_position(Shape::Embedded).await;
}

#[tokio::test]
async fn killed_on_servers() {
    a_killed_node_answers_with_the_newest_position(Shape::NodeOnServers).await;
}

/// No file of the process can grow beyond this; `unlimited` gives it room again.
fn limit_files(pid: u32, bytes: &str) {
    let limit = format!("--fsize={bytes}:");
    let status = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_full_disk_is_said() {
    expect_log(&["the store cannot be written", "the history cannot be written"]);
    let line = Line::start(Shape::Embedded, &[]).await.unwrap();
    let user = line.user().await.unwrap();
    let ready = async |status: &'static str| {
        wait_for(Duration::from_secs(30), &format!("the node is {status}"), async || {
            let (code, answer) = user.get("/readyz").await?;
            // Soon a node finds that it cannot commit either.
            let said = answer["status"] == status || (status == "degraded" && code == 503);
            anyhow::ensure!(said, "{code} {answer}");
            Ok(answer)
        })
        .await
        .unwrap()
    };
    assert_eq!(ready("ready").await["degraded"].as_array().unwrap().len(), 0);
    let pid = line.node.as_ref().unwrap().pid().unwrap();
    limit_files(pid, "4096");
    ready("degraded").await;
    limit_files(pid, "unlimited");
    ready("ready").await;
}
