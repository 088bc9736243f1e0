//! The live store of a node without Redis: entries in this process's memory.
//!
//! The cache only keeps house (capacity, and throwing out what is long past);
//! whether an entry still lives is decided by the passed clock at every read and
//! write, to the millisecond. Nothing survives the process: the rebuild from
//! history is what brings the fleet back after a restart.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::Expiry;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use nemeses_protocol::DeviceId;
use nemeses_runtime::{Clock, Worker};

use super::once::Used;
use super::stream::{MemoryStream, Moved, news};
use super::workers::{Alive, Register};
use super::{LiveEntry, LiveStore};
use crate::StoreError;

/// The least recently heard devices beyond this are forgotten (history has
/// them). 500 000 entries of some 150 bytes, with the cache's own 150 a key:
/// 150 MB at the very most.
const MAX_DEVICES: u64 = 500_000;

/// How long the cache keeps an entry beyond its time, so that the cache's own
/// clock, which may differ from the passed one by a correction of the machine's
/// time, never ends an entry early.
const HOUSEKEEPING_AFTER: Duration = Duration::from_secs(60);

/// A time of arrival far in the future must not overflow the cache's clock.
const HOUSEKEEPING_LATEST: Duration = Duration::from_secs(366 * 86_400);

/// Live entries in this process.
#[derive(Debug)]
pub struct MemoryLive {
    entries: Cache<DeviceId, LiveEntry>,
    ttl_ms: u64,
    clock: Clock,
    rebuilt: AtomicBool,
    stream: MemoryStream,
    used: Mutex<Used>,
    workers: Mutex<Register>,
}

impl MemoryLive {
    /// An empty store whose entries live for `ttl_ms` after they were seen.
    pub fn new(ttl_ms: u64, clock: Clock) -> Self {
        Self::with_capacity(ttl_ms, clock, MAX_DEVICES)
    }

