//! How far the sums of days are behind, for operators.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nemeses_runtime::Registry;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_store::history::Backlog;

/// Between two looks at the backlog.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// All atomic; clones share.
#[derive(Clone, Debug, Default)]
pub struct DailyStats {
    lag_seconds: Gauge,
    waiting_days: Gauge,
    added: Counter,
    shown_at: Arc<Mutex<Option<Instant>>>,
}

impl DailyStats {
    /// Adds what is counted to a registry.
    pub fn register(registry: &mut Registry) -> Self {
        let stats = Self::default();
        let daily = registry.sub_registry_with_prefix("nemeses_daily");
        daily.register(
            "lag_seconds",
            "How far the daily sums are behind the arrivals; up to 15 minutes is usual",
            stats.lag_seconds.clone(),
        );
        daily.register(
            "waiting_days",
            "Daily sums of devices that are due, counted up to 100 000",
            stats.waiting_days.clone(),
        );
        daily.register(
            "days_added",
            "Daily sums of devices computed by this process",
            stats.added.clone(),
        );
        stats
    }

    /// Whether the backlog was shown long enough ago.
    pub(super) fn is_due(&self) -> bool {
        let shown_at = self.shown_at.lock().unwrap_or_else(PoisonError::into_inner);
        shown_at.is_none_or(|shown_at| shown_at.elapsed() >= LOOK_EVERY)
    }

    pub(super) fn show(&self, backlog: &Backlog, now_s: u32) {
        self.lag_seconds.set(backlog.lag_s(now_s).into());
        self.waiting_days.set(i64::try_from(backlog.marks).unwrap_or(i64::MAX));
        let mut shown_at = self.shown_at.lock().unwrap_or_else(PoisonError::into_inner);
        *shown_at = Some(Instant::now());
    }

    pub(super) fn added(&self, days: usize) {
        self.added.inc_by(days as u64);
    }
}
