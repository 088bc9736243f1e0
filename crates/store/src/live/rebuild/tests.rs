//! The rebuild over a history that answers or fails as told.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use futures_util::{Stream, stream};
use nemeses_protocol::{DeviceId, PositionRecord, Record};

use super::*;
use crate::history::{Committed, LastKnown, Part, PositionStream, RangeQuery};
use crate::live::{LiveEntry, MemoryLive};

const NOW_MS: u64 = 1_600_000_000_000;
const TTL_MS: u64 = 300_000;
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Told {
    chunks: Vec<Vec<LiveEntry>>,
    failures: AtomicU32,
    asked: Mutex<Vec<(u64, u32)>>,
}

fn down() -> StoreError {
    StoreError::Unavailable { store: "test", detail: "told to fail".to_owned() }
}

#[async_trait]
impl History for Told {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn check_schema(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn commit(&self, _: &[Part], _: &str) -> Result<Vec<Committed>, StoreError> {
        Err(down())
    }
    async fn probe(&self, _: &[Record]) -> Result<(), StoreError> {
        Ok(())
    }
    fn positions(&self, _: RangeQuery) -> PositionStream<'_> {
        Box::pin(stream::empty())
    }
    async fn last_position(
        &self,
        _: DeviceId,
        _: u32,
        _: bool,
    ) -> Result<Option<PositionRecord>, StoreError> {
        Ok(None)
    }
    async fn last_known(&self, _: &[DeviceId], _: u32) -> Result<Vec<LastKnown>, StoreError> {
        Ok(Vec::new())
    }
    async fn knows_device(&self, _: DeviceId) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn devices_after(
        &self,
        _: Option<DeviceId>,
        _: u32,
    ) -> Result<Vec<DeviceId>, StoreError> {
        Ok(Vec::new())
    }

    /// The chunks, with an error after the first while failures are left.
    fn recent_entries(
        &self,
        since_ms: u64,
        recorded_from: u32,
    ) -> Pin<Box<dyn Stream<Item = Result<Vec<LiveEntry>, StoreError>> + Send + '_>> {
        self.asked.lock().unwrap().push((since_ms, recorded_from));
        let fails = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok();
        let mut answers: Vec<_> = self.chunks.iter().cloned().map(Ok).collect();
        if fails {
            answers.truncate(1);
            answers.push(Err(down()));
        }
        Box::pin(stream::iter(answers))
    }
}

async fn rebuild(history: Told) -> (Arc<MemoryLive>, Arc<Told>) {
    let clock = Clock::held(NOW_MS);
    let live = Arc::new(MemoryLive::new(TTL_MS, clock.clone()));
    let history = Arc::new(history);
    let stop = CancellationToken::new();
    let task = tokio::spawn(rebuild_loop(
        Arc::clone(&live) as Arc<dyn LiveStore>,
        Arc::clone(&history) as Arc<dyn History>,
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
    let chunks = vec![vec![seen(1), seen(2)], vec![seen(3)]];
    let (live, history) = rebuild(Told { chunks, ..Told::default() }).await;
    for device in 1..=3 {
        assert!(holds(&live, device).await, "{device}");
    }
    assert_eq!(history.asked.lock().unwrap()[0], reach(NOW_MS, TTL_MS));
}

#[tokio::test]
async fn a_failure_in_the_middle_is_not_taken_for_the_end() {
    let history = Told {
        chunks: vec![vec![seen(1)], vec![seen(2)]],
        failures: AtomicU32::new(2),
        ..Told::default()
    };
    let (live, history) = rebuild(history).await;
    assert!(holds(&live, 2).await);
    assert!(history.asked.lock().unwrap().len() >= 3);
}

/// A failure of the second pass is not the end of it, though the store is rebuilt.
#[tokio::test]
async fn the_second_pass_is_repeated_until_it_succeeds() {
    let clock = Clock::held(NOW_MS);
    let live = Arc::new(MemoryLive::new(TTL_MS, clock.clone()));
    let history = Arc::new(Told { chunks: vec![vec![seen(1)], vec![seen(2)]], ..Told::default() });
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
    history.failures.store(1, Ordering::SeqCst);
    assert!(rebuild.rebuild_if_needed(&mut unsettled).await.is_err());
    assert!(unsettled && !live.needs_rebuild().await.unwrap());
    rebuild.rebuild_if_needed(&mut unsettled).await.unwrap();
    assert!(!unsettled);
    assert_eq!(history.asked.lock().unwrap().len(), 3);
}

#[test]
fn the_search_begins_a_quarter_of_an_hour_before_the_ttl_at_a_bucket() {
    assert_eq!(reach(1_600_000_000_000, 300_000), (1_599_999_700_000, 1_599_998_700));
    assert_eq!(reach(1_000, 300_000), (0, 0));
    assert_eq!(reach(u64::MAX, 0).1 % BUCKET_SECONDS, 0);
}
