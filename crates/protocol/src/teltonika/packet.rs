//! What is in a packet: records, or text.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::avl::{Avl, Layout};
use crate::checksum::crc16_arc;
use crate::cursor::{Cursor, bcd};
use crate::protocol::{CommandAnswer, Field, FieldValue};
use crate::telling::{Telling, text_or_hex};
use crate::{DecodeError, Value};

/// Preamble and length.
pub(super) const HEAD_BYTES: usize = 8;
/// Codec, and the two counts.
const SHORTEST_BODY: usize = 3;
/// Longer ones are refused. Devices send up to 1280 bytes, some a little more.
const LONGEST_BODY: usize = 64 * 1024;

/// What a packet holds.
#[derive(Clone, Debug)]
pub(super) enum Body<'a> {
    /// Records of a device, in any order.
    Records { layout: Layout, count: u8, records: &'a [u8] },
    /// What a device answers to a command, or passes on from its serial port.
    Text { codec: u8, kind: u8, at: Option<Stamp>, all: &'a [u8], head: usize },
}

/// When a text was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    at_ms: u64,
    bytes: usize,
}

impl Stamp {
    /// Seconds in four bytes, or milliseconds in eight: those of this century begin with what
    /// would be the first minutes of 1970.
    fn take(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut copy = *cursor;
        let at_s = copy.u32()?;
        if at_s > 0xFFFF {
            *cursor = copy;
            return Some(Self { at_ms: u64::from(at_s) * 1000, bytes: 4 });
        }
        Some(Self { at_ms: cursor.u64()?, bytes: 8 })
    }
}

/// How long the packet is that begins so.
pub(super) fn whole_length(head: &[u8]) -> Result<usize, DecodeError> {
    let length = head.get(4..).and_then(|length| Cursor(length).u32()).unwrap_or_default();
    match usize::try_from(length) {
        Ok(length @ SHORTEST_BODY..=LONGEST_BODY) => Ok(HEAD_BYTES + length + 4),
        Ok(..SHORTEST_BODY) => Err(DecodeError::BadHeader),
        _ => Err(DecodeError::Oversized),
    }
}

/// From the codec to the second count.
pub(super) fn body(bytes: &[u8]) -> Result<Body<'_>, DecodeError> {
    let mut cursor = Cursor(bytes);
    let codec = cursor.u8().ok_or(DecodeError::BadCount)?;
    let count = cursor.u8().ok_or(DecodeError::BadCount)?;
    if let Some(layout) = Layout::of(codec) {
        let behind = cursor.0;
        for _ in 0..count {
            Avl::take(&mut cursor, layout).ok_or(DecodeError::BadCount)?;
        }
        if cursor.0 != [count] {
            return Err(DecodeError::BadCount);
        }
        return Ok(Body::Records { layout, count, records: &behind[..behind.len() - 1] });
    }
    text(codec, count, bytes).unwrap_or(Err(DecodeError::BadCount))
}

/// A command's answer. `None` when its counts do not fit.
fn text(codec: u8, count: u8, bytes: &[u8]) -> Option<Result<Body<'_>, DecodeError>> {
    let mut cursor = Cursor(bytes.get(2..)?);
    if !matches!(codec, 0x0C..=0x0F) {
        return Some(Err(DecodeError::UnknownType));
    }
    let kind = cursor.u8()?;
    let size = usize::try_from(cursor.u32()?).ok()?;
    let (timed, with_imei) = (matches!(codec, 0x0D | 0x0F), matches!(codec, 0x0E | 0x0F));
    let content = cursor.0.get(..cursor.0.len().checked_sub(1)?)?;
    if count != 1 || cursor.0.last() != Some(&1) || content.len() != size {
        return None;
    }
    let mut cursor = Cursor(content);
    let at = if timed { Some(Stamp::take(&mut cursor)?) } else { None };
    if with_imei {
        bcd(cursor.take(8)?)?;
    }
    let head = bytes.len() - 1 - cursor.0.len();
    Some(Ok(Body::Text { codec, kind, at, all: bytes, head }))
}

