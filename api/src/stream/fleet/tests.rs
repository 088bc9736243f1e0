//! Who comes, who falls silent, and what is told of it.

use nemeses_protocol::{Composition, DeviceNames};
use nemeses_store::live::{LiveFrame, LiveValue};

use super::super::event::tests::entry;
use super::super::values::tests::value;
use super::*;

const TTL_MS: u64 = 300_000;
const RECORDED: u32 = 1_593_637_200;
const RECEIVED_MS: u64 = RECORDED as u64 * 1000 + 250;
const ON: u16 = Composition::GPS_FIX | Composition::IGNITION;
const OFF: u16 = Composition::GPS_FIX;

struct Watched {
    fleet: Fleet,
    window: Window,
    next: u64,
}

impl Watched {
    fn new() -> Self {
        Self { fleet: Fleet::new(TTL_MS), window: Window::new(1, 1_000), next: 1 }
    }

    fn moves(&mut self, entry: LiveEntry, now_ms: u64) -> Vec<String> {
        let from = self.window.end();
        let moved = Moved { id: self.next, entry, values: false };
        self.next += 1;
        self.fleet.moved(vec![moved], &mut self.window, now_ms);
        self.told(from)
    }

    fn sweeps(&mut self, now_ms: u64) -> Vec<String> {
        let from = self.window.end();
        self.fleet.sweep(&mut self.window, now_ms);
        self.told(from)
    }

    /// Type, and what it says.
    fn told(&self, from: u64) -> Vec<String> {
        let chunks = self.window.from(from).unwrap();
        let told = chunks.iter().flat_map(|chunk| chunk.from(from)).map(|event| {
            let text: serde_json::Value =
                serde_json::from_str(event.json(&DeviceNames::default())).unwrap();
            let what = match text["type"].as_str().unwrap() {
                "position" => &text["recorded_at"],
                "status" => &text["status"],
                _ => &text["event"],
            };
            what.as_str().unwrap().to_owned()
        });
        told.collect()
    }
}

#[test]
fn a_device_comes_is_late_is_gone_and_comes_back() {
    let mut watched = Watched::new();
    let (first, second) = ("2020-07-01T21:00:00Z", "2020-07-01T21:00:10Z");
    assert_eq!(watched.moves(entry(1, RECORDED, ON), RECEIVED_MS), [first, "online"]);
    let later = RECEIVED_MS + 10_000;
    assert_eq!(watched.moves(entry(1, RECORDED + 10, OFF), later), [second, "ignition_off"]);
    assert_eq!(watched.sweeps(later + 29_999), [""; 0]);
    assert_eq!(watched.sweeps(later + 30_000), ["late"]);
    assert_eq!(watched.sweeps(later + 31_000), [""; 0]);
    let ping = LiveEntry::seen(DeviceId::new(1), later + 40_000);
    assert_eq!(watched.moves(ping, later + 40_000), ["online"]);
    assert_eq!(watched.sweeps(later + 40_000 + TTL_MS), ["offline"]);
    assert_eq!(watched.fleet.len(), 0);
    let back = LiveEntry::seen(DeviceId::new(1), later + 900_000);
    assert_eq!(watched.moves(back, later + 900_000), ["online"]);
}

#[test]
fn values_are_told_when_they_are_new_and_stand_for_who_comes_later() {
    let mut watched = Watched::new();
    let device = DeviceId::new(1);
    watched.moves(LiveEntry::seen(device, RECEIVED_MS), RECEIVED_MS);
    let values = |some: &[LiveValue]| LiveValues::new(RECEIVED_MS, some.to_vec());
    let mut tell = |values: LiveValues| {
        let from = watched.window.end();
        watched.fleet.valued([(device, values)], &mut watched.window, RECEIVED_MS);
        let chunks = watched.window.from(from).unwrap();
        let told = chunks.iter().flat_map(|chunk| chunk.from(from));
        told.flat_map(|event| event.valued().to_vec()).collect::<Vec<_>>()
    };
    let (first, second, other) = (value("t", 1), value("t", 2), value("u", 1));
    let before = values(&[first.clone(), other.clone()]);
    assert_eq!(tell(before.clone()), [first, other.clone()]);
    assert_eq!(tell(before), []);
    let now = values(&[second.clone(), other]);
    assert_eq!(tell(now.clone()), [second]);
    assert_eq!(*watched.fleet.values(device).unwrap().0, now);
    assert_eq!(watched.fleet.with_values(), [device]);
    assert_eq!(watched.fleet.value_bytes, now.bytes());
    watched.sweeps(RECEIVED_MS + TTL_MS);
    assert_eq!((watched.fleet.value_bytes, watched.fleet.values(device)), (0, None));
}

