//! The live store of a node without Redis: entries in this process's memory.
//!
//! A table under one lock, held for the few tens of microseconds that a call takes:
//! a cache with a lock and a clock for each key cost ten times the join. Whether an
//! entry still lives is decided by the passed clock at every read and write, to the
//! millisecond; what is long past is thrown out now and then. Nothing survives the
//! process: the rebuild from history is what brings the fleet back after a restart.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use nemeses_protocol::DeviceId;
use nemeses_runtime::{Clock, Worker};

use super::once::Used;
use super::stream::{MemoryStream, Moved, news};
use super::values::LiveValues;
use super::workers::{Alive, Register};
use super::{LiveEntry, LiveStore};
use crate::StoreError;
use crate::hash::NumberHash;

/// The least recently heard devices beyond this are forgotten (history has
/// them). 500 000 entries of some 150 bytes: 75 MB, twice that while the table grows.
const MAX_DEVICES: usize = 500_000;
/// When there is no room, this share of the devices makes some, so that the search
/// for them is not repeated for each newcomer.
const FORGOTTEN_AT_ONCE: usize = 16;
/// Values of channels are held as long as they take no more than this; those of the devices
/// whose values came least recently are forgotten (history has them). 10 channels take some
/// 1.5 KB, so 80 000 devices have room.
const MAX_VALUE_BYTES: usize = 128 << 20;
/// How long an entry is kept beyond its time, so that a clock that was wrong for a
/// moment ends no entry early.
const KEPT_BEYOND_MS: u64 = 60_000;
/// How often what is past is thrown out: 10 000 devices take 0.1 ms, 500 000 some 10.
const SWEEP_EVERY_MS: u64 = 60_000;

/// Live entries in this process.
#[derive(Debug)]
pub struct MemoryLive {
    held: Mutex<Held>,
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

