//! The spans of what is followed: its wait in the queue, and its commit, a child each
//! of the frame's own span, so that a frame's trace holds its way and no other's.

use nemeses_runtime::traces::{Span, SpanKind, Tracer, now_ns};
use nemeses_store::history::Part;

use crate::acknowledge::Acknowledge;

/// A transaction of an exporter that catches up holds up to 64 batches; an attribute
/// names these.
const MOST_NAMES: usize = 4;

/// The commit of what is followed in one batch: of nothing as a rule.
#[derive(Debug, Default)]
pub(crate) struct Follow(Vec<Span>);

impl Follow {
    /// A batch was taken from the queue and is about to be committed.
    pub(crate) fn begin<R: Acknowledge>(tracer: &Tracer, receipts: &[R], parts: &[Part]) -> Self {
        if !tracer.is_on() {
            return Self::default();
        }
        let mut followed = receipts.iter().flat_map(Acknowledge::followed).peekable();
        if followed.peek().is_none() {
            return Self::default();
        }
        let taken_ns = now_ns();
        let rows: usize = parts.iter().map(|part| part.records.len()).sum();
        let names: Vec<_> = parts.iter().take(MOST_NAMES).map(name).collect();
        let names = names.join(" ");
        let spans = followed.filter_map(|waiting| {
            let context = &waiting.context;
            tracer.below(context, "queue", SpanKind::Internal, waiting.since_ns)?.end_at(taken_ns);
            let span = tracer.below(context, "commit", SpanKind::Client, taken_ns)?;
            Some(span.with("nemeses.batch.rows", rows).with("nemeses.batch", names.clone()))
        });
        Self(spans.collect())
    }

    /// The first of them, for a line of the log.
    pub(crate) fn trace_id(&self) -> Option<String> {
        self.0.first().map(|span| span.context().trace_id().to_string())
    }

    /// The batch is durable.
    pub(crate) fn committed(self, attempts: u32) {
        let end_ns = if self.0.is_empty() { 0 } else { now_ns() };
        for span in self.0 {
            span.with("nemeses.batch.attempts", attempts).end_at(end_ns);
        }
    }
}

/// A batch's name in the books.
fn name(part: &Part) -> String {
    let key = &part.key;
    format!("{}/{:016x}/{}", key.worker, key.run, key.sequence)
}
