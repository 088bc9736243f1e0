//! The live stream over real sockets, from what moves in a store in memory.

mod client;
mod silent;
mod values;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use nemeses_api::{ApiConfig, Stores};
use nemeses_protocol::DeviceId;
use nemeses_runtime::{Clock, Registry};
use nemeses_store::history::testing::FakeHistory;
use nemeses_store::history::{AlarmChange, Database, Groups, Role};
use nemeses_store::live::{LiveEntry, LiveStore, MemoryLive};
use reqwest::Method;
use serde_json::{Value, json};

use self::client::{Events, Socket, ticket};
use crate::alarms::raise;
use crate::fakes::{FakeBooks, FakeSessions, FakeTokens, FakeUsers};
use crate::harness::{
    Answer, DEVICE, NOW_MS, RECORDED, Served, USER_ID, embedded_database, record,
};

const VIEWER: u64 = 8;
const OTHER: DeviceId = DeviceId::new(0x0A_3F74);
const TTL_MS: u64 = 300_000;

struct Site {
    live: Arc<MemoryLive>,
    users: Arc<FakeUsers>,
    groups: Arc<dyn Groups>,
    clock: Clock,
    served: Served,
    database: Database,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        Self::start_with(ApiConfig::default()).await
    }

    async fn start_with(config: ApiConfig) -> Self {
        let clock = Clock::held(NOW_MS);
        let live = Arc::new(MemoryLive::new(TTL_MS, clock.clone()));
        let history = Arc::new(FakeHistory::default());
        let users = Arc::new(FakeUsers::new(Arc::clone(&history)));
        users.set_access(USER_ID, Role::Admin, &[]);
        let (dir, database) = embedded_database().await;
        let groups = database.groups();
        let stores = Stores {
            live: live.clone(),
            history: history.clone(),
            health: history,
            users: users.clone(),
            books: Arc::new(FakeBooks::default()),
            devices: database.devices(),
            channels: database.channels(),
            identities: database.identities(),
            named: database.named(),
            groups: Arc::clone(&groups),
            sessions: Arc::new(FakeSessions),
            tokens: Arc::new(FakeTokens),
            daily: database.daily(),
            rules: database.rules(),
            receivers: database.receivers(),
            alarms: database.alarms(),
            letters: database.dead_letters(),
            second_chance: None,
            commits_fail: None,
            commands: None,
            telemetry: None,
            kept_commands: database.commands(),
            logins: database.logins(),
            retention: database.retention(),
        };
        let served = Served::start(stores, clock.clone(), config).await;
        Self { live, users, groups, clock, served, database, _dir: dir }
    }

    /// A device says where it is, so many seconds after [`RECORDED`].
    async fn moves(&self, device: DeviceId, after_s: u32) {
        self.live.merge(&[entry(device, after_s)], NOW_MS).await.unwrap();
    }

    async fn socket(&self, query: &str) -> Socket {
        Socket::open(&self.served, &self.served.token, query).await
    }

    async fn events(&self, query: &str) -> Events {
        Events::open(&self.served, &self.served.token, query).await
    }
}

fn entry(device: DeviceId, after_s: u32) -> LiveEntry {
    let mut record = record(RECORDED + after_s, u64::from(after_s));
    record.position.device = device;
    record.received_at_ms = NOW_MS.max(u64::from(record.position.recorded_at) * 1000);
    LiveEntry::from_record(&record)
}

fn time(after_s: u32) -> Value {
    json!(format!("2020-07-01T21:{:02}:{:02}Z", after_s / 60, after_s % 60))
}

