//! The form of parameters: `id=123456&lat=60.0&lon=30.0&speed=12.5`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{OsmAndFrame, alarm, is_secret, moment_ms, named, own, place, value, word_of};
use crate::calendar::iso_8601;
use crate::identity::decoded;
use crate::leaves::finite;
use crate::telling::Telling;
use crate::vocabulary as words;
use crate::{DecodeError, OptionalField, Value};

/// A knot in km/h.
const KNOT: f64 = 1.852;

/// What is in front of the parameters, and they.
pub(super) fn divided(bytes: &[u8]) -> (usize, &[u8]) {
    let question = bytes.iter().position(|byte| *byte == b'?');
    let front = match (bytes.first(), question) {
        (Some(b'/' | b'?'), Some(question)) => question + 1,
        _ => 0,
    };
    (front, &bytes[front..])
}

/// # Errors
/// What cannot be read.
pub(super) fn read(bytes: &[u8]) -> Result<OsmAndFrame, DecodeError> {
    let (front, pairs) = divided(bytes);
    let mut fields = Vec::new();
    if front > 0 {
        fields.push((front, String::new()));
    }
    let text = core::str::from_utf8(pairs).map_err(|_| DecodeError::BadField)?;
    let mut told = Told::default();
    let mut left = pairs.len();
    for pair in text.trim_end_matches(['\r', '\n']).split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = unescaped(key)?;
        let value = unescaped(value)?;
        let length = (pair.len() + 1).min(left);
        left -= length;
        let shown = if is_secret(&key) { "..." } else { &*value };
        fields.push((length, format!("{key} = {shown}")));
        told.parameter(&key, value)?;
    }
    if let (Some((last, _)), true) = (fields.last_mut(), left > 0) {
        *last += left;
    }
    Ok(OsmAndFrame { identity: named(&told.id)?, telling: told.telling()?, fields })
}

fn unescaped(text: &str) -> Result<String, DecodeError> {
    let text = text.replace('+', " ");
    decoded(&text).map(Into::into).map_err(|_| DecodeError::BadField)
}

/// What was said so far.
#[derive(Default)]
struct Told {
    id: String,
    at_ms: Option<u64>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    numbers: Vec<(String, f64)>,
    others: Vec<(String, String)>,
}

impl Told {
    fn parameter(&mut self, key: &str, value: String) -> Result<(), DecodeError> {
        let number = || finite(&value).ok_or(DecodeError::BadField);
        match key {
            _ if is_secret(key) || value.is_empty() => {}
            "id" | "deviceid" | "device_id" => self.id = value,
            "timestamp" => self.at_ms = Some(moment(&value)?),
            "lat" => self.latitude = Some(number()?),
            "lon" => self.longitude = Some(number()?),
            "location" => {
                let (latitude, longitude) = value.split_once(',').ok_or(DecodeError::BadField)?;
                self.latitude = Some(finite(latitude.trim()).ok_or(DecodeError::BadField)?);
                self.longitude = Some(finite(longitude.trim()).ok_or(DecodeError::BadField)?);
            }
            "speed" | "bearing" | "heading" | "altitude" | "accuracy" | "hdop" | "batt" => {
                self.numbers.push((key.into(), number()?));
            }
            _ => self.others.push((key.into(), value)),
        }
        Ok(())
    }

    fn telling(self) -> Result<Telling, DecodeError> {
        let mut telling = self.at_ms.map_or_else(Telling::arrived, Telling::at);
        place(&mut telling, self.latitude, self.longitude)?;
        for (key, number) in self.numbers {
            match key.as_str() {
                "speed" => telling.speed(number * KNOT),
                "bearing" | "heading" => telling.direction(number),
                "altitude" => {
                    telling.optional_scaled(OptionalField::Altitude, number, 10.0);
                }
                "accuracy" => telling.optional_scaled(OptionalField::Accuracy, number, 10.0),
                "hdop" => telling.optional_scaled(OptionalField::Hdop, number, 100.0),
                _ => telling.number(&words::BATTERY_LEVEL, number),
            }
        }
        let (mut cells, mut networks) = (0, 0);
        for (key, text) in self.others {
            match key.as_str() {
                "valid" => telling.said.gps_fix = Some(matches!(text.as_str(), "true" | "1")),
                "alarm" => alarm(&mut telling, &text),
                "cell" => {
                    cells += 1;
                    let cell = text.split(',').take(4).collect::<Vec<_>>().join("-");
                    if cells == 1 {
                        telling.text(&words::NETWORK_CELL, &cell);
                    } else {
                        telling.numbered(&words::NETWORK_CELL, cells, Value::Text(cell.into()));
                    }
                }
                "wifi" => {
                    networks += 1;
                    telling.own(format!("wifi.{networks}"), Value::Text(text.into()));
                }
                // A driver's number may begin with zeros.
                _ if word_of(&key) == Some(&words::DRIVER) => telling.text(&words::DRIVER, &text),
                _ => own(&mut telling, &key, value(&text))?,
            }
        }
        Ok(telling)
    }
}

/// Seconds or milliseconds, or a date in UTC.
fn moment(text: &str) -> Result<u64, DecodeError> {
    match finite(text) {
        Some(number) => moment_ms(number),
        None => iso_8601(text).ok_or(DecodeError::BadDate),
    }
}
