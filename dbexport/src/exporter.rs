//! The committing lanes: fill, commit, acknowledge; repeat until it holds.
//!
//! Each lane has at most one transaction under way. What arrives meanwhile makes
//! the next one (group commit), so batches grow with the load by themselves. When
//! to begin one is decided in `pace.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nemeses_protocol::{BatchKey, Record, Tally, WorkerName};
use nemeses_runtime::traces::Tracer;
use nemeses_runtime::{Backoff, Clock, Counts, Outage, Registry, Stop};
use nemeses_store::StoreError;
use nemeses_store::history::{Commits, Committed, Part};
use nemeses_store::live::{LiveEntry, LiveWriter};

use crate::acknowledge::Acknowledge;
use crate::commit_span::Follow;
use crate::pace::{LARGE_SHARE, Pace};
use crate::queue::{Queue, Submission, Work};
use crate::refused::bury_refused;
use crate::stats::Stats;

/// How an exporter works.
#[derive(Clone, Debug)]
pub struct Config {
    /// This exporter's name in the books.
    pub name: WorkerName,
    /// Drawn at random at each start: see [`BatchKey`].
    pub run: u64,
    /// Transactions under way at once; at most the history's connections.
    pub lanes: usize,
    /// Rows that make a full batch.
    pub max_rows: usize,
    /// The least time between the commits of two small batches. Work after a quiet time is
    /// committed at once; work that arrives sooner is delayed by this at most, so that it
    /// is committed in batches and not frame by frame.
    pub flush_after: Duration,
    /// First wait after a failed commit; doubles from there.
    pub retry_first: Duration,
    /// Longest wait between attempts: a history that returns is used within this.
    pub retry_longest: Duration,
}

impl Config {
    /// The defaults under this name, with a fresh run.
    pub fn named(name: impl Into<WorkerName>) -> Self {
        Self {
            name: name.into(),
            run: rand::random(),
            lanes: 2,
            max_rows: 1000,
            flush_after: Duration::from_millis(2),
            retry_first: Duration::from_millis(50),
            retry_longest: Duration::from_secs(3),
        }
    }
}

/// Accepts work from many sources and commits it. Clones share one queue.
pub struct Exporter<R> {
    shared: Arc<Shared<R>>,
}

impl<R> Clone for Exporter<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<R> {
    config: Config,
    queue: Queue<R>,
    sequence: AtomicU64,
    pace: Pace,
    outage: Outage,
    stats: Stats,
    late: Option<Late>,
    tracer: Tracer,
}

/// Where positions go that were committed late, see [`Exporter::with_live`].
struct Late {
    live: LiveWriter,
    clock: Clock,
}

/// A commit this long after the arrival is late: the live store's rebuild, which
/// reads the history, looks a second time after 3 s.
const LATE_AFTER_MS: u64 = 2000;

/// A commit is rehearsed after this time without one.
const REHEARSE_AFTER: Duration = Duration::from_secs(10);

/// At the stop, moving the history's journal and noting the devices' last rows have this long:
/// several times what a full journal needs. The rest of the journal is durable and moves at the
/// next start; last rows that were not noted are looked up then.
const SETTLE_WITHIN: Duration = Duration::from_secs(2);

impl<R: Acknowledge> Exporter<R> {
    /// An exporter whose lanes do not run yet; see [`Exporter::run_lane`].
    pub fn new(config: Config, registry: &mut Registry) -> Self {
        let stats = Stats::register(registry);
        let pace = Pace::new(config.flush_after);
        Self {
            shared: Arc::new(Shared {
                queue: Queue::new(config.max_rows / LARGE_SHARE, config.max_rows),
                config,
                sequence: AtomicU64::new(0),
                pace,
                outage: Outage::new(),
                stats,
                late: None,
                tracer: Tracer::off(),
            }),
        }
    }

