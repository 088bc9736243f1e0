//! Evaluators that are ended at any moment and take the lease from each other, on a real database: each
//! alarm that must be is there once. Judged by a loop over the rows that knows nothing of the evaluator.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails where it stands")]
#![expect(clippy::print_stdout, reason = "the seed is told")]

use std::collections::BTreeMap;
use std::time::Duration;

use nemeses_alarms::{Config, Evaluator};
use nemeses_e2e::{Brand, SqlServer, wait_for};
use nemeses_protocol::{BatchKey, Composition, DeviceId, Position, PositionRecord, Record};
use nemeses_runtime::{Clock, Registry, Stop};
use nemeses_store::history::{
    Alarm, AlarmFilter, Database, NewReceiver, NewRule, NotificationFilter, NotificationState,
    Options, Part, RuleScope, open,
};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;

const DEVICES: u32 = 6;

/// Nothing here takes so long unless it hangs.
const SOON: Duration = Duration::from_secs(60);

async fn database(url: &str) -> Database {
    let database = open(url, Options::default()).await.unwrap();
    database.history().migrate().await.unwrap();
    database
}

fn sqlite(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("history.db").display())
}

fn on(server: &SqlServer) -> String {
    let port = server.port().number();
    format!("mysql://nemeses:nemeses@127.0.0.1:{port}/nemeses")
}

async fn add_rule(database: &Database, spec: &str, receivers: Vec<u64>) -> u64 {
    let rule = NewRule {
        name: "Too fast".into(),
        severity: "critical".into(),
        spec: spec.into(),
        scope: RuleScope::All,
        enabled: true,
        receivers,
    };
    database.rules().add_rule(None, &rule, 1).await.unwrap()
}

fn row(device: u32, recorded_at: u32, speed_kmh: u8) -> Record {
    let position = Position {
        device: DeviceId::new(device),
        recorded_at,
        direction_cdeg: 0,
        odometer_m: 0,
        hour_meter_min: 0,
        composition: Composition(Composition::GPS_FIX | Composition::IGNITION),
        extension: None,
        speed_kmh,
        latitude_udeg: 50_000_000,
        longitude_udeg: 10_000_000,
    };
    let frame_hash = u64::from(recorded_at) << 32 | u64::from(device);
    let received_at_ms = Clock::system().now_ms();
    Record::Position(PositionRecord { position, frame_hash, received_at_ms, packed: None })
}

async fn commit(database: &Database, sequence: u64, records: Vec<Record>) {
    let key = BatchKey { worker: "w".into(), run: 1, sequence };
    let part = Part { key, tallies: Vec::new(), records };
    database.history().commit(&[part], "x").await.unwrap();
}

/// An evaluator that can be ended where it stands.
struct Running(tokio::task::JoinHandle<()>);

