//! The SFT9001 protocol: its frames out of bytes, with resynchronisation over rubbish,
//! and bytes out of them.
//!
//! A message is cut into frames and skipped stretches. What one frame looks like is in
//! `frame.rs`, the encoder in `encode.rs`.

mod encode;
mod frame;
mod text;
mod wire;

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

pub use encode::{encode_location, encode_ping, encode_ping_reply};
pub use text::normalise;

use crate::protocol::{
    Content, Field, FieldValue, Items, Normalised, Protocol, ProtocolFrame, Read, Source,
    content_hash,
};
use crate::{DeviceId, Identity, OptionalFields, Position};
use frame::{Rejected, frame};
use wire::{
    COMPOSITION_OFFSET, FOOTER, HEADER, HISTORICAL_HIGH_BIT, LONG_LOCATION_BYTES,
    SHORT_LOCATION_BYTES, TYPE_LOCATION, TYPE_PING, USUAL_PING_PAYLOAD,
};

/// The SFT9001 protocol. Its devices send whole messages; each frame bears its device's id.
#[derive(Clone, Copy, Debug)]
pub struct Sft9001;

/// One good frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A heartbeat that wants an answer.
    Ping {
        /// Who asks.
        device: DeviceId,
        /// What to send back, 0 to 32 bytes.
        payload: &'a [u8],
    },
    /// A location.
    Location(Position),
}

/// Iterates over all of `bytes`, allocating nothing; the items lie end to end
/// and cover every byte once.
///
/// Where no frame begins, bytes are skipped up to the next `50F7`, where the
/// next attempt is made. Neighbouring stretches with the same reason and the same
/// device are one item, so that a payload of headers alone is not thousands of
/// them. The work is linear in the length: each attempt looks at 40 bytes at
/// most, and at most twice at the same place.
pub fn frames(bytes: &[u8]) -> Items<'_, Sft9001> {
    Items::new((), Source::Message { topic: "" }, bytes, 0)
}

/// The content hash of a location frame.
pub fn frame_hash(frame: &[u8]) -> u64 {
    content_hash::<Sft9001>(frame)
}

impl Protocol for Sft9001 {
    const NAME: &'static str = "sft9001";
    const REST_ENDS_A_FRAME: bool = true;
    const FINDS_FRAMES_AGAIN: bool = true;

    type Session = ();
    type Frame<'a> = Frame<'a>;

    #[inline]
    fn read<'a>((): &mut (), source: Source<'_>, bytes: &'a [u8], _: u64) -> Read<Frame<'a>> {
        let is_stream = source == Source::Stream;
        if is_stream && !is_settled(bytes) {
            return Read::NeedMore;
        }
        match frame(bytes) {
            Ok((length, frame)) => Read::Frame { length, frame },
            Err(rejected) => match skipped_length(bytes, rejected, is_stream) {
                Some(length) => Read::Rejected {
                    length: without_half_header(bytes, length, is_stream),
                    identity: rejected.device.map(Identity::Number),
                    reason: rejected.reason,
                },
                None => Read::NeedMore,
            },
        }
    }

    /// All bytes but the historical bit, since a device repeats an unacknowledged live
    /// frame as a historical one.
    #[inline]
    fn covered(record: &[u8], hash: impl FnOnce(&[u8]) -> u64) -> u64 {
        let mut copy = [0_u8; LONG_LOCATION_BYTES];
        let Some(copy) = copy.get_mut(..record.len()) else { return hash(record) };
        copy.copy_from_slice(record);
        if let Some(byte) = copy.get_mut(COMPOSITION_OFFSET) {
            *byte &= !HISTORICAL_HIGH_BIT;
        }
        hash(copy)
    }

    fn normalise(payload: &[u8]) -> Normalised<'_> {
        normalise(payload)
    }

    fn write(position: &Position, out: &mut Vec<u8>) -> bool {
        let carried = position.device.number() <= DeviceId::MAX_SFT9001;
        if carried {
            encode_location(position, out);
        }
        carried
    }

    fn write_heartbeat(device: DeviceId, out: &mut Vec<u8>) {
        encode_ping(device, USUAL_PING_PAYLOAD, out);
    }

    fn mark_historical(frame: &mut [u8]) {
        if let Some(byte) = frame.get_mut(COMPOSITION_OFFSET) {
            *byte |= HISTORICAL_HIGH_BIT;
        }
    }
}

impl<'a> ProtocolFrame<'a> for Frame<'a> {
    fn kind(&self) -> &'static str {
        if self.is_heartbeat() { "ping" } else { "location" }
    }

    #[inline]
    fn identity(&self) -> Identity {
        Identity::Number(match self {
            Self::Ping { device, .. } => *device,
            Self::Location(position) => position.device,
        })
    }

    #[inline]
    fn is_heartbeat(&self) -> bool {
        matches!(self, Self::Ping { .. })
    }

    #[inline]
    fn records(&self, bytes: &'a [u8], _: DeviceId) -> impl Iterator<Item = Content<'a>> {
        let position = match self {
            Self::Ping { .. } => None,
            Self::Location(position) => Some(*position),
        };
        position
            .map(|position| Content::of_position(position, OptionalFields::NONE, bytes))
            .into_iter()
    }

    #[inline]
    fn reply(&self, out: &mut Vec<u8>) {
        if let Self::Ping { payload, .. } = self {
            encode_ping_reply(payload, out);
        }
    }

    fn fields(&self) -> Vec<Field> {
        fields(self)
    }
}

