//! Decodes one message. Pure: no clock, no IO.

use nemeses_protocol::{
    Content, DeadLetter, DecodeError, DeviceId, Form, Identity, Item, Items, OptionalFields,
    OwnTracks, PackedFields, PositionPart, PositionRecord, Protocol, ProtocolFrame as _,
    ReadingsRecord, Reason, Record, Reply, Sft9001, Source, Speaker, TopicName, Topics,
    content_hash,
};
use nemeses_store::live::LiveEntry;
use nemeses_telemetry::Mappings;

use crate::sparkplug::Edges;
use crate::unknown::Gate;

/// Which frames are accepted, and what is stored of them.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The topic names, and the names of devices.
    pub topics: Topics,
    /// A frame recorded more than this many seconds after its arrival is a dead
    /// letter (reason `future`).
    pub future_limit_s: u32,
    /// Store the raw bytes of accepted frames beside their row.
    pub keep_raw: bool,
    /// A payload larger than this many bytes is a dead letter (reason `oversized`).
    pub max_payload_bytes: usize,
    /// What is done with frames of unknown devices; `None` accepts them.
    pub gate: Option<Gate>,
    /// How messages on the topics of mappings are read.
    pub mappings: Mappings,
    /// The state of Sparkplug's edges, where Sparkplug is enabled.
    pub sparkplug: Option<Edges>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            topics: Topics::default(),
            future_limit_s: 24 * 60 * 60,
            keep_raw: false,
            max_payload_bytes: 256 * 1024,
            gate: None,
            mappings: Mappings::default(),
            sparkplug: None,
        }
    }
}

/// One message as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// Payload: raw frames or the same as hex text.
    pub payload: &'a [u8],
    /// Unix milliseconds by this station's clock.
    pub received_at_ms: u64,
    /// Who published, as far as that is known.
    pub speaker: Speaker,
}

/// The result of the messages so far; several messages may be decoded into one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Records to commit, in the order of the bytes.
    pub records: Vec<Record>,
    /// Entries for the live store.
    pub live: Vec<LiveEntry>,
    /// The same of devices that have no number yet, with who they are.
    pub unnumbered: Vec<(Identity, LiveEntry)>,
    /// Replies to send at once.
    pub replies: Vec<Reply>,
    /// Topics on which rebirths of Sparkplug's edges are to be requested.
    pub rebirths: Vec<String>,
    /// Good pings.
    pub pings: u32,
}

impl Output {
    /// With capacity for this many messages of one frame each.
    pub fn for_messages(messages: usize) -> Self {
        Self {
            records: Vec::with_capacity(messages),
            live: Vec::with_capacity(messages),
            ..Self::default()
        }
    }
}

/// Decodes messages under a [`Policy`].
#[derive(Clone, Debug, Default)]
pub struct Step {
    policy: Policy,
}

impl Step {
    /// A step under this policy.
    pub const fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// The policy.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Decodes one message and appends to `out`. Every byte of the payload ends
    /// in a record or in a counted ping.
    pub fn take(&self, message: &Message<'_>, out: &mut Output) {
        if message.payload.len() > self.policy.max_payload_bytes {
            let reason = Reason::Decode(DecodeError::Oversized);
            return bury(message, 0, message.payload, None, reason, out);
        }
        if message.payload.is_empty() {
            return bury(message, 0, &[], None, Reason::Decode(DecodeError::Empty), out);
        }
        match self.policy.topics.classify(message.topic) {
            TopicName::Telemetry => self.take_telemetry(message, out),
            TopicName::OwnTracks => self.take_as::<OwnTracks>(message, Speaker::Any, out),
            TopicName::Mapped => self.take_mapped(message, out),
            // We said it ourselves.
            TopicName::Alert => {}
            TopicName::MessengerOf(device) => {
                self.take_as::<Sft9001>(message, Speaker::Device(device), out);
            }
            // A topic below /telemetry without a device holds no frames either.
            TopicName::Other if self.policy.topics.is_below_telemetry(message.topic) => {
                self.take_telemetry(message, out);
            }
            _ if self.take_device_message(message, out) => {}
            _ => self.take_as::<Sft9001>(message, Speaker::Any, out),
        }
    }

