//! Teltonika's protocol over TCP and UDP: codec 8, 8 extended and 16 with records, and 12,
//! 13, 14 and 15 with text. `docs/protocols/teltonika.md` describes it and holds the vectors.
//!
//! Over TCP a device says its IMEI first. A packet is acknowledged by the number of its
//! records, when all of them are durable; a device deletes them then.

mod avl;
mod names;
mod packet;

use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::avl::Avl;
use self::packet::{Body, HEAD_BYTES, body, body_fields, whole_length};
use crate::checksum::crc16_arc;
use crate::cursor::Cursor;
use crate::protocol::{
    CommandAnswer, Content, Field, FieldValue, Protocol, ProtocolFrame, Read, Source,
};
use crate::{DecodeError, DeviceId, Identity, Position};

/// An IMEI has 15 digits; kinds of it have up to two more or one less.
const IMEI_DIGITS: core::ops::RangeInclusive<usize> = 14..=17;

/// Teltonika's protocol.
#[derive(Clone, Copy, Debug)]
pub struct Teltonika;

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
pub struct TeltonikaSession {
    imei: Option<Arc<str>>,
    /// Where frames begin is not known any more.
    lost: Option<DecodeError>,
}

/// A frame.
#[derive(Clone, Debug)]
pub struct TeltonikaFrame<'a> {
    imei: Arc<str>,
    what: What<'a>,
}

#[derive(Clone, Debug)]
enum What<'a> {
    /// The IMEI, which begins a connection.
    Hello,
    /// A byte that says that the connection is alive.
    Alive,
    /// A packet over TCP.
    Packet { body: Body<'a> },
    /// A packet over UDP.
    Datagram { body: Body<'a>, packet: u16, avl_packet: u8 },
}

impl Protocol for Teltonika {
    const NAME: &'static str = "teltonika";

    type Session = TeltonikaSession;
    type Frame<'a> = TeltonikaFrame<'a>;

    fn read<'a>(
        session: &mut TeltonikaSession,
        source: Source<'_>,
        bytes: &'a [u8],
        _: u64,
    ) -> Read<TeltonikaFrame<'a>> {
        if let Some(reason) = session.lost {
            return rejected(session, bytes.len(), reason);
        }
        if let Source::Message { topic } = source {
            if let Some(frame) = datagram(bytes) {
                return frame;
            }
            if session.imei.is_none() {
                session.imei = topic.split('/').find(|level| is_imei(level)).map(Arc::from);
            }
        }
        let outcome = match bytes {
            [0xFF, ..] => match &session.imei {
                Some(imei) => {
                    let frame = TeltonikaFrame { imei: Arc::clone(imei), what: What::Alive };
                    return Read::Frame { length: 1, frame };
                }
                None => Err(DecodeError::NoIdentity),
            },
            [0, 0, rest @ ..] => packet(session, bytes, rest),
            [_, _, ..] => hello(session, bytes),
            _ => return Read::NeedMore,
        };
        match outcome {
            Ok(read) => read,
            Err(reason) => {
                session.lost = Some(reason);
                rejected(session, bytes.len(), reason)
            }
        }
    }

    /// Text in codec 12. Its answers repeat nothing of it.
    fn command(session: &mut TeltonikaSession, payload: &[u8], out: &mut Vec<u8>) -> Option<u64> {
        session.imei.as_ref()?;
        out.extend(packet::command(payload)?);
        Some(0)
    }

    fn write(position: &Position, out: &mut Vec<u8>) -> bool {
        let record = Avl::of_position(position);
        out.extend(packet::packet_of(&[record]));
        true
    }
}

fn rejected<'a>(
    session: &TeltonikaSession,
    length: usize,
    reason: DecodeError,
) -> Read<TeltonikaFrame<'a>> {
    Read::Rejected { length, identity: session.imei.as_ref().map(identity), reason }
}

fn identity(imei: &Arc<str>) -> Identity {
    Identity::Named { kind: "imei", name: Arc::clone(imei) }
}

fn is_imei(text: &str) -> bool {
    IMEI_DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A length and as many digits. What comes behind what is none cannot be found.
fn hello<'a>(
    session: &mut TeltonikaSession,
    bytes: &'a [u8],
) -> Result<Read<TeltonikaFrame<'a>>, DecodeError> {
    let mut cursor = Cursor(bytes);
    let length = usize::from(cursor.u16().unwrap_or_default());
    if !IMEI_DIGITS.contains(&length) {
        return Err(DecodeError::BadHeader);
    }
    let Some(digits) = cursor.take(length) else { return Ok(Read::NeedMore) };
    let imei = core::str::from_utf8(digits).ok().filter(|digits| is_imei(digits));
    let imei = imei.ok_or(DecodeError::NoIdentity)?;
    match &session.imei {
        Some(before) if **before != *imei => Err(DecodeError::SecondIdentity),
        _ => {
            let imei: Arc<str> = imei.into();
            session.imei = Some(Arc::clone(&imei));
            let frame = TeltonikaFrame { imei, what: What::Hello };
            Ok(Read::Frame { length: 2 + length, frame })
        }
    }
}

