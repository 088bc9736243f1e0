//! Readings: values of named channels that a device reports at one moment.
//!
//! A record holds what was measured together. It is told from others by its device, its
//! time and a hash over the names and values, so a record that is sent again, in another
//! packet or with its members in another order, is the same record.

mod json;
mod pack;
mod value;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use json::readings_json;
pub use pack::{Packed, Unpacked, pack, unpack};
pub use value::{MAX_TEXT_VALUE, Value};

use crate::varint::{write_varint, zigzag};
use crate::{Composition, Identity, OptionalFields, PackedFields, Position, PositionPart};

/// A channel's name has at most this many bytes.
pub const MAX_CHANNEL_NAME: usize = 128;
/// A unit has at most this many bytes.
pub const MAX_UNIT: usize = 32;
/// A record holds at most this many readings.
pub const MAX_READINGS: usize = 1024;
/// The encoded readings of a record have at most this many bytes, so that any record fits
/// a `/DB` message.
pub const MAX_READINGS_BYTES: usize = 64 * 1024;

/// One value of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The channel's name, see [`is_channel_name`].
    pub channel: Box<str>,
    /// The unit that came with it (UCUM, for example `Cel` or `km/h`), if any did.
    pub unit: Option<Box<str>>,
    /// What it says.
    pub value: Value,
}

/// What a device reported at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingsRecord {
    /// Who.
    pub identity: Identity,
    /// Unix milliseconds by the device's clock, or those of the arrival when it gave none.
    pub recorded_at_ms: u64,
    /// Whether the time is that of the arrival. Such a record is kept at least once: when
    /// it is sent again it is another one.
    pub timeless: bool,
    /// What tells it from others of its device and time: the hash over the bytes that its
    /// protocol names, [`record_hash`] where that is none.
    pub content_hash: u64,
    /// When it arrived, Unix milliseconds by the receiving station's clock.
    pub received_at_ms: u64,
    /// Where the device was, if it said so.
    pub position: Option<Box<PositionPart>>,
    /// In the order of the channels' names, each channel once; at least one, unless there is
    /// a position.
    pub readings: Vec<Reading>,
}

/// Whether a text may name a channel: 1 to [`MAX_CHANNEL_NAME`] bytes of visible
/// characters, with spaces only between them.
pub fn is_channel_name(text: &str) -> bool {
    (1..=MAX_CHANNEL_NAME).contains(&text.len()) && text.trim() == text && is_visible(text)
}

/// Whether a text may be a unit: up to [`MAX_UNIT`] bytes of visible characters.
pub fn is_unit(text: &str) -> bool {
    (1..=MAX_UNIT).contains(&text.len()) && !text.contains(' ') && is_visible(text)
}

/// Neither control characters nor such as change the direction of text or show nothing.
fn is_visible(text: &str) -> bool {
    if text.is_ascii() {
        return !text.bytes().any(|byte| byte.is_ascii_control());
    }
    let hidden = |character: char| {
        character.is_control()
            || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    !text.contains(hidden)
}

/// Puts readings in the order of a record. Of a channel that is there twice the last
/// value stays.
pub fn in_order(mut readings: Vec<Reading>) -> Vec<Reading> {
    readings.reverse();
    readings.sort_by(|a, b| a.channel.cmp(&b.channel));
    readings.dedup_by(|later, kept| later.channel == kept.channel);
    readings
}

/// Names and values of readings in their order: for each the name's length, the name and
/// the value, as [`read_readings`] reads them. Units are no part of it.
pub fn write_readings(readings: &[Reading]) -> Vec<u8> {
    let names: usize = readings.iter().map(|reading| reading.channel.len()).sum();
    let mut out = Vec::with_capacity(names + 8 * readings.len());
    for Reading { channel, value, .. } in readings {
        value::write_bytes(channel.as_bytes(), &mut out);
        value.write(&mut out);
    }
    out
}

/// Reads what [`write_readings`] wrote; `None` for anything else.
pub fn read_readings(mut bytes: &[u8]) -> Option<Vec<Reading>> {
    let mut readings: Vec<Reading> = Vec::new();
    while !bytes.is_empty() {
        let name = core::str::from_utf8(value::read_bytes(&mut bytes)?).ok()?;
        let in_order = readings.last().is_none_or(|last| &*last.channel < name);
        if !in_order || !is_channel_name(name) || readings.len() == MAX_READINGS {
            return None;
        }
        let value = Value::read(&mut bytes)?;
        readings.push(Reading { channel: name.into(), unit: None, value });
    }
    Some(readings)
}

/// The hash that tells a record from others of its device and time (XXH3, 64 bits of
/// [`write_readings`]). Stable: it is part of the table's key.
pub fn readings_hash(readings: &[Reading]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&write_readings(readings))
}

/// The same of a record that may have a position. Stable, too. Its bytes begin with 0, as
/// no name does; then come the fields of the position, without the mark of its age, its
/// optional fields with their length, and [`write_readings`].
pub fn record_hash(place: Option<(&Position, &OptionalFields)>, readings: &[Reading]) -> u64 {
    let Some((position, optional)) = place else { return readings_hash(readings) };
    let mut bytes = Vec::from([0]);
    for number in [
        zigzag(position.latitude_udeg.into()),
        zigzag(position.longitude_udeg.into()),
        position.direction_cdeg.into(),
        position.odometer_m.into(),
        position.hour_meter_min.into(),
        (position.composition.0 & !Composition::HISTORICAL).into(),
        position.speed_kmh.into(),
    ] {
        write_varint(number, &mut bytes);
    }
    let packed = PackedFields::new(optional, None);
    value::write_bytes(packed.as_ref().map_or(&[], PackedFields::as_bytes), &mut bytes);
    bytes.extend(write_readings(readings));
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

#[cfg(test)]
mod tests;
