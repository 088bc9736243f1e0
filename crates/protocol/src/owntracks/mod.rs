//! `OwnTracks`, over MQTT and HTTP. `docs/protocols/owntracks.md` describes it and holds the
//! vectors.
//!
//! A message is a JSON object whose member `_type` says what it is. Locations, transitions and
//! what else tells how a device is are records; cards, lists of waypoints, commands and
//! encrypted messages are refused with a reason, and so kept as what they were.

use alloc::string::String;
use alloc::vec::Vec;

use crate::leaves::{Leaf, Leaves};
use crate::protocol::{Content, Field, FieldValue, Protocol, ProtocolFrame, Read, Source};
use crate::telling::Telling;
use crate::vocabulary as words;
use crate::{DecodeError, DeviceId, Identity, OptionalField, Position, Value, is_channel_name};

/// Longer messages are refused.
const LONGEST: usize = 64 * 1024;

/// `OwnTracks`.
#[derive(Clone, Copy, Debug)]
pub struct OwnTracks;

/// A message.
#[derive(Clone, Debug)]
pub struct OwnTracksFrame {
    identity: Identity,
    kind: &'static str,
    telling: Telling,
    text: (usize, String),
}

impl Protocol for OwnTracks {
    const NAME: &'static str = "owntracks";

    type Session = ();
    type Frame<'a> = OwnTracksFrame;

    fn read((): &mut (), source: Source<'_>, bytes: &[u8], _: u64) -> Read<OwnTracksFrame> {
        let topic = match source {
            Source::Message { topic } => topic,
            Source::Stream => "",
        };
        let identity = of_topic(topic);
        let message = if bytes.len() > LONGEST {
            Err(DecodeError::Oversized)
        } else {
            message(identity.clone(), bytes)
        };
        match message {
            Ok(frame) => Read::Frame { length: bytes.len(), frame },
            Err(reason) => Read::Rejected { length: bytes.len(), identity, reason },
        }
    }

