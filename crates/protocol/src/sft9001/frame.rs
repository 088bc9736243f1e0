//! One frame at the front of some bytes (nom).
//!
//! Header and footer may occur inside a payload, so a frame's end is chosen among
//! the lengths that its type allows: see `location_end` and `ping_end`, and the
//! section "Where a frame ends" of `docs/protocol.md`.

use nom::combinator::verify;
use nom::{Err, IResult, Parser};

use super::Frame;
use super::wire::{
    FOOTER, HEAD_BYTES, HEADER, LONG_LOCATION_BYTES, MAX_DIRECTION_CDEG, MAX_LATITUDE_UDEG,
    MAX_LONGITUDE_UDEG, MAX_PING_PAYLOAD_BYTES, MIN_PING_BYTES, SHORT_LOCATION_BYTES,
    TYPE_LOCATION, TYPE_PING, USUAL_PING_PAYLOAD,
};
use crate::{Composition, DecodeError, DeviceId, Position};

/// Why no frame begins here, and whose it would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// Set when a header and an id stand here.
    pub(crate) device: Option<DeviceId>,
    /// The first thing that is wrong.
    pub(crate) reason: DecodeError,
}

/// Nom's errors carry nothing: the reason is decided from what was reached.
type Parsed<'a, T> = IResult<&'a [u8], T, ()>;

/// Reads the frame at the front of `bytes`: its length and what it says. What is not inlined
/// returns no frame, only lengths and reasons: a frame that passes through memory is copied at
/// each step, which costs a seventh of the time.
#[inline]
pub(crate) fn frame(bytes: &[u8]) -> Result<(usize, Frame<'_>), Rejected> {
    let Ok((_, (device, frame_type))) = head(bytes) else {
        return Err(rejected_head(bytes));
    };
    let reason = match frame_type {
        TYPE_LOCATION => match location(bytes, device) {
            Ok((length, position)) => return Ok((length, Frame::Location(position))),
            Err(reason) => reason,
        },
        TYPE_PING => match ping_length(bytes) {
            Ok(length) => {
                let payload = &bytes[HEAD_BYTES..length - FOOTER.len()];
                return Ok((length, Frame::Ping { device, payload }));
            }
            Err(reason) => reason,
        },
        _ => DecodeError::UnknownType,
    };
    Err(Rejected { device: Some(device), reason })
}

/// A fixed number of bytes. Nom's own numbers are read byte by byte in a loop, at
/// twice the time a frame.
#[inline]
fn array<const N: usize>(input: &[u8]) -> Parsed<'_, [u8; N]> {
    let (array, rest) = input.split_first_chunk().ok_or(Err::Error(()))?;
    Ok((rest, *array))
}

#[inline]
fn byte(input: &[u8]) -> Parsed<'_, u8> {
    array.map(u8::from_be_bytes).parse(input)
}

#[inline]
fn be_u16(input: &[u8]) -> Parsed<'_, u16> {
    array.map(u16::from_be_bytes).parse(input)
}

#[inline]
fn be_u32(input: &[u8]) -> Parsed<'_, u32> {
    array.map(u32::from_be_bytes).parse(input)
}

#[inline]
fn device_id(input: &[u8]) -> Parsed<'_, DeviceId> {
    let (input, _) = verify(array, |header: &[u8; 2]| *header == HEADER).parse(input)?;
    array
        .map(|[high, middle, low]| DeviceId::new(u32::from_be_bytes([0, high, middle, low])))
        .parse(input)
}

#[inline]
fn head(input: &[u8]) -> Parsed<'_, (DeviceId, u8)> {
    (device_id, byte).parse(input)
}

#[cold]
fn rejected_head(bytes: &[u8]) -> Rejected {
    let reason =
        if bytes.starts_with(&HEADER) { DecodeError::Truncated } else { DecodeError::BadHeader };
    Rejected { device: device_id(bytes).ok().map(|(_, device)| device), reason }
}

/// Both footers in place means that the long form's longitude ends in the
/// footer's bytes or that rubbish follows a short frame: the longer wins if its
/// fields are plausible. The short form cannot then be followed by a header or the
/// end, so this is also the order of preference of `docs/protocol.md`.
#[inline]
fn location(bytes: &[u8], device: DeviceId) -> Result<(usize, Position), DecodeError> {
    let long = location_of::<LONG_LOCATION_BYTES>(bytes, device);
    if let Some(Ok(found)) = long {
        return Ok(found);
    }
    match (long, location_of::<SHORT_LOCATION_BYTES>(bytes, device)) {
        (_, Some(Ok(found))) => Ok(found),
        (Some(Err(reason)), _) | (None, Some(Err(reason))) => Err(reason),
        _ if bytes.len() < SHORT_LOCATION_BYTES => Err(DecodeError::Truncated),
        _ => Err(DecodeError::BadFooter),
    }
}

