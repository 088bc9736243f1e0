//! Reports that are computed: trips, stops, summaries, events. Whole and in
//! parts, with the rows before and behind a range.

use nemeses_api::declared_routes;
use nemeses_protocol::PositionRecord;
use serde_json::{Value, json};

use crate::harness::{Api, RECORDED, record};

const FIX: u16 = 1 << 15;
const ON: u16 = 1 << 13;
const HOUR: u32 = 3600;
/// The day of the harness's now, from midnight.
const START: u32 = RECORDED - 21 * HOUR;

/// Two hours apart, ten trips of 20 minutes at 20 m/s; parked rows each 10 minutes.
fn days() -> Vec<PositionRecord> {
    let mut rows = Vec::new();
    let mut put = |at: u32, bits: u16, metres: u32, speed: u8| {
        let mut row = record(at, u64::from(at));
        row.position.composition.0 = bits;
        row.position.speed_kmh = speed;
        row.position.odometer_m = 1000 + metres;
        row.position.latitude_udeg = 0;
        row.position.longitude_udeg = i32::try_from(10_000_000 + metres * 9).unwrap();
        rows.push(row);
    };
    let mut metres = 0;
    for trip in 0..10 {
        let start = START + trip * 2 * HOUR;
        for parked in 0..10 {
            put(start + parked * 600, FIX, metres, 0);
        }
        for leg in 0..=120 {
            put(
                start + 5700 + leg * 10,
                FIX | ON,
                metres + leg * 200,
                if leg == 120 { 0 } else { 72 },
            );
        }
        metres += 24_000;
    }
    put(START + 20 * HOUR, FIX, metres, 0);
    rows
}

async fn filled() -> Api {
    let api = Api::start().await;
    api.history.put(days());
    api
}

async fn list(api: &Api, what: &str, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/report/{what}?device_id=0A3F73&{query}");
    let answer = api.get(&path).await.ok();
    let list = answer[what].as_array().unwrap().clone();
    assert_eq!(answer["count"], list.len(), "{path}");
    list
}

#[tokio::test]
async fn a_trip_is_told_whole() {
    let api = filled().await;
    let trips = list(&api, "trips", "tz=-03:00").await;
    assert_eq!(trips.len(), 10);
    let expected = json!({
        "device_id": "0A3F73", "device_name": "",
        "start": "2020-06-30T22:35:00-03:00", "end": "2020-06-30T22:55:00-03:00",
        "duration_s": 1200, "start_known": true, "open": false, "unobserved": false,
        "from": {"latitude": 0.0, "longitude": 10.0},
        "to": {"latitude": 0.0, "longitude": 10.216},
        "distance_m": 24_000, "distance_from": "odometer", "moving_s": 1200, "idle_s": 0,
        "engine_s": 1200, "silent_s": 0, "max_speed_kmh": 72, "mean_speed_kmh": 72.0,
        "odometer_start_m": 1000, "odometer_end_m": 25_000,
        "hour_meter_start_min": 36_000, "hour_meter_end_min": 36_000,
    });
    // The first row of a drive is where the ignition was seen on.
    assert_eq!(trips[0], expected);
}

#[tokio::test]
async fn any_range_shows_the_same_trips_and_stops() {
    let api = filled().await;
    for what in ["trips", "stops"] {
        let whole = list(&api, what, "").await;
        let times = |row: &Value| {
            let time = |name: &str| row[name].as_str().unwrap().to_owned();
            (time("start"), time("end"))
        };
        for step in (0..41).step_by(3) {
            let (from, to) = (START + step * 1800, START + step * 1800 + 3 * HOUR / 2);
            let part = list(&api, what, &format!("from={from}&to={to}")).await;
            let path = format!("/api/v1/report/trips?device_id=0A3F73&from={from}&to={to}");
            let echo = api.get(&path).await.ok();
            let (from, to) = (echo["from"].as_str().unwrap(), echo["to"].as_str().unwrap());
            let touching = whole.iter().filter(|row| {
                let (start, end) = times(row);
                start.as_str() <= to && end.as_str() >= from
            });
            let touching: Vec<_> = touching.cloned().collect();
            assert_eq!(part, touching, "{what} {from} {to}");
        }
    }
}

