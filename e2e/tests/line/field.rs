//! Frames of faults that devices in the field have, sent as devices send them and asked for
//! as people ask: the right answers from every engine, before and after the sums of days are
//! made. The frames of one fault are a file beside the reports' own tests.

use std::time::Duration;

use nemeses_e2e::frames::{bytes, live};
use nemeses_e2e::{Line, User, wait_for};
use nemeses_protocol::{Composition, DeviceId, Position};
use serde_json::{Value, json};

use crate::in_every_shape;

const TOPIC: &str = "/messenger";
const FIXTURES: [&str; 4] = [
    include_str!("../../../crates/reports/fixtures/fast_at_both_ends_of_a_stand.hex"),
    include_str!("../../../crates/reports/fixtures/stop_decided_behind_the_range.hex"),
    include_str!("../../../crates/reports/fixtures/zero_place_in_a_drive.hex"),
    include_str!("../../../crates/reports/fixtures/parked_with_a_standing_odometer.hex"),
];
/// A car that is parked, and says 255 km/h once.
const SPIKE: DeviceId = DeviceId::new(0xB0_A008);
/// 2026-06-01T08:00:00Z.
const EIGHT: u32 = 1_780_300_800;
/// Marks of slots that are not over must wait.
const AGE: &str = "UPDATE daily_marks SET slot = slot - 6 WHERE slot > 0";
/// Between two looks at marks are 20 s.
const ADDED_UP_WITHIN: Duration = Duration::from_mins(2);

in_every_shape!(what_the_field_sends_is_answered_right);

async fn what_the_field_sends_is_answered_right(line: Line) {
    let user = line.user().await.unwrap();
    let mut device = line.device("tracker").await.unwrap();
    let mut frames: Vec<Vec<u8>> =
        FIXTURES.iter().flat_map(|hex| hex.split_whitespace()).map(unhex).collect();
    frames.extend((0..20).map(parked));
    device.publish_all(TOPIC, frames.iter().map(Vec::as_slice), 10).await.unwrap();
    line.wait_rows(frames.len()).await.unwrap();

    all_is_right(&user).await;
    line.tables().execute(AGE).await.unwrap();
    wait_for(ADDED_UP_WITHIN, "the days are added up", async || {
        let sums = fleet(&user).await;
        anyhow::ensure!(sums["pending"] == 0, "{sums}");
        Ok(())
    })
    .await
    .unwrap();
    all_is_right(&user).await;
    let sums = fleet(&user).await;
    let metres: Vec<&Value> =
        sums["devices"].as_array().unwrap().iter().map(|one| &one["distance_m"]).collect();
    assert_eq!(metres, [4000, 5897, 4000, 8000, 0], "{sums}");
    assert_eq!(sums["total"]["distance_m"], 4000 + 5897 + 4000 + 8000);
}

async fn fleet(user: &User) -> Value {
    get(user, "fleet/summary/?from=2026-05-31&to=2026-06-01").await
}

async fn all_is_right(user: &User) {
    // A speed that is repeated after the halt, with the ignition off.
    assert_eq!(listed(user, "trips", "B0A001").await, [span("08:00:00", "08:05:00", false)]);
    assert_eq!(listed(user, "stops", "B0A001").await, [span("08:05:00", "08:55:00", true)]);
    // What is decided only behind the range.
    for to in ["08:06:00", "08:06:30"] {
        let query = format!("B0A005&to=2026-06-01T{to}Z");
        assert_eq!(listed(user, "stops", &query).await, [span("08:06:00", "08:16:00", true)]);
    }
    let trips = listed(user, "trips", "B0A005&to=2026-06-01T08:01:00Z").await;
    assert_eq!(trips, [span("08:00:00", "08:06:00", false)]);
    // A place at 0/0.
    assert_eq!(total(user, "B0A003").await["distance_m"], 5897);
    let rows = get(user, "report?device_id=B0A003").await;
    assert_eq!(rows["rows"][2]["doubtful"], "zero_place");
    a_standing_odometer_is_one(user).await;
    let spike = total(user, &SPIKE.to_string()).await;
    let nothing = ["max_speed_kmh", "distance_m", "moving_s"].map(|field| spike[field].clone());
    assert_eq!(nothing, [json!(null), json!(0), json!(0)]);
    let events = get(user, &format!("report/events?device_id={SPIKE}&speed_limit_kmh=80")).await;
    let events: Vec<&Value> = events["events"].as_array().unwrap().iter().collect();
    assert!(events.iter().all(|event| event["event"] != "overspeed"), "{events:?}");
}

/// Adjoining ranges add up, wherever they meet.
async fn a_standing_odometer_is_one(user: &User) {
    let whole = total(user, "B0A004").await;
    let ends = ["odometer_start_m", "odometer_end_m", "distance_m"].map(|field| &whole[field]);
    assert_eq!(ends, [1000, 5000, 4000]);
    let parked = total(user, "B0A004&from=2026-06-01T00:00:00Z").await;
    assert_eq!(parked["distance_m"], 0);
    for (to, from) in [
        ("2026-05-31T08:01:00Z", "2026-05-31T08:01:01Z"),
        ("2026-05-31T23:59:59Z", "2026-06-01T00:00:00Z"),
        ("2026-06-01T08:00:30Z", "2026-06-01T08:00:31Z"),
    ] {
        let head = total(user, &format!("B0A004&to={to}")).await;
        let tail = total(user, &format!("B0A004&from={from}")).await;
        for field in ["distance_m", "moving_s", "idle_s", "engine_s", "rows"] {
            let of = |part: &Value| part[field].as_u64().unwrap();
            assert_eq!(of(&head) + of(&tail), of(&whole), "{field} {to}");
        }
    }
}

async fn get(user: &User, path: &str) -> Value {
    let (status, answer) = user.get(&format!("/api/v1/{path}")).await.unwrap();
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

async fn total(user: &User, query: &str) -> Value {
    get(user, &format!("report/summary?device_id={query}")).await["total"].take()
}

/// Start, end and whether it is open, of what a report lists.
async fn listed(user: &User, what: &str, query: &str) -> Vec<(String, String, bool)> {
    let answer = get(user, &format!("report/{what}?device_id={query}")).await;
    let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    let told = |one: &Value| (text(one, "start"), text(one, "end"), one["open"] == true);
    answer[what].as_array().unwrap().iter().map(told).collect()
}

fn span(start: &str, end: &str, open: bool) -> (String, String, bool) {
    let time = |clock: &str| format!("2026-06-01T{clock}Z");
    (time(start), time(end), open)
}

fn unhex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// The minutes of a parked car.
fn parked(minute: u32) -> Vec<u8> {
    let frame = live(SPIKE, EIGHT + minute * 60, 7000);
    let composition = Composition(Composition::GPS_FIX);
    let (speed_kmh, place) = (if minute == 12 { 255 } else { 0 }, 45_000_000);
    bytes(&Position {
        composition,
        speed_kmh,
        latitude_udeg: place,
        longitude_udeg: place,
        ..frame
    })
}
