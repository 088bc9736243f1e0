//! Queclink's @Track protocol in its form of text, over TCP and UDP.
//! `docs/protocols/queclink.md` describes it and holds the vectors.
//!
//! A line is a report, `+RESP:` when it is live and `+BUFF:` when it comes from memory. It is
//! acknowledged by its count number, when all of it is durable; a heartbeat is answered at once.

mod report;

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::report::{Report, covered};
use crate::protocol::{
    CommandAnswer, Content, Field, FieldValue, Protocol, ProtocolFrame, Read, Source,
};
use crate::{DecodeError, DeviceId, Identity, Position};

/// Longer lines are refused: a report of 15 positions has some 1500 bytes.
const LONGEST: usize = 8 * 1024;

/// Queclink's @Track protocol.
#[derive(Clone, Copy, Debug)]
pub struct Queclink;

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
pub struct QueclinkSession {
    id: Option<Arc<str>>,
    lost: Option<DecodeError>,
}

/// A line.
#[derive(Clone, Debug)]
pub struct QueclinkFrame<'a> {
    identity: Identity,
    report: Report<'a>,
    /// Bytes in front of it and behind it.
    around: (usize, usize),
}

impl Protocol for Queclink {
    const NAME: &'static str = "queclink";

    type Session = QueclinkSession;
    type Frame<'a> = QueclinkFrame<'a>;

    fn read<'a>(
        session: &mut QueclinkSession,
        source: Source<'_>,
        bytes: &'a [u8],
        _: u64,
    ) -> Read<QueclinkFrame<'a>> {
        let outcome = match session.lost {
            Some(reason) => Err(reason),
            None => line(session, source, bytes),
        };
        outcome.unwrap_or_else(|reason| {
            session.lost = Some(reason);
            Read::Rejected { length: bytes.len(), identity: None, reason }
        })
    }

    /// All but what changes when a line is sent again: whether it comes from memory, when it
    /// was sent, and its count number.
    fn covered(record: &[u8], hash: impl FnOnce(&[u8]) -> u64) -> u64 {
        hash(covered(record))
    }

    /// A line as Queclink writes it, `AT+GTRTO=gv300,4,,,,,,FFFF$`: the user says it all, the
    /// password included. Its answer repeats the word and the serial number.
    fn command(session: &mut QueclinkSession, payload: &[u8], out: &mut Vec<u8>) -> Option<u64> {
        session.id.as_ref()?;
        let line = core::str::from_utf8(payload).ok()?.trim();
        let inside = line.strip_prefix("AT+")?.strip_suffix('$')?;
        let (word, fields) = inside.split_once('=')?;
        let serial = fields.rsplit(',').next()?;
        let is_line = line.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
            && !inside.contains('$')
            && word.starts_with("GT");
        if !is_line {
            return None;
        }
        out.extend(line.as_bytes());
        Some(command_key(word, serial))
    }

    /// Only trackers write it.
    fn write(_: &Position, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// By the word and the serial number, which is four hex digits.
fn command_key(word: &str, serial: &str) -> u64 {
    let key = format!("{word},{}", serial.to_ascii_uppercase());
    xxhash_rust::xxh3::xxh3_64(key.as_bytes())
}

/// What a line of text begins with, and a frame of the binary form.
const TEXT: [&[u8]; 3] = [b"+RESP:", b"+BUFF:", b"+ACK:"];
const BINARY: [&[u8]; 8] = [b"+RSP", b"+BSP", b"+EVT", b"+BVT", b"+INF", b"+BNF", b"+HBD", b"+ACK"];

/// Whether some bytes are less than a head, and begin like it.
fn begins(head: &[u8], text: &[u8]) -> bool {
    text.len() < head.len() && head.starts_with(text)
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b' ' | 0)
}

