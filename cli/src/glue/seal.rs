//! Seals readings that are old enough, where that is asked for, and says by metrics how that goes.

use std::time::Duration;

use nemeses_dbexport::sealing::{Sealed, Sealer};
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::{Clock, Registry, Tasks};
use nemeses_store::StoreError;
use nemeses_store::history::{Database, SealedTotals};

/// Starts sealing, if readings are to be sealed; `name` is this process's.
pub(super) fn seal_readings(
    tasks: &Tasks,
    database: &Database,
    after: Option<Duration>,
    name: &str,
    clock: Clock,
    registry: &mut Registry,
) {
    let Some(after) = after else { return };
    let figures = Figures::register(registry, &clock);
    let stores = (database.sealing(), database.daily());
    let sealer = Sealer::new(stores, after, name, clock.clone());
    let stop = tasks.stop().all;
    tasks.spawn_rest("sealing", async move {
        let told = |outcome: &Result<Sealed, StoreError>, took, totals: Option<SealedTotals>| {
            figures.note(outcome, took, clock.now_ms());
            if let Some(totals) = totals {
                figures.show(&totals);
            }
        };
        sealer.run_schedule(stop, told).await;
        Ok(())
    });
}

/// How sealing goes.
struct Figures {
    succeeded: Gauge,
    took: Gauge<f64, std::sync::atomic::AtomicU64>,
    failures: Counter,
    records: Counter,
    values: Counter,
    stored_values: Gauge,
    stored_bytes: Gauge,
}

impl Figures {
    fn register(registry: &mut Registry, clock: &Clock) -> Self {
        let figures = Self {
            succeeded: Gauge::default(),
            took: Gauge::default(),
            failures: Counter::default(),
            records: Counter::default(),
            values: Counter::default(),
            stored_values: Gauge::default(),
            stored_bytes: Gauge::default(),
        };
        // The first run comes soon; until then the start counts as one.
        figures.succeeded.set(clamped(clock.now_ms() / 1000));
        let shown = registry.sub_registry_with_prefix("nemeses_sealing");
        shown.register(
            "succeeded_seconds",
            "When sealing last ran without an error, here or elsewhere, Unix seconds; at first the time of start",
            figures.succeeded.clone(),
        );
        shown.register("run_seconds", "Duration of its last run", figures.took.clone());
        shown.register("failures", "Runs that failed", figures.failures.clone());
        shown.register("records", "Records of readings sealed", figures.records.clone());
        shown.register("values", "Values sealed", figures.values.clone());
        shown.register(
            "stored_values",
            "Values in sealed blocks, as of the last run of this process that sealed any",
            figures.stored_values.clone(),
        );
        shown.register(
            "stored_bytes",
            "Bytes of sealed blocks, keys included, as of the last run of this process that sealed any",
            figures.stored_bytes.clone(),
        );
        figures
    }

    fn note(&self, outcome: &Result<Sealed, StoreError>, took: Duration, now_ms: u64) {
        self.took.set(took.as_secs_f64());
        match outcome {
            Ok(sealed) => {
                self.records.inc_by(sealed.records);
                self.values.inc_by(sealed.values);
                self.succeeded.set(clamped(now_ms / 1000));
            }
            Err(_) => {
                self.failures.inc();
            }
        }
    }

    fn show(&self, totals: &SealedTotals) {
        self.stored_values.set(clamped(totals.values));
        self.stored_bytes.set(clamped(totals.bytes));
    }
}

fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
