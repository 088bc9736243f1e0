//! What devices in the field send, asked for over the API: frames of faults that were
//! reported, with the right answers; over the database of a node, before and after the
//! sums of days are made.

use nemeses_protocol::{Frame, Item, PositionRecord, frame_hash, frames};
use serde_json::{Value, json};

use crate::fleet::Fleet;

/// The frames of a fixture, as they are stored.
fn rows(hex: &str) -> Vec<PositionRecord> {
    let digits: String = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let bytes: Vec<u8> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect();
    let row = |item| match item {
        Item::Frame { frame: Frame::Location(position), bytes, .. } => PositionRecord {
            position,
            frame_hash: frame_hash(bytes),
            received_at_ms: u64::from(position.recorded_at) * 1000 + 250,
            packed: None,
        },
        _ => panic!("no position"),
    };
    frames(&bytes).map(row).collect()
}

async fn site(hex: &str) -> Fleet {
    let fleet = Fleet::empty().await;
    fleet.commit_elsewhere(rows(hex)).await;
    fleet
}

impl Fleet {
    async fn report(&self, path: &str) -> Value {
        self.served.get(&format!("/api/v1/report/{path}")).await.ok()
    }

    /// Start and end of what a report lists, and whether it is open.
    async fn listed(&self, what: &str, query: &str) -> Vec<(String, String, bool)> {
        let answer = self.report(&format!("{what}?{query}")).await;
        let text = |one: &Value, field: &str| {
            one[field].as_str().unwrap().trim_start_matches("2026-06-01T").to_owned()
        };
        let told =
            |one: &Value| (text(one, "start"), text(one, "end"), one["open"].as_bool().unwrap());
        answer[what].as_array().unwrap().iter().map(told).collect()
    }
}

fn listed(start: &str, end: &str, open: bool) -> Vec<(String, String, bool)> {
    vec![(start.to_owned(), end.to_owned(), open)]
}

#[tokio::test]
async fn a_repeated_speed_makes_no_trip() {
    let fleet =
        site(include_str!("../../../crates/reports/fixtures/fast_at_both_ends_of_a_stand.hex"))
            .await;
    let trips = fleet.listed("trips", "device_id=B0A001").await;
    assert_eq!(trips, listed("08:00:00Z", "08:05:00Z", false));
    let stops = fleet.listed("stops", "device_id=B0A001").await;
    assert_eq!(stops, listed("08:05:00Z", "08:55:00Z", true));
    let total = &fleet.report("summary?device_id=B0A001").await["total"];
    assert_eq!((&total["engine_s"], &total["moving_s"]), (&json!(300), &json!(240)));
}

#[tokio::test]
async fn what_begins_in_a_range_is_there_whenever_it_is_decided() {
    let fleet =
        site(include_str!("../../../crates/reports/fixtures/stop_decided_behind_the_range.hex"))
            .await;
    for to in ["2026-06-01T08:06:00Z", "2026-06-01T08:06:30Z", "2026-06-01T09:00:00Z"] {
        let stops = fleet.listed("stops", &format!("device_id=B0A005&to={to}")).await;
        assert_eq!(stops, listed("08:06:00Z", "08:16:00Z", true), "{to}");
    }
    for to in ["2026-06-01T08:00:00Z", "2026-06-01T08:01:00Z", "2026-06-01T08:05:00Z"] {
        let trips = fleet.listed("trips", &format!("device_id=B0A005&to={to}")).await;
        assert_eq!(trips, listed("08:00:00Z", "08:06:00Z", false), "{to}");
        assert_eq!(fleet.listed("stops", &format!("device_id=B0A005&to={to}")).await, []);
    }
}