impl Running {
    fn start(database: &Database, name: &str) -> Self {
        let config = Config { name: name.into(), alone: true };
        let names = database.named().names();
        let mut registry = Registry::default();
        let evaluator =
            Evaluator::new(config, database.clone(), names, Clock::system(), &mut registry);
        Self(tokio::spawn(evaluator.run(Stop::default())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn alarms(database: &Database) -> Vec<Alarm> {
    let filter = AlarmFilter { limit: 1000, ..AlarmFilter::default() };
    let mut all = database.alarms().list(&filter).await.unwrap();
    while let Some(last) = all.last().filter(|_| all.len() % 1000 == 0) {
        let filter = AlarmFilter { before: Some(last.id), ..filter.clone() };
        let more = database.alarms().list(&filter).await.unwrap();
        if more.is_empty() {
            break;
        }
        all.extend(more);
    }
    all
}

async fn until_evaluated(database: &Database) {
    let evaluated = wait_for(SOON, "all marks are evaluated", async || {
        let left = database.evaluation().count_marks(9).await?;
        anyhow::ensure!(left == 0, "{left} marks are left");
        Ok(())
    });
    evaluated.await.unwrap();
}

/// When alarms open and end, by the speeds alone.
fn expected(speeds: &[(u32, u8)]) -> Vec<(u64, Option<u64>)> {
    let mut found: Vec<(u64, Option<u64>)> = Vec::new();
    for (at, kmh) in speeds {
        let at_ms = u64::from(*at) * 1000;
        match found.last_mut().filter(|last| last.1.is_none()) {
            Some(open) if *kmh <= 85 => open.1 = Some(at_ms),
            None if *kmh > 90 => found.push((at_ms, None)),
            _ => {}
        }
    }
    found
}

/// Each case on each database.
async fn on_each(case: impl AsyncFn(&str)) {
    let folder = TempDir::new().unwrap();
    case(&sqlite(&folder)).await;
    for brand in [Brand::MariaDb, Brand::MySql] {
        if brand.is_here() {
            let server = SqlServer::start_with(brand, &[]).await.unwrap();
            case(&on(&server)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_alarm_is_there_once_whatever_is_ended_in_between() {
    on_each(evaluators_are_ended).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_alone_raises_alarms_and_a_changed_rule_withdraws_them() {
    on_each(time_passes).await;
}

async fn evaluators_are_ended(url: &str) {
    let seed = std::env::var("CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("CHAOS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (one, two) = (database(url).await, database(url).await);
    let receiver = NewReceiver {
        name: "w".into(),
        kind: "webhook".into(),
        target: "{}".into(),
        delivery: "{}".into(),
        enabled: true,
    };
    let receiver = one.receivers().add_receiver(None, &receiver, Some(1), 1).await.unwrap();
    let spec = r#"{"test":{"kind":"overspeed","limit_kmh":90},"notify_if_younger_s":2592000}"#;
    add_rule(&one, spec, vec![receiver]).await;
    let start = Clock::system().now_s() - 3000;
    let mut speeds: BTreeMap<u32, Vec<(u32, u8)>> = BTreeMap::new();
    let mut sent: Vec<Record> = Vec::new();
    let mut running = [Running::start(&one, "a"), Running::start(&two, "b")];
    for round in 0..120_u32 {
        let mut records = Vec::new();
        for device in 1..=DEVICES {
            let (at, kmh) = (start + round, random.random_range(75..=100));
            speeds.entry(device).or_default().push((at, kmh));
            records.push(row(device, at, kmh));
        }
        if round > 5 && random.random_bool(0.3) {
            // A row once more, and one that is older than all.
            records.push(sent[random.random_range(0..sent.len())].clone());
            records.push(row(random.random_range(1..=DEVICES), start - 1000 + round, 200));
        }
        sent.extend(records.iter().cloned());
        let through = if random.random_bool(0.5) { &one } else { &two };
        commit(through, round.into(), records).await;
        if random.random_bool(0.25) {
            let at = random.random_range(0..2);
            running[at] = Running::start(if at == 0 { &one } else { &two }, "again");
        }
        if random.random_bool(0.5) {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..30))).await;
        }
    }
    until_evaluated(&two).await;
    drop(running);

    let all = alarms(&one).await;
    let mut must = 0;
    for (device, speeds) in &speeds {
        let of_device = |alarm: &&Alarm| alarm.key.device.number() == *device && !alarm.late;
        let mut found: Vec<(u64, Option<u64>)> = all
            .iter()
            .filter(of_device)
            .map(|alarm| (alarm.opened_at_ms, alarm.cleared_at_ms))
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected(speeds), "device {device}, CHAOS_SEED={seed}");
        must += found.iter().map(|(_, end)| 1 + usize::from(end.is_some())).sum::<usize>();
    }
    let late: Vec<&Alarm> = all.iter().filter(|alarm| alarm.late).collect();
    assert!(!late.is_empty(), "late rows are recorded");
    assert!(
        late.iter().all(|alarm| !alarm.notified && alarm.opened_at_ms < u64::from(start) * 1000)
    );
    let filter = NotificationFilter {
        state: Some(NotificationState::Waiting),
        limit: 1000,
        ..NotificationFilter::default()
    };
    let waiting = one.outbox().notifications(&filter).await.unwrap();
    assert_eq!(waiting.len(), must, "one notification a change, CHAOS_SEED={seed}");
}

async fn time_passes(url: &str) {
    let database = database(url).await;
    let id = add_rule(&database, r#"{"test":{"kind":"idling"},"for_s":1}"#, Vec::new()).await;
    let running = Running::start(&database, "a");
    commit(&database, 1, vec![row(1, Clock::system().now_s(), 0)]).await;
    let opened = wait_for(SOON, "the alarm opens", async || {
        anyhow::ensure!(!alarms(&database).await.is_empty(), "none yet");
        Ok(())
    });
    opened.await.unwrap();
    database.rules().remove_rule(id).await.unwrap();
    let withdrawn = wait_for(SOON, "the alarm is withdrawn", async || {
        anyhow::ensure!(alarms(&database).await[0].withdrawn, "not yet");
        Ok(())
    });
    withdrawn.await.unwrap();
    assert_eq!(alarms(&database).await.len(), 1);
    drop(running);
}
