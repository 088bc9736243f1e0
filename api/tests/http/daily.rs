//! The daily table: kept up, also after late rows, and the same as the report
//! that reads every row.

use std::time::Duration;

use nemeses_api::{DailyStats, KeptIn, keep_daily};
use nemeses_protocol::PositionRecord;
use nemeses_runtime::Clock;
use nemeses_store::history::{DaySums, DoneDay};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::fleet::{Fleet, device, row};
use crate::harness::RECORDED;

const HOUR: u32 = 3600;
/// Midnight before the harness's now.
const START: u32 = RECORDED - 21 * HOUR;
const FIX: u16 = 1 << 15;
const ON: u16 = 1 << 13;

/// Drives half of every hour from one second to another, a row each minute.
fn drive(number: u32, from: u32, to: u32) -> Vec<PositionRecord> {
    let one = |at: u32| {
        let mut one = row(number, at, 0, 0);
        let driving = at % HOUR < HOUR / 2;
        let driven_s = at / HOUR * (HOUR / 2) + (at % HOUR).min(HOUR / 2);
        let metres = (driven_s - (START - 48 * HOUR) / 2) * number;
        one.position.composition.0 = if driving { FIX | ON } else { FIX };
        one.position.speed_kmh = if driving { 50 } else { 0 };
        one.position.odometer_m = 1000 + metres;
        one.position.longitude_udeg = i32::try_from(metres * 9).unwrap();
        one
    };
    (from..to).step_by(60).map(one).collect()
}

impl Fleet {
    /// Commits as another process would: this one's has marked the slot already,
    /// and the keeper below takes marks before their slot is over.
    pub(crate) async fn commit_elsewhere(&self, rows: Vec<PositionRecord>) {
        self.commit_to(&self.another().await, rows).await;
    }

    /// Waits until all that was committed is added up.
    pub(crate) async fn add_up(&self) {
        // Slots are counted by the machine's time: an hour later all of them are over.
        let clock = Clock::held(Clock::system().now_ms() + 3_600_000);
        let stop = CancellationToken::new();
        let process = KeptIn { holder: "test".into(), committed_rows: Box::new(|| 0) };
        let stats = DailyStats::default();
        let keeping =
            tokio::spawn(keep_daily(self.database.clone(), process, stats, clock, stop.clone()));
        let added_up = async {
            while self.database.daily().backlog().await.unwrap().marks > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), added_up).await.unwrap();
        stop.cancel();
        keeping.await.unwrap();
    }

    async fn summary(&self, query: &str) -> Value {
        self.served.get(&format!("/api/v1/fleet/summary/?{query}")).await.ok()
    }

    /// Each device of the fleet's summary is what its own report says.
    async fn agrees(&self, query: &str, summary: &Value) {
        for line in summary["devices"].as_array().unwrap() {
            let id = line["device_id"].as_str().unwrap();
            let path = format!("/api/v1/report/summary?device_id={id}&{query}");
            let report = self.served.get(&path).await.ok();
            for (field, value) in report["total"].as_object().unwrap() {
                assert_eq!(&line[field], value, "{id} {field}");
            }
            assert_eq!(line["days"], report["count"], "{id}");
        }
    }
}