impl<'a> Body<'a> {
    /// The records with their own bytes.
    pub(super) fn tellings(&self) -> impl Iterator<Item = (&'a [u8], Telling)> {
        let (layout, mut rest) = match self {
            Self::Records { layout, records, .. } => (Some(*layout), Cursor(records)),
            Self::Text { .. } => (None, Cursor(&[])),
        };
        let records = core::iter::from_fn(move || {
            let before = rest.0;
            let avl = Avl::take(&mut rest, layout?)?;
            Some((&before[..before.len() - rest.0.len()], avl.telling()))
        });
        records.chain(self.text_telling())
    }

    fn text_telling(&self) -> Option<(&'a [u8], Telling)> {
        let Self::Text { codec, kind, at, all, head } = self else { return None };
        let mut telling = at.map_or_else(Telling::arrived, |at| Telling::at(at.at_ms));
        let shown = text_or_hex(all.get(*head..all.len() - 1)?);
        let name = if *kind == 0x11 { "command.refused" } else { "command.answer" };
        telling.own(name.into(), Value::Text(shown.into()));
        telling.own("codec".into(), Value::Integer((*codec).into()));
        Some((all, telling))
    }
}

/// The codec of commands and their answers, the kinds of both, and of a refusal.
const TEXT: u8 = 0x0C;
const TEXT_WITH_IMEI: u8 = 0x0E;
const COMMAND: u8 = 5;
const ANSWER: u8 = 6;
const REFUSAL: u8 = 0x11;

impl Body<'_> {
    /// What it answers to a command. Text of the other codecs comes from a serial port.
    pub(super) fn answer(&self) -> Option<CommandAnswer> {
        let Self::Text { codec: TEXT | TEXT_WITH_IMEI, kind, all, head, .. } = self else {
            return None;
        };
        let is_refusal = *kind == REFUSAL;
        let bytes = all.get(*head..all.len() - 1)?.to_vec();
        (is_refusal || *kind == ANSWER).then_some(CommandAnswer { key: 0, bytes, is_refusal })
    }
}

/// A packet with a command; `None` when it is too long.
pub(super) fn command(payload: &[u8]) -> Option<Vec<u8>> {
    let mut covered = Vec::from([TEXT, 1, COMMAND]);
    covered.extend(u32::try_from(payload.len()).ok()?.to_be_bytes());
    covered.extend(payload);
    covered.push(1);
    if covered.len() > LONGEST_BODY {
        return None;
    }
    let mut packet = Vec::from([0; 4]);
    packet.extend(u32::try_from(covered.len()).ok()?.to_be_bytes());
    let sum = u32::from(crc16_arc(&covered));
    packet.extend(covered);
    packet.extend(sum.to_be_bytes());
    Some(packet)
}

/// The body's bytes field by field.
pub(super) fn body_fields(body: &Body<'_>, fields: &mut Vec<Field>) {
    let mut push = |length, name, value| {
        fields.push(Field { length, name, value: FieldValue::Text(value) });
    };
    match body {
        Body::Records { layout, count, records } => {
            push(1, "codec", layout.name().to_string());
            push(1, "records", count.to_string());
            let mut cursor = Cursor(records);
            while !cursor.0.is_empty() && layout.fields(&mut cursor, &mut push).is_some() {}
            push(1, "records", count.to_string());
        }
        Body::Text { codec, kind, at, all, head } => {
            let payload = all.get(*head..all.len() - 1).unwrap_or_default();
            push(1, "codec", (*codec).to_string());
            push(1, "count", String::new());
            push(1, "type", format!("{kind:02X}"));
            push(4, "size", String::new());
            if let Some(Stamp { at_ms, bytes }) = at {
                push(*bytes, "recorded at", format!("{at_ms} ms since 1970"));
            }
            if matches!(codec, 0x0E | 0x0F) {
                let imei = all.get(head - 8..*head).and_then(bcd);
                push(8, "imei", imei.unwrap_or_default());
            }
            push(payload.len(), "text", text_or_hex(payload));
            push(1, "count", String::new());
        }
    }
}

/// The packet of some records in codec 8 extended, as a device sends it.
pub(super) fn packet_of(records: &[Vec<u8>]) -> Vec<u8> {
    let count = u8::try_from(records.len()).unwrap_or(u8::MAX);
    let mut body = Vec::from([0x8E, count]);
    records.iter().take(count.into()).for_each(|record| body.extend(record));
    body.push(count);
    let mut packet = Vec::from([0; 4]);
    packet.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    packet.extend(&body);
    packet.extend(u32::from(crc16_arc(&body)).to_be_bytes());
    packet
}
