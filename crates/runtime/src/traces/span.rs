//! What is told of a piece of work on a followed frame.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nemeses_protocol::TraceContext;

use super::queue::Queue;
use super::record::{SpanData, SpanKind, Value};

/// A span of work that goes on. Dropped before its end, it is told as a failure:
/// the work was given up.
#[derive(Debug)]
pub struct Span {
    data: Option<Box<SpanData>>,
    queue: Arc<Queue>,
}

impl Span {
    pub(super) fn begin(
        queue: &Arc<Queue>,
        trace_id: [u8; 16],
        parent: Option<[u8; 8]>,
        (name, kind): (&'static str, SpanKind),
        start_ns: u64,
    ) -> Self {
        let data = SpanData {
            trace_id,
            span_id: rand::random::<u64>().max(1).to_be_bytes(),
            parent,
            name,
            kind,
            start_ns,
            end_ns: 0,
            attributes: Vec::new(),
            failure: None,
        };
        Self { data: Some(Box::new(data)), queue: Arc::clone(queue) }
    }

    /// What its children hang below, here or in another process.
    pub fn context(&self) -> TraceContext {
        let ids = self.data.as_ref().map(|data| (data.trace_id, data.span_id));
        let (trace_id, span_id) = ids.unwrap_or_default();
        TraceContext { trace_id, span_id, sampled: true }
    }

    /// Adds an attribute.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(data) = &mut self.data {
            data.attributes.push((key, value.into()));
        }
    }

    /// The same with an attribute.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// The work went wrong, for this reason.
    pub fn fail(&mut self, why: &'static str) {
        if let Some(data) = &mut self.data {
            data.failure = Some(why);
        }
    }

    /// The work is done.
    pub fn end(self) {
        self.end_at(now_ns());
    }

    /// The work was done then, Unix nanoseconds.
    pub fn end_at(mut self, end_ns: u64) {
        self.hand_in(end_ns);
    }

    fn hand_in(&mut self, end_ns: u64) {
        if let Some(mut data) = self.data.take() {
            // A clock that was set back makes a span of no length, not a negative one.
            data.end_ns = end_ns.max(data.start_ns);
            self.queue.push(*data);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(data) = &mut self.data {
            data.failure.get_or_insert("given up before its end");
        }
        self.hand_in(now_ns());
    }
}

/// Unix nanoseconds by the machine's clock: what spans are told in. A machine set
/// before 1970 reads 0.
#[expect(clippy::disallowed_methods, reason = "spans want nanoseconds")]
pub fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
