//! The rebuild over a history that answers or fails as told.

use std::sync::atomic::Ordering;

use nemeses_protocol::DeviceId;

use super::*;
use crate::history::testing::FakeHistory;
use crate::live::{LiveEntry, MemoryLive};

const NOW_MS: u64 = 1_600_000_000_000;
const TTL_MS: u64 = 300_000;
const DEADLINE: Duration = Duration::from_secs(20);

async fn rebuild(history: FakeHistory) -> (Arc<MemoryLive>, Arc<FakeHistory>) {
    let clock = Clock::held(NOW_MS);
    let live = Arc::new(MemoryLive::new(TTL_MS, clock.clone()));
    let history = Arc::new(history);
    let stop = CancellationToken::new();
    let task = tokio::spawn(rebuild_loop(
        Arc::clone(&live) as Arc<dyn LiveStore>,
        Arc::clone(&history) as Arc<dyn Positions>,
        TTL_MS,
        clock,
        stop.clone(),
    ));
    let rebuilt = async {
        while live.needs_rebuild().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, rebuilt).await.expect("it was rebuilt");
    stop.cancel();
    tokio::time::timeout(DEADLINE, task).await.expect("it stops").unwrap();
    (live, history)
}

fn seen(device: u32) -> LiveEntry {
    LiveEntry::seen(DeviceId::new(device), NOW_MS - 1_000)
}

async fn holds(live: &MemoryLive, device: u32) -> bool {
    live.get(&[DeviceId::new(device)]).await.unwrap()[0] == Some(seen(device))
}

#[tokio::test]
async fn a_store_without_memory_is_filled_from_history() {
    let recent = vec![vec![seen(1), seen(2)], vec![seen(3)]];
    let (live, history) = rebuild(FakeHistory::default().with_recent(recent)).await;
    for device in 1..=3 {
        assert!(holds(&live, device).await, "{device}");
    }
    assert_eq!(history.asked()[0], reach(NOW_MS, TTL_MS));
}

#[tokio::test]
async fn a_failure_in_the_middle_is_not_taken_for_the_end() {
    let history = FakeHistory::default().with_recent(vec![vec![seen(1)], vec![seen(2)]]).failing(2);
    let (live, history) = rebuild(history).await;
    assert!(holds(&live, 2).await);
    assert!(history.asked().len() >= 3);
}

/// A failure of the second pass is not the end of it, though the store is rebuilt.
#[tokio::test]
async fn the_second_pass_is_repeated_until_it_succeeds() {
    let clock = Clock::held(NOW_MS);
    let live = Arc::new(MemoryLive::new(TTL_MS, clock.clone()));
    let history = Arc::new(FakeHistory::default().with_recent(vec![vec![seen(1)], vec![seen(2)]]));
    let rebuild = Rebuild {
        live: Arc::clone(&live) as _,
        history: Arc::clone(&history) as _,
        ttl_ms: TTL_MS,
        clock,
        settle: Duration::ZERO,
    };
    let mut unsettled = false;
    assert!(live.claim_rebuild().await.unwrap());
    rebuild.rebuild().await.unwrap();
    unsettled |= true;
    history.failures_left.store(1, Ordering::SeqCst);
    assert!(rebuild.rebuild_if_needed(&mut unsettled).await.is_err());
    assert!(unsettled && !live.needs_rebuild().await.unwrap());
    rebuild.rebuild_if_needed(&mut unsettled).await.unwrap();
    assert!(!unsettled);
    assert_eq!(history.asked().len(), 3);
}

#[test]
fn the_search_begins_a_quarter_of_an_hour_before_the_ttl_at_a_bucket() {
    assert_eq!(reach(1_600_000_000_000, 300_000), (1_599_999_700_000, 1_599_998_700));
    assert_eq!(reach(1_000, 300_000), (0, 0));
    assert_eq!(reach(u64::MAX, 0).1 % BUCKET_SECONDS, 0);
}