/// What is read of a frame and behind it to find its end: a ping with the longest payload, the
/// head that may follow, and some.
const SETTLED_BYTES: usize = 48;

/// Whether bytes that may come cannot change what the frame at the front is.
#[cold]
fn is_settled(bytes: &[u8]) -> bool {
    match bytes {
        _ if bytes.len() >= SETTLED_BYTES => true,
        [first] => *first != HEADER[0],
        [first, second, ..] if [*first, *second] != HEADER => true,
        [_, _, _, _, _, TYPE_PING, rest @ ..] => {
            rest.starts_with(USUAL_PING_PAYLOAD)
                && rest[USUAL_PING_PAYLOAD.len()..].starts_with(&FOOTER)
        }
        [_, _, _, _, _, TYPE_LOCATION, ..] => {
            let short = bytes.get(SHORT_LOCATION_BYTES).is_some_and(|next| *next != FOOTER[0]);
            bytes.len() >= LONG_LOCATION_BYTES || short && frame(bytes).is_ok()
        }
        [_, _, _, _, _, _, ..] => true,
        _ => false,
    }
}

/// The last byte on a connection may be the first of a header: it waits for the next.
fn without_half_header(bytes: &[u8], length: usize, is_stream: bool) -> usize {
    let to_the_end = is_stream && length == bytes.len() && length > 1;
    length - usize::from(to_the_end && bytes.last() == Some(&HEADER[0]))
}

/// A stretch of a connection that is longer ends at a header whatever follows it, so that
/// what waits is bounded.
const MAX_UNDECIDED_BYTES: usize = 1024;

/// How far a stretch goes that was rejected at the front of `bytes`: to the next
/// header where a frame begins or another rejection holds. `None` where bytes that
/// may come on a connection decide it.
#[cold]
fn skipped_length(bytes: &[u8], rejected: Rejected, is_stream: bool) -> Option<usize> {
    let mut length = 0;
    loop {
        length = next_header(bytes, length + 1);
        let rest = &bytes[length..];
        if is_stream && !rest.is_empty() && !is_settled(rest) {
            return (length >= MAX_UNDECIDED_BYTES).then_some(length);
        }
        if rest.is_empty() || frame(rest).err() != Some(rejected) {
            return Some(length);
        }
    }
}

/// Where the next header begins at `from` or later; the end if there is none.
fn next_header(bytes: &[u8], from: usize) -> usize {
    let found = bytes[from..].windows(HEADER.len()).position(|window| window == HEADER);
    found.map_or(bytes.len(), |position| from + position)
}

fn fields(frame: &Frame<'_>) -> Vec<Field> {
    let text = |length, name, value| Field { length, name, value: FieldValue::Text(value) };
    let device = frame.identity().to_string();
    let mut fields = Vec::from([
        text(2, "header", String::new()),
        text(3, "device", device),
        text(1, "type", frame.kind().to_owned()),
    ]);
    match frame {
        Frame::Ping { payload: [], .. } => {}
        Frame::Ping { payload, .. } => {
            fields.push(text(payload.len(), "payload", format!("\"{}\"", payload.escape_ascii())));
        }
        Frame::Location(position) => {
            let recorded_at = FieldValue::Moment(position.recorded_at);
            let direction = f64::from(position.direction_cdeg) / 100.0;
            let extension =
                position.extension.map(|bits| text(2, "extension", format!("{bits:04X}")));
            fields.push(Field { length: 4, name: "recorded at", value: recorded_at });
            fields.push(text(2, "direction", format!("{direction:.2} degrees")));
            fields.push(text(4, "odometer", format!("{} m", position.odometer_m)));
            fields.push(text(4, "hour meter", format!("{} min", position.hour_meter_min)));
            fields.push(text(2, "composition", composition(position)));
            fields.extend(extension);
            fields.push(text(1, "speed", format!("{} km/h", position.speed_kmh)));
            fields.push(text(4, "latitude", degrees(position.latitude_udeg)));
            fields.push(text(4, "longitude", degrees(position.longitude_udeg)));
        }
    }
    fields.push(text(2, "footer", String::new()));
    fields
}

fn composition(position: &Position) -> String {
    let bits = position.composition;
    let fix = if bits.gps_fix() { "GPS fix" } else { "no GPS fix" };
    let age = if bits.historical() { "historical" } else { "live" };
    let ignition = if bits.ignition() { "ignition on" } else { "ignition off" };
    format!("{fix}, {age}, {ignition}")
}

/// Six digits behind the point: every digit of the wire.
fn degrees(micro: i32) -> String {
    format!("{:.6}", f64::from(micro) / 1e6)
}

#[cfg(test)]
mod tests;