    /// Offers positions that were committed late to the live store once more. If
    /// it lost its data while they waited here, no rebuild could have found
    /// them in the history; merging twice changes nothing. Comes before the
    /// first clone.
    #[must_use]
    pub fn with_live(mut self, live: LiveWriter, clock: Clock) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.late = Some(Late { live, clock });
        }
        self
    }

    /// Traces the wait and the commit of sampled messages. To be called before the first
    /// clone.
    #[must_use]
    pub fn with_tracer(mut self, tracer: Tracer) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.tracer = tracer;
        }
        self
    }

    /// The tracer of sampled messages.
    pub fn tracer(&self) -> &Tracer {
        &self.shared.tracer
    }

    /// How it works.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Queues work. Never waits: see the queue's bound in the module `queue`.
    pub fn submit(&self, submission: Submission<R>) {
        self.shared.queue.push(submission);
    }

    /// Rows that wait for a commit.
    pub fn queued_rows(&self) -> usize {
        self.shared.queue.rows()
    }

    /// Rows that were committed, new or not.
    pub fn committed_rows(&self) -> u64 {
        self.shared.stats.rows()
    }

    /// Whether the last commit failed, or the last rehearsal of one.
    pub fn is_down(&self) -> bool {
        self.shared.outage.is_down()
    }

    /// Logs the number of dead letters by reason, in a line a minute at most, until `stop.all`.
    /// Run once.
    ///
    /// # Errors
    /// None today.
    pub async fn tell_dead_letters(self, stop: Stop) -> anyhow::Result<()> {
        let tell = |counts: &Counts| {
            tracing::warn!(%counts, "bytes became dead letters (by reason; at most a line a minute; see nemeses dead-letters list)");
        };
        self.shared.stats.told.letters.tell_until(&stop.all, tell).await;
        Ok(())
    }

    /// Rehearses a commit at the start and whenever there was none for a while, until
    /// `stop.all`, so that a history that answers and cannot be written is reported before a frame
    /// needs it. Run once.
    ///
    /// # Errors
    /// None today.
    pub async fn rehearse(self, history: Arc<dyn Commits>, stop: Stop) -> anyhow::Result<()> {
        let shared = &self.shared;
        let mut seen = shared.stats.attempts();
        loop {
            // Lanes that are committing report by themselves.
            if seen == shared.stats.attempts() {
                shared.note_rehearsal(history.rehearse().await);
            }
            seen = shared.stats.attempts();
            let pause = tokio::time::sleep(REHEARSE_AFTER);
            if stop.all.run_until_cancelled(pause).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Commits what is queued until `stop.all`, then what is still there unless
    /// the history is down. Run as many as [`Config::lanes`].
    ///
    /// # Errors
    /// None today; a lane repeats a commit that fails.
    pub async fn run_lane(self, history: Arc<dyn Commits>, stop: Stop) -> anyhow::Result<()> {
        let shared = &self.shared;
        loop {
            let Some(alone) = shared.pace.turn(&shared.queue, &stop).await else {
                settle_at_stop(history.as_ref()).await;
                return Ok(());
            };
            let since = shared.queue.oldest().unwrap_or_else(Instant::now);
            let batch = shared.queue.take();
            let rows = i64::try_from(shared.queue.rows()).unwrap_or(i64::MAX);
            shared.stats.queued_rows.set(rows);
            if batch.is_empty() {
                continue;
            }
            let (parts, receipts, part_of) = shared.as_parts(batch);
            let follow = Follow::begin(&shared.tracer, &receipts, &parts);
            let trace_id = follow.trace_id();
            let commit =
                shared.commit_until_durable(history.as_ref(), parts, since, trace_id, &stop);
            let Some((parts, committed, attempts)) = alone.during(commit).await else {
                return Ok(());
            };
            follow.committed(attempts);
            let rows = parts.iter().map(|part| part.records.len()).sum();
            shared.stats.acknowledged(since, rows, shared.queue.oldest());
            shared.offer_late(&parts);
            for (receipt, part) in receipts.into_iter().zip(part_of) {
                receipt.committed(&committed.get(part).copied().unwrap_or_default());
            }
        }
    }
}

impl<R> Shared<R> {
    /// Gives work without a batch key one key for all of it.
    /// Returns for each receipt the index of its part.
    fn as_parts(&self, batch: Vec<Submission<R>>) -> (Vec<Part>, Vec<R>, Vec<usize>) {
        let mut parts = Vec::new();
        let mut receipts = Vec::with_capacity(batch.len());
        let mut part_of = Vec::with_capacity(batch.len());
        let mut unnamed: Option<(Vec<Record>, Vec<Tally>)> = None;
        for Submission { work, receipt } in batch {
            receipts.push(receipt);
            match work {
                Work::Part(part) => {
                    part_of.push(Some(parts.len()));
                    parts.push(part);
                }
                Work::Records { records, tallies } => {
                    part_of.push(None);
                    match &mut unnamed {
                        None => unnamed = Some((records, tallies)),
                        Some(all) => {
                            all.0.extend(records);
                            add_tallies(&mut all.1, &tallies);
                        }
                    }
                }
            }
        }
        let last = parts.len();
        if let Some((records, tallies)) = unnamed {
            parts.push(Part { key: self.next_key(), tallies, records });
        }
        let part_of = part_of.into_iter().map(|part| part.unwrap_or(last)).collect();
        (parts, receipts, part_of)
    }

    fn next_key(&self) -> BatchKey {
        BatchKey {
            worker: self.config.name.clone(),
            run: self.config.run,
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    fn note_rehearsal(&self, outcome: Result<(), StoreError>) {
        match outcome {
            Ok(()) => {
                if let Some(down) = self.outage.ends() {
                    let after = Duration::from_millis(millis(down));
                    tracing::info!(?after, "the history can be written again");
                }
            }
            Err(error) => {
                if self.outage.begins() {
                    tracing::error!(%error, "the history cannot be written: a commit was rehearsed and failed; no frame will be acknowledged until it can");
                }
            }
        }
    }

    fn offer_late(&self, parts: &[Part]) {
        let Some(late) = &self.late else { return };
        let now_ms = late.clock.now_ms();
        let is_late = |record: &&Record| record.received_at_ms() + LATE_AFTER_MS < now_ms;
        let records = parts.iter().flat_map(|part| &part.records).filter(is_late);
        late.live.offer(records.filter_map(|record| match record {
            Record::Position(record) => Some(LiveEntry::from_record(record)),
            Record::DeadLetter(_) | Record::Readings(_) => None,
        }));
    }

    /// Repeats until the parts are durable and returns them as they were
    /// written, with the number of attempts; `None` when asked to end before.
    async fn commit_until_durable(
        &self,
        history: &dyn Commits,
        mut parts: Vec<Part>,
        since: Instant,
        trace_id: Option<String>,
        stop: &Stop,
    ) -> Option<(Vec<Part>, Vec<Committed>, u32)> {
        let mut attempts = 0_u32;
        let mut backoff = Backoff::new(self.config.retry_first, self.config.retry_longest);
        loop {
            let began = Instant::now();
            attempts = attempts.saturating_add(1);
            let error = match history.commit(&parts, &self.config.name).await {
                Ok(committed) => {
                    self.stats.committed(&parts, &committed, began.elapsed());
                    if let Some(down) = self.outage.ends() {
                        tracing::info!(
                            after = ?Duration::from_millis(millis(down)),
                            "the history is back; committing again"
                        );
                    }
                    return Some((parts, committed, attempts));
                }
                Err(error) => error,
            };
            self.stats.waits(since);
            if matches!(error, StoreError::Refused { .. })
                && self.bury(history, &mut parts, &error).await
            {
                continue;
            }
            if self.outage.begins() {
                if matches!(error, StoreError::Refused { .. }) {
                    tracing::error!(
                        "the database refuses a batch of which it takes each row alone"
                    );
                }
                tracing::error!(%error, trace_id, "the history cannot be written; nothing is acknowledged until it can, trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.wait()) => {}
                () = stop.all.cancelled() => return None,
            }
        }
    }

    /// Whether refused rows were found and turned into dead letters.
    async fn bury(&self, history: &dyn Commits, parts: &mut [Part], refusal: &StoreError) -> bool {
        match bury_refused(history, parts).await {
            Ok(0) | Err(_) => false,
            Ok(rows) => {
                let told = &self.stats.told.refused;
                told.note("rows", u64::try_from(rows).unwrap_or(u64::MAX));
                if let Some(counts) = told.due() {
                    tracing::warn!(%counts, error = %refusal, "the database refuses rows; they become dead letters (reason refused; at most a line a minute)");
                }
                true
            }
        }
    }
}

/// So that whoever looks into the tables with other programs sees all.
async fn settle_at_stop(history: &dyn Commits) {
    let settle = async {
        history.settle().await?;
        history.note_last(u64::MAX).await
    };
    match tokio::time::timeout(SETTLE_WITHIN, settle).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(
            %error,
            "the history's journal, or which rows are the devices' last, is left for the next start"
        ),
        Err(_) => tracing::warn!(
            within = ?SETTLE_WITHIN,
            "the history's journal, or noting which rows are the devices' last, takes long; it is \
             left for the next start"
        ),
    }
}

/// Whole milliseconds, fit for a line of the log.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn add_tallies(held: &mut Vec<Tally>, more: &[Tally]) {
    for tally in more {
        match held.iter_mut().find(|known| known.minute == tally.minute) {
            Some(known) => known.pings = known.pings.saturating_add(tally.pings),
            None => held.push(*tally),
        }
    }
}

#[cfg(test)]
mod tests;
