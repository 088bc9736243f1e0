//! OsmAnd's protocol, which Traccar Client and many scripts speak over HTTP: parameters of a
//! URL or of a form, or JSON. `docs/protocols/osmand.md` describes it and holds the vectors.
//!
//! A message is one record. There is nothing to answer but HTTP's own status.

mod json;
mod query;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::leaves::finite;
use crate::protocol::{Content, Field, FieldValue, Protocol, ProtocolFrame, Read, Source};
use crate::telling::Telling;
use crate::vocabulary::{self as words, Word};
use crate::{DecodeError, DeviceId, Identity, MAX_IDENTITY_NAME, Position, Value, is_channel_name};

/// Longer messages are refused.
const LONGEST: usize = 64 * 1024;

/// OsmAnd's protocol.
#[derive(Clone, Copy, Debug)]
pub struct OsmAnd;

/// A message.
#[derive(Clone, Debug)]
pub struct OsmAndFrame {
    identity: Identity,
    telling: Telling,
    /// How long each field is, with its words.
    fields: Vec<(usize, String)>,
}

impl Protocol for OsmAnd {
    const NAME: &'static str = "osmand";

    type Session = ();
    type Frame<'a> = OsmAndFrame;

    fn read((): &mut (), _: Source<'_>, bytes: &[u8], _: u64) -> Read<OsmAndFrame> {
        let is_json = bytes.trim_ascii_start().starts_with(b"{");
        let message = match bytes.len() {
            0..=LONGEST if is_json => json::read(bytes),
            0..=LONGEST => query::read(bytes),
            _ => Err(DecodeError::Oversized),
        };
        match message {
            Ok(frame) => Read::Frame { length: bytes.len(), frame },
            Err(reason) => Read::Rejected { length: bytes.len(), identity: None, reason },
        }
    }

    /// All but secrets, which change while the record does not.
    fn covered(record: &[u8], hash: impl FnOnce(&[u8]) -> u64) -> u64 {
        hash(&without_secrets(record))
    }

    /// Metres and knots are not km/h, and so a frame would be another record.
    fn write(_: &Position, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// Parameters that say who may send and not what was.
fn is_secret(key: &str) -> bool {
    matches!(key, "token" | "notificationToken")
}

fn without_secrets(record: &[u8]) -> Cow<'_, [u8]> {
    let is_json = record.trim_ascii_start().starts_with(b"{");
    let secret = |pair: &&[u8]| {
        let key = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        core::str::from_utf8(key).is_ok_and(is_secret)
    };
    let (_, pairs) = query::divided(record);
    if is_json || !pairs.split(|byte| *byte == b'&').any(|pair| secret(&pair)) {
        return Cow::Borrowed(record);
    }
    let kept = pairs.split(|byte| *byte == b'&').filter(|pair| !secret(pair));
    Cow::Owned(kept.collect::<Vec<_>>().join(&b'&'))
}

/// A device's own name for itself.
fn named(name: &str) -> Result<Identity, DecodeError> {
    let good = (1..=MAX_IDENTITY_NAME).contains(&name.len());
    good.then(|| Identity::named("id", name).ok()).flatten().ok_or(DecodeError::NoIdentity)
}

/// Where it is; both or neither.
fn place(
    telling: &mut Telling,
    latitude: Option<f64>,
    longitude: Option<f64>,
) -> Result<(), DecodeError> {
    match (latitude, longitude) {
        (None, None) => Ok(()),
        (Some(latitude), Some(_)) if latitude.abs() > 90.0 => Err(DecodeError::LatitudeOutOfRange),
        (Some(_), Some(longitude)) if longitude.abs() > 180.0 => {
            Err(DecodeError::LongitudeOutOfRange)
        }
        (Some(latitude), Some(longitude)) => {
            telling.place(latitude, longitude);
            telling.said.gps_fix = Some(true);
            Ok(())
        }
        _ => Err(DecodeError::BadField),
    }
}

/// Seconds below 2^31, milliseconds above.
fn moment_ms(number: f64) -> Result<u64, DecodeError> {
    let power = if number < 2_147_483_648.0 { 1000.0 } else { 1.0 };
    let ms = crate::calendar::scaled(number, power).and_then(|ms| u64::try_from(ms).ok());
    ms.ok_or(DecodeError::BadDate)
}

/// An alarm in Traccar's words.
fn alarm(telling: &mut Telling, alarm: &str) {
    telling.text(&words::EVENT, alarm);
    let word = match alarm {
        "sos" => &words::ALARM_SOS,
        "powerCut" | "powerOff" => &words::ALARM_POWER_CUT,
        "lowBattery" | "lowPower" => &words::ALARM_LOW_BATTERY,
        "tow" => &words::ALARM_TOW,
        "accident" => &words::ALARM_CRASH,
        "tampering" | "removing" => &words::ALARM_TAMPER,
        "vibration" => &words::ALARM_VIBRATION,
        "fallDown" => &words::ALARM_FALL,
        "overspeed" => &words::ALARM_OVERSPEED,
        _ => return,
    };
    telling.flag(word, true);
}

/// What has a word of its own, by the sender's name for it.
fn word_of(key: &str) -> Option<&'static Word> {
    Some(match key {
        "ignition" => &words::IGNITION,
        "motion" => &words::MOTION,
        "odometer" => &words::ODOMETER,
        "driverUniqueId" => &words::DRIVER,
        "charge" => &words::BATTERY_CHARGING,
        "batt" => &words::BATTERY_LEVEL,
        _ => return None,
    })
}

/// A value under the sender's own name.
fn own(telling: &mut Telling, key: &str, value: Value) -> Result<(), DecodeError> {
    if !is_channel_name(key) {
        return Err(DecodeError::BadField);
    }
    match (word_of(key), value) {
        (Some(word), Value::Flag(on)) => telling.flag(word, on),
        (Some(word), value) => telling.put(word, value),
        (None, value) => telling.own(key.into(), value),
    }
    Ok(())
}

/// A number, true or false, or a text.
fn value(text: &str) -> Value {
    match text {
        "true" => Value::Flag(true),
        "false" => Value::Flag(false),
        _ => match (text.parse(), finite(text)) {
            (Ok(integer), _) if !text.starts_with('+') => Value::Integer(integer),
            (_, Some(number)) => Value::Number(number),
            _ => Value::Text(text.into()),
        },
    }
}

impl<'a> ProtocolFrame<'a> for OsmAndFrame {
    fn kind(&self) -> &'static str {
        "record"
    }

    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn is_heartbeat(&self) -> bool {
        false
    }

    fn records(&self, bytes: &'a [u8], device: DeviceId) -> impl Iterator<Item = Content<'a>> {
        core::iter::once(self.telling.clone().content(device, 0, bytes))
    }

    fn fields(&self) -> Vec<Field> {
        let field = |(length, text): &(usize, String)| Field {
            length: *length,
            name: "parameter",
            value: FieldValue::Text(text.clone()),
        };
        self.fields.iter().map(field).collect()
    }
}