#[tokio::test]
async fn sums_of_days_are_those_of_the_rows_late_ones_too() {
    let fleet = Fleet::empty().await;
    let day = 24 * HOUR;
    fleet.commit_elsewhere(drive(1, START - day, START - 2 * HOUR)).await;
    fleet.commit_elsewhere(drive(2, START - HOUR, START + HOUR)).await;
    let range = "from=2020-06-30&to=2020-07-01";
    let rows = "from=2020-06-30T00:00:00Z&to=2020-07-01T23:59:59Z";
    let before = fleet.summary(range).await;
    assert_eq!((&before["pending"], &before["count"]), (&json!(3), &json!(0)));
    fleet.add_up().await;
    let summary = fleet.summary(range).await;
    assert_eq!((&summary["pending"], &summary["count"]), (&json!(0), &json!(2)));
    assert_eq!(summary["total"]["rows"], 22 * 60 + 2 * 60);
    assert_eq!(summary["days"][0]["devices"], 2);
    fleet.agrees(rows, &summary).await;

    // Rows behind the last one, on the same day and the next.
    fleet.commit_elsewhere(drive(1, START - 2 * HOUR, START + 3 * HOUR)).await;
    fleet.add_up().await;
    fleet.agrees(rows, &fleet.summary(range).await).await;
    // Late rows: before all, between, and on the day before, where the next day's
    // first leg begins.
    let mut late = drive(2, START - 90 * 60, START - HOUR);
    late.push(row(2, START - 30, 1, 1));
    late.push(row(2, START + 90, 1, 1));
    fleet.commit_elsewhere(late).await;
    fleet.add_up().await;
    let summary = fleet.summary(range).await;
    fleet.agrees(rows, &summary).await;
    assert_eq!(summary["total"]["rows"], 27 * 60 + 2 * 60 + 32);

    // Another threshold: nothing is fast any more.
    let path = "/api/v1/devices/000001";
    let body = json!({"motion_kmh": 100, "name": "One"});
    assert_eq!(fleet.served.send(Method::PUT, path, &body).await.status, 201);
    assert_eq!(fleet.summary(range).await["pending"], 2);
    fleet.add_up().await;
    let changed = fleet.summary(range).await;
    assert_eq!(
        (&changed["devices"][0]["moving_s"], &changed["devices"][0]["name"]),
        (&json!(0), &json!("One"))
    );
}

#[tokio::test]
async fn a_day_that_waits_for_two_reasons_waits_once() {
    let fleet = Fleet::empty().await;
    fleet.commit_elsewhere(drive(1, START, START + HOUR)).await;
    fleet.add_up().await;
    let (daily, day) = (fleet.database.daily(), START / 86_400);
    let sums = daily.sums(&[device(1)], day, day).await.unwrap().pop().unwrap();
    // Other rules had made them, and then rows come.
    let sums = Some(DaySums { rules: 0, ..sums });
    let (marks, newest, fix, next) = (Vec::new(), None, None, None);
    let old = DoneDay { marks, device: device(1), day, sums, newest, fix, next };
    daily.keep(&[old]).await.unwrap();
    let range = "from=2020-07-01&to=2020-07-01";
    assert_eq!(fleet.summary(range).await["pending"], 1);
    fleet.commit_elsewhere(drive(1, START + HOUR, START + 2 * HOUR)).await;
    assert_eq!(fleet.summary(range).await["pending"], 1);
    fleet.add_up().await;
    let made = fleet.summary(range).await;
    assert_eq!((&made["pending"], &made["total"]["rows"]), (&json!(0), &json!(120)));
}

#[tokio::test]
async fn a_summary_is_of_what_one_may_see() {
    let fleet = Fleet::empty().await;
    for number in 1..4 {
        fleet.commit_elsewhere(drive(number, START, START + HOUR)).await;
    }
    fleet.add_up().await;
    let viewer = Fleet::user(&fleet.database, "v@localhost", nemeses_store::history::Role::Viewer);
    let viewer = viewer.await;
    fleet.database.users().grant(viewer, device(1), 1).await.unwrap();
    let group = fleet.database.groups().add("G", 1).await.unwrap();
    fleet.database.groups().put(group, device(2), 1).await.unwrap();
    let token = fleet.served.token_of(viewer);
    let path = "/api/v1/fleet/summary/?from=2020-07-01&to=2020-07-01";
    let seen = fleet.served.get_as(&token, path).await.ok();
    assert_eq!((&seen["count"], &seen["total"]["devices"]), (&json!(1), &json!(1)));
    let hidden = fleet.served.get_as(&token, &format!("{path}&device_ids=000002")).await;
    hidden.is_problem(404, "unknown-device", Some("device_ids"));
    let hidden = fleet.served.get_as(&token, &format!("{path}&group={group}")).await;
    hidden.is_problem(404, "unknown-group", Some("group"));
    let of_group = fleet.summary(&format!("from=2020-07-01&group={group}")).await;
    assert_eq!(
        (&of_group["count"], &of_group["devices"][0]["device_id"]),
        (&json!(1), &json!("000002"))
    );
    // Once the sums hold them, silent devices are placed without reading days of rows.
    let list = fleet.served.get("/api/v1/devices/").await.ok();
    assert_eq!(
        list["devices"][2]["location"],
        fleet.served.get("/api/v1/location/?device_id=000003").await.ok()
    );
}
