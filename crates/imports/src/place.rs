//! A position from the numbers of a file.

use nemeses_protocol::{OptionalField, OptionalFields, Whereabouts};

/// What a file says of a place: degrees, metres, km/h. What it does not say is absent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) altitude_m: Option<f64>,
    pub(crate) speed_kmh: Option<f64>,
    pub(crate) course_deg: Option<f64>,
    pub(crate) odometer_m: Option<f64>,
    pub(crate) engine_min: Option<f64>,
    pub(crate) satellites: Option<f64>,
    pub(crate) hdop: Option<f64>,
    pub(crate) accuracy_m: Option<f64>,
    pub(crate) ignition: Option<bool>,
    /// Without a word a point of a file is one with a fix.
    pub(crate) gps_fix: Option<bool>,
}

impl Place {
    /// As a device would have sent it, from its memory.
    pub(crate) fn whereabouts(&self) -> Result<Whereabouts, String> {
        let mut optional = OptionalFields::NONE;
        for (field, value, factor, name) in [
            (OptionalField::Altitude, self.altitude_m, 10.0, "altitude"),
            (OptionalField::Satellites, self.satellites, 1.0, "satellites"),
            (OptionalField::Accuracy, self.accuracy_m, 10.0, "accuracy"),
            (OptionalField::Hdop, self.hdop, 100.0, "hdop"),
        ] {
            let Some(value) = value else { continue };
            let (min, max) = (f64::from(field.spec().min), f64::from(field.spec().max));
            let scaled = whole(name, value, factor, (min, max))?;
            let scaled = i32::try_from(scaled).map_err(|_| out_of_bounds(name, value))?;
            optional.set(field, scaled).map_err(|_| out_of_bounds(name, value))?;
        }
        let course = self.course_deg.map(|degrees| degrees.rem_euclid(360.0));
        Ok(Whereabouts {
            latitude_udeg: degrees("latitude", self.latitude, 90.0)?,
            longitude_udeg: degrees("longitude", self.longitude, 180.0)?,
            direction_cdeg: scaled("course", course, 100.0, 36_000.0)?,
            speed_dkmh: scaled("speed", self.speed_kmh, 10.0, 1_000_000.0)?,
            odometer_m: scaled("odometer", self.odometer_m, 1.0, f64::from(u32::MAX))?,
            hour_meter_min: scaled("engine hours", self.engine_min, 1.0, f64::from(u32::MAX))?,
            gps_fix: Some(self.gps_fix.unwrap_or(true)),
            ignition: self.ignition,
            historical: true,
            optional,
        })
    }
}

/// A number as files write it.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| format!("'{text}' is no number"))
}

fn degrees(name: &str, value: f64, max: f64) -> Result<i32, String> {
    let udeg = whole(name, value, 1e6, (-max * 1e6, max * 1e6))?;
    i32::try_from(udeg).map_err(|_| out_of_bounds(name, value))
}

fn scaled<T: TryFrom<i64>>(
    name: &str,
    value: Option<f64>,
    factor: f64,
    max: f64,
) -> Result<Option<T>, String> {
    let Some(value) = value else { return Ok(None) };
    let scaled = whole(name, value, factor, (0.0, max))?;
    T::try_from(scaled).map(Some).map_err(|_| out_of_bounds(name, value))
}

/// The nearest whole number of the scaled value, within bounds.
#[expect(clippy::cast_possible_truncation, reason = "within bounds that fit")]
fn whole(name: &str, value: f64, factor: f64, (min, max): (f64, f64)) -> Result<i64, String> {
    let scaled = (value * factor).round();
    if (min..=max).contains(&scaled) { Ok(scaled as i64) } else { Err(out_of_bounds(name, value)) }
}

fn out_of_bounds(name: &str, value: f64) -> String {
    format!("the {name} {value} is out of bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_units_of_a_position() {
        let place = Place {
            latitude: -23.550_52,
            longitude: 180.0,
            altitude_m: Some(760.25),
            speed_kmh: Some(61.16),
            course_deg: Some(-90.0),
            odometer_m: Some(1234.4),
            satellites: Some(9.0),
            hdop: Some(0.8),
            ..Place::default()
        };
        let said = place.whereabouts().unwrap();
        assert_eq!((said.latitude_udeg, said.longitude_udeg), (-23_550_520, 180_000_000));
        assert_eq!((said.speed_dkmh, said.direction_cdeg), (Some(612), Some(27_000)));
        assert_eq!((said.odometer_m, said.ignition, said.gps_fix), (Some(1234), None, Some(true)));
        assert_eq!(said.optional.get(OptionalField::Altitude), Some(7603));
        assert_eq!(said.optional.get(OptionalField::Hdop), Some(80));
        assert!(said.historical);
    }

    #[test]
    fn what_no_place_has_is_refused_by_name() {
        for (place, name) in [
            (Place { latitude: 90.1, ..Place::default() }, "latitude"),
            (Place { longitude: f64::NAN, ..Place::default() }, "longitude"),
            (Place { speed_kmh: Some(-1.0), ..Place::default() }, "speed"),
            (Place { altitude_m: Some(1e9), ..Place::default() }, "altitude"),
            (Place { satellites: Some(f64::INFINITY), ..Place::default() }, "satellites"),
        ] {
            let why = place.whereabouts().unwrap_err();
            assert!(why.contains(name), "{why}");
        }
    }
}
