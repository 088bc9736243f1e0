//! The live store in Redis against a real server: the same join as in memory,
//! exact times, and every way in which a server can go away.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "helpers of tests fail where they stand"
)]

#[path = "live/nodes.rs"]
mod nodes;
#[path = "live/server.rs"]
mod server;
#[path = "live/strategies.rs"]
mod strategies;
#[path = "live/values.rs"]
mod values;

use std::sync::Arc;
use std::time::Duration;

use nemeses_protocol::DeviceId;
use nemeses_runtime::Clock;
use nemeses_store::StoreError;
use nemeses_store::live::{
    Flushed, Frames, LiveEntry, LiveFrame, LiveStore, LiveValue, LiveValues, LiveWriter, RedisLive,
    RedisOptions,
};
use nemeses_store::relay::{Relayed, relay_caller};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio_util::sync::CancellationToken;

use server::{DEADLINE, Redis};
use strategies::{NOW_MS, entries};

const TTL_MS: u64 = 300_000;

fn open(redis: &Redis, clock: &Clock) -> RedisLive {
    RedisLive::new(&redis.url(), TTL_MS, clock.clone(), RedisOptions::default()).unwrap()
}

fn device(number: u32) -> DeviceId {
    DeviceId::new(number)
}

fn seen(number: u32, after_ms: u64) -> LiveEntry {
    LiveEntry::seen(device(number), NOW_MS + after_ms)
}

async fn read(live: &RedisLive, number: u32) -> Option<LiveEntry> {
    live.get(&[device(number)]).await.unwrap().remove(0)
}

