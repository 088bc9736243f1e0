//! Messages of a worker that are traced: from the broker's delivery to the
//! acknowledgement, with the hand-over between.

use nemeses_mqtt::{Ack, Message};
use nemeses_protocol::{BatchMessage, TraceContext};
use nemeses_runtime::traces::{Span, SpanKind, Tracer, now_ns};

/// What a message is owed: its acknowledgement, and the end of its span.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) ack: Acked,
    pub(super) span: Option<Span>,
}

/// Who is told that what a message brought was handed over.
pub(super) enum Acked {
    /// The broker.
    Broker(Ack),
    /// A listener.
    Listener(Box<dyn FnOnce() + Send>),
}

impl std::fmt::Debug for Acked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Broker(_) => "Broker",
            Self::Listener(_) => "Listener",
        })
    }
}

impl Owed {
    pub(super) fn done(self) {
        match self.ack {
            Acked::Broker(ack) => ack.done(),
            Acked::Listener(told) => told(),
        }
        if let Some(span) = self.span {
            span.end();
        }
    }
}

/// Begins a message's span if it is followed.
pub(super) fn begin(tracer: &Tracer, message: &Message) -> Option<Span> {
    if !tracer.is_on() {
        return None;
    }
    let asked = message.traceparent.as_deref().and_then(TraceContext::parse);
    let mut span = tracer.begin("parse", SpanKind::Consumer, asked)?;
    span.set("messaging.system", "mqtt");
    span.set("messaging.destination.name", cut(&message.topic));
    span.set("messaging.message.body.size", message.payload.len());
    Some(span)
}

/// Begins the hand-over of what a batch holds of followed messages, and puts it into
/// the batch for the exporter to go on with.
pub(super) fn handed_over(tracer: &Tracer, batch: &mut BatchMessage) -> Vec<Span> {
    if batch.traces.is_empty() {
        return Vec::new();
    }
    let (start_ns, rows) = (now_ns(), batch.records.len());
    let begun = batch.traces.iter_mut().filter_map(|trace| {
        let span = tracer.below(&trace.context, "hand over", SpanKind::Producer, start_ns)?;
        trace.context = span.context();
        Some(span.with("nemeses.batch.rows", rows))
    });
    begun.collect()
}

/// Topics of ours are shorter; a broker without rights lets longer ones through.
fn cut(topic: &str) -> String {
    topic[..topic.floor_char_boundary(128)].to_owned()
}
