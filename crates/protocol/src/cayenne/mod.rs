//! Cayenne LPP: a payload of `LoRaWAN` sensors. `docs/protocols/cayenne.md` describes it and
//! holds the vectors.
//!
//! A payload has neither name nor time: the topic's last level says whose it is, and it is of
//! the time when it arrived. A value has a channel and a type, and no length; so an unknown type
//! ends what can be read, and the payload is refused.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::cursor::{signed, unsigned};
use crate::protocol::{Content, Field, FieldValue, Protocol, ProtocolFrame, Read, Source};
use crate::telling::Telling;
use crate::{DecodeError, DeviceId, Identity, OptionalField, Position, Reading, Value};

/// Longer payloads are refused: `LoRaWAN` carries 242 bytes.
const LONGEST: usize = 4096;

/// Cayenne LPP.
#[derive(Clone, Copy, Debug)]
pub struct Cayenne;

/// A payload.
#[derive(Clone, Debug)]
pub struct CayenneFrame<'a> {
    identity: Identity,
    values: Vec<Part<'a>>,
}

/// A channel, its type and its bytes.
type Part<'a> = (u8, &'static Kind, &'a [u8]);

/// A type of value.
#[derive(Debug)]
struct Kind {
    number: u8,
    name: &'static str,
    unit: &'static str,
    /// Bytes of each part.
    width: usize,
    signed: bool,
    divisor: u32,
    /// Several parts have these behind the channel's name.
    parts: &'static [&'static str],
}

const ONE: &[&str] = &[""];
const AXES: &[&str] = &[".x", ".y", ".z"];
const GPS: u8 = 136;

const fn kind(
    number: u8,
    (name, unit): (&'static str, &'static str),
    (width, signed, divisor): (usize, bool, u32),
    parts: &'static [&'static str],
) -> Kind {
    Kind { number, name, unit, width, signed, divisor, parts }
}

static KINDS: [Kind; 26] = [
    kind(0, ("input", ""), (1, false, 1), ONE),
    kind(1, ("output", ""), (1, false, 1), ONE),
    kind(2, ("analog", ""), (2, true, 100), ONE),
    kind(3, ("analog_output", ""), (2, true, 100), ONE),
    kind(100, ("generic", ""), (4, false, 1), ONE),
    kind(101, ("illuminance", "lx"), (2, false, 1), ONE),
    kind(102, ("presence", ""), (1, false, 1), ONE),
    kind(103, ("temperature", "Cel"), (2, true, 10), ONE),
    kind(104, ("humidity", "%"), (1, false, 2), ONE),
    kind(113, ("acceleration", "[g]"), (2, true, 1000), AXES),
    kind(115, ("pressure", "hPa"), (2, false, 10), ONE),
    kind(116, ("voltage", "V"), (2, false, 100), ONE),
    kind(117, ("current", "A"), (2, false, 1000), ONE),
    kind(118, ("frequency", "Hz"), (4, false, 1), ONE),
    kind(120, ("percentage", "%"), (1, false, 1), ONE),
    kind(121, ("altitude", "m"), (2, true, 1), ONE),
    kind(125, ("concentration", "[ppm]"), (2, false, 1), ONE),
    kind(128, ("power", "W"), (2, false, 1), ONE),
    kind(130, ("distance", "m"), (4, false, 1000), ONE),
    kind(131, ("energy", "kW.h"), (4, false, 1000), ONE),
    kind(132, ("direction", "deg"), (2, false, 1), ONE),
    kind(133, ("unix_time", "s"), (4, false, 1), ONE),
    kind(134, ("rotation", "deg/s"), (2, true, 100), AXES),
    kind(135, ("colour", ""), (1, false, 1), &[".red", ".green", ".blue"]),
    kind(GPS, ("place", ""), (3, true, 1), &[".latitude", ".longitude", ".altitude"]),
    kind(142, ("switch", ""), (1, false, 1), ONE),
];

impl Protocol for Cayenne {
    const NAME: &'static str = "cayenne";

    type Session = ();
    type Frame<'a> = CayenneFrame<'a>;