    fn with_capacity(ttl_ms: u64, clock: Clock, most: usize) -> Self {
        let now_ms = clock.now_ms();
        let entries = HashMap::default();
        let most_value_bytes = MAX_VALUE_BYTES;
        let held =
            Held { entries, most, value_bytes: 0, most_value_bytes, ttl_ms, swept_at_ms: now_ms };
        Self {
            held: Mutex::new(held),
            ttl_ms,
            clock,
            rebuilt: AtomicBool::new(false),
            stream: MemoryStream::new(now_ms),
            used: Mutex::default(),
            workers: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entries and what keeps them few. Pure; time is an argument.
#[derive(Debug)]
struct Held {
    entries: HashMap<DeviceId, LiveEntry, NumberHash>,
    most: usize,
    /// What the values of all entries take.
    value_bytes: usize,
    most_value_bytes: usize,
    ttl_ms: u64,
    swept_at_ms: u64,
}

impl Held {
    /// Joins an entry that lives into what is held. What of it is news: of when it was heard
    /// and its live frames, of what came from memory, and when values of its channels moved.
    fn merge(&mut self, offered: &LiveEntry, now_ms: u64) -> [Option<(LiveEntry, bool)>; 3] {
        let alive = |values: &&LiveValues| values.lives_at(now_ms, self.ttl_ms);
        let values = offered.values.as_deref().filter(alive).cloned();
        let frames = match offered.values {
            None => Cow::Borrowed(offered),
            Some(_) => Cow::Owned(without_values(offered)),
        };
        let (live, historical) = self.merge_frames(&frames, now_ms);
        let device = offered.device;
        let moved = values.and_then(|values| self.merge_values(device, values, now_ms));
        let moved = moved.map(|seen_at_ms| (LiveEntry::seen(device, seen_at_ms), true));
        [live.map(|live| (live, false)), historical.map(|historical| (historical, false)), moved]
    }

    /// When the values were seen, if anything of them is new.
    fn merge_values(&mut self, device: DeviceId, values: LiveValues, now_ms: u64) -> Option<u64> {
        let held = self.entries.get_mut(&device)?;
        let before = held.values.take();
        let was = before.as_ref().map_or(0, |values| values.bytes());
        let (joined, moved) = match before.filter(|held| held.lives_at(now_ms, self.ttl_ms)) {
            Some(mut before) => {
                let moved = before.merge(values);
                (before, moved)
            }
            None => (Box::new(values), true),
        };
        self.value_bytes = (self.value_bytes + joined.bytes()).saturating_sub(was);
        let seen_at_ms = joined.seen_at_ms;
        held.values = Some(joined);
        if self.value_bytes > self.most_value_bytes {
            self.forget_values();
        }
        moved.then_some(seen_at_ms)
    }

    /// Forgets the values that came least recently, of a share of the devices.
    fn forget_values(&mut self) {
        let values = |entry: &LiveEntry| entry.values.as_ref().map(|values| values.seen_at_ms);
        let mut seen: Vec<u64> = self.entries.values().filter_map(values).collect();
        let leave = (seen.len() / FORGOTTEN_AT_ONCE).max(1);
        let (_, last_to_go, _) = seen.select_nth_unstable(leave - 1);
        let last_to_go = *last_to_go;
        self.entries.retain(|_, entry| {
            entry.values.take_if(|values| values.seen_at_ms <= last_to_go);
            true
        });
        self.count_values();
    }

    fn count_values(&mut self) {
        let values = |entry: &LiveEntry| bytes_of(entry.values.as_deref());
        self.value_bytes = self.entries.values().map(values).sum();
    }

    fn merge_frames(
        &mut self,
        offered: &LiveEntry,
        now_ms: u64,
    ) -> (Option<LiveEntry>, Option<LiveEntry>) {
        let Some(held) = self.entries.get_mut(&offered.device) else {
            self.make_room(now_ms);
            self.entries.insert(offered.device, offered.clone());
            return news(None, offered);
        };
        if !held.lives_at(now_ms, self.ttl_ms) {
            // As if it were new, but what came from memory stays.
            let mut before = LiveEntry::seen(offered.device, 0);
            before.historical = held.historical.take();
            // With it, its values have expired.
            self.value_bytes -= bytes_of(held.values.as_deref()).min(self.value_bytes);
            *held = offered.clone();
            held.merge_historical(before.historical.clone());
            let (_, historical) = news(Some(&before), held);
            return (news(None, held).0, historical);
        }
        let values = held.values.take();
        let mut joined = held.clone();
        joined.merge(offered.clone());
        let moved = news(Some(held), &joined);
        *held = LiveEntry { values, ..joined };
        moved
    }

    fn make_room(&mut self, now_ms: u64) {
        if self.entries.len() >= self.most {
            self.sweep(now_ms);
        }
        if self.entries.len() < self.most {
            return;
        }
        let mut seen: Vec<u64> = self.entries.values().map(|entry| entry.seen_at_ms).collect();
        let mut leave = (seen.len() / FORGOTTEN_AT_ONCE).max(1);
        let (_, last_to_go, _) = seen.select_nth_unstable(leave - 1);
        let last_to_go = *last_to_go;
        self.entries.retain(|_, entry| {
            let goes = leave > 0 && entry.seen_at_ms <= last_to_go;
            leave -= usize::from(goes);
            !goes
        });
        self.count_values();
    }

    fn sweep_sometimes(&mut self, now_ms: u64) {
        if now_ms.abs_diff(self.swept_at_ms) >= SWEEP_EVERY_MS {
            self.sweep(now_ms);
        }
    }

    /// Throws out what is long past.
    fn sweep(&mut self, now_ms: u64) {
        self.swept_at_ms = now_ms;
        let kept_ms = self.ttl_ms.saturating_add(KEPT_BEYOND_MS);
        self.entries.retain(|_, entry| {
            entry.values.take_if(|values| !values.lives_at(now_ms, kept_ms));
            entry.lives_at(now_ms, kept_ms)
        });
        self.count_values();
    }
}

/// What is known of where and when.
fn without_values(entry: &LiveEntry) -> LiveEntry {
    let LiveEntry { newest, fix, historical, .. } = entry;
    let (newest, fix, historical) = (newest.clone(), fix.clone(), historical.clone());
    LiveEntry { newest, fix, historical, ..LiveEntry::seen(entry.device, entry.seen_at_ms) }
}

fn bytes_of(values: Option<&LiveValues>) -> usize {
    values.map_or(0, LiveValues::bytes)
}

#[async_trait]
impl LiveStore for MemoryLive {
    async fn merge(&self, entries: &[LiveEntry], now_ms: u64) -> Result<(), StoreError> {
        let alive = entries.iter().filter(|entry| entry.lives_at(now_ms, self.ttl_ms));
        // The stream is told under the lock: in the order in which entries moved.
        let mut held = self.held();
        held.sweep_sometimes(now_ms);
        let mut news: [Vec<(LiveEntry, bool)>; 3] = Default::default();
        for entry in alive {
            for (news, one) in news.iter_mut().zip(held.merge(entry, now_ms)) {
                news.extend(one);
            }
        }
        self.stream.push(news.into_iter().flatten().collect());
        Ok(())
    }

    async fn get(&self, devices: &[DeviceId]) -> Result<Vec<Option<LiveEntry>>, StoreError> {
        let now_ms = self.clock.now_ms();
        let held = self.held();
        let read = |device| held.entries.get(device);
        let lives = |entry: &&LiveEntry| entry.lives_at(now_ms, self.ttl_ms);
        Ok(devices.iter().map(|device| read(device).filter(lives).map(without_values)).collect())
    }

    async fn values(&self, devices: &[DeviceId]) -> Result<Vec<Option<LiveValues>>, StoreError> {
        let now_ms = self.clock.now_ms();
        let held = self.held();
        let read = |device| held.entries.get(device)?.values.as_deref();
        let lives = |values: &&LiveValues| values.lives_at(now_ms, self.ttl_ms);
        Ok(devices.iter().map(|device| read(device).filter(lives).cloned()).collect())
    }

    fn ttl_ms(&self) -> u64 {
        self.ttl_ms
    }

    async fn moved_after(&self, id: u64) -> Result<Vec<Moved>, StoreError> {
        Ok(self.stream.after(id).await)
    }

    async fn stream_origin(&self) -> Result<Option<u64>, StoreError> {
        Ok(Some(self.stream.origin()))
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
        assert!(live.held().entries.len() <= 100);
        assert!(read(&live, 999).await.is_some(), "the last one stays");
    }

    #[tokio::test]
    async fn those_heard_last_stay_and_what_is_long_past_makes_room() {
        let clock = Clock::held(1_000);
        let live = MemoryLive::with_capacity(u64::MAX, clock.clone(), 32);
        let entries: Vec<_> = (0..33)
            .map(|number| LiveEntry::seen(device(number), 900 - u64::from(number)))
            .collect();
        live.merge(&entries, 1_000).await.unwrap();
        assert!(read(&live, 0).await.is_some() && read(&live, 31).await.is_none());
        let live = MemoryLive::with_capacity(TTL_MS, clock.clone(), 32);
        live.merge(&entries[..20], 1_000).await.unwrap();
        let later_ms = 1_000 + TTL_MS + SWEEP_EVERY_MS;
        live.merge(&[LiveEntry::seen(device(99), later_ms)], later_ms).await.unwrap();
        assert_eq!(live.held().entries.len(), 1);
    }

    #[tokio::test]
    async fn a_new_store_wants_to_be_rebuilt_once() {
        let live = MemoryLive::new(TTL_MS, Clock::held(1));
        assert!(live.needs_rebuild().await.unwrap());
        live.mark_rebuilt().await.unwrap();
        assert!(!live.needs_rebuild().await.unwrap());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn writers_of_one_device_lose_nothing() {
        let live = std::sync::Arc::new(MemoryLive::new(u64::MAX, Clock::held(0)));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let live = std::sync::Arc::clone(&live);
                tokio::spawn(async move {
                    for step in 0..2_000 {
                        let entry = LiveEntry::seen(device(1), step * 4 + writer);
                        live.merge(&[entry], 0).await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(read(&live, 1).await.unwrap().seen_at_ms, 1_999 * 4 + 3);
    }
}
