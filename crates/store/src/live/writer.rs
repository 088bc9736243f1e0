//! Stands between the line and the live store, so that a slow or dead store
//! never stops a frame.
//!
//! What is offered is joined into one entry a device and written in bounded chunks,
//! oldest first: at once when it is little, and under load at a pace at which the
//! newest frame of a device replaces those before it. While the store is down
//! the newest of each device is kept and tried again with back-off. Nothing here
//! is durable on purpose: history has every frame and the rebuild reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nemeses_protocol::{DeviceNames, Identity, TraceContext};
use nemeses_runtime::traces::Tracer;
use nemeses_runtime::{Backoff, Clock, Outage, Registry};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::offer_spans::Follow;
use self::queue::Queue;
pub use self::stats::LiveWriterStats;
use super::unnumbered::Unnumbered;
use super::{LiveEntry, LiveStore};
use crate::StoreError;

mod offer_spans;
mod queue;
mod stats;

/// Devices kept while they wait to be written. 200 000 entries of some 150
/// bytes, with 100 of table and queue each: 50 MB. The founding fleet is 10 000.
const MAX_WAITING: usize = 200_000;
/// Entries written in one call: 100 KB for Redis, a few milliseconds of its time.
const CHUNK: usize = 1_000;
/// How far apart chunks that are not full begin. Else, at 10 000 frames/s, each
/// frame or two would be a call of its own; nobody sees 2 ms.
const BETWEEN_WRITES: Duration = Duration::from_millis(2);
/// The store's share of a busy machine: beyond 25 000 entries/s writes begin later,
/// so that a device's next frame finds its last one still waiting and replaces it.
const PER_ENTRY: Duration = Duration::from_micros(40);
/// But what waits is written within this, whatever the load; nobody sees 100 ms.
const WRITTEN_WITHIN: Duration = Duration::from_millis(100);
/// A write, or a wait for one, that takes longer means that the store is down.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Tries while the store is down; the second bounds how late its return is noticed.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Between looks for the numbers of new devices.
const LOOK_FOR_NUMBERS: Duration = Duration::from_millis(100);
/// For what still waits when the process ends.
const LAST_FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// How a wait for the store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// What was offered before has been written.
    Written,
    /// The store is known to be down, or did not answer in time. What was
    /// offered is kept and written when it is back.
    Down,
}

/// Writes live entries behind the line's back. Clones share.
#[derive(Clone)]
pub struct LiveWriter(Arc<Shared>);

struct Shared {
    store: Arc<dyn LiveStore>,
    clock: Clock,
    queue: Mutex<Queue>,
    unnumbered: Mutex<Unnumbered>,
    /// Something has no number.
    held: Notify,
    offered: Notify,
    /// Those who wait in [`LiveWriter::flushed`], and how they make haste.
    flushing: AtomicUsize,
    haste: Notify,
    progress: watch::Sender<Progress>,
    outage: Outage,
    stats: LiveWriterStats,
    follow: Follow,
    answer_within: Duration,
}

/// What waiters look at.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Everything up to this position of the queue has been written.
    written_to: u64,
    down: bool,
}

impl LiveWriter {
    /// Writes to `store`; nothing happens until [`LiveWriter::run`] runs.
    pub fn new(store: Arc<dyn LiveStore>, clock: Clock) -> Self {
        Self::with_limits(store, clock, MAX_WAITING, ANSWER_WITHIN)
    }