    /// Decodes a message of a protocol, on a topic that is for this speaker's frames.
    pub(crate) fn take_as<P: Protocol>(
        &self,
        message: &Message<'_>,
        topic: Speaker,
        out: &mut Output,
    ) {
        let normalised = P::normalise(message.payload);
        let terms = Terms { speaker: message.speaker, topic, form: normalised.form };
        let source = Source::Message { topic: message.topic };
        let (session, now_ms) = (P::Session::default(), message.received_at_ms);
        for item in Items::<P>::new(session, source, &normalised.bytes, now_ms) {
            match item {
                Item::Skipped { offset, bytes, identity, reason } => {
                    let device =
                        identity.and_then(|identity| self.policy.topics.names.number(&identity));
                    bury(message, offset, bytes, device, Reason::Decode(reason), out);
                }
                Item::Frame { offset, bytes, frame } => {
                    let taken = self.take_frame::<P>(message, terms, (offset, bytes, &frame), out);
                    let mut payload = Vec::new();
                    frame.reply(&mut payload);
                    if let Some(device) =
                        taken.device.filter(|_| taken.is_good && !payload.is_empty())
                    {
                        out.replies.push(Reply { device, payload: in_form(payload, terms.form) });
                    }
                }
            }
        }
        if let Some((offset, text)) = normalised.unreadable {
            bury(message, offset, text, None, Reason::Decode(DecodeError::BadHex), out);
        }
    }

    /// Appends a frame's records, or refuses the frame. Replies are left to the caller.
    pub(crate) fn take_frame<'a, P: Protocol>(
        &self,
        message: &Message<'_>,
        terms: Terms,
        (offset, bytes, frame): (usize, &'a [u8], &P::Frame<'a>),
        out: &mut Output,
    ) -> TakenFrame {
        let identity = frame.identity();
        let device = self.policy.topics.names.number(&identity);
        let refused = TakenFrame { device, is_good: false };
        if let Some(reason) = terms.refusal(device) {
            bury(message, offset, bytes, device, reason, out);
            return refused;
        }
        let received_at_ms = message.received_at_ms;
        let gate = self.policy.gate.as_ref();
        let barred = gate.and_then(|gate| gate.refusal_of(device, received_at_ms));
        if frame.is_heartbeat() {
            // A device in quarantine gets its replies as usual, so that it continues to send.
            if barred == Some(Reason::UnknownDevice) {
                bury(message, offset, bytes, device, Reason::UnknownDevice, out);
                return refused;
            }
            out.pings = out.pings.saturating_add(1);
            if barred.is_none() {
                out.live.extend(device.map(|device| LiveEntry::seen(device, received_at_ms)));
            }
        }
        for content in frame.records(bytes, device.unwrap_or(DeviceId::NONE)) {
            let recorded_s = content.recorded_at_ms.unwrap_or(received_at_ms) / 1000;
            if let Some(reason) = self.refusal(recorded_s, received_at_ms).or(barred) {
                if identity.number().is_some() {
                    let offset = offset + content.offset;
                    bury(message, offset, content.bytes, device, reason, out);
                } else {
                    // The bytes of one record of a packet cannot be read by themselves.
                    let record = self.record::<P>(&identity, content, received_at_ms);
                    bury_record(&record, device, reason, out);
                }
                continue;
            }
            self.keep_content::<P>(&identity, device, content, received_at_ms, out);
        }
        TakenFrame { device, is_good: true }
    }

    /// A position alone of a device with a number is a record of its own kind; all else is
    /// a record of its identity.
    #[inline]
    fn keep_content<P: Protocol>(
        &self,
        identity: &Identity,
        device: Option<DeviceId>,
        content: Content<'_>,
        received_at_ms: u64,
        out: &mut Output,
    ) {
        let alone = content.readings.is_empty() && content.recorded_at_ms.is_some();
        if let (Some(position), Some(_), true) = (content.position, device, alone) {
            let (frame_hash, packed) =
                (content_hash::<P>(content.bytes), self.packed(&content.optional, content.bytes));
            let record = PositionRecord { position, frame_hash, received_at_ms, packed };
            out.live.push(LiveEntry::from_record(&record));
            out.records.push(Record::Position(record));
            return;
        }
        keep_record(self.record::<P>(identity, content, received_at_ms), device, out);
    }

    #[inline]
    fn packed(&self, optional: &OptionalFields, bytes: &[u8]) -> Option<PackedFields> {
        PackedFields::new(optional, self.policy.keep_raw.then_some(bytes))
    }

    fn record<P: Protocol>(
        &self,
        identity: &Identity,
        content: Content<'_>,
        received_at_ms: u64,
    ) -> ReadingsRecord {
        let Content { recorded_at_ms, position, optional, readings, bytes, .. } = content;
        let packed = self.packed(&optional, bytes);
        let part = position.map(|position| PositionPart { position, packed });
        ReadingsRecord {
            identity: identity.clone(),
            recorded_at_ms: recorded_at_ms.unwrap_or(received_at_ms),
            timeless: recorded_at_ms.is_none(),
            content_hash: content_hash::<P>(bytes),
            received_at_ms,
            position: part.map(Box::new),
            readings,
        }
    }

    /// Whether what was recorded in this second is too far ahead of its arrival.
    pub(crate) fn refusal(&self, recorded_s: u64, received_at_ms: u64) -> Option<Reason> {
        let latest_s = received_at_ms / 1000 + u64::from(self.policy.future_limit_s);
        (recorded_s > latest_s).then_some(Reason::Future)
    }
}