#[test]
fn memory_that_is_newer_is_a_position_and_older_is_none() {
    const MEMORY: u16 = ON | Composition::HISTORICAL;
    let mut watched = Watched::new();
    watched.moves(entry(1, RECORDED, ON), RECEIVED_MS);
    let newer = "2020-07-01T21:00:20Z";
    let later = RECEIVED_MS + 20_000;
    assert_eq!(watched.moves(entry(1, RECORDED + 20, MEMORY), later), [newer]);
    assert_eq!(watched.moves(entry(1, RECORDED + 10, MEMORY), later), [""; 0]);
    let standing = watched.fleet.standing(&watched.window, later);
    assert!(
        standing[0].event.json(&DeviceNames::default()).contains("\"position_from\":\"history\"")
    );
    let live = "2020-07-01T21:00:30Z";
    assert_eq!(watched.moves(entry(1, RECORDED + 30, ON), RECEIVED_MS + 30_000), [live]);
    let standing = watched.fleet.standing(&watched.window, later);
    assert!(standing[0].event.json(&DeviceNames::default()).contains("\"position_from\":\"live\""));
}

#[test]
fn a_place_that_is_not_believed_is_told_to_be_so() {
    let mut watched = Watched::new();
    let mut moves = |seconds: u32, latitude_udeg: i32| {
        let mut entry = entry(1, RECORDED + seconds, ON);
        for frame in [&mut entry.newest, &mut entry.fix] {
            frame.as_mut().unwrap().position.latitude_udeg = latitude_udeg;
        }
        watched.moves(entry, RECEIVED_MS + u64::from(seconds) * 1000);
        let standing = watched.fleet.standing(&watched.window, RECEIVED_MS);
        let text: serde_json::Value =
            serde_json::from_str(standing[0].event.json(&DeviceNames::default())).unwrap();
        text["doubtful"].clone()
    };
    assert_eq!(moves(0, -19_932_833), serde_json::Value::Null);
    assert_eq!(moves(10, -19_933_833), serde_json::Value::Null);
    assert_eq!(moves(20, -20_533_833), "jump");
    assert_eq!(moves(30, -19_934_833), serde_json::Value::Null);
}

#[test]
fn a_clock_that_runs_ahead_pins_nothing() {
    let mut watched = Watched::new();
    let mut ahead = entry(1, RECORDED + 43_200, ON);
    for frame in [&mut ahead.newest, &mut ahead.fix] {
        frame.as_mut().unwrap().received_at_ms = RECEIVED_MS;
    }
    ahead.seen_at_ms = RECEIVED_MS;
    let wrong = "2020-07-02T09:00:00Z";
    assert_eq!(watched.moves(ahead, RECEIVED_MS), [wrong, "online"]);
    let right = "2020-07-01T21:00:10Z";
    assert_eq!(watched.moves(entry(1, RECORDED + 10, ON), RECEIVED_MS + 10_000), [right]);
}

fn row(recorded_at: u32, bits: u16) -> PositionRecord {
    let LiveEntry { newest, .. } = entry(1, recorded_at, bits);
    let LiveFrame { position, frame_hash, received_at_ms } = newest.unwrap();
    PositionRecord { position, frame_hash, received_at_ms, packed: None }
}

fn stands(watched: &Watched) -> serde_json::Value {
    let standing = watched.fleet.standing(&watched.window, RECEIVED_MS);
    serde_json::from_str(standing[0].event.json(&DeviceNames::default())).unwrap()
}

#[test]
fn one_that_only_pings_stands_where_it_was_last() {
    let mut watched = Watched::new();
    let device = DeviceId::new(1);
    let pinged_ms = RECEIVED_MS + 900_000;
    assert_eq!(watched.moves(LiveEntry::seen(device, pinged_ms), pinged_ms), ["online"]);
    assert_eq!(stands(&watched)["type"], "status");
    assert_eq!(watched.fleet.wanting(9), [device]);
    let past = LastKnown { newest: Some(row(RECORDED + 30, 0)), fix: Some(row(RECORDED, ON)) };
    watched.fleet.recall(device, &past, pinged_ms);
    assert_eq!(watched.fleet.wanting(9), []);
    assert_eq!(watched.window.end(), 1, "it is no news");
    let here = stands(&watched);
    assert_eq!(here["recorded_at"], "2020-07-01T21:00:30Z");
    assert_eq!((&here["latitude"], &here["gps_fix"]), (&(-19.932_833).into(), &false.into()));
    assert_eq!((&here["position_from"], &here["status"]), (&"history".into(), &"online".into()));
    // Late, and still there; then it moves.
    assert_eq!(watched.sweeps(pinged_ms + TTL_MS / 2), ["late"]);
    let live = entry(1, RECORDED + 1000, ON);
    assert_eq!(
        watched.moves(live, pinged_ms + 160_000),
        ["2020-07-01T21:16:40Z", "ignition_on", "online"]
    );
    assert_eq!(stands(&watched)["position_from"], "live");
}

