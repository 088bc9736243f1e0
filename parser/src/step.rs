//! What one message means. Pure: no clock, no IO.

use nemeses_protocol::{
    DeadLetter, DeviceId, Form, Frame, Item, Position, PositionRecord, Reason, Record, Speaker,
    TopicName, Topics, encode_ping_reply, frame_hash, frames, normalise,
};
use nemeses_store::live::LiveEntry;

use crate::unknown::Gate;

/// What is accepted and what is kept.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The topic names.
    pub topics: Topics,
    /// A frame recorded more than this many seconds after its arrival is a dead
    /// letter (reason `future`).
    pub future_limit_s: u32,
    /// Keep the raw bytes of accepted frames beside their row.
    pub keep_raw: bool,
    /// A payload larger than this many bytes is a dead letter (reason `oversized`).
    pub max_payload_bytes: usize,
    /// Where unknown devices are not simply accepted: what is done with their frames.
    pub gate: Option<Gate>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            topics: Topics::default(),
            future_limit_s: 24 * 60 * 60,
            keep_raw: false,
            max_payload_bytes: 256 * 1024,
            gate: None,
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

/// The answer to a ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Whose ping.
    pub device: DeviceId,
    /// The payload, in the form of the question.
    pub payload: Vec<u8>,
}

/// What came of the messages so far; several messages may be taken into one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What to keep, in the order of the bytes.
    pub records: Vec<Record>,
    /// What to tell the live store.
    pub live: Vec<LiveEntry>,
    /// What to answer at once.
    pub replies: Vec<Reply>,
    /// Good pings.
    pub pings: u32,
}

impl Output {
    /// With room for what so many messages of one frame each come to.
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
            let reason = Reason::Decode(nemeses_protocol::DecodeError::Oversized);
            return bury(message, 0, message.payload, None, reason, out);
        }
        if message.payload.is_empty() {
            let reason = Reason::Decode(nemeses_protocol::DecodeError::Empty);
            return bury(message, 0, &[], None, reason, out);
        }
        let spoken_for = Allowed {
            speaker: message.speaker,
            topic: match self.policy.topics.classify(message.topic) {
                TopicName::MessengerOf(device) => Speaker::Device(device),
                _ => Speaker::Any,
            },
        };
        let normalised = normalise(message.payload);
        for item in frames(&normalised.bytes) {
            self.take_item(message, &item, normalised.form, spoken_for, out);
        }
        if let Some((offset, text)) = normalised.unreadable {
            let reason = Reason::Decode(nemeses_protocol::DecodeError::BadHex);
            bury(message, offset, text, None, reason, out);
        }
    }

    fn take_item(
        &self,
        message: &Message<'_>,
        item: &Item<'_>,
        form: Form,
        allowed: Allowed,
        out: &mut Output,
    ) {
        let (offset, bytes, frame) = match *item {
            Item::Skipped { offset, bytes, device, reason } => {
                return bury(message, offset, bytes, device, Reason::Decode(reason), out);
            }
            Item::Frame { offset, bytes, frame } => (offset, bytes, frame),
        };
        let device = match frame {
            Frame::Ping { device, .. } => device,
            Frame::Location(position) => position.device,
        };
        let refusal = allowed.refusal(device).or_else(|| match frame {
            Frame::Location(position) => self.refusal(&position, message.received_at_ms),
            Frame::Ping { .. } => None,
        });
        if let Some(reason) = refusal {
            return bury(message, offset, bytes, Some(device), reason, out);
        }
        let barred = self.policy.gate.as_ref();
        let barred = barred.and_then(|gate| gate.refusal(device, message.received_at_ms));
        // Whoever is in quarantine is answered as ever, so that it goes on sending.
        let answered = matches!(frame, Frame::Ping { .. }) && barred != Some(Reason::UnknownDevice);
        if let Some(reason) = barred
            && !answered
        {
            return bury(message, offset, bytes, Some(device), reason, out);
        }
        match frame {
            Frame::Ping { payload, .. } => {
                out.pings = out.pings.saturating_add(1);
                if barred.is_none() {
                    out.live.push(LiveEntry::seen(device, message.received_at_ms));
                }
                out.replies.push(Reply { device, payload: reply(payload, form) });
            }
            Frame::Location(position) => {
                let record = PositionRecord {
                    position,
                    frame_hash: frame_hash(bytes),
                    received_at_ms: message.received_at_ms,
                    raw: self.policy.keep_raw.then(|| bytes.into()),
                };
                out.live.push(LiveEntry::from_record(&record));
                out.records.push(Record::Position(record));
            }
        }
    }

    fn refusal(&self, position: &Position, received_at_ms: u64) -> Option<Reason> {
        let latest_s = received_at_ms / 1000 + u64::from(self.policy.future_limit_s);
        (u64::from(position.recorded_at) > latest_s).then_some(Reason::Future)
    }
}

/// For whom the login and the topic may speak.
#[derive(Clone, Copy)]
struct Allowed {
    speaker: Speaker,
    topic: Speaker,
}

impl Allowed {
    fn refusal(self, device: DeviceId) -> Option<Reason> {
        let forbids = |speaker| matches!(speaker, Speaker::Device(only) if only != device);
        if forbids(self.speaker) {
            Some(Reason::IdentityMismatch)
        } else if forbids(self.topic) {
            Some(Reason::TopicMismatch)
        } else {
            None
        }
    }
}

fn reply(payload: &[u8], form: Form) -> Vec<u8> {
    let mut raw = Vec::with_capacity(payload.len() + 5);
    encode_ping_reply(payload, &mut raw);
    match form {
        Form::Raw => raw,
        Form::Hex => hex::encode_upper(raw).into_bytes(),
    }
}

/// Keeps a rejected stretch, in as many letters as its length needs.
fn bury(
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