#[tokio::test]
async fn a_stop_ends_however_late() {
    // Parked for 40 days with a row an hour, and then away.
    let fleet =
        site(include_str!("../../../crates/reports/fixtures/stop_decided_behind_the_range.hex"))
            .await;
    let last =
        rows(include_str!("../../../crates/reports/fixtures/stop_decided_behind_the_range.hex"))
            .pop()
            .unwrap();
    let end = last.position.recorded_at + 40 * 86_400;
    let parked = (last.position.recorded_at..=end).step_by(3600).map(|at| {
        let mut row = last.clone();
        (row.position.recorded_at, row.frame_hash) = (at, u64::from(at));
        row
    });
    let mut parked: Vec<PositionRecord> = parked.skip(1).collect();
    for n in 1..=6_u32 {
        let mut row = last.clone();
        (row.position.recorded_at, row.frame_hash) = (end + n * 60, u64::from(end + n * 60));
        (row.position.composition.0, row.position.speed_kmh) = (0xA000, 60);
        row.position.longitude_udeg += i32::try_from(n * 12_700).unwrap();
        row.position.odometer_m += n * 1000;
        parked.push(row);
    }
    fleet.commit_elsewhere(parked).await;
    let stops = fleet.listed("stops", "device_id=B0A005&to=2026-06-01T08:06:30Z").await;
    assert_eq!(stops, listed("08:06:00Z", "2026-07-11T08:16:00Z", false));
}

#[tokio::test]
async fn a_doubtful_place_is_shown_and_counts_for_nothing() {
    let fleet =
        site(include_str!("../../../crates/reports/fixtures/zero_place_in_a_drive.hex")).await;
    let total = &fleet.report("summary?device_id=B0A003").await["total"];
    assert_eq!((&total["distance_m"], &total["rows"]), (&json!(5897), &json!(5)));
    let marked = fleet.report("?device_id=B0A003").await;
    let marks: Vec<&Value> =
        marked["rows"].as_array().unwrap().iter().map(|row| &row["doubtful"]).collect();
    assert_eq!(
        marks,
        [&json!(null), &json!(null), &json!("zero_place"), &json!(null), &json!(null)]
    );
}

#[tokio::test]
async fn a_parked_day_is_the_same_by_itself_and_in_a_range() {
    let fleet =
        site(include_str!("../../../crates/reports/fixtures/parked_with_a_standing_odometer.hex"))
            .await;
    for made in [false, true] {
        if made {
            fleet.add_up().await;
        }
        let whole = fleet.report("summary?device_id=B0A004").await;
        let total = &whole["total"];
        assert_eq!(
            (&total["odometer_start_m"], &total["odometer_end_m"], &total["distance_m"]),
            (&json!(1000), &json!(5000), &json!(4000))
        );
        assert_eq!(total["distance_from"], "odometer");
        let parked = fleet.report("summary?device_id=B0A004&from=2026-06-01T00:00:00Z").await;
        assert_eq!(parked["total"]["distance_m"], 0, "{made}");
        assert_eq!(whole["days"][1]["distance_m"], 0);
        // A range that begins and ends anywhere adds up with what is before and behind.
        for cut in ["2026-05-31T08:01:00Z", "2026-06-01T08:00:30Z", "2026-06-01T08:02:30Z"] {
            let head = fleet.report(&format!("summary?device_id=B0A004&to={cut}")).await;
            let cut: jiff::Timestamp = cut.parse().unwrap();
            let from = cut.as_second() + 1;
            let tail = fleet.report(&format!("summary?device_id=B0A004&from={from}")).await;
            let sum = |field: &str| {
                let of = |part: &Value| part["total"][field].as_u64().unwrap();
                of(&head) + of(&tail)
            };
            for field in ["distance_m", "moving_s", "idle_s", "engine_s", "rows"] {
                assert_eq!(sum(field), whole["total"][field].as_u64().unwrap(), "{field} {cut}");
            }
        }
    }
    let fleet_wide =
        fleet.served.get("/api/v1/fleet/summary/?from=2026-05-31&to=2026-06-01").await.ok();
    assert_eq!(fleet_wide["total"]["distance_m"], 4000);
    assert_eq!(fleet_wide["days"][1]["distance_m"], 0);
}
