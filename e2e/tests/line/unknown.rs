//! Devices that nobody has made known: kept unseen until somebody does, or refused.

use nemeses_e2e::frames::{bytes, key, live, now_s};
use nemeses_e2e::{FrameKey, Line, SOON, Shape, User, expect_log, run_nemeses, wait_for};
use nemeses_protocol::{DeviceId, Position};
use serde_json::json;

const DEVICE: DeviceId = DeviceId::new(0x00_BEEF);
/// Frames sent before the device is made known, and at least as many after.
const FRAMES: u32 = 150;

fn frame(sequence: u32) -> Position {
    live(DEVICE, now_s(), sequence)
}

async fn make_known(user: &User) {
    let profile = json!({ "name": "Newcomer" });
    user.put(&format!("/api/v1/devices/{DEVICE}/"), &profile).await.unwrap();
}

/// Every letter's reason, once.
async fn reasons(line: &Line) -> Vec<String> {
    let letters = line.tables().dead_letters().await.unwrap();
    let mut reasons: Vec<String> = letters.into_iter().map(|(reason, _)| reason).collect();
    reasons.dedup();
    reasons
}

/// Waits until all letters are of this reason and as many as this.
async fn wait_letters(line: &Line, reason: &str, count: usize) {
    wait_for(SOON, &format!("{count} letters"), async || {
        let letters = line.tables().dead_letters().await?;
        let found = letters.iter().filter(|(found, _)| found == reason).count();
        anyhow::ensure!(found == count && letters.len() == count, "there are {letters:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Whoever is made known while it sends loses no frame, and has none twice.
async fn nothing_is_lost_in_quarantine(shape: Shape) {
    expect_log(&["counts=quarantined", "the list of known devices cannot be had"]);
    let line = Line::start(shape, &["--unknown-devices", "quarantine"]).await.unwrap();
    let user = line.user().await.unwrap();
    line.wait_subscribed(DEVICE).await.unwrap();
    let mut device = line.device("tracker").await.unwrap();
    let mut sent: Vec<FrameKey> = Vec::new();
    for sequence in 0..FRAMES {
        let frame = frame(sequence);
        device.publish("/messenger", &bytes(&frame)).await.unwrap();
        sent.push(key(&frame));
    }
    wait_letters(&line, "quarantined", FRAMES as usize).await;
    assert_eq!(line.tables().positions().await.unwrap(), []);
    let location = format!("/api/v1/location/?device_id={DEVICE}");
    let (status, said) = user.get(&location).await.unwrap();
    assert_eq!(status, 404, "{said}");

    make_known(&user).await;
    // It goes on sending until it is seen, and a while longer.
    let mut sequence = FRAMES;
    let mut until = u32::MAX;
    while sequence < until {
        let frame = frame(sequence);
        device.publish("/messenger", &bytes(&frame)).await.unwrap();
        sent.push(key(&frame));
        sequence += 1;
        let seen = sequence.is_multiple_of(10) && {
            let (_, said) = user.get(&location).await.unwrap();
            said["status"] == "online"
        };
        if seen && until == u32::MAX {
            until = sequence + FRAMES;
        }
        assert!(sequence < 200_000, "it is not seen");
    }
    line.wait_rows(sent.len()).await.unwrap();
    let mut rows = line.tables().positions().await.unwrap();
    rows.sort_unstable();
    sent.sort_unstable();
    assert_eq!(rows, sent);
    assert_eq!(line.tables().count_dead_letters().await.unwrap(), 0);
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

/// Values of a name that has no number are kept until somebody makes it known.
async fn a_name_comes_out_of_quarantine(shape: Shape) {
    const VALUES: usize = 10;
    expect_log(&["counts=quarantined", "the list of known devices cannot be had"]);
    let line = Line::start(shape, &["--unknown-devices", "quarantine"]).await.unwrap();
    let user = line.user().await.unwrap();
    let mut device = line.device("sensor").await.unwrap();
    for n in 0..VALUES {
        let payload = format!(r#"{{"t":{},"values":{{"n":{n}}}}}"#, 1_780_300_800 + n);
        device.publish("/telemetry/id:newcomer", payload.as_bytes()).await.unwrap();
    }
    wait_letters(&line, "quarantined", VALUES).await;
    let path = "/api/v1/devices/id:newcomer/";
    let (status, said) = user.get(path).await.unwrap();
    assert_eq!(status, 404, "{said}");
    user.put(path, &json!({ "name": "Newcomer" })).await.unwrap();
    let series = "/api/v1/series?device_id=id:newcomer&channel=n&step=raw\
        &from=2026-06-01T08:00:00Z&to=2026-06-01T09:00:00Z";
    wait_for(SOON, "the values are out", async || {
        let (status, said) = user.get(series).await?;
        anyhow::ensure!(status == 200 && said["count"] == VALUES, "{said}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(line.tables().count_dead_letters().await.unwrap(), 0);
    // From now on it is let in.
    device.publish("/telemetry/id:newcomer", br#"{"n":11}"#).await.unwrap();
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

#[tokio::test]
async fn a_name_comes_out_of_quarantine_of_an_embedded_node() {
    a_name_comes_out_of_quarantine(Shape::Embedded).await;
}

#[tokio::test]
async fn a_name_comes_out_of_quarantine_of_stations() {
    a_name_comes_out_of_quarantine(Shape::Stations).await;
}

#[tokio::test]
async fn nothing_is_lost_in_quarantine_of_an_embedded_node() {
    nothing_is_lost_in_quarantine(Shape::Embedded).await;
}

#[tokio::test]
async fn nothing_is_lost_in_quarantine_of_a_node_on_servers() {
    nothing_is_lost_in_quarantine(Shape::NodeOnServers).await;
}

#[tokio::test]
async fn nothing_is_lost_in_quarantine_of_a_node_on_mysql() {
    if Shape::NodeOnMySql.is_here() {
        nothing_is_lost_in_quarantine(Shape::NodeOnMySql).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_in_quarantine_of_stations() {
    nothing_is_lost_in_quarantine(Shape::Stations).await;
}

/// Whoever is refused is let in once it is known; what was refused is there, and
/// becomes rows when somebody says so.
async fn what_is_rejected_can_be_had_back(shape: Shape) {
    expect_log(&["counts=unknown_device", "the list of known devices cannot be had"]);
    let line = Line::start(shape, &["--unknown-devices", "reject"]).await.unwrap();
    let user = line.user().await.unwrap();
    // Its ping is refused, too.
    line.wait_subscribed(DEVICE).await.unwrap();
    let mut device = line.device("tracker").await.unwrap();
    for sequence in 0..3 {
        device.publish("/messenger", &bytes(&frame(sequence))).await.unwrap();
    }
    wait_for(SOON, "three frames are refused", async || {
        let letters = line.tables().dead_letters().await?;
        let frames = letters.iter().filter(|(_, bytes)| bytes.len() > 20).count();
        anyhow::ensure!(frames == 3, "{letters:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(reasons(&line).await, ["unknown_device"]);

    make_known(&user).await;
    let mut sequence = 3;
    wait_for(SOON, "it is let in", async || {
        device.publish("/messenger", &bytes(&frame(sequence))).await?;
        sequence += 1;
        let rows = line.tables().positions().await?;
        anyhow::ensure!(!rows.is_empty(), "not after {sequence} frames");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(reasons(&line).await, ["unknown_device"]);

    let url = line.database_url();
    let retry = ["dead-letters", "retry", "--database-url", &url];
    let left = run_nemeses(retry).await.unwrap();
    assert!(left.status.success());
    assert_eq!(reasons(&line).await, ["unknown_device"], "nobody named the reason");
    let asked = run_nemeses([&retry[..], &["--reason", "unknown_device"]].concat()).await.unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    line.wait_rows(sequence as usize).await.unwrap();
    assert_eq!(line.tables().count_dead_letters().await.unwrap(), 0);
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

#[tokio::test]
async fn what_an_embedded_node_rejects_can_be_had_back() {
    what_is_rejected_can_be_had_back(Shape::Embedded).await;
}

#[tokio::test]
async fn what_stations_reject_can_be_had_back() {
    what_is_rejected_can_be_had_back(Shape::Stations).await;
}

#[tokio::test]
async fn what_stations_on_mysql_reject_can_be_had_back() {
    if Shape::StationsOnMySql.is_here() {
        what_is_rejected_can_be_had_back(Shape::StationsOnMySql).await;
    }
}
