//! GT06, which Concox, Jimi and many others speak over TCP.
//! `docs/protocols/gt06.md` describes it and holds the vectors.
//!
//! A device logs in with its IMEI. Login, heartbeat and the question for the time are answered
//! at once, everything else when it is durable. Fields are read as far as all dialects agree;
//! what is behind them is kept as it came.

mod content;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::checksum::crc16_x25;
use crate::cursor::{Cursor, bcd};
use crate::protocol::{
    CommandAnswer, Content, Field, FieldValue, Protocol, ProtocolFrame, Read, Source,
};
use crate::{DecodeError, DeviceId, Identity, Position};

/// Type, serial number and sum.
const SHORTEST: usize = 5;
/// A frame without a length goes up to its end mark, at most so far.
const LONGEST_WITHOUT_LENGTH: usize = 1024;
/// Longer frames of the long form are refused.
const LONGEST: usize = 16 * 1024;
const END: [u8; 2] = [0x0D, 0x0A];

const LOGIN: u8 = 0x01;
const TIME: u8 = 0x8A;
const ADDRESS: u8 = 0x2A;
const COMMAND: u8 = 0x80;
/// In front of a command and of its answer.
const NUMBER_BYTES: usize = 4;
/// What the length of a short frame leaves for a command: 255 without type, serial number and
/// sum, the inner length, the number and the language.
const LONGEST_COMMAND: usize = 255 - SHORTEST - 1 - NUMBER_BYTES - ENGLISH.len();
const ENGLISH: [u8; 2] = [0, 2];

/// GT06.
#[derive(Clone, Copy, Debug)]
pub struct Gt06;

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
pub struct Gt06Session {
    imei: Option<Arc<str>>,
    /// How far the device's clock is ahead of UTC, as its login says.
    ahead_s: i32,
    /// Commands so far: the number of each comes back with its answer.
    commands: u32,
    lost: Option<DecodeError>,
}

/// A frame.
#[derive(Clone, Debug)]
pub struct Gt06Frame<'a> {
    imei: Arc<str>,
    ahead_s: i32,
    now_ms: u64,
    kind: u8,
    /// Whether the length has two bytes.
    long: bool,
    content: &'a [u8],
    serial: u16,
}

impl Protocol for Gt06 {
    const NAME: &'static str = "gt06";

    type Session = Gt06Session;
    type Frame<'a> = Gt06Frame<'a>;

    fn read<'a>(
        session: &mut Gt06Session,
        _: Source<'_>,
        bytes: &'a [u8],
        now_ms: u64,
    ) -> Read<Gt06Frame<'a>> {
        let outcome = match session.lost {
            Some(reason) => Err(reason),
            None => frame(session, bytes, now_ms),
        };
        outcome.unwrap_or_else(|reason| {
            session.lost = Some(reason);
            rejected(session, bytes.len(), reason)
        })
    }

    /// All but what changes when a frame is sent again: whether it comes from memory, the
    /// serial number and the sum.
    fn covered(record: &[u8], hash: impl FnOnce(&[u8]) -> u64) -> u64 {
        hash(&content::covered(record))
    }

    /// Text in frame 80, under a number that the answer repeats.
    fn command(session: &mut Gt06Session, payload: &[u8], out: &mut Vec<u8>) -> Option<u64> {
        session.imei.as_ref()?;
        let is_text = payload.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        let length = u8::try_from(NUMBER_BYTES + payload.len()).ok()?;
        if !is_text || payload.len() > LONGEST_COMMAND {
            return None;
        }
        session.commands = session.commands.wrapping_add(1);
        let mut content = Vec::from([length]);
        content.extend(session.commands.to_be_bytes());
        content.extend(payload);
        content.extend(ENGLISH);
        let [.., high, low] = session.commands.to_be_bytes();
        write_frame(COMMAND, &content, u16::from_be_bytes([high, low]), out);
        Some(session.commands.into())
    }

    /// Only trackers write it.
    fn write(_: &Position, _: &mut Vec<u8>) -> bool {
        false
    }
}

fn rejected<'a>(session: &Gt06Session, length: usize, reason: DecodeError) -> Read<Gt06Frame<'a>> {
    Read::Rejected { length, identity: session.imei.as_ref().map(identity), reason }
}

fn identity(imei: &Arc<str>) -> Identity {
    Identity::Named { kind: "imei", name: Arc::clone(imei) }
}

/// An error means that nobody knows where the next frame begins.
fn frame<'a>(
    session: &mut Gt06Session,
    bytes: &'a [u8],
    now_ms: u64,
) -> Result<Read<Gt06Frame<'a>>, DecodeError> {
    let (long, head) = match bytes {
        [0x78, 0x78, ..] => (false, 3),
        [0x79, 0x79, ..] => (true, 4),
        [0x78 | 0x79] => return Ok(Read::NeedMore),
        _ => return Err(DecodeError::BadHeader),
    };
    let Some(length) = bytes.get(2..head) else { return Ok(Read::NeedMore) };
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length == 0 && !long {
        return without_length(session, bytes);
    }
    if length < SHORTEST {
        return Err(DecodeError::BadCount);
    }
    if length > LONGEST {
        return Err(DecodeError::Oversized);
    }
    let whole = head + length + END.len();
    let Some(frame) = bytes.get(..whole) else { return Ok(Read::NeedMore) };
    if !frame.ends_with(&END) {
        return Err(DecodeError::BadFooter);
    }
    let (covered, sum) = frame[2..whole - END.len()].split_at(head - 2 + length - 2);
    if Cursor(sum).u16() != Some(crc16_x25(covered)) {
        return Ok(rejected(session, whole, DecodeError::BadChecksum));
    }
    let (kind, content) = (frame[head], &frame[head + 1..head + length - 4]);
    let serial = Cursor(&frame[head + length - 4..]).u16().unwrap_or_default();
    if kind == LOGIN {
        log_in(session, content)?;
    }
    let imei = session.imei.clone().ok_or(DecodeError::NoIdentity)?;
    let frame = Gt06Frame { imei, ahead_s: session.ahead_s, now_ms, kind, long, content, serial };
    Ok(match content::check(&frame) {
        Ok(()) => Read::Frame { length: whole, frame },
        Err(reason) => rejected(session, whole, reason),
    })
}