/// The location of one of the two lengths, if a footer ends it.
#[inline]
fn location_of<const LENGTH: usize>(
    bytes: &[u8],
    device: DeviceId,
) -> Option<Result<(usize, Position), DecodeError>> {
    let whole: &[u8; LENGTH] = bytes.first_chunk()?;
    if !whole.ends_with(&FOOTER) {
        return None;
    }
    let position = position(&whole[HEAD_BYTES..], device, LENGTH == LONG_LOCATION_BYTES);
    Some(position.map(|position| (LENGTH, position)))
}

#[inline]
fn has_footer(bytes: &[u8], length: usize) -> bool {
    bytes.get(length - FOOTER.len()..length).is_some_and(|end| end == FOOTER)
}

/// The fields of a location behind its head, as they stand on the wire.
struct WireFields {
    recorded_at: u32,
    direction: u16,
    odometer: u32,
    hour_meter: u32,
    composition: u16,
    extension: Option<u16>,
    speed: u8,
    latitude: u32,
    longitude: u32,
}

#[inline]
fn wire_fields(input: &[u8], long: bool) -> Parsed<'_, WireFields> {
    let (input, (recorded_at, direction, odometer, hour_meter, composition)) =
        (be_u32, be_u16, be_u32, be_u32, be_u16).parse(input)?;
    let (input, extension) = if long { be_u16.map(Some).parse(input)? } else { (input, None) };
    let (input, (speed, latitude, longitude)) = (byte, be_u32, be_u32).parse(input)?;
    let fields = WireFields {
        recorded_at,
        direction,
        odometer,
        hour_meter,
        composition,
        extension,
        speed,
        latitude,
        longitude,
    };
    Ok((input, fields))
}

#[inline]
fn position(fields: &[u8], device: DeviceId, long: bool) -> Result<Position, DecodeError> {
    let (_, wire) = wire_fields(fields, long).map_err(|_| DecodeError::Truncated)?;
    if wire.direction > MAX_DIRECTION_CDEG {
        return Err(DecodeError::DirectionOutOfRange);
    }
    let composition = Composition(wire.composition);
    let south = composition.0 & Composition::LATITUDE_NEGATIVE != 0;
    let west = composition.0 & Composition::LONGITUDE_NEGATIVE != 0;
    Ok(Position {
        device,
        recorded_at: wire.recorded_at,
        direction_cdeg: wire.direction,
        odometer_m: wire.odometer,
        hour_meter_min: wire.hour_meter,
        composition,
        extension: wire.extension,
        speed_kmh: wire.speed,
        latitude_udeg: coordinate(wire.latitude, MAX_LATITUDE_UDEG, south)
            .ok_or(DecodeError::LatitudeOutOfRange)?,
        longitude_udeg: coordinate(wire.longitude, MAX_LONGITUDE_UDEG, west)
            .ok_or(DecodeError::LongitudeOutOfRange)?,
    })
}

#[inline]
fn coordinate(magnitude: u32, limit: u32, negative: bool) -> Option<i32> {
    if magnitude > limit {
        return None;
    }
    let magnitude = i32::try_from(magnitude).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

fn ping_length(bytes: &[u8]) -> Result<usize, DecodeError> {
    if bytes.len() < MIN_PING_BYTES {
        return Err(DecodeError::Truncated);
    }
    ping_end(bytes).ok_or(DecodeError::BadFooter)
}

/// Where a ping ends. The usual payload `PING` with its footer settles it. Else
/// its payload goes no further than to where another frame seems to begin; of
/// the footers up to there, one with the end or a header behind it is preferred,
/// then the last.
fn ping_end(bytes: &[u8]) -> Option<usize> {
    let usual = HEAD_BYTES + USUAL_PING_PAYLOAD.len() + FOOTER.len();
    if bytes[HEAD_BYTES..].starts_with(USUAL_PING_PAYLOAD) && has_footer(bytes, usual) {
        return Some(usual);
    }
    let payload_end = (HEAD_BYTES..=bytes.len())
        .take(MAX_PING_PAYLOAD_BYTES)
        .find(|&start| seems_to_begin(&bytes[start..]))
        .unwrap_or(HEAD_BYTES + MAX_PING_PAYLOAD_BYTES);
    let lengths = || {
        (MIN_PING_BYTES..=payload_end + FOOTER.len()).rev().filter(|&end| has_footer(bytes, end))
    };
    lengths().find(|&end| is_boundary(&bytes[end..])).or_else(|| lengths().next())
}

/// A header, an id and a known type.
fn seems_to_begin(bytes: &[u8]) -> bool {
    matches!(head(bytes), Ok((_, (_, TYPE_PING | TYPE_LOCATION))))
}

/// The payload ends here or the next header follows.
fn is_boundary(rest: &[u8]) -> bool {
    rest.is_empty() || rest.starts_with(&HEADER)
}