    fn with_limits(
        store: Arc<dyn LiveStore>,
        clock: Clock,
        max_waiting: usize,
        answer_within: Duration,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            clock,
            queue: Mutex::new(Queue::new(max_waiting)),
            unnumbered: Mutex::default(),
            held: Notify::new(),
            offered: Notify::new(),
            flushing: AtomicUsize::new(0),
            haste: Notify::new(),
            progress: watch::Sender::new(Progress::default()),
            outage: Outage::new(),
            stats: LiveWriterStats::default(),
            follow: Follow::default(),
            answer_within,
        }))
    }

    /// Tells of the writes of followed offers. Comes before the first clone.
    #[must_use]
    pub fn with_tracer(mut self, tracer: Tracer) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.follow = Follow::by(tracer);
        }
        self
    }

    /// Notes that what was offered last is followed by these traces. Offers of others
    /// that came between are waited for too; they are written a moment later at most.
    pub fn follow(&self, contexts: &[TraceContext], since_ns: u64) {
        let position = self.queue().last_position();
        for context in contexts {
            self.0.follow.offered(context, position, since_ns);
        }
        // It may have been written already, and nothing may come after it for long.
        let written_to = self.0.progress.borrow().written_to;
        self.0.follow.written(written_to);
    }

    /// Hands entries over to be written. Never waits and never fails: beyond
    /// the bound, devices that do not wait already are dropped and counted.
    pub fn offer(&self, entries: impl IntoIterator<Item = LiveEntry>) {
        let mut queue = self.queue();
        let before = queue.counts;
        for entry in entries {
            queue.offer(entry);
        }
        let (counts, waiting) = (queue.counts, queue.len());
        drop(queue);
        self.0.stats.offered(before, counts, waiting);
        if waiting > 0 {
            self.0.offered.notify_one();
        }
    }

    /// Hands over entries of devices that have no number yet; they are offered when
    /// [`LiveWriter::look_for_numbers`] knows it.
    pub fn offer_unnumbered(&self, entries: Vec<(Identity, LiveEntry)>) {
        if !entries.is_empty() {
            let dropped = self.unnumbered().extend(entries);
            self.0.stats.dropped(dropped);
            self.0.held.notify_one();
        }
    }

    /// Offers entries of new devices as soon as their numbers are known, until `stop`.
    pub async fn look_for_numbers(self, names: DeviceNames, stop: CancellationToken) {
        let looking = async {
            loop {
                let now_ms = self.0.clock.now_ms();
                let (numbered, dropped) = self.unnumbered().numbered(&names, now_ms);
                self.0.stats.dropped(dropped);
                self.offer(numbered);
                let nothing_waits = self.unnumbered().is_empty();
                if nothing_waits {
                    self.0.held.notified().await;
                }
                tokio::time::sleep(LOOK_FOR_NUMBERS).await;
            }
        };
        stop.run_until_cancelled(looking).await;
    }

    fn unnumbered(&self) -> MutexGuard<'_, Unnumbered> {
        self.0.unnumbered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when everything offered before has been written, or the store
    /// is known to be down. An acknowledgement may follow either.
    pub async fn flushed(&self) -> Flushed {
        let target = self.queue().last_position();
        let mut progress = self.0.progress.subscribe();
        let _flushing = Flushing::of(&self.0);
        let reached = progress.wait_for(|now| now.down || now.written_to >= target);
        match timeout(self.0.answer_within, reached).await {
            Ok(Ok(now)) if now.written_to >= target => Flushed::Written,
            _ => Flushed::Down,
        }
    }

    /// Whether the store is known to be down.
    pub fn is_down(&self) -> bool {
        self.0.outage.is_down()
    }

    /// The counters.
    pub fn stats(&self) -> &LiveWriterStats {
        &self.0.stats
    }

    /// Adds the counters to a registry, under `live_`.
    pub fn register(&self, registry: &mut Registry) {
        self.0.stats.register(registry);
    }

    /// Writes until `stop`, then once more what waits, under a deadline. Run it
    /// once, as a tracked task that outlives those who offer.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        while !stop.is_cancelled() {
            let begun = Instant::now();
            let wait = match self.write_chunk().await {
                Ok(0) => None,
                Ok(written) => {
                    backoff.reset();
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.keep_distance(begun, written) => {}
                    }
                    continue;
                }
                Err(_) => Some(backoff.wait()),
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.until_due(wait) => {}
            }
        }
        self.write_the_rest().await;
    }

    /// Waits until the next write may begin.
    async fn keep_distance(&self, begun: Instant, written: usize) {
        let waiting = self.queue().len();
        if self.0.flushing.load(Ordering::SeqCst) == 0 {
            let distance = distance(written, waiting);
            tokio::select! {
                () = tokio::time::sleep_until(begun + distance) => return,
                () = self.0.haste.notified() => {}
            }
        }
        if written < CHUNK {
            tokio::time::sleep_until(begun + BETWEEN_WRITES).await;
        }
    }

    /// The back-off after a failure, else the next offer.
    async fn until_due(&self, wait: Option<Duration>) {
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => self.0.offered.notified().await,
        }
    }

    /// Writes the oldest chunk; how many entries it held. On failure they wait again.
    async fn write_chunk(&self) -> Result<usize, StoreError> {
        let (chunk, last_position) = self.queue().take(CHUNK);
        if chunk.is_empty() {
            return Ok(0);
        }
        let write = self.0.store.merge(&chunk, self.0.clock.now_ms());
        let within = self.0.answer_within;
        match timeout(within, write).await.unwrap_or_else(|_| Err(silent(within))) {
            Ok(()) => {
                self.note_written(chunk.len(), last_position);
                Ok(chunk.len())
            }
            Err(error) => {
                self.note_failure(chunk, &error);
                Err(error)
            }
        }
    }

    fn note_written(&self, entries: usize, written_to: u64) {
        let waiting = self.queue().len();
        self.0.stats.wrote(entries, waiting);
        if let Some(lasted) = self.0.outage.ends() {
            let seconds = lasted.as_secs();
            tracing::info!("the live store is back after {seconds} s, {waiting} devices to write");
        }
        self.0.progress.send_replace(Progress { written_to, down: false });
        // Behind the progress, which `follow` looks at when it has noted an offer: one of
        // the two sees the other.
        self.0.follow.written(written_to);
    }

    fn note_failure(&self, chunk: Vec<LiveEntry>, error: &StoreError) {
        let mut queue = self.queue();
        queue.put_back(chunk);
        let waiting = queue.len();
        drop(queue);
        self.0.stats.failed(waiting);
        if self.0.outage.begins() {
            tracing::warn!(
                "the live store is down, keeping the newest of each device until it is back: {error}"
            );
        }
        self.0.progress.send_modify(|now| now.down = true);
    }

    async fn write_the_rest(&self) {
        let rest = async { while matches!(self.write_chunk().await, Ok(1..)) {} };
        // Past the deadline the entries are in history, as what is said below.
        let _in_time = timeout(LAST_FLUSH_WITHIN, rest).await.is_ok();
        let waiting = self.queue().len();
        if waiting > 0 {
            tracing::warn!(
                "{waiting} live entries were not written before the end; history has their frames"
            );
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far apart the begin of a write of so many entries and that of the next are,
/// when so many wait.
fn distance(written: usize, waiting: usize) -> Duration {
    let entries = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let within_limit = WRITTEN_WITHIN / entries(waiting).max(1);
    let distance = PER_ENTRY.min(within_limit) * entries(written);
    if written < CHUNK { distance.max(BETWEEN_WRITES) } else { distance }
}

/// Someone waits in [`LiveWriter::flushed`].
struct Flushing<'a>(&'a Shared);

impl<'a> Flushing<'a> {
    fn of(shared: &'a Shared) -> Self {
        shared.flushing.fetch_add(1, Ordering::SeqCst);
        shared.haste.notify_one();
        Self(shared)
    }
}

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.flushing.fetch_sub(1, Ordering::SeqCst);
    }
}

fn silent(within: Duration) -> StoreError {
    StoreError::Unavailable {
        store: "the live store",
        detail: format!("no answer within {} ms", within.as_millis()),
    }
}

#[cfg(test)]
mod tests;
