//! What moves in Redis, told in order to those who follow: the same as in memory,
//! bounded, and with a hole where something was lost.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "helpers of tests fail where they stand"
)]

#[expect(dead_code, reason = "shared with other tests, which also stop the server")]
#[path = "live/server.rs"]
mod server;
#[path = "live/strategies.rs"]
mod strategies;

use std::collections::BTreeMap;

use nemeses_protocol::DeviceId;
use nemeses_runtime::Clock;
use nemeses_store::live::{
    Frames, LiveEntry, LiveFrame, LiveStore, LiveValue, LiveValues, MemoryLive, Moved, RedisLive,
    RedisOptions,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use server::{DEADLINE, Redis};
use strategies::{NOW_MS, entries};

const TTL_MS: u64 = 300_000;

fn open(redis: &Redis) -> RedisLive {
    let clock = Clock::held(NOW_MS);
    RedisLive::new(&redis.url(), TTL_MS, clock, RedisOptions::default()).unwrap()
}

fn seen(number: u32, after_ms: u64) -> LiveEntry {
    LiveEntry::seen(DeviceId::new(number), NOW_MS + after_ms)
}

/// What comes behind the id, as soon as something does.
async fn next(live: &dyn LiveStore, id: u64) -> Vec<Moved> {
    let begun = std::time::Instant::now();
    loop {
        // A server that is coming back refuses meanwhile.
        let moved = live.moved_after(id).await.unwrap_or_default();
        if !moved.is_empty() {
            return moved;
        }
        assert!(begun.elapsed() < DEADLINE, "nothing moved");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn joined(moved: &[Moved]) -> BTreeMap<DeviceId, LiveEntry> {
    let mut all: BTreeMap<DeviceId, LiveEntry> = BTreeMap::new();
    for Moved { entry, .. } in moved {
        let known = all.entry(entry.device).or_insert_with(|| entry.clone());
        known.merge(entry.clone());
    }
    all
}

#[tokio::test]
async fn both_stores_tell_the_same() {
    let redis = Redis::start();
    let (shared, memory) = (open(&redis), MemoryLive::new(TTL_MS, Clock::held(NOW_MS)));
    let mut runner = TestRunner::deterministic();
    let one = (0..3_u32).prop_flat_map(|number| entries(DeviceId::new(number)));
    for _ in 0..200 {
        // One at a time, so that nothing is joined before it is written.
        let entry = one.new_tree(&mut runner).unwrap().current();
        shared.merge(std::slice::from_ref(&entry), NOW_MS).await.unwrap();
        memory.merge(&[entry], NOW_MS).await.unwrap();
    }
    let mut told = Vec::new();
    let mut after = 0;
    let here = next(&memory, 0).await;
    while told.len() < here.len() {
        let more = next(&shared, after).await;
        assert!(after == 0 || more[0].id == after + 1, "without a hole");
        after = more.last().unwrap().id;
        told.extend(more);
    }
    let entries = |moved: &[Moved]| {
        moved.iter().map(|moved| (moved.entry.clone(), moved.values)).collect::<Vec<_>>()
    };
    assert_eq!(entries(&told), entries(&here));
    assert!(told.is_sorted_by(|one, two| one.id + 1 == two.id));
    for (device, entry) in joined(&told) {
        assert_eq!(shared.get(&[device]).await.unwrap(), [Some(entry)]);
        let values = shared.values(&[device]).await.unwrap();
        assert!(values[0].is_some());
        assert_eq!(values, memory.values(&[device]).await.unwrap());
    }
}

#[tokio::test]
async fn a_call_of_many_tells_the_same_whatever_its_entries_come_to() {
    let redis = Redis::start();
    let (shared, memory) = (open(&redis), MemoryLive::new(TTL_MS, Clock::held(NOW_MS)));
    let mut runner = TestRunner::deterministic();
    let fleet: Vec<_> =
        (0..8).map(|number| proptest::option::of(entries(DeviceId::new(number)))).collect();
    let mut recorded_at = 10;
    for _ in 0..100 {
        let drawn = fleet.new_tree(&mut runner).unwrap().current();
        let mut batch: Vec<LiveEntry> = drawn.into_iter().flatten().collect();
        // Of some, what comes nearly always: the frame that is later than all before.
        for entry in &mut batch {
            recorded_at += 1;
            if let Some(frame) = &mut entry.newest
                && entry.device.number() % 2 == 0
            {
                frame.position.recorded_at = recorded_at;
                entry.fix.clone_from(&entry.newest);
            }
        }
        shared.merge(&batch, NOW_MS).await.unwrap();
        memory.merge(&batch, NOW_MS).await.unwrap();
    }
    let here = next(&memory, 0).await;
    let mut told = next(&shared, 0).await;
    while told.len() < here.len() {
        let after = told[told.len() - 1].id;
        told.extend(next(&shared, after).await);
    }
    let of = |moved: &Moved| (moved.entry.clone(), moved.values);
    assert!(told.iter().map(of).eq(here.iter().map(of)));
    assert!(told.is_sorted_by(|one, two| one.id + 1 == two.id));
}

#[tokio::test]
async fn an_entry_of_a_later_version_takes_its_place_and_hides_no_other() {
    let redis = Redis::start();
    let live = open(&redis);
    live.merge(&[seen(7, 0)], NOW_MS).await.unwrap();
    let first = next(&live, 0).await[0].id;
    // Of device 1 as this version writes that it was heard, then of device 2 as it does not.
    let known = "\0\0\0\u{1}\u{8}\u{1}\0\0\0\0\0\0\u{5}";
    let later = "\0\0\0\u{2}\u{5}\u{2}\u{7}new";
    redis.command(&["INCRBY", "live:{stream}:last", "3"]);
    let id = (first + 3).to_string();
    let record = format!("{known}{later}{known}");
    redis.command(&["XADD", "live:{stream}:moved", &id, "e", &record, "x", "unknown"]);
    let moved = next(&live, first).await;
    let told: Vec<_> = moved.iter().map(|moved| (moved.id - first, &moved.entry)).collect();
    let heard = LiveEntry::seen(DeviceId::new(1), 5);
    let unknown = LiveEntry::seen(DeviceId::new(2), 0);
    assert_eq!(told, [(1, &heard), (2, &unknown), (3, &heard)]);
}

#[tokio::test]
async fn many_entries_are_one_record_and_the_oldest_make_room() {
    let redis = Redis::start();
    let live = open(&redis);
    for after_ms in 0..110 {
        let fleet: Vec<LiveEntry> = (0..1_000).map(|number| seen(number, after_ms)).collect();
        live.merge(&fleet, NOW_MS).await.unwrap();
    }
    let stats: String = redis::from_redis_value(redis.command(&["INFO", "commandstats"])).unwrap();
    assert!(stats.contains("cmdstat_xadd:calls=220,"), "one for 500 entries: {stats}");
    let records: u64 =
        redis::from_redis_value(redis.command(&["XLEN", "live:{stream}:moved"])).unwrap();
    // Trimmed by whole nodes of the server's, of up to 100 small records or 4 KB.
    assert!((200..=214).contains(&records), "{records} records of 500");
    let oldest = next(&live, 0).await;
    assert!(oldest.len() <= 10_000);
}

#[tokio::test]
async fn two_instances_follow_and_a_lost_memory_is_a_hole() {
    let mut redis = Redis::start();
    let (writer, first, second) = (open(&redis), open(&redis), open(&redis));
    writer.merge(&[seen(1, 0)], NOW_MS).await.unwrap();
    let (one, two) = (next(&first, 0).await, next(&second, 0).await);
    assert_eq!(one, two);
    assert_eq!(one[0].entry, seen(1, 0));
    let waiting = tokio::spawn(async move { next(&first, one[0].id).await });
    writer.merge(&[seen(2, 0), seen(1, 5)], NOW_MS).await.unwrap();
    let more = waiting.await.unwrap();
    assert_eq!(
        more.iter().map(|moved| moved.id).collect::<Vec<_>>(),
        [two[0].id + 1, two[0].id + 2]
    );
    redis.kill();
    redis.start_again();
    let (later_ms, begun) = (NOW_MS + 10, std::time::Instant::now());
    while writer.merge(&[seen(3, 10)], later_ms).await.is_err() {
        assert!(begun.elapsed() < DEADLINE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let after = next(&second, more[1].id).await;
    assert_eq!(after[0].entry, seen(3, 10));
    assert!(after[0].id > more[1].id + 1, "a hole");
}

#[tokio::test]
async fn an_old_snapshot_gives_no_id_out_twice() {
    let mut redis = Redis::start_with(|_, port| {
        ["--dbfilename", "dump.rdb", "--port", &port.to_string()].map(str::to_owned).to_vec()
    });
    let live = open(&redis);
    live.merge(&[seen(1, 0)], NOW_MS).await.unwrap();
    redis.command(&["SAVE"]);
    live.merge(&[seen(1, 1), seen(2, 1), seen(3, 1)], NOW_MS).await.unwrap();
    let before = next(&live, 0).await.last().unwrap().id;
    redis.kill();
    redis.start_again();
    let begun = std::time::Instant::now();
    while live.moved_after(before).await.is_err() {
        assert!(begun.elapsed() < DEADLINE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    while live.merge(&[seen(4, 1)], NOW_MS).await.is_err() {
        assert!(begun.elapsed() < DEADLINE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let moved = next(&live, before).await;
    assert_eq!(moved[0].entry, seen(4, 1));
    assert!(moved[0].id > before + 1, "a hole");
}

#[tokio::test]
async fn something_else_under_the_key_never_stops_a_merge() {
    let redis = Redis::start();
    let live = open(&redis);
    redis.command(&["SET", "live:{stream}:moved", "rubbish"]);
    live.merge(&[seen(1, 0)], NOW_MS).await.unwrap();
    assert_eq!(next(&live, 0).await[0].entry, seen(1, 0));
}

#[tokio::test]
async fn a_word_is_used_once_by_all() {
    let redis = Redis::start();
    let (one, two) = (open(&redis), open(&redis));
    assert!(one.first_use("ticket:a", 60_000).await.unwrap());
    assert!(!two.first_use("ticket:a", 60_000).await.unwrap());
    assert!(two.first_use("ticket:b", 60_000).await.unwrap());
}
