//! Where the device was, as a payload says it: the member `position`, or what a mapping names.

use nemeses_protocol::{OptionalField, Whereabouts};

use crate::TelemetryError;
use crate::item::Item;
use crate::json::{Member, item, members};
use crate::output::{Output, quoted};

const MICRO: f64 = 1e6;

/// A position as it is put together from its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    said: Whereabouts,
    latitude: Option<i64>,
    longitude: Option<i64>,
}

impl Place {
    /// Empty. A position is taken to have a fix unless the payload says otherwise.
    pub(crate) fn new() -> Self {
        let said = Whereabouts { gps_fix: Some(true), ..Whereabouts::default() };
        Self { said, latitude: None, longitude: None }
    }

    /// Takes a part by its name: `lat` and `lon` in degrees, `alt`, `accuracy` and `odometer` in
    /// metres, `speed` in km/h, `heading` in degrees, `sats`, `hdop`, `ignition`, `fix`. False when
    /// nothing has this name.
    ///
    /// # Errors
    /// What the part must be.
    pub(crate) fn set(&mut self, name: &str, value: &Item<'_>) -> Result<bool, String> {
        let number = |times: f64, range: (f64, f64)| {
            scaled(value, times, range).ok_or_else(|| {
                let (least, most) = range;
                format!("position.{name} is no number from {least} to {most}")
            })
        };
        let flag = || match value {
            Item::Flag(flag) => Ok(Some(*flag)),
            _ => Err(format!("position.{name} is neither true nor false")),
        };
        let optional = match name {
            "lat" => {
                self.latitude = Some(number(MICRO, (-90.0, 90.0))?);
                None
            }
            "lon" => {
                self.longitude = Some(number(MICRO, (-180.0, 180.0))?);
                None
            }
            "speed" => {
                self.said.speed_dkmh = u32::try_from(number(10.0, (0.0, 100_000.0))?).ok();
                None
            }
            "heading" => {
                self.said.direction_cdeg = u16::try_from(number(100.0, (0.0, 360.0))?).ok();
                None
            }
            "odometer" => {
                self.said.odometer_m = u32::try_from(number(1.0, (0.0, f64::from(u32::MAX)))?).ok();
                None
            }
            "ignition" => {
                self.said.ignition = flag()?;
                None
            }
            "fix" => {
                self.said.gps_fix = flag()?;
                None
            }
            "alt" => Some((OptionalField::Altitude, number(10.0, (-100_000.0, 1_000_000.0))?)),
            "sats" => Some((OptionalField::Satellites, number(1.0, (0.0, 255.0))?)),
            "hdop" => Some((OptionalField::Hdop, number(100.0, (0.0, 10_000.0))?)),
            "accuracy" => Some((OptionalField::Accuracy, number(10.0, (0.0, 10_000_000.0))?)),
            _ => return Ok(false),
        };
        if let Some((field, value)) = optional {
            let value = i32::try_from(value).map_err(|_| format!("position.{name}"))?;
            self.said.optional.set(field, value).map_err(|error| error.to_string())?;
        }
        Ok(true)
    }

    /// The whole.
    ///
    /// # Errors
    /// Latitude or longitude is missing.
    pub(crate) fn whereabouts(self) -> Result<Whereabouts, String> {
        let degrees = |value: Option<i64>| value.and_then(|value| i32::try_from(value).ok());
        match (degrees(self.latitude), degrees(self.longitude)) {
            (Some(latitude_udeg), Some(longitude_udeg)) => {
                Ok(Whereabouts { latitude_udeg, longitude_udeg, ..self.said })
            }
            _ => Err("a position has lat and lon, in degrees".to_owned()),
        }
    }
}

/// Reads the member `position`; a member of it that means nothing is rejected alone.
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
    let mut place = Place::new();
    for part in listed {
        let value = item(part.value);
        if value == Item::Null {
            continue;
        }
        let name = part.key.as_deref().unwrap_or_default();
        if !place.set(name, &value).map_err(bad)? {
            let detail = format!(
                "{} means nothing in a position; put it into values if it is one",
                quoted(name)
            );
            output.reject(part.span(output), TelemetryError::UnknownMember, detail);
        }
    }
    place.whereabouts().map(Some).map_err(bad)
}

/// A number within bounds, times `times` and rounded.
fn scaled(value: &Item<'_>, times: f64, (least, most): (f64, f64)) -> Option<i64> {
    let number = value.number()?;
    #[expect(clippy::cast_possible_truncation, reason = "within the bounds, which are small")]
    (least..=most).contains(&number).then(|| (number * times).round() as i64)
}
