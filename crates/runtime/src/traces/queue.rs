//! Spans that wait for the collector, and what was counted of them. Whoever works on
//! a frame never waits here: beyond the bound spans are dropped and counted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

use super::record::SpanData;

/// Spans that wait at most: a thousand followed frames of eight. One takes some
/// 500 bytes with its attributes, all together 4 MB.
pub(super) const MOST_WAITING: usize = 8192;
/// Spans of one export, some 100 KB on the wire.
pub(super) const EXPORT_SPANS: usize = 512;

/// Why a span (or, by `Forced`, the trace of a frame) is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// Too many wait.
    QueueFull,
    /// The collector could not be reached, or had no time, for too long.
    Unreachable,
    /// The collector does not take them.
    Refused,
    /// The process ended before they were delivered.
    Stopped,
    /// More frames than are followed in a second asked for it.
    TooManyAsked,
}

impl Dropped {
    const ALL: [Self; 5] =
        [Self::QueueFull, Self::Unreachable, Self::Refused, Self::Stopped, Self::TooManyAsked];

    const fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::TooManyAsked => "too_many_asked",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    spans: Mutex<VecDeque<SpanData>>,
    many: Notify,
    exported: Counter,
    dropped: Family<[(&'static str, &'static str); 1], Counter>,
    waiting: Gauge,
}

impl Queue {
    pub(super) fn register(&self, registry: &mut Registry) {
        // There from the start, so that their first increase is seen.
        for why in Dropped::ALL {
            drop(self.dropped.get_or_create(&[("reason", why.label())]));
        }
        let traces = registry.sub_registry_with_prefix("nemeses_traces");
        traces.register("exported", "Spans that the collector accepted", self.exported.clone());
        traces.register("dropped", "Spans not delivered, by reason", self.dropped.clone());
        traces.register("waiting", "Spans that wait for the collector", self.waiting.clone());
    }

    pub(super) fn push(&self, span: SpanData) {
        let mut spans = self.lock();
        if spans.len() >= MOST_WAITING {
            drop(spans);
            return self.drop_spans(Dropped::QueueFull, 1);
        }
        spans.push_back(span);
        let waiting = spans.len();
        drop(spans);
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        if waiting == EXPORT_SPANS {
            self.many.notify_one();
        }
    }

    /// The oldest spans, as many as go into one export.
    pub(super) fn take(&self) -> Vec<SpanData> {
        let mut spans = self.lock();
        let count = spans.len().min(EXPORT_SPANS);
        let taken = spans.drain(..count).collect();
        self.waiting.set(i64::try_from(spans.len()).unwrap_or(i64::MAX));
        taken
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Resolves when an export's worth waits.
    pub(super) async fn many(&self) {
        if self.len() < EXPORT_SPANS {
            self.many.notified().await;
        }
    }

    pub(super) fn took(&self, spans: u64) {
        self.exported.inc_by(spans);
    }

    pub(super) fn drop_spans(&self, why: Dropped, spans: usize) {
        let count = u64::try_from(spans).unwrap_or(u64::MAX);
        if count > 0 {
            self.dropped.get_or_create(&[("reason", why.label())]).inc_by(count);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SpanData>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