/// Four bytes of zero, a length, the body, and its sum.
fn packet<'a>(
    session: &TeltonikaSession,
    bytes: &'a [u8],
    behind_zeros: &[u8],
) -> Result<Read<TeltonikaFrame<'a>>, DecodeError> {
    if behind_zeros.iter().take(2).any(|byte| *byte != 0) {
        return Err(DecodeError::BadHeader);
    }
    let Some(head) = bytes.get(..HEAD_BYTES) else { return Ok(Read::NeedMore) };
    let whole = whole_length(head)?;
    let Some(packet) = bytes.get(..whole) else { return Ok(Read::NeedMore) };
    let imei = session.imei.as_ref().ok_or(DecodeError::NoIdentity)?;
    let (covered, sum) = packet[HEAD_BYTES..].split_at(whole - HEAD_BYTES - 4);
    let body = if Cursor(sum).u32() == Some(crc16_arc(covered).into()) {
        body(covered)
    } else {
        Err(DecodeError::BadChecksum)
    };
    Ok(match body {
        Ok(body) => {
            let what = What::Packet { body };
            Read::Frame { length: whole, frame: TeltonikaFrame { imei: Arc::clone(imei), what } }
        }
        Err(reason) => rejected(session, whole, reason),
    })
}

/// A datagram is whole, and says itself whose it is. `None` when the bytes are none.
fn datagram(bytes: &[u8]) -> Option<Read<TeltonikaFrame<'_>>> {
    let mut cursor = Cursor(bytes);
    let length = cursor.u16()?;
    let packet = cursor.u16()?;
    let kind = cursor.u8()?;
    let avl_packet = cursor.u8()?;
    let digits = usize::from(cursor.u16()?);
    if usize::from(length) != bytes.len() - 2 || kind != 1 || !IMEI_DIGITS.contains(&digits) {
        return None;
    }
    let imei = core::str::from_utf8(cursor.take(digits)?).ok().filter(|imei| is_imei(imei))?;
    let imei: Arc<str> = imei.into();
    Some(match body(cursor.0) {
        Ok(body) => {
            let what = What::Datagram { body, packet, avl_packet };
            Read::Frame { length: bytes.len(), frame: TeltonikaFrame { imei, what } }
        }
        Err(reason) => {
            Read::Rejected { length: bytes.len(), identity: Some(identity(&imei)), reason }
        }
    })
}

impl<'a> TeltonikaFrame<'a> {
    const fn body(&self) -> Option<&Body<'a>> {
        match &self.what {
            What::Hello | What::Alive => None,
            What::Packet { body } | What::Datagram { body, .. } => Some(body),
        }
    }
}

impl<'a> ProtocolFrame<'a> for TeltonikaFrame<'a> {
    fn kind(&self) -> &'static str {
        match self.body() {
            None if matches!(self.what, What::Hello) => "hello",
            None => "alive",
            Some(Body::Records { .. }) => "records",
            Some(Body::Text { .. }) => "text",
        }
    }

    fn identity(&self) -> Identity {
        identity(&self.imei)
    }

    fn is_heartbeat(&self) -> bool {
        self.body().is_none()
    }

    fn records(&self, bytes: &'a [u8], device: DeviceId) -> impl Iterator<Item = Content<'a>> {
        let tellings = self.body().map(Body::tellings);
        let at = bytes.as_ptr().addr();
        tellings.into_iter().flatten().map(move |(own, telling)| {
            telling.content(device, own.as_ptr().addr().saturating_sub(at), own)
        })
    }

    fn reply(&self, out: &mut Vec<u8>) {
        if matches!(self.what, What::Hello) {
            out.push(1);
        }
    }

    /// The number of records. Text is answered by nothing.
    fn acknowledgement(&self, out: &mut Vec<u8>) {
        match &self.what {
            What::Packet { body: Body::Records { count, .. }, .. } => {
                out.extend(u32::from(*count).to_be_bytes());
            }
            What::Datagram { body: Body::Records { count, .. }, packet, avl_packet, .. } => {
                out.extend([0, 5]);
                out.extend(packet.to_be_bytes());
                out.extend([1, *avl_packet, *count]);
            }
            _ => {}
        }
    }

    fn answer(&self) -> Option<CommandAnswer> {
        self.body().and_then(Body::answer)
    }

    fn fields(&self) -> Vec<Field> {
        let text = |length, name, value| Field { length, name, value: FieldValue::Text(value) };
        let imei = self.imei.to_string();
        let empty = alloc::string::String::new;
        match &self.what {
            What::Hello => {
                Vec::from([text(2, "length", empty()), text(self.imei.len(), "imei", imei)])
            }
            What::Alive => Vec::from([text(1, "alive", empty())]),
            What::Packet { body, .. } => {
                let mut fields =
                    Vec::from([text(4, "preamble", empty()), text(4, "length", empty())]);
                body_fields(body, &mut fields);
                fields.push(text(4, "sum", empty()));
                fields
            }
            What::Datagram { body, packet, avl_packet, .. } => {
                let mut fields = Vec::from([
                    text(2, "length", empty()),
                    text(2, "packet", packet.to_string()),
                    text(1, "type", empty()),
                    text(1, "AVL packet", avl_packet.to_string()),
                    text(2, "length", empty()),
                    text(self.imei.len(), "imei", imei),
                ]);
                body_fields(body, &mut fields);
                fields
            }
        }
    }
}