#[tokio::test]
async fn what_has_not_ended_is_open() {
    let api = Api::start().await;
    let rows = days();
    let midway = rows.iter().position(|row| row.position.recorded_at == START + 6000).unwrap();
    api.history.put(rows[..=midway].to_vec());
    let trips = list(&api, "trips", "").await;
    assert_eq!((&trips[0]["open"], &trips[0]["duration_s"]), (&json!(true), &json!(300)));
    let stops = list(&api, "stops", "").await;
    assert_eq!((stops.len(), &stops[0]["open"]), (1, &json!(false)));
    // The rest arrives late, and changes the answer as it should.
    api.history.put(rows[midway + 1..].to_vec());
    let range = format!("to={}", START + 6000);
    let trips = list(&api, "trips", &range).await;
    assert_eq!((&trips[0]["open"], &trips[0]["duration_s"]), (&json!(false), &json!(1200)));
}

#[tokio::test]
async fn sums_of_days_are_the_sum() {
    let api = filled().await;
    let path = "/api/v1/report/summary?device_id=0A3F73&tz=America/Sao_Paulo";
    let answer = api.get(path).await.ok();
    assert_eq!((&answer["count"], &answer["tz"]), (&json!(2), &json!("America/Sao_Paulo")));
    let days = answer["days"].as_array().unwrap();
    assert_eq!((&days[0]["date"], &days[1]["date"]), (&json!("2020-06-30"), &json!("2020-07-01")));
    for sum in ["distance_m", "moving_s", "engine_s", "idle_s", "rows"] {
        let of = |value: &Value| value[sum].as_u64().unwrap();
        assert_eq!(of(&days[0]) + of(&days[1]), of(&answer["total"]), "{sum}");
    }
    let total = &answer["total"];
    assert_eq!((&total["distance_m"], &total["moving_s"]), (&json!(240_000), &json!(12_000)));
    assert_eq!(
        (&total["odometer_start_m"], &total["odometer_end_m"]),
        (&json!(1000), &json!(241_000))
    );
    let none = api.get("/api/v1/report/summary?device_id=0A3F73&to=5").await;
    none.ok();
}

#[tokio::test]
async fn events_with_limits() {
    let api = filled().await;
    let events = list(&api, "events", "speed_limit_kmh=70&offline_s=3000").await;
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((count("ignition_on"), count("ignition_off"), count("overspeed")), (10, 10, 10));
    let over = events.iter().find(|event| event["event"] == "overspeed").unwrap();
    // The first of its 120 rows at 72 km/h ends a leg of no metres; the second one ends the
    // first leg that moved, and they are 10 s apart.
    assert_eq!(
        (&over["limit_kmh"], &over["peak_kmh"], &over["duration_s"]),
        (&json!(70), &json!(72), &json!(1180))
    );
    assert_eq!(over["start"], "2020-07-01T01:35:10Z");
    let offline = events.last().unwrap();
    assert_eq!(
        (&offline["event"], &offline["open"], &offline["end"]),
        (&json!("offline"), &json!(true), &json!(null))
    );
    // An episode that began before the range is told from its beginning.
    let range = format!("speed_limit_kmh=70&from={}&to={}", START + 6000, START + 6001);
    assert_eq!(list(&api, "events", &range).await, std::slice::from_ref(over));
}

/// The reports that are computed, by the last part of their paths.
fn computed() -> impl Iterator<Item = &'static str> {
    declared_routes().into_iter().filter_map(|route| route.path.strip_prefix("/api/v1/report/"))
}

#[tokio::test]
async fn nothing_for_the_known_and_404_for_strangers() {
    let api = filled().await;
    for what in ["trips", "stops", "events"] {
        assert!(list(&api, what, "to=5").await.is_empty(), "{what}");
    }
    for what in computed() {
        let stranger = api.get(&format!("/api/v1/report/{what}?device_id=0A3F74")).await;
        stranger.is_problem(404, "unknown-device", Some("device_id"));
        let odd = api.get(&format!("/api/v1/report/{what}/?device_id=0A3F73&tz=Mars")).await;
        odd.is_problem(400, "invalid-parameter", Some("tz"));
        let odd = api.get(&format!("/api/v1/report/{what}/?device_id=0A3F73&limit=5")).await;
        odd.is_problem(400, "invalid-parameter", Some("limit"));
    }
    api.history.switch.off();
    for what in computed() {
        let down = api.get(&format!("/api/v1/report/{what}?device_id=0A3F73")).await;
        down.is_problem(503, "history-unavailable", None);
    }
}

#[tokio::test]
async fn a_database_that_goes_down_on_the_way_breaks_the_answer_off() {
    let api = filled().await;
    let path = "/api/v1/report/trips?device_id=0A3F73";
    api.get(path).await.ok();
    api.history.switch.off_after(1);
    // It breaks off so soon that the client may not even see the status.
    let whole = match api.served.signed(path).send().await {
        Ok(response) => response.bytes().await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole);
}
