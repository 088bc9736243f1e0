//! Messages of a connection that are traced: their spans begin here, when the packet
//! is taken off the wire, and end when its acknowledgement is written.

use nemeses_protocol::Speaker;
use nemeses_runtime::traces::{Span, SpanKind, Tracer, now_ns};

use crate::intake::Followed;
use crate::packet::{Publish, traceparent};

/// A message on its way, or one whose acknowledgement is owed.
pub(super) struct Following {
    /// 0 at QoS 0.
    packet_id: u16,
    /// Its place in the read that it came with.
    index: usize,
    span: Span,
}

impl Following {
    /// Begins a message's span if it is followed; `index` is its place in its read.
    pub(super) fn begin(
        tracer: &Tracer,
        publish: &Publish<'_>,
        speaker: Speaker,
        index: usize,
    ) -> Option<Self> {
        let asked = traceparent(publish.properties);
        let mut span = tracer.begin("publish", SpanKind::Server, asked)?;
        span.set("messaging.system", "mqtt");
        span.set("messaging.destination.name", publish.topic.to_owned());
        span.set("messaging.message.body.size", publish.payload.len());
        span.set("nemeses.qos", u32::from(publish.qos.bits()));
        if let Speaker::Device(device) = speaker {
            span.set("nemeses.device", device.to_string());
        }
        Some(Self { packet_id: publish.packet_id, index, span })
    }

    /// What the intake's spans hang below.
    pub(super) fn ticket(&self) -> Followed {
        Followed { message: self.index, context: self.span.context() }
    }
}

/// The followed messages of a connection whose acknowledgements are owed: none as a
/// rule, and at most as many as its window has.
#[derive(Default)]
pub(super) struct Follow(Vec<Following>);

impl Follow {
    /// Keeps those that are to be acknowledged; of the others nothing more is heard.
    pub(super) fn keep(&mut self, messages: Vec<Following>) {
        for message in messages {
            if message.packet_id == 0 {
                message.span.end();
            } else {
                self.0.push(message);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its acknowledgement was written; `since_ns` is when it was found to be due.
    pub(super) fn acknowledged(&mut self, tracer: &Tracer, packet_id: u16, since_ns: u64) {
        let Some(at) = self.0.iter().position(|message| message.packet_id == packet_id) else {
            return;
        };
        let Following { span, .. } = self.0.remove(at);
        let end_ns = now_ns();
        if let Some(writing) = tracer.below(&span.context(), "puback", SpanKind::Internal, since_ns)
        {
            writing.end_at(end_ns);
        }
        span.end_at(end_ns);
    }
}
