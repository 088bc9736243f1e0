//! The writer against a store that can be broken.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::*;
use crate::live::MemoryLive;

const NOW_MS: u64 = 1_600_000_000_000;
const DEADLINE: Duration = Duration::from_secs(20);

/// Memory that refuses or stays silent on demand.
struct Breakable {
    memory: MemoryLive,
    refuses: AtomicBool,
    silent: AtomicBool,
    largest_write: std::sync::atomic::AtomicUsize,
}

impl Breakable {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            memory: MemoryLive::new(60_000, Clock::held(NOW_MS)),
            refuses: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            largest_write: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    async fn holds(&self, entry: &LiveEntry) -> bool {
        self.memory.get(&[entry.device]).await.unwrap()[0].as_ref() == Some(entry)
    }
}

#[async_trait]
impl LiveStore for Breakable {
    async fn merge(&self, entries: &[LiveEntry], now_ms: u64) -> Result<(), StoreError> {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.refuses.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { store: "test", detail: "broken".to_owned() });
        }
        self.largest_write.fetch_max(entries.len(), Ordering::SeqCst);
        self.memory.merge(entries, now_ms).await
    }

    async fn get(&self, devices: &[DeviceId]) -> Result<Vec<Option<LiveEntry>>, StoreError> {
        self.memory.get(devices).await
    }

    fn ttl_ms(&self) -> u64 {
        60_000
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn needs_rebuild(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn mark_rebuilt(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn seen(device: u32, after_ms: u64) -> LiveEntry {
    LiveEntry::seen(DeviceId::new(device), NOW_MS + after_ms)
}

struct Running {
    store: Arc<Breakable>,
    writer: LiveWriter,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(max_waiting: usize, answer_within: Duration) -> Running {
    let store = Breakable::new();
    let writer = LiveWriter::with_limits(
        Arc::clone(&store) as Arc<dyn LiveStore>,
        Clock::held(NOW_MS),
        max_waiting,
        answer_within,
    );
    let stop = CancellationToken::new();
    let task = tokio::spawn(writer.clone().run(stop.clone()));
    Running { store, writer, stop, task }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(DEADLINE, wait).await.is_ok(), "waited in vain: {what}");
}

#[tokio::test]
async fn flushed_means_written() {
    let running = start(MAX_WAITING, DEADLINE);
    assert_eq!(running.writer.flushed().await, Flushed::Written, "nothing was offered");
    running.writer.offer((0..2_500).map(|device| seen(device, 1)));
    assert_eq!(running.writer.flushed().await, Flushed::Written);
    for device in [0, 999, 1_000, 2_499] {
        assert!(running.store.holds(&seen(device, 1)).await, "{device}");
    }
    assert_eq!(running.store.largest_write.load(Ordering::SeqCst), CHUNK);
    assert_eq!(running.writer.stats().written.get(), 2_500);
    assert_eq!(running.writer.stats().failures.get(), 0);
}

#[tokio::test]
async fn an_outage_keeps_the_newest_of_each_device_and_holds_nobody_up() {
    let running = start(2, DEADLINE);
    running.store.refuses.store(true, Ordering::SeqCst);
    running.writer.offer([seen(1, 5)]);
    assert_eq!(running.writer.flushed().await, Flushed::Down);
    assert!(running.writer.is_down());
    running.writer.offer([seen(1, 9), seen(2, 1), seen(1, 7), seen(3, 1), seen(4, 1)]);
    assert_eq!(running.writer.flushed().await, Flushed::Down);
    running.store.refuses.store(false, Ordering::SeqCst);
    until("the store is back", async || !running.writer.is_down()).await;
    assert_eq!(running.writer.flushed().await, Flushed::Written);
    assert!(running.store.holds(&seen(1, 9)).await);
    assert!(running.store.holds(&seen(2, 1)).await);
    assert!(running.writer.stats().failures.get() >= 1);
    assert!(running.writer.stats().dropped.get() >= 1, "no room for devices 3 and 4 both");
    assert_eq!(running.writer.stats().waiting.get(), 0);
    assert_eq!(running.writer.stats().down.get(), 0);
}

#[tokio::test]
async fn silence_is_down() {
    let running = start(MAX_WAITING, Duration::from_millis(50));
    running.store.silent.store(true, Ordering::SeqCst);
    running.writer.offer([seen(1, 1)]);
    assert_eq!(running.writer.flushed().await, Flushed::Down);
    until("the writer gives the write up", async || running.writer.is_down()).await;
    running.store.silent.store(false, Ordering::SeqCst);
    until("the entry is written", async || running.store.holds(&seen(1, 1)).await).await;
}

#[tokio::test]
async fn what_waits_is_written_at_the_end() {
    let running = start(MAX_WAITING, DEADLINE);
    running.store.refuses.store(true, Ordering::SeqCst);
    running.writer.offer((0..3_000).map(|device| seen(device, 1)));
    assert_eq!(running.writer.flushed().await, Flushed::Down);
    running.store.refuses.store(false, Ordering::SeqCst);
    running.stop.cancel();
    timeout(DEADLINE, running.task).await.unwrap().unwrap();
    assert!(running.store.holds(&seen(0, 1)).await);
    assert!(running.store.holds(&seen(2_999, 1)).await);
}

#[tokio::test]
async fn the_end_comes_even_when_the_store_is_down() {
    let running = start(MAX_WAITING, DEADLINE);
    running.store.refuses.store(true, Ordering::SeqCst);
    running.writer.offer([seen(1, 1)]);
    assert_eq!(running.writer.flushed().await, Flushed::Down);
    running.stop.cancel();
    timeout(DEADLINE, running.task).await.unwrap().unwrap();
    assert_eq!(running.writer.stats().waiting.get(), 1);
}

#[test]
fn the_counters_have_names() {
    let writer = LiveWriter::new(Breakable::new(), Clock::held(NOW_MS));
    writer.offer([seen(1, 1), seen(1, 2)]);
    let mut registry = Registry::default();
    writer.register(&mut registry);
    let mut text = String::new();
    nemeses_runtime::metrics::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("nemeses_live_entries_coalesced_total 1"), "{text}");
    assert!(text.contains("nemeses_live_entries_waiting 1"), "{text}");
}

#[test]
fn little_is_written_at_once_and_much_at_a_pace_but_within_the_limit() {
    let ms = Duration::from_millis;
    assert_eq!(distance(20, 0), BETWEEN_WRITES);
    assert_eq!(distance(1000, 0), ms(40));
    assert_eq!(distance(1000, 2500), ms(40));
    assert_eq!(distance(1000, 10_000), ms(10));
    assert_eq!(distance(1000, 200_000), Duration::from_micros(500));
}

/// Whoever waits for the write does not wait for the pace.
#[tokio::test]
async fn who_waits_makes_haste() {
    let running = start(MAX_WAITING, DEADLINE);
    let chunk = u32::try_from(CHUNK).unwrap();
    for round in 0..5 {
        let entries: Vec<_> = (0..chunk).map(|device| seen(device + round * chunk, 0)).collect();
        running.writer.offer(entries);
        assert_eq!(running.writer.flushed().await, Flushed::Written);
    }
    running.stop.cancel();
    running.task.await.unwrap();
}