#[tokio::test]
async fn both_forms_say_the_same() {
    let site = Site::start().await;
    let (mut socket, mut events) = (site.socket("").await, site.events("").await);
    let hello = socket.next().await;
    assert_eq!(
        hello,
        json!({"type": "hello", "id": hello["id"], "heartbeat_s": 4, "at": hello["at"], "gap": false})
    );
    assert_eq!(events.next().await, hello);
    site.moves(DEVICE, 1).await;
    let position = socket.next().await;
    let expected = json!({
        "type": "position", "id": position["id"], "device_id": "0A3F73",
        "recorded_at": "2020-07-01T21:00:01Z", "received_at": "2020-07-01T21:01:00Z",
        "latitude": -19.932_833, "longitude": -43.938_493, "position_from": "live", "doubtful": null, "speed_kmh": 60,
        "direction_deg": 54.87, "ignition": true, "gps_fix": true,
        "odometer_m": 25_000_000, "hour_meter_min": 36_000, "status": "online",
    });
    assert_eq!(position, expected);
    assert_eq!(events.next().await, position);
    let status = socket.next().await;
    assert_eq!((&status["type"], &status["status"]), (&json!("status"), &json!("online")));
    assert_eq!(events.next().await, status);
    // What does not move an entry forward is not news.
    site.moves(DEVICE, 0).await;
    site.moves(DEVICE, 1).await;
    site.moves(DEVICE, 2).await;
    assert_eq!(socket.next().await["recorded_at"], time(2));
    assert_eq!(events.next().await["recorded_at"], time(2));
}

#[tokio::test]
async fn a_silence_is_told_once() {
    let site = Site::start().await;
    let mut socket = site.socket("").await;
    site.moves(DEVICE, 1).await;
    assert_eq!(socket.next_of("status").await["status"], "online");
    site.clock.set(NOW_MS + TTL_MS / 2);
    assert_eq!(socket.next().await["status"], "late");
    site.clock.set(NOW_MS + TTL_MS);
    let offline = socket.next().await;
    assert_eq!(
        (&offline["status"], &offline["at"]),
        (&json!("offline"), &json!("2020-07-01T21:06:00Z"))
    );
}

#[tokio::test]
async fn a_ticket_opens_one_stream() {
    let site = Site::start().await;
    let good = ticket(&site.served, &site.served.token).await;
    let mut socket = Socket::with(&site.served, &format!("ticket={good}")).await.unwrap();
    assert_eq!(socket.next().await["type"], "hello");
    assert_eq!(Socket::with(&site.served, &format!("ticket={good}")).await.err(), Some(401));
    assert_eq!(Socket::with(&site.served, "").await.err(), Some(401));
    let used = site.served.request(Method::GET, &format!("/api/v1/stream/?ticket={good}"));
    Answer::of(used.send().await.unwrap()).await.is_problem(401, "unauthorized", Some("ticket"));
    let old = ticket(&site.served, &site.served.token).await;
    site.clock.set(NOW_MS + 30_000);
    assert_eq!(Socket::with(&site.served, &format!("ticket={old}")).await.err(), Some(401));
    let stranger = site.served.request(Method::POST, "/api/v1/stream/ticket");
    Answer::of(stranger.send().await.unwrap()).await.is_problem(401, "unauthorized", None);
}

#[tokio::test]
async fn wrong_questions_are_answered_before_a_stream_begins() {
    let site = Site::start().await;
    for (query, name) in [
        ("device_ids=0A3F7", "device_ids"),
        ("bbox=1,2,3", "bbox"),
        ("latest_id=x", "latest_id"),
        ("past_ms=x", "past_ms"),
        ("last_n=0", "last_n"),
        ("max_frequency=0", "max_frequency"),
        ("snapshot=yes", "snapshot"),
        ("devices=0A3F73", "devices"),
    ] {
        let answer = site.served.get(&format!("/api/v1/stream/?{query}")).await;
        answer.is_problem(400, "invalid-parameter", Some(name));
    }
    site.served.get("/api/v1/stream/ws").await.is_problem(426, "upgrade-required", None);
}

