//! The newest values of channels in Redis: how long they live, and how many there are.

use nemeses_protocol::Value;
use nemeses_runtime::Clock;
use nemeses_store::live::{LiveEntry, LiveStore, LiveValue, LiveValues};

use super::server::Redis;
use super::strategies::NOW_MS;
use super::{TTL_MS, device, open, seen};

fn with_values(number: u32, seen_at_ms: u64, values: Vec<LiveValue>) -> LiveEntry {
    let values = Some(Box::new(LiveValues::new(seen_at_ms, values)));
    LiveEntry { values, ..LiveEntry::seen(device(number), seen_at_ms) }
}

fn value(channel: &str, recorded_at_ms: u64) -> LiveValue {
    LiveValue {
        channel: channel.into(),
        unit: None,
        value: Value::Integer(recorded_at_ms.cast_signed()),
        cut: false,
        recorded_at_ms,
        received_at_ms: NOW_MS,
        content_hash: 1,
    }
}

#[tokio::test]
async fn values_live_from_their_arrival_and_those_of_a_later_version_are_left_alone() {
    let redis = Redis::start();
    let clock = Clock::held(NOW_MS);
    let live = open(&redis, &clock);
    let key = "live:{1}:000001:v";
    let later = "\u{2}of a later version";
    redis.command(&["HSET", key, "new", later]);
    let entry = with_values(1, NOW_MS, vec![value("new", 5), value("old", 5)]);
    live.merge(&[entry], NOW_MS).await.unwrap();
    assert_eq!(redis.command(&["HGET", key, "new"]), redis::Value::BulkString(later.into()));
    let read = async || live.values(&[device(1), device(2)]).await.unwrap();
    let known = LiveValues::new(NOW_MS, vec![value("old", 5)]);
    assert_eq!(read().await, [Some(known), None]);
    // A device that is merely heard has its values as long as they are young.
    live.merge(&[seen(1, TTL_MS - 1)], NOW_MS + TTL_MS - 1).await.unwrap();
    clock.set(NOW_MS + TTL_MS - 1);
    assert!(read().await[0].is_some());
    clock.set(NOW_MS + TTL_MS);
    assert_eq!(read().await, [None, None]);
    // What expired is not joined, by the caller's clock; the server's stands nearly still.
    let entry = with_values(1, NOW_MS + TTL_MS, vec![value("young", 5)]);
    live.merge(std::slice::from_ref(&entry), NOW_MS + TTL_MS).await.unwrap();
    assert_eq!(read().await[0], entry.values.map(|values| *values));
}

#[tokio::test]
async fn of_too_many_channels_the_newest_stay() {
    let redis = Redis::start();
    let live = open(&redis, &Clock::held(NOW_MS));
    let names: Vec<String> = (0..1_600).map(|number| format!("c{number}")).collect();
    let all: Vec<LiveValue> =
        (0..).zip(&names).map(|(number, name)| value(name, number / 7)).collect();
    let mut expected = LiveValues::new(NOW_MS, Vec::new());
    for some in all.chunks(600).rev() {
        live.merge(&[with_values(1, NOW_MS, some.to_vec())], NOW_MS).await.unwrap();
        expected.merge(LiveValues::new(NOW_MS, some.to_vec()));
    }
    assert_eq!(live.values(&[device(1)]).await.unwrap(), [Some(expected)]);
}
