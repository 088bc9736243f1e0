//! Mosquitto's own window: what it acknowledged since its last save is gone with
//! a SIGKILL. Measured and shown; what it had saved must survive.

use std::time::Duration;

use nemeses_e2e::{Line, Link, Proxy, SOON, Shape, wait_for};
use nemeses_protocol::DeviceId;

use super::{PROGRESS, SETTLE, Scene, TTL};

/// `autosave_interval` of `mosquitto.conf` is a second; twice that is safe.
const SAVED: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_loses_at_most_what_came_since_the_last_save() {
    let line = Line::start(Shape::Stations, &TTL).await.unwrap();
    let gate = Proxy::start(line.mqtt_address()).await.unwrap();
    let mut scene = Scene::begin_at(line, gate.port().address()).await;
    // The database is away, so that frames wait in Mosquitto.
    scene.line.database.as_mut().unwrap().kill().unwrap();
    scene.run_on().await;
    scene.load.settle(SETTLE).await.unwrap();
    tokio::time::sleep(SAVED).await;
    let saved = scene.load.ledger(nemeses_e2e::Ledger::acknowledged);
    scene.run_on().await;

    let mosquitto = scene.line.mosquitto.as_mut().unwrap();
    mosquitto.kill().unwrap();
    gate.set(Link::Refused).await.unwrap();
    scene.line.database.as_mut().unwrap().start_again().await.unwrap();
    scene.line.mosquitto.as_mut().unwrap().start_again().await.unwrap();
    scene.line.wait_subscribed(DeviceId::new(1)).await.unwrap();
    gate.set(Link::Open).await.unwrap();
    scene.load.wait_acknowledged(1000, PROGRESS).await.unwrap();
    scene.load.settle(SETTLE).await.unwrap();

    let verdict = wait_for(SOON + SOON, "everything saved is kept", async || {
        let rows = scene.line.tables().positions().await?;
        let letters = scene.line.tables().dead_letter_bytes().await?;
        let verdict = scene.load.ledger(|ledger| ledger.judge(&rows, &letters));
        let missing = verdict.lost.iter().filter(|key| saved.contains(key)).count();
        anyhow::ensure!(missing == 0, "{missing} of {} saved frames are lost", saved.len());
        Ok(verdict)
    })
    .await
    .unwrap();
    assert!(verdict.doubled.is_empty() && verdict.invented.is_empty(), "{verdict:?}");
    let later = scene.load.acknowledged() - saved.len() as u64;
    println!(
        "SIGKILL of Mosquitto: {} of {later} frames acknowledged since the last save are lost",
        verdict.lost.len()
    );
    scene.line.audit().await.unwrap();
}
