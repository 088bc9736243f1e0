//! What a device protocol is: how bytes are divided into frames, what of a frame is
//! kept, what is answered at once, and what only when all of it is durable.
//!
//! Pure: a protocol is given what its session knows, where the bytes come from, the
//! bytes and the time. Whose frames are accepted is decided by whoever walks them
//! ([`Items`]). `crates/protocol/tests/packets.rs` has a small protocol.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{DecodeError, DeviceId, Identity, OptionalField, OptionalFields, Position, Reading};

/// Where bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A message, whole: what its end cuts off is not a frame.
    Message {
        /// The topic that it was published on.
        topic: &'a str,
    },
    /// A connection: more bytes may come.
    Stream,
}

/// What stands at the front of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<F> {
    /// A good frame.
    Frame {
        /// How many bytes it has.
        length: usize,
        /// What they say.
        frame: F,
    },
    /// A stretch that is no frame.
    Rejected {
        /// How many bytes it has, at least one.
        length: usize,
        /// Whose, if that is known.
        identity: Option<Identity>,
        /// Why.
        reason: DecodeError,
    },
    /// The beginning of a frame, whose end may still come.
    NeedMore,
}

/// A device protocol.
pub trait Protocol: 'static {
    /// What it is called in settings and metrics.
    const NAME: &'static str;

    /// Whether the length of a frame may depend on what follows it, so that one at the end of
    /// what was sent on a connection is whole when nothing follows for a while.
    const REST_ENDS_A_FRAME: bool = false;

    /// Whether frames are found again behind bytes that are none. Otherwise a connection with
    /// such bytes cannot go on.
    const FINDS_FRAMES_AGAIN: bool = false;

    /// What is known of a source from what it sent before, such as who it is.
    type Session: Default + Send;
    /// A frame.
    type Frame<'a>: ProtocolFrame<'a>;

    /// Reads the front of some bytes, at least one. The work is linear in the
    /// length that is used, and a frame's length is bounded.
    fn read<'a>(
        session: &mut Self::Session,
        source: Source<'_>,
        bytes: &'a [u8],
        now_ms: u64,
    ) -> Read<Self::Frame<'a>>;

    /// Hands the bytes that tell a record from others, and that are the same when it is
    /// sent again, to `hash`. All of the record's by default.
    fn covered(record: &[u8], hash: impl FnOnce(&[u8]) -> u64) -> u64 {
        hash(record)
    }

    /// Brings a message into raw bytes; as it is by default.
    fn normalise(payload: &[u8]) -> Normalised<'_> {
        Normalised { form: Form::Raw, bytes: Cow::Borrowed(payload), unreadable: None }
    }

    /// Appends the frame that a device sends for a position. False when this protocol
    /// cannot say it; then nothing is appended.
    fn write(position: &Position, out: &mut Vec<u8>) -> bool;

    /// Appends the bytes of a command to the device of a connection, and returns by what its
    /// answer is known. `None`, and nothing appended, when this protocol has no commands or
    /// cannot say this one.
    fn command(
        _session: &mut Self::Session,
        _payload: &[u8],
        _out: &mut Vec<u8>,
    ) -> Option<CommandKey> {
        None
    }

    /// Appends the frame by which a device says that it is there; nothing by default.
    fn write_heartbeat(_device: DeviceId, _out: &mut Vec<u8>) {}

    /// Marks a frame with a record as sent from the device's memory, where the protocol
    /// has such a mark.
    fn mark_historical(_frame: &mut [u8]) {}
}

/// The hash of a record's content (XXH3, 64 bits) over the bytes that its protocol
/// names. Stable: it is part of the table's key.
#[inline]
pub fn content_hash<P: Protocol>(record: &[u8]) -> u64 {
    P::covered(record, xxhash_rust::xxh3::xxh3_64)
}

/// A good frame.
pub trait ProtocolFrame<'a> {
    /// What it is called, for example `location`.
    fn kind(&self) -> &'static str;

    /// Who sent it.
    fn identity(&self) -> Identity;

    /// Whether it says that the device is there, and nothing else. Such frames are
    /// counted.
    fn is_heartbeat(&self) -> bool;

    /// What is kept of it, in order. `bytes` are the frame's, and `device` is the number
    /// of its identity, or [`DeviceId::NONE`] while it has none.
    fn records(&self, bytes: &'a [u8], device: DeviceId) -> impl Iterator<Item = Content<'a>>;

    /// Appends what is answered at once; nothing by default.
    fn reply(&self, _out: &mut Vec<u8>) {}

    /// Appends what is answered when all records of the frame are durable, however many
    /// they are; nothing by default. Not called for messages over MQTT, which are
    /// acknowledged by the broker.
    fn acknowledgement(&self, _out: &mut Vec<u8>) {}

    /// What it answers to a command, if it does; nothing by default.
    fn answer(&self) -> Option<CommandAnswer> {
        None
    }

    /// Its bytes field by field, end to end.
    fn fields(&self) -> Vec<Field>;
}

/// Tells the commands of a connection apart by what their answers repeat of them; 0 where they
/// repeat nothing.
pub type CommandKey = u64;