/// An error means that nobody knows where the next line begins.
fn line<'a>(
    session: &mut QueclinkSession,
    source: Source<'_>,
    bytes: &'a [u8],
) -> Result<Read<QueclinkFrame<'a>>, DecodeError> {
    let front = bytes.iter().take_while(|byte| is_space(**byte)).count();
    let text = &bytes[front..];
    if TEXT.iter().any(|head| text.starts_with(head)) {
        return whole_line(session, source, (bytes, front));
    }
    if front < LONGEST && TEXT.iter().chain(&BINARY).any(|head| begins(head, text)) {
        return Ok(Read::NeedMore);
    }
    let is_binary = BINARY.iter().any(|head| text.starts_with(head));
    Err(if is_binary { DecodeError::UnknownType } else { DecodeError::BadHeader })
}

fn whole_line<'a>(
    session: &mut QueclinkSession,
    source: Source<'_>,
    (bytes, front): (&'a [u8], usize),
) -> Result<Read<QueclinkFrame<'a>>, DecodeError> {
    let searched = bytes.get(front..front + LONGEST).unwrap_or(&bytes[front..]);
    let Some(end) = searched.iter().position(|byte| matches!(byte, b'$' | 0)) else {
        let longest = searched.len() == LONGEST;
        return if longest { Err(DecodeError::Oversized) } else { Ok(Read::NeedMore) };
    };
    let mut length = front + end + 1;
    if matches!(source, Source::Message { .. })
        && bytes[length..].iter().all(|byte| is_space(*byte))
    {
        length = bytes.len();
    }
    let whole = &bytes[front..=front + end];
    let report = match Report::read(whole) {
        Ok(report) => report,
        Err(reason) => return Ok(Read::Rejected { length, identity: None, reason }),
    };
    let identity = Identity::Named { kind: report.identity_kind(), name: report.id.into() };
    match &session.id {
        Some(before) if **before != *report.id => return Err(DecodeError::SecondIdentity),
        Some(_) => {}
        None => session.id = Some(report.id.into()),
    }
    let around = (front, length - front - end - 1);
    Ok(Read::Frame { length, frame: QueclinkFrame { identity, report, around } })
}

impl<'a> ProtocolFrame<'a> for QueclinkFrame<'a> {
    fn kind(&self) -> &'static str {
        if self.report.is_heartbeat() {
            "heartbeat"
        } else if self.report.is_answer {
            "command answer"
        } else {
            "report"
        }
    }

    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn is_heartbeat(&self) -> bool {
        self.report.is_heartbeat()
    }

    fn records(&self, _: &'a [u8], device: DeviceId) -> impl Iterator<Item = Content<'a>> {
        let front = self.around.0;
        let tellings = self.report.tellings();
        tellings
            .into_iter()
            .map(move |(offset, own, telling)| telling.content(device, front + offset, own))
    }

    fn reply(&self, out: &mut Vec<u8>) {
        if self.is_heartbeat() {
            let Report { version, count, .. } = self.report;
            out.extend(format!("+SACK:GTHBD,{version},{count}$").as_bytes());
        }
    }

    fn acknowledgement(&self, out: &mut Vec<u8>) {
        if !self.is_heartbeat() && !self.report.is_answer {
            out.extend(format!("+SACK:{}$", self.report.count).as_bytes());
        }
    }

    fn answer(&self) -> Option<CommandAnswer> {
        let (word, serial, bytes) = self.report.answer()?;
        Some(CommandAnswer { key: command_key(word, serial), bytes, is_refusal: false })
    }

    fn fields(&self) -> Vec<Field> {
        let text = |length, name, value| Field { length, name, value: FieldValue::Text(value) };
        let mut fields = Vec::new();
        if self.around.0 > 0 {
            fields.push(text(self.around.0, "space", String::new()));
        }
        // The comma behind a field, or the mark at the end, belongs to it.
        fields.extend(
            self.report
                .fields
                .iter()
                .map(|(_, field)| text(field.len() + 1, "field", (*field).to_owned())),
        );
        if self.around.1 > 0 {
            fields.push(text(self.around.1, "space", String::new()));
        }
        fields
    }
}
