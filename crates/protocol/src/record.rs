//! What travels from a parser to the history store: position records, dead
//! letters, and the tally that makes the books balance.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{
    DecodeError, DeviceId, OptionalFields, PackedFields, Position, PositionPart, Reading,
    ReadingsRecord, readings_json,
};

/// A worker's name, for example `parser-0`: 1 to 64 of `[A-Za-z0-9._-]`.
pub type WorkerName = String;

/// Whether a text may be a [`WorkerName`].
pub fn is_worker_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// One thing to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A location frame.
    Position(PositionRecord),
    /// A stretch of bytes that was rejected, with its reason.
    DeadLetter(Box<DeadLetter>),
    /// Values of named channels.
    Readings(Box<ReadingsRecord>),
}

impl Record {
    /// When it arrived, Unix milliseconds by the receiving station's clock.
    pub fn received_at_ms(&self) -> u64 {
        match self {
            Self::Position(record) => record.received_at_ms,
            Self::DeadLetter(letter) => letter.received_at_ms,
            Self::Readings(record) => record.received_at_ms,
        }
    }
}

/// A position with what identifies its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionRecord {
    /// The decoded frame.
    pub position: Position,
    /// [`crate::content_hash`] of the record's bytes.
    pub frame_hash: u64,
    /// When it arrived, Unix milliseconds by the receiving station's clock.
    pub received_at_ms: u64,
    /// What only some rows have: optional fields, and the frame's raw bytes when the
    /// setting to keep them is on.
    pub packed: Option<PackedFields>,
}

impl PositionRecord {
    /// The frame's raw bytes, if they are kept.
    pub fn raw(&self) -> Option<&[u8]> {
        self.packed.as_ref().and_then(PackedFields::raw)
    }

    /// The optional fields that are present.
    pub fn optional(&self) -> OptionalFields {
        self.packed.as_ref().map_or(OptionalFields::NONE, PackedFields::fields)
    }

    /// Whether any optional field is present.
    pub fn has_optional(&self) -> bool {
        self.packed.as_ref().is_some_and(PackedFields::has_fields)
    }
}

/// A stretch of bytes that did not become a row, kept with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic it was published on.
    pub topic: String,
    /// Where the stretch begins: in the payload's raw bytes, or for `bad_hex` in
    /// the payload's text.
    pub offset: u32,
    /// Why.
    pub reason: Reason,
    /// Whose, if known.
    pub device: Option<DeviceId>,
    /// When it arrived, Unix milliseconds by the receiving station's clock.
    pub received_at_ms: u64,
    /// The bytes as they came.
    pub bytes: Vec<u8>,
}

/// A dead letter holds at most this many bytes, so that it fits a MySQL `BLOB`
/// (65 535) and, with the longest topic (65 535), a `/DB` message (256 KiB).
pub const MAX_DEAD_LETTER_BYTES: usize = 32 * 1024;
/// The longest topic name that MQTT can carry.
pub const MAX_TOPIC_BYTES: usize = 65_535;

impl DeadLetter {
    /// Cuts a letter of any length into consecutive ones of at most
    /// [`MAX_DEAD_LETTER_BYTES`], so that nothing is lost: same topic, reason, device
    /// and time, each with its own offset. A letter within the bound comes back as
    /// it is, an empty one too.
    pub fn split(self) -> Vec<Self> {
        if self.bytes.len() <= MAX_DEAD_LETTER_BYTES {
            return Vec::from([self]);
        }
        let starts = (0..).step_by(MAX_DEAD_LETTER_BYTES);
        let pieces = self.bytes.chunks(MAX_DEAD_LETTER_BYTES).zip(starts);
        let piece = |(bytes, start): (&[u8], u32)| Self {
            topic: self.topic.clone(),
            offset: self.offset.saturating_add(start),
            bytes: bytes.to_vec(),
            ..self
        };
        pieces.map(piece).collect()
    }
}

impl ReadingsRecord {
    /// Its position as a row of its device, whose number this is.
    pub fn position_of(&self, device: DeviceId) -> Option<PositionRecord> {
        let PositionPart { position, packed } = self.position.as_deref()?;
        let recorded_at = u32::try_from(self.recorded_at_ms / 1000).unwrap_or(u32::MAX);
        Some(PositionRecord {
            position: Position { device, recorded_at, ..*position },
            frame_hash: self.content_hash,
            received_at_ms: self.received_at_ms,
            packed: packed.clone(),
        })
    }

    /// All of it as what did not become a row.
    pub fn as_letter(&self, reason: Reason) -> DeadLetter {
        self.letter(self.position.as_deref(), &self.readings, reason)
    }

