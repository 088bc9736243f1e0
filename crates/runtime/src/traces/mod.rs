//! Traces of a few frames and requests, told to an OpenTelemetry collector by OTLP
//! over HTTP.
//!
//! Nothing in here is in a frame's way: a tracer that is off is an `Option` that is
//! `None`, a frame that is not followed costs one random number where it comes in and
//! nothing behind it, and spans of followed frames go into a bounded queue from which
//! one task delivers them. `docs/decisions/0021-traces.md` says why this is not the
//! OpenTelemetry SDK.

mod collector;
mod export;
mod queue;
mod record;
mod sample;
mod span;
mod wire;

use std::sync::Arc;
use std::time::Instant;

use nemeses_protocol::TraceContext;
use prometheus_client::registry::Registry;

pub use collector::{Collector, CollectorError};
pub use export::{Delivery, Limits};
use queue::{Dropped, Queue};
pub use record::{SpanKind, Value};
use sample::Forced;
pub use sample::Ratio;
pub use span::{Span, now_ns};

/// Begins spans. Clones share; the default is off.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    queue: Arc<Queue>,
    ratio: Ratio,
    forced: Forced,
    since: Instant,
}

/// A followed frame that waits in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What the spans of the wait and of what follows hang below.
    pub context: TraceContext,
    /// Since when, Unix nanoseconds.
    pub since_ns: u64,
}

impl Tracer {
    /// Nothing is followed.
    pub const fn off() -> Self {
        Self(None)
    }

    /// A tracer that follows this share of what nobody asked to be followed, and what
    /// delivers its spans once it runs. `resource` says who this process is, by
    /// OpenTelemetry's names (`service.name`).
    pub fn new(
        ratio: Ratio,
        collector: Collector,
        resource: Vec<(&'static str, String)>,
        registry: &mut Registry,
    ) -> (Self, Delivery) {
        let queue = Arc::new(Queue::default());
        queue.register(registry);
        let delivery = Delivery::new(Arc::clone(&queue), collector, resource);
        let shared = Shared { queue, ratio, forced: Forced::default(), since: Instant::now() };
        (Self(Some(Arc::new(shared))), delivery)
    }

    /// Whether anything is followed.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Decides whether what comes in from outside is followed, and begins its span. A
    /// trace that somebody else began is followed if he wants it (in bounds), and is
    /// not if he does not; of the rest a share is.
    pub fn begin(
        &self,
        name: &'static str,
        kind: SpanKind,
        asked: Option<TraceContext>,
    ) -> Option<Span> {
        let shared = self.0.as_deref()?;
        let (trace_id, parent) = shared.decide(asked)?;
        Some(Span::begin(&shared.queue, trace_id, parent, (name, kind), now_ns()))
    }

    /// Goes on below a span of ours, here or in another process; began at `start_ns`.
    pub fn below(
        &self,
        parent: &TraceContext,
        name: &'static str,
        kind: SpanKind,
        start_ns: u64,
    ) -> Option<Span> {
        let shared = self.0.as_deref().filter(|_| parent.sampled)?;
        let within = Some(parent.span_id);
        Some(Span::begin(&shared.queue, parent.trace_id, within, (name, kind), start_ns))
    }
}

impl Shared {
    /// The trace's id and the span that it goes on from, if it is followed.
    fn decide(&self, asked: Option<TraceContext>) -> Option<([u8; 16], Option<[u8; 8]>)> {
        let Some(asked) = asked else {
            let low_bits: u64 = rand::random();
            return self.ratio.takes(low_bits).then(|| (fresh_id(low_bits), None));
        };
        if !asked.sampled {
            return None;
        }
        let second = u32::try_from(self.since.elapsed().as_secs()).unwrap_or(u32::MAX);
        if !self.forced.may_pass(second) {
            self.queue.drop_spans(Dropped::TooManyAsked, 1);
            return None;
        }
        Some((asked.trace_id, Some(asked.span_id)))
    }
}

/// An id that is not all zeros and ends in the bits that were decided on.
fn fresh_id(low_bits: u64) -> [u8; 16] {
    let high_bits = rand::random::<u64>().max(1);
    (u128::from(high_bits) << 64 | u128::from(low_bits)).to_be_bytes()
}

#[cfg(test)]
mod tests;
