//! The exporter's metrics. The books in the database are the proof of its accounting; these are for operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use nemeses_protocol::Record;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::metrics::metrics::histogram::{Histogram, exponential_buckets};
use nemeses_runtime::{Clock, Registry, Summary};
use nemeses_store::history::{Committed, Part};

/// One label: the outcome of a record (`stored`, `duplicate`, `dead_letter`, `ping`).
type Outcome = [(&'static str, &'static str); 1];

/// The reason of a dead letter; reasons are bounded.
type Why = [(&'static str, &'static str); 1];

/// Counts that are logged in a line a minute.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) letters: Summary,
    /// Rows that the database refused.
    pub(crate) refused: Summary,
}

/// All atomic; clones share.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    records: Family<Outcome, Counter>,
    commits: Counter,
    repeated: Counter,
    pub(crate) retries: Counter,
    pub(crate) queued_rows: Gauge,
    oldest_seconds: Gauge<f64, AtomicU64>,
    commit_seconds: Histogram,
    kept_seconds: Histogram,
    end_to_end_seconds: Histogram,
    commit_rows: Histogram,
    letters: Family<Why, Counter>,
    pub(crate) told: Arc<Told>,
}

impl Stats {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        // 1 ms to 16 s.
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let stats = Self {
            records: Family::default(),
            commits: Counter::default(),
            repeated: Counter::default(),
            retries: Counter::default(),
            queued_rows: Gauge::default(),
            oldest_seconds: Gauge::default(),
            commit_seconds: seconds(),
            kept_seconds: seconds(),
            // 1 ms to 1 h: a broker may have kept a batch while there was no exporter.
            end_to_end_seconds: Histogram::new(exponential_buckets(0.001, 3.0, 15)),
            // 1 to 4096 rows; a part of a parser may go over the bound.
            commit_rows: Histogram::new(exponential_buckets(1.0, 2.0, 13)),
            letters: Family::default(),
            told: Arc::default(),
        };
        let export = registry.sub_registry_with_prefix("nemeses_export");
        let Self {
            records,
            commits,
            repeated,
            retries,
            queued_rows,
            oldest_seconds,
            commit_seconds,
            kept_seconds,
            end_to_end_seconds,
            commit_rows,
            letters,
            told: _,
        } = stats.clone();
        export.register("records", "Records committed, by outcome", records);
        export.register("commits", "Committed transactions", commits);
        export.register("repeated_batches", "Batches that were in the books already", repeated);
        export.register("retries", "Failed attempts to commit", retries);
        export.register("queued_rows", "Rows waiting for a commit", queued_rows);
        export.register(
            "oldest_seconds",
            "How long the oldest work that is not yet committed waits",
            oldest_seconds,
        );
        export.register("commit_seconds", "Time of a commit that succeeded", commit_seconds);
        export.register(
            "kept_seconds",
            "From the intake of a transaction's oldest record to its commit",
            kept_seconds,
        );
        export.register(
            "end_to_end_seconds",
            "From the arrival of a transaction's oldest record, at a door or parser, to its commit",
            end_to_end_seconds,
        );
        export.register("commit_rows", "Rows of a transaction", commit_rows);
        export.register("dead_letters", "Dead letters committed, by reason", letters);
        stats
    }

    /// Rows that were committed, new or not.
    pub(crate) fn rows(&self) -> u64 {
        let outcome = |word| self.records.get_or_create(&[("outcome", word)]).get();
        outcome("stored") + outcome("duplicate")
    }

    pub(crate) fn committed(&self, parts: &[Part], committed: &[Committed], took: Duration) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
        let add =
            |outcome, count| self.records.get_or_create(&[("outcome", outcome)]).inc_by(count);
        for part in committed {
            self.repeated.inc_by(u64::from(part.repeated));
            add("stored", part.stored);
            add("duplicate", part.duplicates);
            add("dead_letter", part.dead_letters);
            add("ping", part.pings);
        }
        let fresh = parts.iter().zip(committed).filter(|(_, committed)| !committed.repeated);
        let mut letters: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut arrived_at_ms = None::<u64>;
        for record in fresh.flat_map(|(part, _)| &part.records) {
            let at_ms = record.received_at_ms();
            arrived_at_ms = Some(arrived_at_ms.map_or(at_ms, |first| first.min(at_ms)));
            if let Record::DeadLetter(letter) = record {
                *letters.entry(letter.reason.code()).or_default() += 1;
            }
        }
        if let Some(arrived_at_ms) = arrived_at_ms {
            let taken_ms = Clock::system().now_ms().saturating_sub(arrived_at_ms);
            self.end_to_end_seconds.observe(Duration::from_millis(taken_ms).as_secs_f64());
        }
        for (reason, count) in letters {
            self.letters.get_or_create(&[("reason", reason)]).inc_by(count);
            self.told.letters.note(reason, count);
        }
    }

    /// Rows that were queued since `since` are durable; the oldest that is still queued is so since `next`.
    pub(crate) fn acknowledged(&self, since: Instant, rows: usize, next: Option<Instant>) {
        self.kept_seconds.observe(since.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "rows of one transaction, some thousands")]
        self.commit_rows.observe(rows as f64);
        self.oldest_seconds.set(next.map_or(0.0, |next| next.elapsed().as_secs_f64()));
    }

    /// How often a commit was tried so far, with whatever end.
    pub(crate) fn attempts(&self) -> u64 {
        self.commits.get() + self.retries.get()
    }

    /// Work that waits since then could not be committed.
    pub(crate) fn waits(&self, since: Instant) {
        self.retries.inc();
        self.oldest_seconds.set(since.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{BatchKey, DeadLetter, Reason};
    use nemeses_runtime::metrics::encoding::text::encode;

    use super::*;

    fn part(sequence: u64, arrived_at_ms: &[u64]) -> Part {
        let record = |&received_at_ms: &u64| {
            Record::DeadLetter(Box::new(DeadLetter {
                topic: String::new(),
                offset: 0,
                reason: Reason::Future,
                device: None,
                received_at_ms,
                bytes: Vec::new(),
            }))
        };
        let key = BatchKey { worker: "w".into(), run: 1, sequence };
        Part { key, tallies: Vec::new(), records: arrived_at_ms.iter().map(record).collect() }
    }

    #[test]
    fn a_transaction_is_as_old_as_its_oldest_new_record() {
        let mut registry = Registry::default();
        let stats = Stats::register(&mut registry);
        let now_ms = Clock::system().now_ms();
        let parts = [part(1, &[now_ms, now_ms - 600_000]), part(2, &[now_ms - 9_000_000])];
        let repeated = Committed { repeated: true, ..Committed::default() };
        stats.committed(&parts, &[Committed::default(), repeated], Duration::ZERO);
        // Pings alone have no record.
        stats.committed(&[part(3, &[])], &[Committed::default()], Duration::ZERO);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse::<f64>().unwrap()
        };
        assert!(value("nemeses_export_end_to_end_seconds_count ") < 1.5, "{text}");
        let sum_s = value("nemeses_export_end_to_end_seconds_sum ");
        assert!((600.0..9_000.0).contains(&sum_s), "{sum_s}");
    }
}
