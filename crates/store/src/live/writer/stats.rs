//! The writer's counters, readable by the program and by Prometheus.

use nemeses_runtime::Registry;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::gauge::Gauge;

use super::queue::Counts;

/// What the writer did since the start. All atomic; clones share.
#[derive(Clone, Debug, Default)]
pub struct LiveWriterStats {
    /// Entries written to the store.
    pub written: Counter,
    /// Entries joined into one that waited already.
    pub coalesced: Counter,
    /// Entries of devices for which there was no room while the store was down, and of new ones
    /// that got no number in time.
    pub dropped: Counter,
    /// Writes that failed or were not answered in time.
    pub failures: Counter,
    /// Devices that wait to be written now.
    pub waiting: Gauge,
    /// 1 while the store is known to be down.
    pub down: Gauge,
}

impl LiveWriterStats {
    pub(super) fn dropped(&self, entries: usize) {
        self.dropped.inc_by(entries as u64);
    }

    pub(super) fn offered(&self, before: Counts, after: Counts, waiting: usize) {
        self.coalesced.inc_by(after.coalesced - before.coalesced);
        self.dropped.inc_by(after.dropped - before.dropped);
        self.wait(waiting);
    }

    pub(super) fn wrote(&self, entries: usize, waiting: usize) {
        self.written.inc_by(entries as u64);
        self.down.set(0);
        self.wait(waiting);
    }

    pub(super) fn failed(&self, waiting: usize) {
        self.failures.inc();
        self.down.set(1);
        self.wait(waiting);
    }

    fn wait(&self, waiting: usize) {
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let live = registry.sub_registry_with_prefix("nemeses_live");
        live.register("entries_written", "Live entries written", self.written.clone());
        live.register(
            "entries_coalesced",
            "Live entries merged into one that was already waiting",
            self.coalesced.clone(),
        );
        live.register(
            "entries_dropped",
            "Live entries dropped for lack of memory while the live store was down, or of new devices that got no number in time",
            self.dropped.clone(),
        );
        live.register(
            "write_failures",
            "Writes to the live store that failed or were not answered in time",
            self.failures.clone(),
        );
        live.register("entries_waiting", "Devices that wait to be written", self.waiting.clone());
        live.register(
            "store_down",
            "1 while the live store is known to be down",
            self.down.clone(),
        );
    }
}
