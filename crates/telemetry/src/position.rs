//! The member `position`: where the device was, as it says so.

use nemeses_protocol::{OptionalField, Whereabouts};

use crate::TelemetryError;
use crate::item::Item;
use crate::json::{Member, item, members};
use crate::output::{Output, quoted};

const MICRO: f64 = 1e6;

/// Reads a position; a member that means nothing is rejected alone.
///
/// # Errors
/// What is wrong with the whole of it.
pub(crate) fn position(
    member: &Member<'_>,
    output: &mut Output<'_>,
) -> Result<Option<Whereabouts>, (TelemetryError, String)> {
    let bad = |detail: String| (TelemetryError::BadValue, detail);
    if item(member.value) == Item::Null {
        return Ok(None);
    }
    let listed = members(member.value)
        .ok_or_else(|| bad("the member position is no object with lat and lon".to_owned()))?;
    // Whoever says where it is has been told so by a receiver, unless it says otherwise.
    let mut said = Whereabouts { gps_fix: Some(true), ..Whereabouts::default() };
    let (mut latitude, mut longitude) = (None, None);
    for part in listed {
        let value = item(part.value);
        if value == Item::Null {
            continue;
        }
        let name = part.key.as_deref().unwrap_or_default();
        let number = |times: f64, range: (f64, f64)| {
            scaled(&value, times, range).ok_or_else(|| {
                let (least, most) = range;
                bad(format!("position.{name} is no number from {least} to {most}"))
            })
        };
        let flag = || match value {
            Item::Flag(flag) => Ok(Some(flag)),
            _ => Err(bad(format!("position.{name} is neither true nor false"))),
        };
        let optional = match name {
            "lat" => {
                latitude = Some(number(MICRO, (-90.0, 90.0))?);
                None
            }
            "lon" => {
                longitude = Some(number(MICRO, (-180.0, 180.0))?);
                None
            }
            "speed" => {
                said.speed_dkmh = u32::try_from(number(10.0, (0.0, 100_000.0))?).ok();
                None
            }
            "heading" => {
                said.direction_cdeg = u16::try_from(number(100.0, (0.0, 360.0))?).ok();
                None
            }
            "odometer" => {
                said.odometer_m = u32::try_from(number(1.0, (0.0, f64::from(u32::MAX)))?).ok();
                None
            }
            "ignition" => {
                said.ignition = flag()?;
                None
            }
            "fix" => {
                said.gps_fix = flag()?;
                None
            }
            "alt" => Some((OptionalField::Altitude, number(10.0, (-100_000.0, 1_000_000.0))?)),
            "sats" => Some((OptionalField::Satellites, number(1.0, (0.0, 255.0))?)),
            "hdop" => Some((OptionalField::Hdop, number(100.0, (0.0, 10_000.0))?)),
            "accuracy" => Some((OptionalField::Accuracy, number(10.0, (0.0, 10_000_000.0))?)),
            _ => {
                let detail = format!(
                    "{} means nothing in a position; put it into values if it is one",
                    quoted(name)
                );
                output.reject(part.span(output), TelemetryError::UnknownMember, detail);
                None
            }
        };
        if let Some((field, value)) = optional {
            let value = i32::try_from(value).map_err(|_| bad(format!("position.{name}")))?;
            said.optional.set(field, value).map_err(|error| bad(error.to_string()))?;
        }
    }
    let degrees = |value: Option<i64>| value.and_then(|value| i32::try_from(value).ok());
    match (degrees(latitude), degrees(longitude)) {
        (Some(latitude_udeg), Some(longitude_udeg)) => {
            Ok(Some(Whereabouts { latitude_udeg, longitude_udeg, ..said }))
        }
        _ => Err(bad("a position has lat and lon, in degrees".to_owned())),
    }
}

/// A number within bounds, times `times` and rounded.
fn scaled(value: &Item<'_>, times: f64, (least, most): (f64, f64)) -> Option<i64> {
    let number = match value {
        #[expect(clippy::cast_precision_loss, reason = "what is beyond 2^53 is out of bounds")]
        Item::Integer(integer) => *integer as f64,
        Item::Number(number) => *number,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "within the bounds, which are small")]
    (least..=most).contains(&number).then(|| (number * times).round() as i64)
}
