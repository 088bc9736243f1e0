//! A rolling upgrade: nodes of the version before, whose script takes the frame recorded
//! last for the newest, write the same keys. `version_1/merge.lua` is that script.

use nemeses_protocol::DeviceId;
use nemeses_runtime::Clock;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::live::LiveFrame;
use crate::live::strategies::{NOW_MS, entries, frames};
use server::Redis;

#[path = "../../../tests/live/server.rs"]
#[expect(dead_code, reason = "shared with tests that also break the server")]
mod server;

const BEFORE: &str = include_str!("../../../tests/live/version_1/merge.lua");
const TTL_MS: u64 = 300_000;
const DEVICE: DeviceId = DeviceId::new(0x0A_3F73);

/// A merge as a node of the version before makes it.
async fn merge_as_before(live: &RedisLive, entry: &LiveEntry, now_ms: u64) {
    let mut commands = Pipeline::new();
    let command = commands.cmd("EVAL").arg(BEFORE).arg(3);
    command
        .arg(reader::STREAM_KEY)
        .arg(reader::COUNTER_KEY)
        .arg(key(EntryKind::Live, entry.device));
    command.arg(now_ms).arg(TTL_MS).arg(0).arg(value::records(std::iter::once(entry)));
    command.arg(KEPT).arg(now_ms * IDS_A_MS);
    let _moved: (u64,) = live.connection.ask(&commands).await.unwrap();
}

fn open(redis: &Redis) -> RedisLive {
    let options = RedisOptions::default();
    RedisLive::new(&redis.url(), TTL_MS, Clock::held(NOW_MS), options).unwrap()
}

async fn read(live: &RedisLive) -> LiveEntry {
    live.get(&[DEVICE]).await.unwrap().remove(0).unwrap()
}

/// Sent and arrived at these seconds behind now.
fn sent(recorded_s: u32, arrived_s: u32) -> LiveEntry {
    let strategy = frames(DEVICE).prop_map(move |frame| {
        let now_s = u32::try_from(NOW_MS / 1000).unwrap();
        let mut position = frame.position;
        position.recorded_at = now_s + recorded_s;
        let received_at_ms = NOW_MS + u64::from(arrived_s) * 1000;
        let frame = LiveFrame { position, received_at_ms, ..frame };
        let seen = LiveEntry::seen(DEVICE, received_at_ms);
        LiveEntry { newest: Some(frame.clone()), fix: Some(frame), ..seen }
    });
    strategy.new_tree(&mut TestRunner::deterministic()).unwrap().current()
}

#[tokio::test]
async fn an_entry_that_a_node_of_the_version_before_has_pinned_moves_on() {
    let redis = Redis::start();
    let live = open(&redis);
    let (ahead, good, better) = (sent(43_200, 0), sent(10, 10), sent(20, 20));
    merge_as_before(&live, &ahead, NOW_MS).await;
    merge_as_before(&live, &good, NOW_MS).await;
    let pinned = read(&live).await;
    assert_eq!((&pinned.newest, pinned.seen_at_ms), (&ahead.newest, good.seen_at_ms));
    live.merge(std::slice::from_ref(&better), NOW_MS).await.unwrap();
    assert_eq!(read(&live).await, better);
    // The old node takes part again, and pins nothing that it is not given anew.
    merge_as_before(&live, &sent(30, 30), NOW_MS).await;
    assert_eq!(read(&live).await, sent(30, 30));
}

/// Whatever nodes of both versions were given: what they leave is read, the stream's
/// ids have no hole, and the next good frame that this version is given is the newest.
#[test]
fn nodes_of_both_versions_write_the_same_keys() {
    let redis = Redis::start();
    let live = open(&redis);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let offers = proptest::collection::vec((entries(DEVICE), any::<bool>()), 1..8);
    let mut runner = TestRunner::new(ProptestConfig { cases: 200, ..ProptestConfig::default() });
    let outcome = runner.run(&offers, |offers| {
        runtime.block_on(async {
            redis.command(&["FLUSHDB"]);
            for (entry, before) in &offers {
                if *before {
                    merge_as_before(&live, entry, NOW_MS).await;
                } else {
                    live.merge(std::slice::from_ref(entry), NOW_MS).await.unwrap();
                }
            }
            // What came from memory is of no interest here.
            let historical = read(&live).await.historical;
            let next = LiveEntry { historical, ..sent(100, 100) };
            live.merge(std::slice::from_ref(&next), NOW_MS).await.unwrap();
            prop_assert_eq!(read(&live).await, next);
            let moved = live.moved_after(0).await.unwrap();
            prop_assert!(moved.windows(2).all(|pair| pair[0].id + 1 == pair[1].id));
            Ok(())
        })
    });
    outcome.unwrap();
}