/// The outcome of a frame.
pub(crate) struct TakenFrame {
    device: Option<DeviceId>,
    /// Whether it is answered.
    pub(crate) is_good: bool,
}

/// For whom the login and the topic may speak, and how to answer.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) speaker: Speaker,
    pub(crate) topic: Speaker,
    pub(crate) form: Form,
}

impl Terms {
    fn refusal(self, device: Option<DeviceId>) -> Option<Reason> {
        let forbids = |speaker| matches!(speaker, Speaker::Device(only) if Some(only) != device);
        if forbids(self.speaker) {
            Some(Reason::IdentityMismatch)
        } else if forbids(self.topic) {
            Some(Reason::TopicMismatch)
        } else {
            None
        }
    }
}

/// Appends a record that has any content, and its live entry if its device has a number.
pub(crate) fn keep_record(record: ReadingsRecord, device: Option<DeviceId>, out: &mut Output) {
    if record.readings.is_empty() && record.position.is_none() {
        return;
    }
    let entry = LiveEntry::from_readings(device.unwrap_or(DeviceId::NONE), &record);
    match device {
        Some(_) => out.live.push(entry),
        None => out.unnumbered.push((record.identity.clone(), entry)),
    }
    out.records.push(Record::Readings(Box::new(record)));
}

/// Appends a refused record as a dead letter that can be decoded again.
pub(crate) fn bury_record(
    record: &ReadingsRecord,
    device: Option<DeviceId>,
    reason: Reason,
    out: &mut Output,
) {
    let letter = DeadLetter { device, ..record.as_letter(reason) };
    out.records.extend(letter.split().into_iter().map(Box::new).map(Record::DeadLetter));
}

fn in_form(raw: Vec<u8>, form: Form) -> Vec<u8> {
    match form {
        Form::Raw => raw,
        Form::Hex => hex::encode_upper(raw).into_bytes(),
    }
}

/// Keeps a rejected stretch, in as many letters as its length needs.
pub(crate) fn bury(
    message: &Message<'_>,
    offset: usize,
    bytes: &[u8],
    device: Option<DeviceId>,
    reason: Reason,
    out: &mut Output,
) {
    let letter = DeadLetter {
        topic: kept_topic(message.topic),
        offset: u32::try_from(offset).unwrap_or(u32::MAX),
        reason,
        device,
        received_at_ms: message.received_at_ms,
        bytes: bytes.to_vec(),
    };
    let pieces = letter.split().into_iter();
    out.records.extend(pieces.map(|piece| Record::DeadLetter(Box::new(piece))));
}

/// A dead letter keeps so much of its topic. Ours are shorter; a longer one comes
/// from a broker without rights, where one message of rubbish with a topic of
/// 64 KiB would else take its thousands of stretches times that.
const KEPT_TOPIC_BYTES: usize = 256;

fn kept_topic(topic: &str) -> String {
    topic[..topic.floor_char_boundary(KEPT_TOPIC_BYTES)].to_owned()
}

#[cfg(test)]
mod tests;