/// What a device answers to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandAnswer {
    /// Which command it answers.
    pub key: CommandKey,
    /// Its words.
    pub bytes: Vec<u8>,
    /// Whether it says that the command was not for it.
    pub is_refusal: bool,
}

/// One record of a frame: a position, values of channels, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// When, Unix milliseconds by the device's clock; `None` when it does not say. A
    /// position's `recorded_at` is the second of it.
    pub recorded_at_ms: Option<u64>,
    /// Where the device was, if the record says so ([`crate::Whereabouts`] makes one of what
    /// a tracker says).
    pub position: Option<Position>,
    /// What it says of the place beyond that.
    pub optional: OptionalFields,
    /// Values of channels, as [`crate::in_order`] puts them; none as a rule.
    pub readings: Vec<Reading>,
    /// Where it begins in the frame.
    pub offset: usize,
    /// Its own bytes.
    pub bytes: &'a [u8],
}

impl<'a> Content<'a> {
    /// A position alone, which is all of a frame.
    #[inline]
    pub fn of_position(position: Position, optional: OptionalFields, bytes: &'a [u8]) -> Self {
        let part =
            optional.get(OptionalField::RecordedMs).and_then(|part| u64::try_from(part).ok());
        Self {
            recorded_at_ms: Some(u64::from(position.recorded_at) * 1000 + part.unwrap_or(0)),
            position: Some(position),
            optional,
            readings: Vec::new(),
            offset: 0,
            bytes,
        }
    }
}

/// One field of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// How many bytes it has.
    pub length: usize,
    /// What it is called.
    pub name: &'static str,
    /// What it says.
    pub value: FieldValue,
}

/// What a field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// In words, with its unit; empty when the name says it all.
    Text(String),
    /// Unix seconds.
    Moment(u32),
}

/// What to send to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Whose frame it answers.
    pub device: DeviceId,
    /// The bytes, in the form of the question.
    pub payload: Vec<u8>,
}

/// In which form a payload came; it is answered in the form of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Raw bytes.
    Raw,
    /// Hex digits of either case, white space between them allowed.
    Hex,
}

/// A payload as raw bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised<'a> {
    /// The form it came in.
    pub form: Form,
    /// The bytes; borrowed when they came raw.
    pub bytes: Cow<'a, [u8]>,
    /// Text behind the last whole hex pair that could not be read, as it came
    /// (reason `bad_hex`), with its offset in the payload.
    pub unreadable: Option<(usize, &'a [u8])>,
}

/// One stretch of some bytes, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a, F> {
    /// A good frame and the bytes it was read from.
    Frame {
        /// Where it begins in the raw bytes.
        offset: usize,
        /// The frame's raw bytes.
        bytes: &'a [u8],
        /// The decoded frame.
        frame: F,
    },
    /// Bytes that are no frame.
    Skipped {
        /// Where the stretch begins in the raw bytes.
        offset: usize,
        /// The skipped bytes.
        bytes: &'a [u8],
        /// Whose, if that is known.
        identity: Option<Identity>,
        /// Why.
        reason: DecodeError,
    },
}

/// Walks bytes from front to back, allocating nothing. The items lie end to end and
/// cover every byte of a message once; of a stream every byte but the beginning of a
/// frame at its end ([`Items::end`]).
#[derive(Clone, Debug)]
pub struct Items<'a, P: Protocol> {
    session: P::Session,
    source: Source<'a>,
    rest: &'a [u8],
    offset: usize,
    now_ms: u64,
}

impl<'a, P: Protocol> Items<'a, P> {
    /// Begins with what was known after the bytes before.
    pub const fn new(
        session: P::Session,
        source: Source<'a>,
        bytes: &'a [u8],
        now_ms: u64,
    ) -> Self {
        Self { session, source, rest: bytes, offset: 0, now_ms }
    }

    /// What is known now, and the bytes that were not used: they come again, in front of
    /// those that follow.
    pub fn end(self) -> (P::Session, &'a [u8]) {
        (self.session, self.rest)
    }

    /// Takes `length` bytes off the front and says where they stood.
    #[inline]
    fn take(&mut self, length: usize) -> (usize, &'a [u8]) {
        let (bytes, rest) = self.rest.split_at(length);
        let offset = self.offset;
        self.rest = rest;
        self.offset += length;
        (offset, bytes)
    }
}

impl<'a, P: Protocol> Iterator for Items<'a, P> {
    type Item = Item<'a, P::Frame<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (length, identity, reason) =
            match P::read(&mut self.session, self.source, self.rest, self.now_ms) {
                Read::Frame { length, frame } => {
                    let (offset, bytes) = self.take(length);
                    return Some(Item::Frame { offset, bytes, frame });
                }
                Read::Rejected { length, identity, reason } => (length, identity, reason),
                Read::NeedMore if self.source == Source::Stream => return None,
                Read::NeedMore => (self.rest.len(), None, DecodeError::Truncated),
            };
        let (offset, bytes) = self.take(length);
        Some(Item::Skipped { offset, bytes, identity, reason })
    }
}

impl<P: Protocol> core::iter::FusedIterator for Items<'_, P> {}
