//! What a tracker tells in one record, in the words that all protocols share.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::calendar::scaled;
use crate::cursor::hex;
use crate::protocol::Content;
use crate::vocabulary::{ENGINE_HOURS, IGNITION, ODOMETER, REJECTED_POSITION, Word};
use crate::{
    DeviceId, MAX_READINGS, MAX_READINGS_BYTES, MAX_TEXT_VALUE, OptionalField, Reading, Value,
    Whereabouts, in_order, write_readings,
};

/// The fastest that a position can say: 100 000 km/h.
const MAX_SPEED_DKMH: u32 = 1_000_000;

/// A record as its decoder puts it together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Telling {
    /// Unix milliseconds by the device's clock; `None` when it does not say.
    recorded_at_ms: Option<u64>,
    /// Latitude and longitude, 1e-6 degree, if they are known and there are such.
    place: Option<(i32, i32)>,
    /// What else it says of its place.
    pub(crate) said: Whereabouts,
    readings: Vec<Reading>,
}

impl Telling {
    /// Of a time, Unix milliseconds.
    pub(crate) fn at(recorded_at_ms: u64) -> Self {
        Self { recorded_at_ms: Some(recorded_at_ms), ..Self::default() }
    }

    /// Of the time when it arrives.
    pub(crate) fn arrived() -> Self {
        Self::default()
    }

    /// Where it is, in degrees. Coordinates that there are not become a reading.
    pub(crate) fn place(&mut self, latitude: f64, longitude: f64) {
        let within = |degrees: f64, limit: f64| {
            (-limit..=limit).contains(&degrees).then(|| scaled(degrees, 1e6)).flatten()
        };
        let place = within(latitude, 90.0).zip(within(longitude, 180.0));
        let narrow = |(latitude, longitude): (i64, i64)| {
            i32::try_from(latitude).ok().zip(i32::try_from(longitude).ok())
        };
        self.place = place.and_then(narrow);
        if self.place.is_none() {
            self.text(&REJECTED_POSITION, &format!("{latitude},{longitude}"));
        }
    }

    /// Degrees clockwise from north; what is no such direction is passed over.
    pub(crate) fn direction(&mut self, degrees: f64) {
        let direction = scaled(degrees, 100.0).and_then(|direction| u16::try_from(direction).ok());
        self.said.direction_cdeg = direction.filter(|direction| *direction <= 36_000);
    }

    /// As exactly as the position can say it; what is no speed is passed over.
    pub(crate) fn speed(&mut self, kmh: f64) {
        let speed = scaled(kmh, 10.0).and_then(|speed| u32::try_from(speed).ok());
        self.said.speed_dkmh = speed.filter(|speed| *speed <= MAX_SPEED_DKMH);
    }

    /// In the position, and as a reading.
    pub(crate) fn odometer(&mut self, metres: i64) {
        self.said.odometer_m = u32::try_from(metres).ok();
        self.put(&ODOMETER, Value::Integer(metres));
    }

    /// In the position, and as a reading.
    pub(crate) fn engine_minutes(&mut self, minutes: u32) {
        self.said.hour_meter_min = Some(minutes);
        self.number(&ENGINE_HOURS, f64::from(minutes) / 60.0);
    }

    /// A field that only some positions have; one beyond its bounds is absent.
    pub(crate) fn optional(&mut self, field: OptionalField, value: i64) {
        if let Ok(value) = i32::try_from(value) {
            let _out_of_bounds = self.said.optional.set(field, value);
        }
    }

    /// The same of a number in the field's unit times `power`.
    pub(crate) fn optional_scaled(&mut self, field: OptionalField, number: f64, power: f64) {
        if let Some(value) = scaled(number, power) {
            self.optional(field, value);
        }
    }

    pub(crate) fn flag(&mut self, word: &Word, on: bool) {
        if word.channel == IGNITION.channel {
            self.said.ignition = Some(on);
        }
        self.put(word, Value::Flag(on));
    }

    pub(crate) fn number(&mut self, word: &Word, number: f64) {
        if number.is_finite() {
            self.put(word, Value::Number(number));
        }
    }

    /// Text; an empty one is passed over, and what is too long is cut.
    pub(crate) fn text(&mut self, word: &Word, text: &str) {
        if let Some(text) = bounded(text) {
            self.put(word, Value::Text(text));
        }
    }

    pub(crate) fn put(&mut self, word: &Word, value: Value) {
        let unit = (!word.unit.is_empty()).then(|| word.unit.into());
        self.readings.push(Reading { channel: word.channel.into(), unit, value });
    }

    /// A word that has a number.
    pub(crate) fn numbered(&mut self, word: &Word, number: u32, value: Value) {
        let unit = (!word.unit.is_empty()).then(|| word.unit.into());
        let channel = format!("{}.{number}", word.channel).into();
        self.readings.push(Reading { channel, unit, value });
    }

    /// A channel that only this protocol has; its name is a channel's.
    pub(crate) fn own(&mut self, channel: String, value: Value) {
        let value = match value {
            Value::Text(text) => bounded(&text).map(Value::Text),
            Value::Number(number) if !number.is_finite() => None,
            value => Some(value),
        };
        if let Some(value) = value {
            self.readings.push(Reading { channel: channel.into(), unit: None, value });
        }
    }

    pub(crate) fn extend(&mut self, readings: impl IntoIterator<Item = Reading>) {
        self.readings.extend(readings);
    }

    /// The record of these bytes, which begin at `offset` of their frame. `device` is the
    /// number of its identity.
    pub(crate) fn content(self, device: DeviceId, offset: usize, bytes: &[u8]) -> Content<'_> {
        let at_ms = self.recorded_at_ms.unwrap_or_default();
        let whereabouts = self.place.map(|(latitude_udeg, longitude_udeg)| Whereabouts {
            latitude_udeg,
            longitude_udeg,
            ..self.said
        });
        let position = whereabouts.and_then(|whereabouts| whereabouts.at(device, at_ms).ok());
        let recorded_at_ms = self.recorded_at_ms;
        let readings = self.into_readings();
        let (position, optional) = position.unzip();
        let optional = optional.unwrap_or_default();
        Content { recorded_at_ms, position, optional, readings, offset, bytes }
    }

    /// The readings in the order of a record, within its bounds.
    fn into_readings(self) -> Vec<Reading> {
        let mut readings = in_order(self.readings);
        readings.truncate(MAX_READINGS);
        let mut bytes = 0;
        readings.retain(|reading| {
            let size = write_readings(core::slice::from_ref(reading)).len();
            let fits = bytes + size <= MAX_READINGS_BYTES;
            bytes += if fits { size } else { 0 };
            fits
        });
        readings
    }
}

/// Text as it is, and anything else in hex.
pub(crate) fn text_or_hex(bytes: &[u8]) -> String {
    let text = core::str::from_utf8(bytes).ok().filter(|text| {
        text.chars().all(|character| !character.is_control() || "\r\n\t\0".contains(character))
    });
    match text.map(|text| text.trim_matches(['\0', '\r', '\n', ' ', '\t'])) {
        Some(text) if !text.is_empty() => text.replace('\0', ""),
        _ => hex(bytes),
    }
}

/// Text within the bounds of a value, without what cannot be seen at its ends.
fn bounded(text: &str) -> Option<Box<str>> {
    let text = text.trim_matches(|character: char| character.is_whitespace() || character == '\0');
    let end = (0..=text.len().min(MAX_TEXT_VALUE)).rev().find(|end| text.is_char_boundary(*end))?;
    (end > 0).then(|| text[..end].into())
}