#[tokio::test]
async fn a_viewer_sees_what_was_granted_until_it_is_taken_away() {
    let site = Site::start().await;
    site.users.set_access(VIEWER, Role::Viewer, &[DEVICE]);
    let token = site.served.token_of(VIEWER);
    let hidden = site.served.get_as(&token, "/api/v1/stream/?device_ids=0A3F74").await;
    hidden.is_problem(404, "unknown-device", Some("device_ids"));
    let mut socket = Socket::open(&site.served, &token, "").await;
    assert_eq!(socket.next().await["type"], "hello");
    site.moves(OTHER, 1).await;
    site.moves(DEVICE, 1).await;
    assert_eq!(socket.next().await["device_id"], "0A3F73");
    site.users.set_access(VIEWER, Role::Viewer, &[OTHER]);
    site.clock.set(NOW_MS + 10_000);
    // Rights are read again within seconds; from then on the other is seen.
    let mut after_s = 2;
    let first_other = loop {
        after_s += 1;
        site.moves(DEVICE, after_s).await;
        site.moves(OTHER, after_s).await;
        let event = socket.next_of("position").await;
        if event["device_id"] == "0A3F74" {
            break event;
        }
    };
    let seen: u32 = first_other["recorded_at"].as_str().unwrap()[17..19].parse().unwrap();
    site.moves(DEVICE, after_s + 1).await;
    site.moves(OTHER, after_s + 1).await;
    loop {
        let event = socket.next_of("position").await;
        assert_eq!(event["device_id"], "0A3F74", "taken away at {seen} s");
        if event["recorded_at"] == time(after_s + 1) {
            break;
        }
    }
    site.users.forget(VIEWER);
    site.clock.set(NOW_MS + 20_000);
    assert_eq!(socket.next_of("end").await, json!({"type": "end", "reason": "revoked"}));
    assert_eq!(socket.maybe_next().await, None);
}

#[tokio::test]
async fn a_client_resumes_without_a_gap_or_is_told() {
    let site = Site::start().await;
    let mut socket = site.socket("").await;
    site.moves(DEVICE, 1).await;
    let latest = socket.next_of("status").await["id"].as_str().unwrap().to_owned();
    drop(socket);
    for after_s in 2..7 {
        site.moves(DEVICE, after_s).await;
    }
    let resume = format!("latest_id={latest}&");
    let (mut socket, mut events) = (site.socket(&resume).await, site.events(&resume).await);
    let hello = socket.next().await;
    assert_eq!((&hello["gap"], &hello["id"]), (&json!(false), &json!(latest)));
    events.next().await;
    for after_s in 2..7 {
        assert_eq!(socket.next().await["recorded_at"], time(after_s));
        assert_eq!(events.next().await["recorded_at"], time(after_s));
    }
    // The first is of a stream before this one, as after a restart of the live store.
    for id in ["7", "18446744073709551615"] {
        let mut socket = site.socket(&format!("latest_id={id}&")).await;
        let hello = socket.next().await;
        assert_eq!((&hello["gap"], &hello["reason"]), (&json!(true), &json!("unknown_id")));
    }
}

#[tokio::test]
async fn a_client_begins_with_the_past_or_the_whole_picture() {
    let site = Site::start().await;
    let mut watch = site.socket("").await;
    for after_s in 1..5 {
        site.clock.set(NOW_MS + u64::from(after_s) * 1000);
        site.moves(DEVICE, after_s).await;
        assert_eq!(watch.next_of("position").await["recorded_at"], time(after_s));
    }
    site.moves(OTHER, 9).await;
    watch.next_of("position").await;
    let mut last = site.socket("last_n=2&device_ids=0A3F73&").await;
    last.next().await;
    assert_eq!(last.next().await["recorded_at"], time(3));
    assert_eq!(last.next().await["recorded_at"], time(4));
    let mut past = site.socket("past_ms=1000&device_ids=0A3F73&").await;
    past.next().await;
    assert_eq!(past.next().await["recorded_at"], time(3));
    let mut all = site.events("snapshot=true").await;
    let hello = all.next().await;
    let (one, two) = (all.next().await, all.next().await);
    let mut seen = [&one, &two].map(|event| {
        assert_eq!((&event["type"], &event["id"]), (&json!("position"), &hello["id"]));
        (event["device_id"].as_str().unwrap(), &event["recorded_at"])
    });
    seen.sort_unstable_by_key(|seen| seen.0);
    assert_eq!(seen, [("0A3F73", &time(4)), ("0A3F74", &time(9))]);
    site.moves(DEVICE, 10).await;
    assert_eq!(all.next().await["recorded_at"], time(10));
}

