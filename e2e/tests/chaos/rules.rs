//! Rules while what evaluates and stores is killed: each alarm that must be is there once, and nothing
//! else. Rows come one after the other, some again and some late. What must be is told by a loop over
//! the levels that were acknowledged, which shares nothing with the evaluator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use nemeses_e2e::{Line, Mqtt, SOON, Shape, expect_log, nemeses_binary, wait_for};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::process::Command;
use tokio::sync::watch;

use super::kills::Victim;
use super::{PROGRESS, SETTLE, WARNINGS, kills, seed};

/// 2026-06-01T08:00:00Z.
const FROM_MS: u64 = 1_780_300_800_000;
/// Late rows are a month older.
const LATE_MS: u64 = FROM_MS - 30 * 86_400_000;
const DEVICES: u64 = 8;
/// Acknowledged by all devices between two blows at least.
const LEAST_BETWEEN: u64 = 400;
const RULE: &str = r#"{"name": "High", "rule": {"test": {"kind": "condition",
    "when": "level > 50", "until": "level <= 30"}, "notify_if_younger_s": 2592000}}"#;

/// What a device measures, the same for some records.
const fn level(device: u64, record: u64) -> u64 {
    (record / 4 * 7919 + device * 104_729) % 101
}

/// Sends a record, and now and then an earlier one again, and a late one, before the next.
async fn send(client: &mut Mqtt, number: u64, record: u64) -> anyhow::Result<()> {
    let topic = format!("/telemetry/{number:06X}");
    let row = |t: u64, level: u64| format!(r#"{{"t":{t},"values":{{"level":{level}}}}}"#);
    let of = |record: u64| row(FROM_MS + record * 1000, level(number, record));
    client.publish(&topic, of(record).as_bytes()).await?;
    if record % 7 == 3 {
        client.publish(&topic, of(record - record % 5).as_bytes()).await?;
    }
    if record % 11 == 5 {
        client.publish(&topic, row(LATE_MS + record * 1000, 100).as_bytes()).await?;
    }
    Ok(())
}

/// A device that sends one record after the other, each when the one before is acknowledged; how many
/// were. It ends behind one that was acknowledged.
async fn device(
    address: SocketAddr,
    number: u64,
    told: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
) -> u64 {
    let mut acknowledged = 0;
    loop {
        let Ok(mut client) = Mqtt::connect(address, &format!("rules-{number}")).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let sent = Duration::from_secs(20);
        while let Ok(Ok(())) =
            tokio::time::timeout(sent, send(&mut client, number, acknowledged)).await
        {
            acknowledged += 1;
            told.send_replace(acknowledged);
            if *stop.borrow() {
                return acknowledged;
            }
        }
    }
}

/// Adds the rule, and waits until it is evaluated.
async fn add_rule(line: &Line) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.json");
    std::fs::write(&file, RULE).unwrap();
    let added = Command::new(nemeses_binary().unwrap())
        .args(["rules", "add"])
        .arg(&file)
        .args(["--database-url", &line.database_url()])
        .output()
        .await
        .unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let mut first = line.device("first").await.unwrap();
    wait_for(SOON, "the rule raises an alarm", async || {
        let ms = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_millis();
        let row = format!(r#"{{"t":{ms},"values":{{"level":100}}}}"#);
        first.publish("/telemetry/host:first", row.as_bytes()).await?;
        let alarms = line.tables().alarms().await?;
        anyhow::ensure!(!alarms.is_empty(), "none yet");
        Ok(())
    })
    .await
    .unwrap();
}

/// When alarms open and clear, milliseconds.
type Alarms = Vec<(u64, Option<u64>)>;

fn expected(device: u64, records: u64) -> Alarms {
    let mut alarms: Alarms = Vec::new();
    for record in 0..records {
        let (at, level) = (FROM_MS + record * 1000, level(device, record));
        match alarms.last_mut().filter(|last| last.1.is_none()) {
            Some(open) if level <= 30 => open.1 = Some(at),
            None if level > 50 => alarms.push((at, None)),
            _ => {}
        }
    }
    alarms
}

async fn judge(line: &Line, acknowledged: &BTreeMap<u64, u64>) -> anyhow::Result<usize> {
    line.audit().await?;
    let mut by_device: BTreeMap<u64, Alarms> = BTreeMap::new();
    let mut late = 0;
    for alarm in line.tables().alarms().await? {
        if !acknowledged.contains_key(&alarm.device) {
            continue;
        }
        if alarm.late {
            late += 1;
            let is_of_late = alarm.opened_at_ms < FROM_MS;
            anyhow::ensure!(is_of_late, "late, and of a row that was not: {alarm:?}");
        } else {
            let opened = (alarm.opened_at_ms, alarm.cleared_at_ms);
            by_device.entry(alarm.device).or_default().push(opened);
        }
    }
    let mut count = 0;
    for (device, records) in acknowledged {
        let mut found = by_device.remove(device).unwrap_or_default();
        found.sort_unstable();
        let expected = expected(*device, *records);
        let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        let (has, must) = (found.len(), expected.len());
        anyhow::ensure!(
            found == expected,
            "device {device} has {has} alarms of {must} after {records} records; {differs:?}"
        );
        count += found.len();
    }
    anyhow::ensure!(late > 0, "no late row raised anything");
    Ok(count)
}

async fn each_alarm_is_there_once(shape: Shape, victims: &[Victim]) {
    expect_log(&WARNINGS);
    let mut line = Line::start(shape, &[]).await.unwrap();
    add_rule(&line).await;
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
    let run_on = async |all: &dyn Fn() -> u64| {
        let before = all();
        wait_for(PROGRESS, "records are acknowledged", async || {
            anyhow::ensure!(all() >= before + LEAST_BETWEEN, "{} of {before}", all());
            Ok(())
        })
        .await
        .unwrap();
    };
    for _ in 0..kills() {
        for victim in victims {
            run_on(&all).await;
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
            super::kills::strike(&mut line, *victim).await;
        }
    }
    run_on(&all).await;
    end.send_replace(true);
    let mut acknowledged = BTreeMap::new();
    while let Some(ended) = devices.join_next().await {
        let (number, count) = ended.unwrap();
        acknowledged.insert(number, count);
    }
    let judged = wait_for(SETTLE, "each alarm is there once", async || {
        judge(&line, &acknowledged).await.with_context(|| format!("CHAOS_SEED={seed}"))
    });
    let alarms = judged.await.unwrap();
    let records = acknowledged.values().sum::<u64>();
    println!("{shape:?}: {records} records acknowledged, {alarms} alarms, each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_node() {
    each_alarm_is_there_once(Shape::Embedded, &[Victim::Node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_and_database() {
    each_alarm_is_there_once(Shape::NodeOnServers, &[Victim::Node, Victim::Database]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_and_mysql() {
    if Shape::NodeOnMySql.is_here() {
        each_alarm_is_there_once(Shape::NodeOnMySql, &[Victim::Node, Victim::Database]).await;
    }
}
