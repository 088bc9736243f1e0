//! Lets go of what was kept long enough, once an hour, and says by metrics how that
//! goes and how large the history is.

use std::sync::Arc;
use std::time::Duration;

use nemeses_dbexport::retention::{Removed, run_schedule};
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::{Clock, Registry, Tasks};
use nemeses_store::StoreError;
use nemeses_store::history::{Database, Retention};

use super::seal::seal_readings;
use crate::config::Periods;

/// Between two looks at the sizes, which the database has in its own books.
const SIZES_EVERY: Duration = Duration::from_secs(300);

/// Starts retention and sealing, and looks at the sizes; `name` is this process's. Where everything is kept for ever, retention
/// notes that and finishes what another process left half done; it shows no figures.
pub(crate) fn keep_small(
    tasks: &Tasks,
    database: &Database,
    Periods { keep, seal_after }: Periods,
    name: &str,
    clock: Clock,
    registry: &mut Registry,
) {
    seal_readings(tasks, database, seal_after, name, clock.clone(), registry);
    let retention = database.retention();
    watch_sizes(tasks, Arc::clone(&retention), registry);
    let figures = (!keep.is_for_ever()).then(|| Figures::register(registry, &clock));
    let stop = tasks.stop().all;
    tasks.spawn_rest("retention", async move {
        let told = |outcome: &Result<Removed, StoreError>, took| {
            if let Some(figures) = &figures {
                figures.note(outcome, took, clock.now_ms());
            }
        };
        run_schedule(retention, keep, clock.clone(), stop, told).await;
        Ok(())
    });
}

fn watch_sizes(tasks: &Tasks, retention: Arc<dyn Retention>, registry: &mut Registry) {
    let sizes = Sizes::register(registry);
    let stop = tasks.stop().all;
    tasks.spawn_rest("sizes", async move {
        loop {
            sizes.look(retention.as_ref()).await;
            if stop.run_until_cancelled(tokio::time::sleep(SIZES_EVERY)).await.is_none() {
                return Ok(());
            }
        }
    });
}

/// How large the history is.
struct Sizes {
    positions: Gauge,
    total: Gauge,
}

impl Sizes {
    fn register(registry: &mut Registry) -> Self {
        let shown = registry.sub_registry_with_prefix("nemeses_history");
        let sizes = Self { positions: Gauge::default(), total: Gauge::default() };
        for (name, help, gauge) in [
            (
                "positions_bytes",
                "Bytes that positions take on disk, keys included; SQLite: the file's pages in use",
                &sizes.positions,
            ),
            ("total_bytes", "Bytes that all tables take on disk", &sizes.total),
        ] {
            shown.register(name, help, gauge.clone());
        }
        sizes
    }

    async fn look(&self, retention: &dyn Retention) {
        // Nothing was recorded before 1970: no row is counted one by one.
        match retention.survey(0).await {
            Ok(survey) => {
                self.positions.set(clamped(survey.bytes));
                self.total.set(clamped(survey.total_bytes));
            }
            // The exporter says when the database is down.
            Err(error) => tracing::debug!(%error, "the sizes cannot be read"),
        }
    }
}

/// The label `kind`: position, readings, dead_letter or books_line.
type Kind = [(&'static str, &'static str); 1];

/// How retention goes.
struct Figures {
    succeeded: Gauge,
    took: Gauge<f64, std::sync::atomic::AtomicU64>,
    failures: Counter,
    removed: Family<Kind, Counter>,
    weeks: Counter,
}

impl Figures {
    fn register(registry: &mut Registry, clock: &Clock) -> Self {
        let shown = registry.sub_registry_with_prefix("nemeses_retention");
        let figures = Self {
            succeeded: Gauge::default(),
            took: Gauge::default(),
            failures: Counter::default(),
            removed: Family::default(),
            weeks: Counter::default(),
        };
        for kind in ["position", "readings", "dead_letter", "books_line"] {
            figures.count(kind, 0);
        }
        // The first run comes soon; until then the start counts as one.
        figures.succeeded.set(clamped(clock.now_ms() / 1000));
        shown.register(
            "succeeded_seconds",
            "When retention last ran without an error, Unix seconds; at first the time of start",
            figures.succeeded.clone(),
        );
        shown.register("run_seconds", "Duration of its last run", figures.took.clone());
        shown.register("failures", "Runs that failed", figures.failures.clone());
        shown.register("removed", "Rows removed, by kind", figures.removed.clone());
        shown.register(
            "rewritten_weeks",
            "Weeks rewritten without the expired rows of a class",
            figures.weeks.clone(),
        );
        figures
    }

    fn note(&self, outcome: &Result<Removed, StoreError>, took: Duration, now_ms: u64) {
        self.took.set(took.as_secs_f64());
        match outcome {
            Ok(removed) => {
                self.count("position", removed.positions);
                self.count("readings", removed.readings);
                self.count("dead_letter", removed.dead_letters);
                self.count("books_line", removed.books);
                self.weeks.inc_by(removed.weeks_rewritten.into());
                // What must be done by hand is not done.
                if !removed.needs_partitions {
                    self.succeeded.set(clamped(now_ms / 1000));
                }
            }
            Err(_) => {
                self.failures.inc();
            }
        }
    }

    fn count(&self, kind: &'static str, rows: u64) {
        self.removed.get_or_create(&[("kind", kind)]).inc_by(rows);
    }
}

fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use nemeses_store::history::{Options, open};

    use super::*;

    #[tokio::test]
    async fn sizes_and_runs_become_figures() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("n.db").display());
        let database = open(&url, Options::default()).await.unwrap();
        let mut registry = Registry::default();
        let sizes = Sizes::register(&mut registry);
        sizes.look(database.retention().as_ref()).await;
        assert_eq!(sizes.total.get(), 0, "there are no tables yet");
        database.history().migrate().await.unwrap();
        sizes.look(database.retention().as_ref()).await;
        assert!(sizes.total.get() > 0 && sizes.positions.get() > 0);

        let figures = Figures::register(&mut registry, &Clock::held(5_000));
        let failed = Err(StoreError::Configuration("x".to_owned()));
        figures.note(&failed, Duration::from_secs(2), 9_000);
        assert_eq!((figures.succeeded.get(), figures.failures.get()), (5, 1));
        let by_hand = Removed { needs_partitions: true, ..Removed::default() };
        figures.note(&Ok(by_hand), Duration::ZERO, 9_000);
        assert_eq!(figures.succeeded.get(), 5);
        let removed = Removed { positions: 7, weeks_rewritten: 2, ..Removed::default() };
        figures.note(&Ok(removed), Duration::ZERO, 9_000);
        assert_eq!((figures.succeeded.get(), figures.weeks.get()), (9, 2));
        assert_eq!(figures.removed.get_or_create(&[("kind", "position")]).get(), 7);
    }
}
