//! Where a device is, as trackers of any kind say it: what one does not say is absent.

use crate::{Composition, DeviceId, OptionalField, OptionalFields, OutOfBounds, Position};

/// What a device says of its place at one moment. It becomes a [`Position`] with optional
/// fields, in which whatever is absent here is marked as not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// 1e-6 degree, north positive.
    pub latitude_udeg: i32,
    /// 1e-6 degree, east positive.
    pub longitude_udeg: i32,
    /// 1/100 degree clockwise from north, 0 to 36 000.
    pub direction_cdeg: Option<u16>,
    /// 1/10 km/h.
    pub speed_dkmh: Option<u32>,
    /// Metres.
    pub odometer_m: Option<u32>,
    /// Minutes.
    pub hour_meter_min: Option<u32>,
    /// Whether the receiver had a GPS fix. Only positions with one are on the map.
    pub gps_fix: Option<bool>,
    /// Whether the ignition was on.
    pub ignition: Option<bool>,
    /// Whether it comes from the device's memory.
    pub historical: bool,
    /// Altitude, satellites, accuracy and HDOP.
    pub optional: OptionalFields,
}

impl Whereabouts {
    /// The position of a device at a time (Unix milliseconds), with its optional fields.
    ///
    /// # Errors
    /// The speed is out of bounds.
    pub fn at(
        &self,
        device: DeviceId,
        recorded_at_ms: u64,
    ) -> Result<(Position, OptionalFields), OutOfBounds> {
        let bit = |bit: u16, set: bool| if set { bit } else { 0 };
        let composition = bit(Composition::GPS_FIX, self.gps_fix == Some(true))
            | bit(Composition::HISTORICAL, self.historical)
            | bit(Composition::IGNITION, self.ignition == Some(true))
            | bit(Composition::LATITUDE_NEGATIVE, self.latitude_udeg < 0)
            | bit(Composition::LONGITUDE_NEGATIVE, self.longitude_udeg < 0);
        let position = Position {
            device,
            recorded_at: u32::try_from(recorded_at_ms / 1000).unwrap_or(u32::MAX),
            direction_cdeg: self.direction_cdeg.unwrap_or_default(),
            odometer_m: self.odometer_m.unwrap_or_default(),
            hour_meter_min: self.hour_meter_min.unwrap_or_default(),
            composition: Composition(composition),
            extension: None,
            speed_kmh: self.speed_dkmh.map_or(0, whole_kmh),
            latitude_udeg: self.latitude_udeg,
            longitude_udeg: self.longitude_udeg,
        };
        Ok((position, self.optional_fields(recorded_at_ms)?))
    }

    fn optional_fields(&self, recorded_at_ms: u64) -> Result<OptionalFields, OutOfBounds> {
        let mut fields = self.optional;
        let mut set = |field: OptionalField, value: Option<u32>| {
            let value = value.map(|value| i32::try_from(value).map_err(|_| OutOfBounds(field)));
            value.map_or(Ok(()), |value| fields.set(field, value?))
        };
        let milliseconds = u32::try_from(recorded_at_ms % 1000).ok();
        set(OptionalField::RecordedMs, milliseconds.filter(|part| *part > 0))?;
        let exact = |speed: &u32| u32::from(whole_kmh(*speed)) * 10 != *speed;
        set(OptionalField::Speed, self.speed_dkmh.filter(exact))?;
        for (mark, known) in [
            (OptionalField::FixUnknown, self.gps_fix.is_some()),
            (OptionalField::IgnitionUnknown, self.ignition.is_some()),
            (OptionalField::DirectionUnknown, self.direction_cdeg.is_some()),
            (OptionalField::SpeedUnknown, self.speed_dkmh.is_some()),
            (OptionalField::OdometerUnknown, self.odometer_m.is_some()),
            (OptionalField::HourMeterUnknown, self.hour_meter_min.is_some()),
        ] {
            set(mark, (!known).then_some(1))?;
        }
        Ok(fields)
    }

    /// What a position says; the inverse of [`Self::at`], but for the milliseconds, which
    /// stay among the optional fields.
    pub fn of(position: &Position, fields: &OptionalFields) -> Self {
        let unless = |mark: OptionalField| fields.get(mark).is_none();
        let bits = position.composition;
        let exact = fields.get(OptionalField::Speed).and_then(|speed| u32::try_from(speed).ok());
        let speed_dkmh = exact.unwrap_or(u32::from(position.speed_kmh) * 10);
        Self {
            latitude_udeg: position.latitude_udeg,
            longitude_udeg: position.longitude_udeg,
            direction_cdeg: unless(OptionalField::DirectionUnknown)
                .then_some(position.direction_cdeg),
            speed_dkmh: unless(OptionalField::SpeedUnknown).then_some(speed_dkmh),
            odometer_m: unless(OptionalField::OdometerUnknown).then_some(position.odometer_m),
            hour_meter_min: unless(OptionalField::HourMeterUnknown)
                .then_some(position.hour_meter_min),
            gps_fix: unless(OptionalField::FixUnknown).then_some(bits.gps_fix()),
            ignition: unless(OptionalField::IgnitionUnknown).then_some(bits.ignition()),
            historical: bits.historical(),
            optional: *fields,
        }
    }
}

/// The nearest whole speed that the base field can hold.
fn whole_kmh(speed_dkmh: u32) -> u8 {
    u8::try_from(speed_dkmh.saturating_add(5) / 10).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEVICE: DeviceId = DeviceId::NONE;

    fn any_whereabouts() -> impl Strategy<Value = Whereabouts> {
        let base = (any::<i32>(), any::<i32>(), any::<Option<u16>>(), any::<bool>());
        let speed = prop::option::of(0_u32..=1_000_000);
        let meters = (any::<Option<u32>>(), any::<Option<u32>>());
        let flags = (any::<Option<bool>>(), any::<Option<bool>>());
        let altitude = prop::option::of(-1_000_000..=10_000_000);
        (base, speed, meters, flags, altitude).prop_map(|(base, speed, meters, flags, altitude)| {
            let mut optional = OptionalFields::NONE;
            if let Some(altitude) = altitude {
                optional.set(OptionalField::Altitude, altitude).unwrap();
            }
            Whereabouts {
                latitude_udeg: base.0,
                longitude_udeg: base.1,
                direction_cdeg: base.2,
                historical: base.3,
                speed_dkmh: speed,
                odometer_m: meters.0,
                hour_meter_min: meters.1,
                gps_fix: flags.0,
                ignition: flags.1,
                optional,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_said_comes_back(said in any_whereabouts(), at_ms in 0..4_000_000_000_000_u64) {
            let (position, fields) = said.at(DEVICE, at_ms).unwrap();
            let again = Whereabouts::of(&position, &fields);
            prop_assert_eq!(Whereabouts { optional: said.optional, ..again }, said);
            let part = fields.get(OptionalField::RecordedMs).unwrap_or(0);
            prop_assert_eq!(u64::from(position.recorded_at) * 1000 + u64::try_from(part).unwrap(), at_ms);
            prop_assert_eq!(again.at(DEVICE, at_ms), Ok((position, fields)));
        }
    }

    #[test]
    fn a_speed_without_end_is_refused() {
        let said = Whereabouts { speed_dkmh: Some(u32::MAX), ..Whereabouts::default() };
        assert_eq!(said.at(DEVICE, 0), Err(OutOfBounds(OptionalField::Speed)));
    }
}