    fn read<'a>(
        (): &mut (),
        source: Source<'_>,
        bytes: &'a [u8],
        _: u64,
    ) -> Read<CayenneFrame<'a>> {
        let identity = match source {
            Source::Message { topic } => {
                topic.rsplit('/').next().and_then(|level| Identity::from_segment(level).ok())
            }
            Source::Stream => None,
        };
        let values =
            if bytes.len() > LONGEST { Err(DecodeError::Oversized) } else { values(bytes) };
        let length = bytes.len();
        match (identity, values) {
            (Some(identity), Ok(values)) => {
                Read::Frame { length, frame: CayenneFrame { identity, values } }
            }
            (None, _) => Read::Rejected { length, identity: None, reason: DecodeError::NoIdentity },
            (identity, Err(reason)) => Read::Rejected { length, identity, reason },
        }
    }

    /// Only sensors write it.
    fn write(_: &Position, _: &mut Vec<u8>) -> bool {
        false
    }
}

fn values(mut bytes: &[u8]) -> Result<Vec<Part<'_>>, DecodeError> {
    let mut values = Vec::new();
    while let [channel, number, rest @ ..] = bytes {
        let kind = KINDS.iter().find(|kind| kind.number == *number);
        let kind = kind.ok_or(DecodeError::UnknownType)?;
        let length = kind.width * kind.parts.len();
        let (own, rest) = rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        values.push((*channel, kind, own));
        bytes = rest;
    }
    if bytes.is_empty() { Ok(values) } else { Err(DecodeError::Truncated) }
}

impl Kind {
    fn value(&self, part: &[u8]) -> Value {
        #[expect(clippy::cast_possible_wrap, reason = "of four bytes at most")]
        let number = if self.signed { signed(part) } else { unsigned(part) as i64 };
        match (self.number, self.divisor) {
            (0 | 1 | 102 | 142, _) => Value::Flag(number != 0),
            (_, 1) => Value::Integer(number),
            #[expect(clippy::cast_precision_loss, reason = "of four bytes at most")]
            (_, divisor) => Value::Number(number as f64 / f64::from(divisor)),
        }
    }

    fn readings(&self, channel: u8, own: &[u8]) -> impl Iterator<Item = Reading> {
        own.chunks(self.width).zip(self.parts).map(move |(part, name)| Reading {
            channel: format!("{}.{channel}{name}", self.name).into(),
            unit: (!self.unit.is_empty()).then(|| self.unit.into()),
            value: self.value(part),
        })
    }
}

impl CayenneFrame<'_> {
    fn telling(&self) -> Telling {
        let mut telling = Telling::arrived();
        for (channel, kind, own) in &self.values {
            match own {
                own if kind.number == GPS && own.len() == 9 => {
                    let [latitude, longitude, altitude] =
                        [&own[..3], &own[3..6], &own[6..]].map(signed);
                    #[expect(clippy::cast_precision_loss, reason = "of three bytes")]
                    telling.place(latitude as f64 / 1e4, longitude as f64 / 1e4);
                    telling.said.gps_fix = Some(true);
                    telling.optional(OptionalField::Altitude, altitude / 10);
                }
                _ => telling.extend(kind.readings(*channel, own)),
            }
        }
        telling
    }
}

impl<'a> ProtocolFrame<'a> for CayenneFrame<'a> {
    fn kind(&self) -> &'static str {
        "values"
    }

    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn is_heartbeat(&self) -> bool {
        false
    }

    fn records(&self, bytes: &'a [u8], device: DeviceId) -> impl Iterator<Item = Content<'a>> {
        core::iter::once(self.telling().content(device, 0, bytes))
    }

    fn fields(&self) -> Vec<Field> {
        let text = |length, name, value| Field { length, name, value: FieldValue::Text(value) };
        let mut fields = Vec::new();
        for (channel, kind, own) in &self.values {
            fields.push(text(1, "channel", channel.to_string()));
            fields.push(text(1, "type", kind.name.to_string()));
            let shown = kind.readings(*channel, own).map(|reading| format!("{:?}", reading.value));
            fields.push(text(own.len(), "value", shown.collect::<Vec<String>>().join(" ")));
        }
        fields
    }
}
