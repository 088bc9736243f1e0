//! Values of named channels while what stores them is killed: each that was acknowledged is there
//! once, nothing else is, and the books balance.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use nemeses_e2e::{Line, Mqtt, Shape, expect_log, wait_for};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;

use super::kills::Victim;
use super::{PROGRESS, SETTLE, WARNINGS, kills, seed};

/// 2026-06-01T08:00:00Z.
const FROM_MS: u64 = 1_780_300_800_000;
const DEVICES: u64 = 6;
/// Sent at once, and again when the connection ends before all are acknowledged.
const AT_ONCE: u64 = 20;
/// Acknowledged by all devices between two blows at least.
const LEAST_BETWEEN: u64 = 1200;

/// Everything is sealed as soon as it is a second old, and records are sent again after it.
const SEALING: &[&str] = &["--seal-after", "1s"];

/// Device, milliseconds.
type Key = (u64, u64);

/// A device that sends one record after the other, every fifth with a position: how many were
/// acknowledged, all before them included.
async fn device(
    address: SocketAddr,
    number: u64,
    told: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
) -> u64 {
    let topic = format!("/telemetry/{number:06X}");
    let mut acknowledged = 0;
    while !*stop.borrow() {
        let Ok(mut client) = Mqtt::connect(address, &format!("values-{number}")).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while !*stop.borrow() {
            let payload = |record: u64| {
                let position = if record.is_multiple_of(5) {
                    r#""position":{"lat":-19.9,"lon":43.9},"#
                } else {
                    ""
                };
                let t = FROM_MS + record;
                format!(
                    r#"{{"t":{t},{position}"values":{{"n":{record},"half":{}.5}}}}"#,
                    record % 7
                )
            };
            let payloads: Vec<String> =
                (acknowledged..acknowledged + AT_ONCE).map(payload).collect();
            let payloads = payloads.iter().map(String::as_bytes);
            let sending = client.publish_all(&topic, payloads, 20);
            match tokio::time::timeout(Duration::from_secs(20), sending).await {
                Ok(Ok(())) => acknowledged += AT_ONCE,
                Ok(Err(_)) | Err(_) => break,
            }
            told.send_replace(acknowledged);
        }
    }
    acknowledged
}

async fn every_acknowledged_value_survives(shape: Shape, victims: &[Victim], args: &[&str]) {
    expect_log(&WARNINGS);
    expect_log(&WARNINGS);
    let mut line = Line::start(shape, args).await.unwrap();
    let seed = seed();
    println!("CHAOS_SEED={seed} draws the same moments again");
    let mut rng = StdRng::seed_from_u64(seed);
    let (end, stop) = watch::channel(false);
    let mut devices = tokio::task::JoinSet::new();
    let mut counts = Vec::new();
    for number in 1..=DEVICES {
        let (told, count) = watch::channel(0);
        counts.push(count);
        let (address, stop) = (line.mqtt_address(), stop.clone());
        devices.spawn(async move { (number, device(address, number, told, stop).await) });
    }
    let all = || counts.iter().map(|count| *count.borrow()).sum::<u64>();
    for _ in 0..kills() {
        for victim in victims {
            let before = all();
            wait_for(PROGRESS, "values are acknowledged", async || {
                anyhow::ensure!(all() >= before + LEAST_BETWEEN, "{} of {before}", all());
                Ok(())
            })
            .await
            .unwrap();
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
            super::kills::strike(&mut line, *victim).await;
        }
    }
    let before = all();
    wait_for(PROGRESS, "values are acknowledged again", async || {
        anyhow::ensure!(all() >= before + LEAST_BETWEEN);
        Ok(())
    })
    .await
    .unwrap();
    end.send_replace(true);
    let mut acknowledged = BTreeMap::new();
    while let Some(ended) = devices.join_next().await {
        let (number, count) = ended.unwrap();
        acknowledged.insert(number, count);
    }
    // What was under way at the end may be there as well.
    wait_for(SETTLE, "each is there once", async || judge(&line, &acknowledged).await)
        .await
        .unwrap();
    println!("{shape:?}: {} records acknowledged, 0 lost", acknowledged.values().sum::<u64>());
    if args == SEALING {
        // All are old by their clock.
        wait_for(SETTLE, "all are sealed", async || {
            let (all, sealed) =
                (line.tables().count_readings().await?, line.tables().count_sealed().await?);
            anyhow::ensure!(all == sealed, "{sealed} of {all}");
            judge(&line, &acknowledged).await
        })
        .await
        .unwrap();
    }
}

async fn judge(line: &Line, acknowledged: &BTreeMap<u64, u64>) -> anyhow::Result<()> {
    line.audit().await?;
    let mut found: BTreeMap<Key, u64> = BTreeMap::new();
    for (device, recorded_at_ms) in line.tables().readings().await? {
        *found.entry((device, recorded_at_ms)).or_default() += 1;
    }
    for (device, count) in acknowledged {
        for record in 0..*count {
            let times = found.remove(&(*device, FROM_MS + record)).unwrap_or_default();
            anyhow::ensure!(times == 1, "record {record} of {device} is there {times} times");
        }
    }
    let beyond = |(device, ms): &Key| {
        let count = acknowledged.get(device).copied().unwrap_or_default();
        (FROM_MS + count..FROM_MS + count + AT_ONCE).contains(ms)
    };
    let strange: Vec<_> = found.iter().filter(|(key, times)| !beyond(key) || **times > 1).collect();
    anyhow::ensure!(strange.is_empty(), "never sent, or twice: {strange:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_node() {
    every_acknowledged_value_survives(Shape::Embedded, &[Victim::Node], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_and_database() {
    let victims = [Victim::Node, Victim::Database];
    every_acknowledged_value_survives(Shape::NodeOnServers, &victims, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_and_database() {
    let victims = [Victim::Parser(0), Victim::Exporter(0), Victim::Database];
    every_acknowledged_value_survives(Shape::Stations, &victims, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_node_that_seals_every_second() {
    every_acknowledged_value_survives(Shape::Embedded, &[Victim::Node], SEALING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_that_seals_every_second_and_database() {
    let victims = [Victim::Node, Victim::Database];
    every_acknowledged_value_survives(Shape::NodeOnServers, &victims, SEALING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_that_seal_every_second_and_database() {
    let victims = [Victim::Parser(0), Victim::Exporter(0), Victim::Database];
    every_acknowledged_value_survives(Shape::Stations, &victims, SEALING).await;
}