#[tokio::test]
async fn max_frequency_spares_a_client_all_but_the_newest() {
    let site = Site::start().await;
    let mut paced = site.socket("max_frequency=0.5&").await;
    let mut all = site.socket("").await;
    paced.next().await;
    for after_s in 1..5 {
        site.moves(DEVICE, after_s).await;
        assert_eq!(all.next_of("position").await["recorded_at"], time(after_s));
    }
    assert_eq!(paced.next().await["recorded_at"], time(1));
    assert_eq!(paced.next().await["type"], "status");
    site.clock.set(NOW_MS + 2_000);
    site.moves(OTHER, 1).await;
    let of_device = loop {
        let event = paced.next_of("position").await;
        if event["device_id"] == "0A3F73" {
            break event;
        }
    };
    assert_eq!(of_device["recorded_at"], time(4));
}

const DEVICES: u32 = 100;
/// Positions of each device that arrive together: fewer in all than a client may be behind.
const TOGETHER: u32 = 30;

/// Sends so much in several goes that a client which does not read blocks, while
/// `quick` keeps up; the round that came last.
async fn flood(site: &Site, goes: u32, quick: &mut Socket) -> u32 {
    let mut round = 0;
    for _ in 0..goes {
        let rounds = round + 1..=round + TOGETHER;
        let moved = rounds
            .flat_map(|round| (1..=DEVICES).map(move |device| entry(DeviceId::new(device), round)));
        site.live.merge(&moved.collect::<Vec<_>>(), NOW_MS).await.unwrap();
        round += TOGETHER;
        let mut there = 0;
        while there < DEVICES {
            let event = quick.next().await;
            assert_ne!(event["type"], "thinned");
            there += u32::from(event["recorded_at"] == time(round));
        }
    }
    round
}

#[tokio::test]
async fn a_client_that_does_not_read_is_thinned_and_holds_nobody_up() {
    let patient = Duration::from_secs(600);
    let config = ApiConfig { stream_stall: patient, write_stall: patient, ..ApiConfig::default() };
    let site = Site::start_with(config).await;
    let (mut slow, mut quick) = (site.socket("").await, site.socket("").await);
    // 27 MB, more than sockets hold.
    let rounds = flood(&site, 30, &mut quick).await;
    let mut newest = HashMap::new();
    let (mut dropped, mut came) = (0, 0);
    while newest.values().filter(|at| **at == time(rounds)).count() < DEVICES as usize {
        let event = slow.next().await;
        match event["type"].as_str().unwrap() {
            "position" => {
                came += 1;
                newest.insert(event["device_id"].to_string(), event["recorded_at"].clone());
            }
            "thinned" => {
                assert_eq!(event["reason"], "slow_client");
                dropped += event["dropped"].as_u64().unwrap();
            }
            _ => {}
        }
    }
    assert!(dropped > 0);
    assert_eq!(dropped + came, u64::from(DEVICES * rounds), "each came or was counted");
}

#[tokio::test]
async fn a_client_that_never_reads_is_let_go() {
    let impatient = ApiConfig { stream_stall: Duration::from_millis(300), ..ApiConfig::default() };
    let site = Site::start_with(impatient).await;
    let mut registry = Registry::default();
    site.served.state.register(&mut registry);
    let (mut slow, mut quick) = (site.socket("").await, site.socket("").await);
    let rounds = flood(&site, 30, &mut quick).await;
    let counted = "nemeses_stream_ended_total{reason=\"slow_client\"} 1";
    let mut text = String::new();
    while !text.contains(counted) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        text.clear();
        nemeses_runtime::metrics::encoding::text::encode(&mut text, &registry).unwrap();
    }
    while let Some(event) = slow.maybe_next().await {
        assert_ne!(event["recorded_at"], time(rounds), "it got everything after all");
    }
    site.moves(OTHER, 1).await;
    while quick.next_of("status").await["device_id"] != "0A3F74" {}
}

