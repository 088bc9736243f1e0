//! The form of JSON, as Traccar Client writes it from version 9 on. Speeds are in m/s here,
//! and -1 means that something is not known.

use alloc::string::String;
use alloc::vec::Vec;

use super::{OsmAndFrame, alarm, moment_ms, named, own, place};
use crate::calendar::iso_8601;
use crate::leaves::{Leaf, Leaves};
use crate::telling::Telling;
use crate::vocabulary as words;
use crate::{DecodeError, OptionalField, Value};

/// m/s in km/h.
const METRE_A_SECOND: f64 = 3.6;

/// # Errors
/// What cannot be read.
pub(super) fn read(bytes: &[u8]) -> Result<OsmAndFrame, DecodeError> {
    let leaves = Leaves::read(bytes)?;
    let id = match leaves.get("device_id").or_else(|| leaves.get("id")) {
        Some(Leaf::Text(id)) => named(id)?,
        Some(Leaf::Integer(id)) => named(&alloc::format!("{id}"))?,
        _ => return Err(DecodeError::NoIdentity),
    };
    let mut telling = match leaves.get("location.timestamp") {
        None | Some(Leaf::Null) => Telling::arrived(),
        Some(Leaf::Text(text)) => Telling::at(iso_8601(text).ok_or(DecodeError::BadDate)?),
        Some(leaf) => Telling::at(moment_ms(leaf.number()?.ok_or(DecodeError::BadDate)?)?),
    };
    coordinates(&leaves, &mut telling)?;
    if let Some(moves) = leaves.flag("location.is_moving") {
        telling.flag(&words::MOTION, moves);
    }
    if let Some(metres) = known(&leaves, "location.odometer")? {
        let metres = crate::calendar::scaled(metres, 1.0).unwrap_or_default();
        telling.odometer(metres);
    }
    if let Some(level) = known(&leaves, "location.battery.level")? {
        let percent = crate::calendar::scaled(level, 1000.0).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        telling.number(&words::BATTERY_LEVEL, percent as f64 / 10.0);
    }
    if let Some(charging) = leaves.flag("location.battery.is_charging") {
        telling.flag(&words::BATTERY_CHARGING, charging);
    }
    if let Some(event) = leaves.text("location.event") {
        telling.text(&words::EVENT, event);
    }
    if let Some(word) = leaves.text("location.alarm").or_else(|| leaves.text("alarm")) {
        alarm(&mut telling, word);
    }
    rest(&leaves, &mut telling)?;
    let fields = Vec::from([(bytes.len(), String::from_utf8_lossy(bytes).into_owned())]);
    Ok(OsmAndFrame { identity: id, telling, fields })
}

fn coordinates(leaves: &Leaves, telling: &mut Telling) -> Result<(), DecodeError> {
    let coordinate = |name| leaves.number(name);
    let latitude = coordinate("location.coords.latitude")?;
    place(telling, latitude, coordinate("location.coords.longitude")?)?;
    if let Some(speed) = known(leaves, "location.coords.speed")? {
        telling.speed(speed * METRE_A_SECOND);
    }
    if let Some(heading) = known(leaves, "location.coords.heading")? {
        telling.direction(heading);
    }
    if let Some(metres) = leaves.number("location.coords.altitude")? {
        telling.optional_scaled(OptionalField::Altitude, metres, 10.0);
    }
    if let Some(metres) = known(leaves, "location.coords.accuracy")? {
        telling.optional_scaled(OptionalField::Accuracy, metres, 10.0);
    }
    Ok(())
}

/// A number that is not -1.
fn known(leaves: &Leaves, path: &str) -> Result<Option<f64>, DecodeError> {
    Ok(leaves.number(path)?.filter(|number| *number >= 0.0))
}

/// What was read above, and what says how exactly it was measured.
const READ: [&str; 18] = [
    "device_id",
    "id",
    "alarm",
    "location.timestamp",
    "location.uuid",
    "location.is_moving",
    "location.odometer",
    "location.event",
    "location.alarm",
    "location.battery.level",
    "location.battery.is_charging",
    "location.coords.latitude",
    "location.coords.longitude",
    "location.coords.accuracy",
    "location.coords.speed",
    "location.coords.heading",
    "location.coords.altitude",
    "location.coords.age",
];

/// Everything else under its own name, without what all of it begins with.
fn rest(leaves: &Leaves, telling: &mut Telling) -> Result<(), DecodeError> {
    for (path, leaf) in leaves.iter().filter(|(path, _)| !READ.contains(path)) {
        let value = match leaf {
            Leaf::Null => continue,
            Leaf::Flag(flag) => Value::Flag(*flag),
            Leaf::Integer(number) => Value::Integer(*number),
            Leaf::Number(number) => Value::Number(*number),
            Leaf::Text(text) => Value::Text(text.as_str().into()),
        };
        own(telling, path.strip_prefix("location.").unwrap_or(path), value)?;
    }
    Ok(())
}
