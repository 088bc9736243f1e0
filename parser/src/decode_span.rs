//! The decoding of a followed message, as its trace tells it.

use nemeses_protocol::{DeviceId, Record, TraceContext};
use nemeses_runtime::traces::{SpanKind, Tracer, now_ns};

use crate::step::Output;

/// The decoding of one message that is about to begin.
#[derive(Clone, Copy, Debug)]
pub struct Decoding {
    start_ns: u64,
    records: usize,
    replies: usize,
}

impl Decoding {
    /// What the message brings will be appended to `out`.
    pub fn begin(out: &Output) -> Self {
        Self { start_ns: now_ns(), records: out.records.len(), replies: out.replies.len() }
    }

    /// It was appended; tells of it below `parent`.
    pub fn end(self, tracer: &Tracer, parent: &TraceContext, out: &Output) {
        let Some(mut span) = tracer.below(parent, "decode", SpanKind::Internal, self.start_ns)
        else {
            return;
        };
        let records = out.records.get(self.records..).unwrap_or_default();
        let replies = out.replies.get(self.replies..).unwrap_or_default();
        let letters = records.iter().filter_map(|record| match record {
            Record::DeadLetter(letter) => Some(letter.reason.code()),
            Record::Position(_) | Record::Readings(_) => None,
        });
        let reply = replies.first().map(|reply| reply.device);
        if let Some(device) = records.iter().find_map(device_of).or(reply) {
            span.set("nemeses.device", device.to_string());
        }
        if let Some(reason) = letters.clone().next() {
            span.set("nemeses.dead_letter.reason", reason);
        }
        span.set("nemeses.dead_letters", letters.count());
        span.set("nemeses.records", records.len());
        span.set("nemeses.pings", replies.len());
        span.end();
    }
}

fn device_of(record: &Record) -> Option<DeviceId> {
    match record {
        Record::Position(record) => Some(record.position.device),
        Record::DeadLetter(letter) => letter.device,
        Record::Readings(record) => record.identity.number(),
    }
}