/// Some watches send lists of WiFi networks without a length and a sum.
fn without_length<'a>(
    session: &Gt06Session,
    bytes: &'a [u8],
) -> Result<Read<Gt06Frame<'a>>, DecodeError> {
    let searched = bytes.get(..LONGEST_WITHOUT_LENGTH).unwrap_or(bytes);
    match searched.windows(END.len()).position(|window| window == END) {
        Some(end) => Ok(rejected(session, end + END.len(), DecodeError::UnknownType)),
        None if bytes.len() < LONGEST_WITHOUT_LENGTH => Ok(Read::NeedMore),
        None => Err(DecodeError::BadFooter),
    }
}

/// The IMEI, the device's type, and how far its clock is ahead of UTC.
fn log_in(session: &mut Gt06Session, content: &[u8]) -> Result<(), DecodeError> {
    let mut cursor = Cursor(content);
    let digits = cursor.take(8).and_then(bcd).ok_or(DecodeError::NoIdentity)?;
    let imei = digits.strip_prefix('0').unwrap_or(&digits);
    match &session.imei {
        Some(before) if **before != *imei => return Err(DecodeError::SecondIdentity),
        _ => session.imei = Some(imei.into()),
    }
    let zone = cursor.u16().and_then(|_| cursor.u16());
    session.ahead_s = zone.map(ahead_s).unwrap_or_default();
    Ok(())
}

/// Hours times 100 and minutes above four bits, of which one says that it is west.
fn ahead_s(zone: u16) -> i32 {
    let hundreds = i32::from(zone >> 4);
    let (hours, minutes) = (hundreds / 100, hundreds % 100);
    if hours > 14 || minutes >= 60 {
        return 0;
    }
    let ahead = hours * 3600 + minutes * 60;
    if zone & 8 == 0 { ahead } else { -ahead }
}

impl Gt06Frame<'_> {
    fn answer(&self, content: &[u8], out: &mut Vec<u8>) {
        let kind = if self.kind == ADDRESS { 0x97 } else { self.kind };
        write_frame(kind, content, self.serial, out);
    }
}

impl Gt06 {
    /// A short packet with its length, number and check sum, as devices and servers write it.
    /// `content` has at most 250 bytes.
    pub fn packet(kind: u8, content: &[u8], serial: u16) -> Vec<u8> {
        let mut out = Vec::new();
        write_frame(kind, content, serial, &mut out);
        out
    }
}

/// A short frame; what it holds fits.
fn write_frame(kind: u8, content: &[u8], serial: u16, out: &mut Vec<u8>) {
    let length = u8::try_from(content.len() + SHORTEST).unwrap_or(u8::MAX);
    let mut frame = Vec::from([length, kind]);
    frame.extend(content);
    frame.extend(serial.to_be_bytes());
    let sum = crc16_x25(&frame);
    out.extend([0x78, 0x78]);
    out.extend(frame);
    out.extend(sum.to_be_bytes());
    out.extend(END);
}

impl<'a> ProtocolFrame<'a> for Gt06Frame<'a> {
    fn kind(&self) -> &'static str {
        content::kind(self.kind)
    }

    fn identity(&self) -> Identity {
        identity(&self.imei)
    }

    fn is_heartbeat(&self) -> bool {
        matches!(self.kind, LOGIN | TIME | ADDRESS)
    }

    fn records(&self, bytes: &'a [u8], device: DeviceId) -> impl Iterator<Item = Content<'a>> {
        let telling = (!self.is_heartbeat()).then(|| content::telling(self));
        telling.into_iter().map(move |telling| telling.content(device, 0, bytes))
    }

    fn reply(&self, out: &mut Vec<u8>) {
        match self.kind {
            LOGIN => self.answer(&[], out),
            kind if content::is_status(kind) => self.answer(&[], out),
            TIME => self.answer(&content::six_bytes(self.now_ms), out),
            // Nobody looks addresses up; the device is told so rather than left to wait.
            ADDRESS => self.answer(b"\x00\x00\x00\x01NA&&NA&&0##", out),
            _ => {}
        }
    }

    fn acknowledgement(&self, out: &mut Vec<u8>) {
        let by_reply = self.is_heartbeat() || content::is_status(self.kind);
        if !by_reply && !matches!(self.kind, 0x15 | 0x21 | 0x80..=0x82) {
            self.answer(&[], out);
        }
    }

    fn answer(&self) -> Option<CommandAnswer> {
        let (number, bytes) = content::answer(self)?;
        Some(CommandAnswer { key: number.into(), bytes, is_refusal: false })
    }

    fn fields(&self) -> Vec<Field> {
        let text = |length, name, value| Field { length, name, value: FieldValue::Text(value) };
        let mut fields = Vec::from([
            text(2, "header", String::new()),
            text(if self.long { 2 } else { 1 }, "length", String::new()),
            text(1, "type", format!("{:02X} {}", self.kind, self.kind())),
        ]);
        fields.extend(content::fields(self));
        fields.extend([
            text(2, "serial", self.serial.to_string()),
            text(2, "sum", String::new()),
            text(2, "footer", String::new()),
        ]);
        fields
    }
}