    fn with_capacity(ttl_ms: u64, clock: Clock, devices: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(devices)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Housekeeping { ttl_ms, clock: clock.clone() })
            .build();
        let stream = MemoryStream::new(clock.now_ms());
        let (rebuilt, used, workers) = (AtomicBool::new(false), Mutex::default(), Mutex::default());
        Self { entries, ttl_ms, clock, rebuilt, stream, used, workers }
    }

    /// Joins under the cache's lock of the key, so that writers of one device wait
    /// for each other. What of it is news, if anything.
    fn merge_one(&self, offered: &LiveEntry, now_ms: u64) -> Option<LiveEntry> {
        let mut moved = None;
        self.entries.entry_by_ref(&offered.device).and_compute_with(|held| {
            let held =
                held.map(moka::Entry::into_value).filter(|held| held.lives_at(now_ms, self.ttl_ms));
            let mut joined = offered.clone();
            if let Some(held) = &held {
                joined.merge(held.clone());
            }
            moved = news(held.as_ref(), &joined);
            Op::Put(joined)
        });
        moved
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LiveStore for MemoryLive {
    async fn merge(&self, entries: &[LiveEntry], now_ms: u64) -> Result<(), StoreError> {
        let alive = entries.iter().filter(|entry| entry.lives_at(now_ms, self.ttl_ms));
        self.stream.push(alive.filter_map(|entry| self.merge_one(entry, now_ms)).collect());
        Ok(())
    }

    async fn get(&self, devices: &[DeviceId]) -> Result<Vec<Option<LiveEntry>>, StoreError> {
        let now_ms = self.clock.now_ms();
        let read = |device| self.entries.get(device);
        Ok(devices
            .iter()
            .map(|device| read(device).filter(|entry| entry.lives_at(now_ms, self.ttl_ms)))
            .collect())
    }

    fn ttl_ms(&self) -> u64 {
        self.ttl_ms
    }

    async fn moved_after(&self, id: u64) -> Result<Vec<Moved>, StoreError> {
        Ok(self.stream.after(id).await)
    }

    async fn first_use(&self, word: &str, within_ms: u64) -> Result<bool, StoreError> {
        let now_ms = self.clock.now_ms();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.first(word, now_ms.saturating_add(within_ms), now_ms).ok_or_else(|| {
            StoreError::Unavailable {
                store: "the live store",
                detail: "too many tickets are in use".to_owned(),
            }
        })
    }

    async fn announce(&self, worker: &Worker) -> Result<(), StoreError> {
        self.register().announce(worker);
        Ok(())
    }

    async fn withdraw(&self, name: &str) -> Result<(), StoreError> {
        self.register().withdraw(name);
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<Alive>, StoreError> {
        Ok(self.register().alive(self.clock.now_ms()))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn needs_rebuild(&self) -> Result<bool, StoreError> {
        Ok(!self.rebuilt.load(Ordering::Relaxed))
    }

    async fn mark_rebuilt(&self) -> Result<(), StoreError> {
        self.rebuilt.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// When the cache may forget an entry.
struct Housekeeping {
    ttl_ms: u64,
    clock: Clock,
}

impl Housekeeping {
    fn remaining(&self, entry: &LiveEntry) -> Duration {
        let ends_at_ms = entry.seen_at_ms.saturating_add(self.ttl_ms);
        let left = Duration::from_millis(ends_at_ms.saturating_sub(self.clock.now_ms()));
        left.min(HOUSEKEEPING_LATEST) + HOUSEKEEPING_AFTER
    }
}

impl Expiry<DeviceId, LiveEntry> for Housekeeping {
    fn expire_after_create(&self, _: &DeviceId, entry: &LiveEntry, _: Instant) -> Option<Duration> {
        Some(self.remaining(entry))
    }

    fn expire_after_update(
        &self,
        _: &DeviceId,
        entry: &LiveEntry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.remaining(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL_MS: u64 = 1_000;

    fn device(number: u32) -> DeviceId {
        DeviceId::new(number)
    }

    async fn read(live: &MemoryLive, number: u32) -> Option<LiveEntry> {
        live.get(&[device(number)]).await.unwrap().remove(0)
    }

    #[tokio::test]
    async fn an_entry_lives_exactly_until_its_time_by_the_passed_clock() {
        let clock = Clock::held(10_000);
        let live = MemoryLive::new(TTL_MS, clock.clone());
        live.merge(&[LiveEntry::seen(device(1), 10_000)], clock.now_ms()).await.unwrap();
        clock.set(10_999);
        assert!(read(&live, 1).await.is_some());
        clock.set(11_000);
        assert!(read(&live, 1).await.is_none());
    }

    #[tokio::test]
    async fn an_older_arrival_never_shortens_and_an_expired_one_is_not_written() {
        let clock = Clock::held(10_000);
        let live = MemoryLive::new(TTL_MS, clock.clone());
        let entries = [10_000, 9_500, 9_000].map(|seen| LiveEntry::seen(device(1), seen));
        live.merge(&entries, clock.now_ms()).await.unwrap();
        live.merge(&[LiveEntry::seen(device(2), 9_000)], clock.now_ms()).await.unwrap();
        assert_eq!(read(&live, 1).await.unwrap().seen_at_ms, 10_000);
        assert!(read(&live, 2).await.is_none());
    }

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_question() {
        let live = MemoryLive::new(TTL_MS, Clock::held(1));
        let entries = [3, 1].map(|number| LiveEntry::seen(device(number), 1));
        live.merge(&entries, 1).await.unwrap();
        let answer = live.get(&[device(1), device(2), device(3), device(1)]).await.unwrap();
        let devices: Vec<_> =
            answer.into_iter().map(|entry| entry.map(|entry| entry.device.number())).collect();
        assert_eq!(devices, [Some(1), None, Some(3), Some(1)]);
    }

    #[tokio::test]
    async fn the_number_of_devices_is_bounded() {
        let live = MemoryLive::with_capacity(TTL_MS, Clock::held(1), 100);
        let entries: Vec<_> = (0..1_000).map(|number| LiveEntry::seen(device(number), 1)).collect();
        live.merge(&entries, 1).await.unwrap();
        live.entries.run_pending_tasks();
        assert!(live.entries.entry_count() <= 100, "{}", live.entries.entry_count());
        assert!(read(&live, 999).await.is_some(), "the last one heard stays");
    }

    #[tokio::test]
    async fn a_new_store_wants_to_be_rebuilt_once() {
        let live = MemoryLive::new(TTL_MS, Clock::held(1));
        assert!(live.needs_rebuild().await.unwrap());
        live.mark_rebuilt().await.unwrap();
        assert!(!live.needs_rebuild().await.unwrap());
    }

    #[test]
    fn writers_of_one_device_lose_nothing() {
        let live = MemoryLive::new(u64::MAX, Clock::held(0));
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let live = &live;
                scope.spawn(move || {
                    for step in 0..2_000 {
                        live.merge_one(&LiveEntry::seen(device(1), step * 4 + writer), 0);
                    }
                });
            }
        });
        assert_eq!(live.entries.get(&device(1)).unwrap().seen_at_ms, 1_999 * 4 + 3);
    }
}
