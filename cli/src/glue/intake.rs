//! A node's intake: from the MQTT listener, through the decoding step, to the exporter.

use std::sync::Arc;

use nemeses_broker::{Followed, Intake, IntakeMessage, Receipt, Speaker};
use nemeses_dbexport::{Acknowledge, Exporter, Submission, Work};
use nemeses_parser::{Output, Step};
use nemeses_protocol::{
    DeadLetter, MAX_IDENTITY_NAME, PackedFields, PositionPart, Reading, ReadingsRecord, Record,
    Reply, Tally, Value,
};
use nemeses_runtime::Clock;
use nemeses_runtime::traces::{Tracer, Waiting};
use nemeses_store::history::Committed;
use nemeses_store::live::LiveWriter;

use super::mirror::{Mirror, Pending};
use super::posting::PostAck;
use super::traced;

/// Where records came from, and so whom to acknowledge.
enum From {
    Connection(Receipt),
    Request(PostAck),
}

/// Acknowledges the messages of a receipt or answers a request, and shows on `/DB` what was committed.
pub(crate) struct NodeAck {
    from: From,
    mirrored: Option<Pending>,
    followed: Vec<Waiting>,
}

impl Acknowledge for NodeAck {
    fn committed(self, outcome: &Committed) {
        match self.from {
            From::Connection(receipt) => receipt.committed(),
            From::Request(request) => request.committed(outcome),
        }
        if let Some(pending) = self.mirrored {
            pending.publish();
        }
    }

    fn followed(&self) -> &[Waiting] {
        &self.followed
    }
}

impl NodeAck {
    /// Answers a request of the API.
    pub(crate) const fn of_request(request: PostAck, mirrored: Option<Pending>) -> Self {
        Self { from: From::Request(request), mirrored, followed: Vec::new() }
    }
}

/// Decodes on the connection's own task, offers live entries to the live store beside the
/// commit, and passes records and receipt to the exporter.
pub(crate) struct NodeIntake {
    /// Decodes messages.
    pub(crate) step: Step,
    /// Accepts live entries at once; never waits.
    pub(crate) live: LiveWriter,
    /// Commits, then resolves the receipt.
    pub(crate) exporter: Exporter<NodeAck>,
    /// Shows what was committed on `/DB`.
    pub(crate) mirror: Arc<Mirror>,
    /// Gives each frame its time of arrival.
    pub(crate) clock: Clock,
    /// Traces the messages that the listener sampled.
    pub(crate) tracer: Tracer,
}

impl Intake for NodeIntake {
    fn take(
        &self,
        speaker: &Speaker,
        messages: &[IntakeMessage<'_>],
        mut receipt: Receipt,
    ) -> Vec<Reply> {
        let received_at_ms = self.clock.now_ms();
        let followed = receipt.take_followed();
        let (step, tracer) = (&self.step, &self.tracer);
        let mut out = traced::decode(step, tracer, *speaker, received_at_ms, messages, &followed);
        for topic in std::mem::take(&mut out.rebirths) {
            self.mirror.tell(&topic, nemeses_telemetry::rebirth(received_at_ms));
        }
        let replies = std::mem::take(&mut out.replies);
        self.hand_over(out, received_at_ms, receipt, &followed);
        replies
    }
}

impl NodeIntake {
    /// Offers live entries to the live store and submits the records to the exporter.
    pub(crate) fn hand_over(
        &self,
        out: Output,
        received_at_ms: u64,
        mut receipt: Receipt,
        followed: &[Followed],
    ) {
        receipt.weighs(out.records.iter().map(held_bytes).sum());
        let tallies = tallies(out.pings, received_at_ms);
        let mirrored = self.mirror.prepare(&out.records, &tallies);
        let receipt = NodeAck {
            from: From::Connection(receipt),
            mirrored,
            followed: traced::waiting(followed),
        };
        let offered_ns = receipt.followed.first().map_or(0, |waiting| waiting.since_ns);
        self.live.offer(out.live);
        self.live.offer_unnumbered(out.unnumbered);
        if !followed.is_empty() {
            self.live.follow(&traced::contexts(followed), offered_ns);
        }
        let work = Work::Records { records: out.records, tallies };
        self.exporter.submit(Submission { work, receipt });
    }
}

/// Bytes that an allocation costs beside its own, roughly.
const ALLOCATION: usize = 16;

fn packed_bytes(packed: Option<&PackedFields>) -> usize {
    packed.map_or(0, |packed| packed.as_bytes().len() + ALLOCATION)
}

/// Memory of a record that waits for its commit, allocations included.
pub(super) fn held_bytes(record: &Record) -> usize {
    let behind = match record {
        Record::Position(record) => packed_bytes(record.packed.as_ref()),
        Record::DeadLetter(letter) => {
            size_of::<DeadLetter>() + letter.topic.len() + letter.bytes.len() + 3 * ALLOCATION
        }
        Record::Readings(record) => {
            let position = record.position.as_deref();
            let position = position.map_or(0, |part| {
                size_of::<PositionPart>() + ALLOCATION + packed_bytes(part.packed.as_ref())
            });
            size_of::<ReadingsRecord>() + position + readings_bytes(record)
        }
    };
    size_of::<Record>() + behind
}

/// Memory of a record's readings, its identity's name included.
fn readings_bytes(record: &ReadingsRecord) -> usize {
    let text = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Flag(_) | Value::Integer(_) | Value::Number(_) => 0,
    };
    let reading = |reading: &Reading| {
        let unit = reading.unit.as_ref().map_or(0, |unit| unit.len());
        size_of::<Reading>() + reading.channel.len() + unit + text(&reading.value)
    };
    MAX_IDENTITY_NAME + record.readings.iter().map(reading).sum::<usize>()
}

fn tallies(pings: u32, received_at_ms: u64) -> Vec<Tally> {
    let minute = u32::try_from(received_at_ms / 60_000).unwrap_or(u32::MAX);
    if pings == 0 { Vec::new() } else { vec![Tally { minute, pings }] }
}
