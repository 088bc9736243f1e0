//! The first picture of a stream says of each device what its location says, also of
//! those that only ping or have lost their fix.

use std::sync::Arc;

use nemeses_api::{ApiConfig, Stores};
use nemeses_protocol::{Composition, PositionRecord};
use nemeses_store::live::{LiveEntry, LiveStore as _};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::client::{DEADLINE, Socket};
use crate::fakes::FakeSessions;
use crate::fleet::{Fleet, device, row};
use crate::harness::{NOW_MS, RECORDED, Served};

const SAID_BY_BOTH: [&str; 10] = [
    "recorded_at",
    "received_at",
    "latitude",
    "longitude",
    "position_from",
    "speed_kmh",
    "ignition",
    "gps_fix",
    "odometer_m",
    "status",
];

fn with(bits: u16, row: PositionRecord) -> PositionRecord {
    let mut row = row;
    row.position.composition = Composition(bits);
    row
}

/// What both say of the devices, by their first picture and by their locations.
async fn said(served: &Served, numbers: &[u32]) -> [Vec<Value>; 2] {
    let of = |answer: &Value| json!(SAID_BY_BOTH.map(|field| answer[field].clone()));
    let mut socket = Socket::open(served, &served.token, "snapshot=true&").await;
    assert_eq!(socket.next().await["type"], "hello");
    let (mut picture, mut located) = (Vec::new(), Vec::new());
    for _ in numbers {
        picture.push(socket.next().await);
    }
    picture.sort_by_key(|event| event["device_id"].as_str().unwrap().to_owned());
    for number in numbers {
        let path = format!("/api/v1/location/?device_id={}", device(*number));
        located.push(of(&served.get(&path).await.ok()));
    }
    [picture.iter().map(of).collect(), located]
}

#[tokio::test]
async fn the_first_picture_says_what_locations_say() {
    const FIX: u16 = Composition::GPS_FIX;
    const MEMORY: u16 = FIX | Composition::HISTORICAL;
    let fleet = Fleet::empty().await;
    // 1 only pings, 2 has lost its fix, 3 moves, 4 has sent newer ones from memory, 5 pings
    // and never had a place.
    let long_ago = RECORDED - 9_000;
    let rows = (1..5).map(|number| with(FIX, row(number, long_ago, 10, 50))).collect();
    fleet.commit(rows).await;
    let lost = with(0, row(2, RECORDED, 0, 0));
    let live = with(FIX, row(3, RECORDED, 11, 51));
    let memory = with(MEMORY, row(4, RECORDED + 10, 12, 52));
    let entries = [
        LiveEntry::seen(device(1), NOW_MS),
        LiveEntry::from_record(&lost),
        LiveEntry::from_record(&live),
        LiveEntry::from_record(&memory),
        LiveEntry::seen(device(5), NOW_MS),
    ];
    fleet.live.merge(&entries, NOW_MS).await.unwrap();
    fleet.commit(vec![lost, live, memory]).await;

    // An instance that saw them come, and one that was started since.
    let stores = Stores {
        sessions: Arc::new(FakeSessions),
        ..Stores::new(fleet.live.clone(), &fleet.database)
    };
    let mut later = Served::start(stores, fleet.clock.clone(), ApiConfig::default()).await;
    later.token.clone_from(&fleet.served.token);
    for served in [&fleet.served, &later] {
        let agree = async {
            loop {
                let [picture, located] = said(served, &[1, 2, 3, 4]).await;
                if picture == located {
                    return picture;
                }
            }
        };
        let picture = timeout(DEADLINE, agree).await.expect("they do not come to agree");
        let from = |index: usize| (&picture[index][2], &picture[index][4]);
        assert_eq!(from(0), (&json!(50.0), &json!("history")));
        assert_eq!(from(1), (&json!(50.0), &json!("history")));
        assert_eq!(from(2), (&json!(51.0), &json!("live")));
        assert_eq!(from(3), (&json!(52.0), &json!("history")));
        let mut socket =
            Socket::open(served, &served.token, "snapshot=true&device_ids=000005&").await;
        socket.next().await;
        let without = socket.next().await;
        assert_eq!((&without["type"], &without["status"]), (&json!("status"), &json!("online")));
    }

    // Whoever pings is where it was: within a rectangle, too.
    let query = "snapshot=true&bbox=9,49,10.5,51&";
    let mut socket = Socket::open(&later, &later.token, query).await;
    socket.next().await;
    let inside = [socket.next().await, socket.next().await];
    let mut ids = inside.each_ref().map(|event| event["device_id"].as_str().unwrap());
    ids.sort_unstable();
    assert_eq!(ids, ["000001", "000002"]);
}