#[test]
fn without_a_fix_it_stands_where_it_had_one() {
    let mut watched = Watched::new();
    watched.moves(entry(1, RECORDED + 30, 0), RECEIVED_MS + 30_000);
    assert_eq!(stands(&watched)["latitude"], serde_json::Value::Null);
    let past = LastKnown { newest: Some(row(RECORDED, ON)), fix: Some(row(RECORDED, ON)) };
    watched.fleet.recall(DeviceId::new(1), &past, RECEIVED_MS);
    let here = stands(&watched);
    assert_eq!((&here["latitude"], &here["gps_fix"]), (&(-19.932_833).into(), &false.into()));
    assert_eq!(here["recorded_at"], "2020-07-01T21:00:30Z");
}

/// A frame is committed before its event is read: the event must come all the same.
#[test]
fn history_does_not_overtake_the_stream() {
    let mut watched = Watched::new();
    let device = DeviceId::new(1);
    watched.moves(LiveEntry::seen(device, RECEIVED_MS - 5_000), RECEIVED_MS - 5_000);
    let newer = row(RECORDED, ON);
    let past = LastKnown { newest: Some(newer.clone()), fix: Some(newer) };
    watched.fleet.recall(device, &past, RECEIVED_MS);
    assert_eq!(stands(&watched)["type"], "status");
    assert_eq!(watched.moves(entry(1, RECORDED, ON), RECEIVED_MS), ["2020-07-01T21:00:00Z"]);
}

#[test]
fn who_is_gone_is_not_asked_about() {
    let mut watched = Watched::new();
    let device = DeviceId::new(1);
    watched.fleet.learn([LiveEntry::seen(device, RECEIVED_MS)], RECEIVED_MS);
    assert_eq!(watched.fleet.wanting(9), [device]);
    watched.sweeps(RECEIVED_MS + TTL_MS);
    assert_eq!(watched.fleet.wanting(9), []);
    watched.fleet.recall(device, &LastKnown::default(), RECEIVED_MS);
    assert_eq!(watched.fleet.len(), 0);
}

#[test]
fn what_was_there_before_is_not_told_and_not_forgotten() {
    let mut watched = Watched::new();
    let heard = LiveEntry::seen(DeviceId::new(2), RECEIVED_MS);
    let long_gone = LiveEntry::seen(DeviceId::new(3), RECEIVED_MS - TTL_MS);
    watched.fleet.learn([entry(1, RECORDED, ON), heard, long_gone], RECEIVED_MS);
    assert_eq!(watched.window.end(), 0);
    let mut standing = watched.fleet.standing(&watched.window, RECEIVED_MS);
    standing.sort_by_key(|standing| standing.event.device);
    assert_eq!(standing.len(), 2);
    assert!(standing[0].event.json(&DeviceNames::default()).contains("\"type\":\"position\""));
    assert!(standing[1].event.json(&DeviceNames::default()).contains("\"status\":\"online\""));
    // The stream of the store may begin with what is known already.
    assert_eq!(watched.moves(entry(1, RECORDED, ON), RECEIVED_MS), [""; 0]);
    assert_eq!(watched.sweeps(RECEIVED_MS + TTL_MS / 2), ["late", "late"]);
    let standing = watched.fleet.standing(&watched.window, RECEIVED_MS);
    assert!(standing.iter().all(|standing| standing.status == Status::Late));
}

#[test]
fn devices_beyond_the_bound_are_streamed_all_the_same() {
    let mut watched = Watched::new();
    watched.fleet.most = 1;
    watched.moves(entry(1, RECORDED, ON), RECEIVED_MS);
    for _ in 0..2 {
        assert_eq!(watched.moves(entry(2, RECORDED, ON), RECEIVED_MS).len(), 2);
    }
    assert_eq!(watched.fleet.len(), 1);
}