#[tokio::test]
async fn too_many_clients_are_turned_away() {
    let most = NonZeroUsize::new(1).unwrap();
    let site = Site::start_with(ApiConfig { max_streams: most, ..ApiConfig::default() }).await;
    let socket = site.socket("").await;
    site.served.get("/api/v1/stream/").await.is_problem(503, "busy", None);
    drop(socket);
    while Socket::with(
        &site.served,
        &format!("ticket={}", ticket(&site.served, &site.served.token).await),
    )
    .await
    .is_err()
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn streams_do_not_take_the_places_of_requests() {
    let most = NonZeroUsize::new(2).unwrap();
    let site = Site::start_with(ApiConfig { max_connections: most, ..ApiConfig::default() }).await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push((site.socket("").await, site.events("").await));
    }
    site.served.get("/healthz").await;
    for (socket, events) in &mut streams {
        assert_eq!(socket.next().await["type"], "hello");
        assert_eq!(events.next().await["type"], "hello");
    }
}

#[tokio::test]
async fn a_drain_says_goodbye() {
    let site = Site::start().await;
    let (mut socket, mut events) = (site.socket("").await, site.events("").await);
    socket.next().await;
    events.next().await;
    site.served.stop.cancel();
    let end = json!({"type": "end", "reason": "shutting_down"});
    assert_eq!(socket.next().await, end);
    assert_eq!(events.next().await, end);
    assert_eq!(socket.maybe_next().await, None);
    assert_eq!(events.maybe_next().await, None);
    drop((socket, events));
    site.served.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_group_is_a_filter_and_hidden_from_those_who_may_not_see_it() {
    let site = Site::start().await;
    let group = site.groups.add("North", 0).await.unwrap();
    site.groups.put(group, OTHER, 0).await.unwrap();
    let mut socket = site.socket(&format!("group={group}&")).await;
    assert_eq!(socket.next().await["type"], "hello");
    site.moves(DEVICE, 1).await;
    site.moves(OTHER, 2).await;
    assert_eq!(socket.next_of("position").await["device_id"], "0A3F74");
    site.users.set_access(VIEWER, Role::Viewer, &[OTHER]);
    let token = site.served.token_of(VIEWER);
    for group in [group, 999] {
        let answer = site.served.get_as(&token, &format!("/api/v1/stream/?group={group}")).await;
        answer.is_problem(404, "unknown-group", Some("group"));
    }
}

#[tokio::test]
async fn alarms_are_events_for_those_who_may_see_them() {
    let site = Site::start().await;
    let mut events = site.socket("").await;
    let by_viewer = site.served.token_of(VIEWER);
    site.users.set_access(VIEWER, Role::Viewer, &[OTHER]);
    let mut viewer = Socket::open(&site.served, &by_viewer, "").await;
    // The first look takes what is there for known.
    let mut episode = 0;
    let opened = loop {
        episode += 1;
        let of_other =
            AlarmChange { owner: Some(USER_ID), ..crate::alarms::opened(episode, OTHER) };
        raise(&site.database, vec![crate::alarms::opened(episode, DEVICE), of_other]).await;
        let next = events.next_of("alarm");
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(1500), next).await {
            break event;
        }
    };
    let id = opened["alarm"]["id"].as_u64().unwrap();
    assert_eq!((&opened["step"], &opened["device_id"]), (&json!("opened"), &json!("0A3F73")));
    assert_eq!(opened["alarm"]["rule_name"], "Too fast");
    assert_eq!(opened["alarm"]["cleared_at"], Value::Null);
    let path = format!("/api/v1/alarms/{id}/acknowledge");
    site.served.send(Method::POST, &path, &json!({"note": "seen"})).await.ok();
    let acknowledged = loop {
        let event = events.next_of("alarm").await;
        if event["step"] == "acknowledged" {
            break event;
        }
    };
    assert_eq!(acknowledged["alarm"]["id"], id);
    assert_eq!(acknowledged["alarm"]["acknowledged"]["note"], "seen");
    // The viewer's device has an alarm of somebody else's rule; everybody's comes next.
    raise(&site.database, vec![crate::alarms::opened(episode + 1, OTHER)]).await;
    let seen = viewer.next_of("alarm").await;
    assert_eq!(seen["alarm"]["episode"], episode + 1);
}