    /// Some of the readings as what did not become a row.
    pub fn letter_of(&self, readings: &[Reading], reason: Reason) -> DeadLetter {
        self.letter(None, readings, reason)
    }

    fn letter(
        &self,
        position: Option<&PositionPart>,
        readings: &[Reading],
        reason: Reason,
    ) -> DeadLetter {
        let time_ms = (!self.timeless).then_some(self.recorded_at_ms);
        DeadLetter {
            topic: format!("/telemetry/{}", self.identity.segment()),
            offset: 0,
            reason,
            device: self.identity.number(),
            received_at_ms: self.received_at_ms,
            bytes: readings_json(time_ms, position, readings).into_bytes(),
        }
    }
}

/// Why something is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The decoder could not read it.
    Decode(DecodeError),
    /// A frame's id is not the login's.
    IdentityMismatch,
    /// A frame's id is not the one in the topic.
    TopicMismatch,
    /// Recorded more than the allowed time ahead of its arrival.
    Future,
    /// The database refuses the row for good.
    Refused,
    /// An exporter could not read a `/DB` message.
    BadBatch,
    /// A good frame of a device that nobody has made known, kept until somebody does.
    Quarantined,
    /// A good frame of a device that nobody has made known, refused for that.
    UnknownDevice,
    /// Telemetry that is neither JSON nor SenML nor line protocol.
    BadPayload,
    /// A line of line protocol that cannot be read.
    BadLine,
    /// A name of a device that cannot be one.
    BadDevice,
    /// A member beside time and values that means nothing here.
    UnknownMember,
    /// A part of a format that is not supported.
    Unsupported,
    /// A metric of Sparkplug whose alias no birth defined.
    UnknownAlias,
    /// A value that is no finite number, flag or text within its bounds.
    BadValue,
    /// A name that may not name a channel.
    BadChannel,
    /// A time that cannot be read or is out of range.
    BadTime,
    /// A unit that may not be one.
    BadUnit,
    /// More values in a record than it may hold.
    TooManyValues,
    /// Values of channels beyond those that a device may have.
    TooManyChannels,
}

impl Reason {
    /// The stable code, as in the dead-letter table and in metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Decode(error) => error.code(),
            Self::IdentityMismatch => "identity_mismatch",
            Self::TopicMismatch => "topic_mismatch",
            Self::Future => "future",
            Self::Refused => "refused",
            Self::BadBatch => "bad_batch",
            Self::Quarantined => "quarantined",
            Self::UnknownDevice => "unknown_device",
            Self::BadPayload => "bad_payload",
            Self::BadLine => "bad_line",
            Self::BadDevice => "bad_device",
            Self::UnknownMember => "unknown_member",
            Self::Unsupported => "unsupported",
            Self::UnknownAlias => "unknown_alias",
            Self::BadValue => "bad_value",
            Self::BadChannel => "bad_channel",
            Self::BadTime => "bad_time",
            Self::BadUnit => "bad_unit",
            Self::TooManyValues => "too_many_values",
            Self::TooManyChannels => "too_many_channels",
        }
    }

    /// All reasons that this version knows.
    pub fn all() -> impl Iterator<Item = Self> {
        let policy = [
            Self::IdentityMismatch,
            Self::TopicMismatch,
            Self::Future,
            Self::Refused,
            Self::BadBatch,
            Self::Quarantined,
            Self::UnknownDevice,
            Self::BadPayload,
            Self::BadLine,
            Self::BadDevice,
            Self::UnknownMember,
            Self::Unsupported,
            Self::UnknownAlias,
            Self::BadValue,
            Self::BadChannel,
            Self::BadTime,
            Self::BadUnit,
            Self::TooManyValues,
            Self::TooManyChannels,
        ];
        policy.into_iter().chain(DecodeError::ALL.into_iter().map(Self::Decode))
    }

    /// The reason of a code; `None` for a code this version does not know.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::all().find(|reason| reason.code() == code)
    }
}

/// Names one batch for ever: (worker, run, sequence) is unique in the books, so
/// that a repeated or doubtful commit is counted once. `run` is drawn at random
/// when the worker starts, so that a clock set back cannot repeat a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BatchKey {
    /// Which worker made the batch.
    pub worker: WorkerName,
    /// Which start of that worker.
    pub run: u64,
    /// Which batch of that start, from 1.
    pub sequence: u64,
}

/// What a parser counted in one minute of arrival and nowhere else: the pings.
/// All else of the books follows from the batch's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Minute of arrival: Unix seconds / 60.
    pub minute: u32,
    /// Pings received in that minute.
    pub pings: u32,
}

#[cfg(test)]
mod tests;