    /// What a phone says is JSON that it writes again in the same order.
    fn write(_: &Position, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// `owntracks/USER/DEVICE`, and one level below it. The first level has any name.
fn of_topic(topic: &str) -> Option<Identity> {
    let mut levels = topic.trim_start_matches('/').split('/');
    let (_root, user, device) = (levels.next()?, levels.next()?, levels.next()?);
    if levels.nth(1).is_some() {
        return None;
    }
    Identity::named("owntracks", &alloc::format!("{user}/{device}")).ok()
}

/// What is a record, by its type.
fn kind(name: &str) -> Option<&'static str> {
    ["location", "transition", "lwt", "status", "steps", "beacon", "waypoint"]
        .into_iter()
        .find(|kind| *kind == name)
}

fn message(by_topic: Option<Identity>, bytes: &[u8]) -> Result<OwnTracksFrame, DecodeError> {
    let leaves = Leaves::read(bytes)?;
    let kind = leaves.text("_type").ok_or(DecodeError::BadField)?;
    let kind = self::kind(kind).ok_or(DecodeError::UnknownType)?;
    let identity = by_topic.or_else(|| leaves.text("topic").and_then(of_topic));
    let identity = identity.ok_or(DecodeError::NoIdentity)?;
    let mut telling = match leaves.number("tst")? {
        Some(seconds) => {
            let ms = crate::calendar::scaled(seconds, 1000.0).and_then(|ms| u64::try_from(ms).ok());
            Telling::at(ms.ok_or(DecodeError::BadDate)?)
        }
        None if kind == "location" => return Err(DecodeError::BadDate),
        None => Telling::arrived(),
    };
    match (leaves.number("lat")?, leaves.number("lon")?) {
        // A waypoint is somewhere, and its phone is elsewhere.
        _ if kind == "waypoint" => {}
        (Some(latitude), Some(_)) if latitude.abs() > 90.0 => {
            return Err(DecodeError::LatitudeOutOfRange);
        }
        (Some(_), Some(longitude)) if longitude.abs() > 180.0 => {
            return Err(DecodeError::LongitudeOutOfRange);
        }
        (Some(latitude), Some(longitude)) => {
            telling.place(latitude, longitude);
            telling.said.gps_fix = Some(true);
        }
        (None, None) if kind != "location" => {}
        _ => return Err(DecodeError::BadField),
    }
    measured(&leaves, &mut telling)?;
    match kind {
        "lwt" => telling.own("online".into(), Value::Flag(false)),
        "location" => trigger(&leaves, &mut telling),
        _ => {
            let event = leaves.text("event").unwrap_or(kind);
            telling.text(&words::EVENT, event);
        }
    }
    rest(kind, &leaves, &mut telling)?;
    let text = (bytes.len(), String::from_utf8_lossy(bytes).into_owned());
    Ok(OwnTracksFrame { identity, kind, telling, text })
}

fn measured(leaves: &Leaves, telling: &mut Telling) -> Result<(), DecodeError> {
    if let Some(speed) = leaves.number("vel")?.filter(|speed| *speed >= 0.0) {
        telling.speed(speed);
    }
    if let Some(direction) = leaves.number("cog")?.filter(|direction| *direction >= 0.0) {
        telling.direction(direction);
    }
    if let Some(metres) = leaves.number("alt")? {
        telling.optional_scaled(OptionalField::Altitude, metres, 10.0);
    }
    if let Some(metres) = leaves.number("acc")?.filter(|metres| *metres >= 0.0) {
        telling.optional_scaled(OptionalField::Accuracy, metres, 10.0);
    }
    if let Some(percent) = leaves.number("batt")? {
        telling.number(&words::BATTERY_LEVEL, percent);
    }
    match leaves.number("bs")? {
        Some(1.0) => telling.flag(&words::BATTERY_CHARGING, false),
        Some(2.0 | 3.0) => telling.flag(&words::BATTERY_CHARGING, true),
        _ => {}
    }
    if let Some(km) = leaves.number("odometer")?.filter(|km| (0.0..4e6).contains(km)) {
        let metres = crate::calendar::scaled(km, 1000.0).unwrap_or_default();
        telling.odometer(metres);
    }
    if let Some(on) = leaves.flag("ign") {
        telling.flag(&words::IGNITION, on);
    }
    Ok(())
}

/// Why a location was sent. Those that come from a Queclink device by a bridge say whether its
/// ignition is on: `I` and `i`.
fn trigger(leaves: &Leaves, telling: &mut Telling) {
    let Some(trigger) = leaves.text("t") else { return };
    telling.text(&words::EVENT, trigger);
    match trigger {
        "i" if leaves.get("ign").is_none() => telling.flag(&words::IGNITION, true),
        "I" if leaves.get("ign").is_none() => telling.flag(&words::IGNITION, false),
        _ => {}
    }
}

/// What was read above.
const READ: [&str; 14] = [
    "_type", "_id", "topic", "tst", "lat", "lon", "vel", "cog", "alt", "acc", "batt", "odometer",
    "ign", "t",
];

/// Everything else under its own name.
fn rest(kind: &str, leaves: &Leaves, telling: &mut Telling) -> Result<(), DecodeError> {
    let waypoint = kind == "waypoint";
    let is_read = |path: &str| {
        READ.contains(&path) && !(waypoint && matches!(path, "lat" | "lon"))
            || path == "event" && kind == "transition"
    };
    for (path, leaf) in leaves.iter().filter(|(path, _)| !is_read(path)) {
        let value = match leaf {
            Leaf::Null => continue,
            Leaf::Flag(flag) => Value::Flag(*flag),
            Leaf::Integer(number) => Value::Integer(*number),
            Leaf::Number(number) => Value::Number(*number),
            Leaf::Text(text) => Value::Text(text.as_str().into()),
        };
        if !is_channel_name(path) {
            return Err(DecodeError::BadField);
        }
        telling.own(path.into(), value);
    }
    Ok(())
}

impl<'a> ProtocolFrame<'a> for OwnTracksFrame {
    fn kind(&self) -> &'static str {
        self.kind
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
        let (length, text) = self.text.clone();
        Vec::from([Field { length, name: "message", value: FieldValue::Text(text) }])
    }
}