/// Tries until it succeeds, as a caller would.
async fn until_ok<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let begun = std::time::Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(begun.elapsed() < DEADLINE, "{what}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn the_script_joins_as_the_entry_does_in_any_order() {
    let redis = Redis::start();
    let live = open(&redis, &Clock::held(NOW_MS));
    let runtime = runtime();
    // Few devices, so that entries meet in one batch and across batches.
    let offers = proptest::collection::vec((0..3_u32).prop_flat_map(|d| entries(device(d))), 1..12)
        .prop_flat_map(|offers| (Just(offers.clone()), Just(offers).prop_shuffle(), 1..5_usize));
    let mut runner = TestRunner::new(ProptestConfig { cases: 400, ..ProptestConfig::default() });
    let outcome = runner.run(&offers, |(offers, shuffled, batch)| {
        runtime.block_on(async {
            redis.command(&["FLUSHDB"]);
            for batch in shuffled.chunks(batch) {
                live.merge(batch, NOW_MS).await.unwrap();
            }
            for number in 0..3 {
                let mut expected =
                    offers.iter().filter(|entry| entry.device == device(number)).cloned().reduce(
                        |mut held, entry| {
                            held.merge(entry);
                            held
                        },
                    );
                let values = expected.as_mut().and_then(|entry| entry.values.take());
                prop_assert_eq!(read(&live, number).await, expected);
                let held = live.values(&[device(number)]).await.unwrap().remove(0);
                prop_assert_eq!(held, values.map(|values| *values));
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

#[tokio::test]
async fn ids_beyond_24_bits_have_their_own_entries() {
    let redis = Redis::start();
    let live = open(&redis, &Clock::held(NOW_MS));
    let numbers = [0x00FF_FFFF, 0x0100_0000, 0x8000_0000, u32::MAX];
    let entries = numbers.map(|number| frame(number, 1_000));
    live.merge(&entries, NOW_MS).await.unwrap();
    let read = live.get(&numbers.map(device)).await.unwrap();
    assert!(read.iter().flatten().eq(&entries), "{read:?}");
    let moved = live.moved_after(0).await.unwrap();
    assert!(moved.iter().map(|moved| &moved.entry).eq(&entries), "{moved:?}");
}

/// Another version; this one with another length; too short for a version.
const UNKNOWN: [&str; 3] = ["\u{2}\u{7}of a later version", "\u{1}\u{7}of another length", "\u{2}"];

#[tokio::test]
async fn values_of_an_unknown_version_or_length_are_left_alone_until_they_expire() {
    let redis = Redis::start();
    let clock = Clock::held(NOW_MS);
    let live = open(&redis, &clock);
    let key = |number: u32| format!("live:{{{number}}}:{number:06X}");
    let held = |key: &str| redis.command(&["GET", key]);
    let from_memory = |number, after_ms| {
        let LiveEntry { newest, fix, .. } = frame(number, after_ms);
        let historical = Some(Box::new(Frames { newest, fix }));
        LiveEntry { historical, ..seen(number, after_ms) }
    };
    for (number, value) in (1..).zip(UNKNOWN) {
        redis.command(&["SET", &key(number), value, "PX", "600000"]);
        redis.command(&["SET", &(key(number) + ":h"), value, "PX", "600000"]);
    }
    let numbers = [1, 2, 3, 4].map(device);
    assert_eq!(live.get(&numbers).await.unwrap(), [None, None, None, None]);
    // What comes in one batch with them is written, and told without a hole.
    for after_ms in [1_000, 2_000] {
        let batch = [1, 2, 3, 4].map(|number| frame(number, after_ms));
        live.merge(&batch, NOW_MS + after_ms).await.unwrap();
        let heard = [1, 2, 3, 4].map(|number| seen(number, after_ms));
        live.merge(&heard, NOW_MS + after_ms).await.unwrap();
        let memory = [1, 2, 3, 4].map(|number| from_memory(number, after_ms));
        live.merge(&memory, NOW_MS + after_ms).await.unwrap();
    }
    for (number, value) in (1..).zip(UNKNOWN) {
        for key in [key(number), key(number) + ":h"] {
            assert_eq!(held(&key), redis::Value::BulkString(value.into()), "{key}");
            let left: u64 = redis::from_redis_value(redis.command(&["PTTL", &key])).unwrap();
            assert!(left <= 600_000, "{key}: {left}");
        }
    }
    let mut whole = from_memory(4, 2_000);
    whole.merge(frame(4, 2_000));
    assert_eq!(live.get(&numbers).await.unwrap(), [None, None, None, Some(whole)]);
    let moved = live.moved_after(0).await.unwrap();
    assert!(moved.iter().all(|moved| moved.entry.device == device(4)), "{moved:?}");
    assert!(moved.is_sorted_by(|one, two| one.id + 1 == two.id));
    // With its live key of this version, an unknown one of what came from memory is no error.
    redis.command(&["DEL", &key(1)]);
    live.merge(&[frame(1, 3_000)], NOW_MS + 3_000).await.unwrap();
    assert_eq!(read(&live, 1).await, Some(frame(1, 3_000)));
    redis.command(&["DEL", &(key(1) + ":h")]);
    live.merge(&[from_memory(1, 3_000)], NOW_MS + 3_000).await.unwrap();
    assert!(read(&live, 1).await.unwrap().historical.is_some());
}

#[tokio::test]
async fn a_value_that_never_expires_is_no_versions_and_is_replaced() {
    let redis = Redis::start();
    let live = open(&redis, &Clock::held(NOW_MS));
    for (number, value) in (1..).zip(UNKNOWN) {
        redis.command(&["SET", &format!("live:{{{number}}}:{number:06X}"), value]);
        live.merge(&[frame(number, 1_000)], NOW_MS + 1_000).await.unwrap();
        assert_eq!(read(&live, number).await, Some(frame(number, 1_000)));
    }
}

#[tokio::test]
async fn a_large_batch_is_written_and_read_whole_and_in_order() {
    let redis = Redis::start();
    let live = open(&redis, &Clock::held(NOW_MS));
    let many: Vec<_> = (0..5_300).map(|number| seen(number * 7, 1)).collect();
    live.merge(&many, NOW_MS).await.unwrap();
    let mut devices: Vec<_> = many.iter().rev().map(|entry| entry.device).collect();
    devices.push(device(1));
    let read = live.get(&devices).await.unwrap();
    assert_eq!(read.len(), 5_301);
    assert!(read[..5_300].iter().flatten().eq(many.iter().rev()));
    assert_eq!(read[5_300], None);
    assert!(live.get(&[]).await.unwrap().is_empty());
    live.merge(&[], NOW_MS).await.unwrap();
}

#[tokio::test]
async fn an_entry_lives_from_its_arrival_and_an_older_one_never_shortens_it() {
    let redis = Redis::start();
    let clock = Clock::held(NOW_MS);
    let live = open(&redis, &clock);
    live.merge(&[seen(1, 0)], NOW_MS + 100_000).await.unwrap();
    let left = || left_ms(&redis, 1);
    // Until the end of the span of half a TTL, and a TTL.
    let whole_ms = NOW_MS.next_multiple_of(TTL_MS / 2) + TTL_MS - (NOW_MS + 100_000);
    let whole = whole_ms - 10_000..=whole_ms;
    assert!(whole.contains(&left()), "{}", left());
    // An older arrival with a newer frame moves the frame and not the time.
    let mut runner = TestRunner::default();
    let frame = strategies::frames(device(1)).new_tree(&mut runner).unwrap().current();
    let older = LiveEntry { newest: Some(frame), ..LiveEntry::seen(device(1), NOW_MS - 50_000) };
    live.merge(std::slice::from_ref(&older), NOW_MS + 100_000).await.unwrap();
    assert!(whole.contains(&left()), "{}", left());
    let held = read(&live, 1).await.unwrap();
    assert_eq!((held.seen_at_ms, held.newest), (NOW_MS, older.newest));
    // Past its time it is not written, nor read though Redis still has the key.
    live.merge(&[seen(2, 0)], NOW_MS + TTL_MS).await.unwrap();
    assert_eq!(read(&live, 2).await, None);
    clock.set(NOW_MS + TTL_MS - 1);
    assert!(read(&live, 1).await.is_some());
    clock.set(NOW_MS + TTL_MS);
    assert!(left() > 0);
    assert_eq!(read(&live, 1).await, None);
    // What is past its time is not joined either.
    live.merge(&[seen(1, TTL_MS)], NOW_MS + TTL_MS).await.unwrap();
    assert_eq!(read(&live, 1).await, Some(seen(1, TTL_MS)));
}

/// How long the server keeps a device's key.
fn left_ms(redis: &Redis, number: u32) -> u64 {
    let key = format!("live:{{{number}}}:{number:06X}");
    redis::from_redis_value(redis.command(&["PTTL", &key])).unwrap()
}

/// One frame, recorded a second later for each second that its device was seen later.
fn frame(number: u32, after_ms: u64) -> LiveEntry {
    let mut runner = TestRunner::deterministic();
    let mut frame = strategies::frames(device(number)).new_tree(&mut runner).unwrap().current();
    frame.position.recorded_at = u32::try_from(after_ms / 1_000).unwrap();
    LiveEntry { newest: Some(frame.clone()), fix: Some(frame), ..seen(number, after_ms) }
}

/// Calls of a command that the server has counted, those of scripts included.
fn calls(redis: &Redis, command: &str) -> u64 {
    let stats: String = redis::from_redis_value(redis.command(&["INFO", "commandstats"])).unwrap();
    let line = format!("cmdstat_{command}:calls=");
    let calls = stats.lines().find_map(|stat| stat.strip_prefix(&line)?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

#[tokio::test]
async fn a_key_outlives_its_entry_though_its_expiry_is_renewed_seldom() {
    let redis = Redis::start();
    let clock = Clock::held(NOW_MS);
    let live = open(&redis, &clock);
    let (mut renewed, mut expires_after_ms) = (0, 0);
    for after_ms in (0..TTL_MS * 2).step_by(10_000) {
        clock.set(NOW_MS + after_ms);
        live.merge(&[frame(1, after_ms)], NOW_MS + after_ms).await.unwrap();
        assert_eq!(read(&live, 1).await, Some(frame(1, after_ms)));
        // The server's own time nearly stands still meanwhile.
        if calls(&redis, "set") > renewed {
            renewed = calls(&redis, "set");
            expires_after_ms = after_ms + left_ms(&redis, 1);
        }
        let left_ms = expires_after_ms - after_ms;
        assert!((TTL_MS - 5_000..=TTL_MS * 3 / 2).contains(&left_ms), "{after_ms}: {left_ms}");
    }
    // Spans of 150 s, the first ends after 50; and the stream's counter and origin were set.
    assert_eq!((renewed, calls(&redis, "setrange")), (5 + 2, 55));
}

#[tokio::test]
async fn a_writer_with_another_ttl_renews_what_was_written_before_it_began() {
    let redis = Redis::start();
    let short =
        RedisLive::new(&redis.url(), TTL_MS / 4, Clock::held(NOW_MS), RedisOptions::default());
    short.unwrap().merge(&[frame(1, 0)], NOW_MS).await.unwrap();
    assert!(left_ms(&redis, 1) <= TTL_MS / 2);
    let live = open(&redis, &Clock::held(NOW_MS + 1));
    live.merge(&[frame(1, 1_000)], NOW_MS + 1_000).await.unwrap();
    assert!(left_ms(&redis, 1) > TTL_MS - 5_000);
    assert_eq!(read(&live, 1).await, Some(frame(1, 1_000)));
}

#[tokio::test]
async fn a_value_of_another_version_counts_as_nothing() {
    let redis = Redis::start();
    let live = open(&redis, &Clock::held(NOW_MS));
    redis.command(&["SET", "live:{1}:000001", "a quite different value, longer than a header"]);
    assert_eq!(read(&live, 1).await, None);
    redis.command(&["LPUSH", "live:{2}:000002", "not even a string"]);
    live.merge(&[seen(1, 0), seen(2, 0)], NOW_MS).await.unwrap();
    assert_eq!(read(&live, 1).await, Some(seen(1, 0)));
    assert_eq!(read(&live, 2).await, Some(seen(2, 0)));
}

#[tokio::test]
async fn a_killed_server_is_unavailable_and_its_return_empty_is_noticed() {
    let mut redis = Redis::start();
    let live = open(&redis, &Clock::held(NOW_MS));
    assert!(live.needs_rebuild().await.unwrap(), "never filled");
    live.merge(&[seen(1, 0)], NOW_MS).await.unwrap();
    live.mark_rebuilt().await.unwrap();
    assert!(!live.needs_rebuild().await.unwrap());
    redis.kill();
    let error = live.merge(&[seen(1, 1)], NOW_MS).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    for _ in 0..3 {
        // Connecting fails, then it is too early to try again: the same plain words.
        let error = live.get(&[device(1)]).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(error.to_string().matches("not available").count(), 1, "{error}");
    }
    redis.start_again();
    until_ok("it is back", async || live.ping().await).await;
    assert!(live.needs_rebuild().await.unwrap());
    assert_eq!(read(&live, 1).await, None);
    // The script is gone with the process: it is loaded again by itself.
    live.merge(&[seen(1, 1)], NOW_MS).await.unwrap();
    assert_eq!(read(&live, 1).await, Some(seen(1, 1)));
}

#[tokio::test]
async fn a_restart_with_an_old_snapshot_and_a_flush_are_losses_too() {
    let mut redis = Redis::start_with(|_, port| {
        ["--dbfilename", "dump.rdb", "--port", &port.to_string()].map(str::to_owned).to_vec()
    });
    let live = open(&redis, &Clock::held(NOW_MS));
    live.merge(&[seen(1, 0)], NOW_MS).await.unwrap();
    live.mark_rebuilt().await.unwrap();
    redis.command(&["SAVE"]);
    live.merge(&[seen(1, 1)], NOW_MS).await.unwrap();
    redis.kill();
    redis.start_again();
    assert!(until_ok("it is back", async || live.needs_rebuild().await).await, "old snapshot");
    assert_eq!(read(&live, 1).await, Some(seen(1, 0)), "it did load the snapshot");
    live.mark_rebuilt().await.unwrap();
    assert!(!live.needs_rebuild().await.unwrap());
    redis.command(&["FLUSHALL"]);
    assert!(live.needs_rebuild().await.unwrap(), "flushed");
}

#[tokio::test]
async fn one_rebuilds_at_a_time_and_a_flush_meanwhile_is_not_overlooked() {
    let redis = Redis::start();
    let clock = Clock::held(NOW_MS);
    let (first, second) = (open(&redis, &clock), open(&redis, &clock));
    assert!(first.claim_rebuild().await.unwrap());
    assert!(!second.claim_rebuild().await.unwrap());
    assert!(first.keep_claim().await.unwrap());
    assert!(!second.keep_claim().await.unwrap());
    assert!(first.claim_rebuild().await.unwrap(), "its own, after a failure");
    redis.command(&["FLUSHALL"]);
    assert!(!first.keep_claim().await.unwrap());
    assert!(first.mark_rebuilt().await.unwrap_err().is_transient());
    assert!(first.needs_rebuild().await.unwrap());
    assert!(second.claim_rebuild().await.unwrap());
    second.mark_rebuilt().await.unwrap();
    assert!(!first.needs_rebuild().await.unwrap());
    assert!(first.claim_rebuild().await.unwrap(), "the mark ends the claim");
}

#[tokio::test]
async fn a_stopped_server_is_unavailable_in_time_and_serves_again_when_continued() {
    let redis = Redis::start();
    let live = open(&redis, &Clock::held(NOW_MS));
    live.merge(&[seen(1, 0)], NOW_MS).await.unwrap();
    redis.signal("-STOP");
    let silent = live.merge(&[seen(1, 5)], NOW_MS).await.unwrap_err();
    assert!(silent.to_string().contains("no answer within 500 ms"), "{silent}");
    let still = live.get(&[device(1)]).await.unwrap_err();
    assert!(still.is_transient(), "{still}");
    redis.signal("-CONT");
    let read = until_ok("it answers again", async || live.get(&[device(1)]).await).await;
    assert!(read[0].as_ref().is_some_and(|entry| entry.seen_at_ms >= NOW_MS));
    live.merge(&[seen(1, 9)], NOW_MS).await.unwrap();
}

#[tokio::test]
async fn read_only_and_out_of_memory_pass_with_time_and_a_wrong_password_does_not() {
    let redis = Redis::start();
    let live = open(&redis, &Clock::held(NOW_MS));
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = live.merge(&[seen(1, 0)], NOW_MS).await.unwrap_err();
    assert!(full.is_transient() && full.to_string().contains("OOM"), "{full}");
    live.ping().await.unwrap();
    live.check_writes().await.unwrap_err();
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let read_only = live.merge(&[seen(1, 0)], NOW_MS).await.unwrap_err();
    assert!(read_only.is_transient(), "{read_only}");
    live.check_writes().await.unwrap_err();
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    until_ok("it is a master", async || live.merge(&[seen(1, 0)], NOW_MS).await).await;
    live.check_writes().await.unwrap();
    redis.command(&["CONFIG", "SET", "requirepass", "right"]);
    for login in ["", ":wrong@"] {
        let url = format!("redis://{login}127.0.0.1:{}", redis.port);
        let live = RedisLive::new(&url, TTL_MS, Clock::held(NOW_MS), RedisOptions::default());
        let refused = live.unwrap().get(&[device(1)]).await.unwrap_err();
        assert!(matches!(refused, StoreError::Configuration(_)), "{refused}");
    }
}

#[tokio::test]
async fn the_writer_carries_the_newest_over_an_outage() {
    let mut redis = Redis::start();
    let live = Arc::new(open(&redis, &Clock::held(NOW_MS)));
    let store = Arc::clone(&live) as Arc<dyn LiveStore>;
    let writer = LiveWriter::new(store, Clock::held(NOW_MS));
    let stop = CancellationToken::new();
    let task = tokio::spawn(writer.clone().run(stop.clone()));
    writer.offer([seen(1, 1)]);
    assert_eq!(writer.flushed().await, Flushed::Written);
    redis.kill();
    writer.offer((1..3_000).map(|number| seen(number, 2)));
    assert_eq!(writer.flushed().await, Flushed::Down);
    writer.offer([seen(1, 9), seen(1, 5)]);
    redis.start_again();
    until_ok("the writer is done", async || match writer.flushed().await {
        Flushed::Written => Ok(()),
        Flushed::Down => {
            Err(StoreError::Unavailable { store: "Redis", detail: "still".to_owned() })
        }
    })
    .await;
    assert_eq!(read(&live, 1).await, Some(seen(1, 9)));
    assert_eq!(read(&live, 2_999).await, Some(seen(2_999, 2)));
    stop.cancel();
    tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
}

#[tokio::test]
async fn tls_is_spoken_and_checked() {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let redis = Redis::start_with(|folder, port| {
        let (certificate_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&certificate_file, &certificate).unwrap();
        std::fs::write(&key_file, &key).unwrap();
        let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
        [
            ["--port", "0"].map(str::to_owned),
            ["--tls-port".to_owned(), port.to_string()],
            ["--tls-auth-clients", "no"].map(str::to_owned),
            ["--tls-cert-file".to_owned(), text(certificate_file)],
            ["--tls-key-file".to_owned(), text(key_file)],
        ]
        .concat()
    });
    let url = format!("rediss://127.0.0.1:{}", redis.port);
    let trusting = RedisOptions {
        root_certificates: Some(certificate.into_bytes()),
        ..RedisOptions::default()
    };
    let live = RedisLive::new(&url, TTL_MS, Clock::held(NOW_MS), trusting).unwrap();
    live.merge(&[seen(1, 0)], NOW_MS).await.unwrap();
    assert_eq!(read(&live, 1).await, Some(seen(1, 0)));
    let pem = Some(std::fs::read(redis.folder.path().join("cert.pem")).unwrap());
    let caller = relay_caller(&url, pem).unwrap();
    caller.send(&Relayed::Command(DeviceId::new(1), vec![1])).await.unwrap();
    // An unknown certificate is refused.
    let wary = RedisLive::new(&url, TTL_MS, Clock::held(NOW_MS), RedisOptions::default()).unwrap();
    wary.ping().await.unwrap_err();
}
