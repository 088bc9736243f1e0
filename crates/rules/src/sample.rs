//! A stored row as rules see it.

use nemeses_protocol::{OptionalField, PositionRecord, Value};

use crate::datum::Datum;
use crate::geo::Point;
use crate::name::{Field, Name};

/// What a device reported at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When, by the device's clock, Unix milliseconds.
    pub at_ms: u64,
    /// When it arrived, by the server's clock.
    pub received_at_ms: u64,
    /// Tells rows of one moment apart.
    pub hash: u64,
    /// Where, if there was a fix.
    pub place: Option<Point>,
    /// The device's estimate of the error at most, metres.
    pub accuracy_m: Option<f64>,
    /// Fields and channels.
    pub values: Vec<(Name, Datum)>,
}

impl Sample {
    /// A row of positions. Without a fix it has no place.
    pub fn of_position(record: &PositionRecord) -> Self {
        let position = &record.position;
        let optional = record.optional();
        let get = |field| optional.get(field);
        let unknown = |field| get(field).is_some();
        let has_fix = position.composition.gps_fix() || unknown(OptionalField::FixUnknown);
        let place = Point::from_udeg(position.latitude_udeg, position.longitude_udeg);
        let tenths = |field| get(field).map(|value| f64::from(value) / 10.0);
        let accuracy_m = tenths(OptionalField::Accuracy);
        let speed = tenths(OptionalField::Speed).unwrap_or_else(|| position.speed_kmh.into());
        let mut values = Values::default();
        values.number(Field::SpeedKmh, (!unknown(OptionalField::SpeedUnknown)).then_some(speed));
        values.number(Field::AltitudeM, tenths(OptionalField::Altitude));
        if !unknown(OptionalField::IgnitionUnknown) {
            values.flag(Field::Ignition, position.composition.ignition());
        }
        let odometer = f64::from(position.odometer_m);
        let odometer = (!unknown(OptionalField::OdometerUnknown)).then_some(odometer);
        values.number(Field::OdometerM, odometer);
        values.number(Field::OdometerKm, odometer.map(|metres| metres / 1000.0));
        let hours = f64::from(position.hour_meter_min) / 60.0;
        values.number(
            Field::EngineHours,
            (!unknown(OptionalField::HourMeterUnknown)).then_some(hours),
        );
        let direction = f64::from(position.direction_cdeg) / 100.0;
        values.number(
            Field::DirectionDeg,
            (!unknown(OptionalField::DirectionUnknown)).then_some(direction),
        );
        values.number(Field::Latitude, has_fix.then_some(place.latitude));
        values.number(Field::Longitude, has_fix.then_some(place.longitude));
        values.number(Field::AccuracyM, accuracy_m);
        values.number(Field::Satellites, get(OptionalField::Satellites).map(f64::from));
        values.number(Field::Hdop, get(OptionalField::Hdop).map(|value| f64::from(value) / 100.0));
        if !unknown(OptionalField::FixUnknown) {
            values.flag(Field::GpsFix, position.composition.gps_fix());
        }
        let milliseconds = get(OptionalField::RecordedMs).and_then(|ms| u64::try_from(ms).ok());
        Self {
            at_ms: u64::from(position.recorded_at) * 1000 + milliseconds.unwrap_or_default(),
            received_at_ms: record.received_at_ms,
            hash: record.frame_hash,
            place: has_fix.then_some(place),
            accuracy_m,
            values: values.0,
        }
    }

    /// A row of readings. The channels `ignition`, `odometer` (metres) and `engine.hours` are the fields, too,
    /// for devices that have no others.
    pub fn of_readings<'v>(
        at_ms: u64,
        received_at_ms: u64,
        hash: u64,
        readings: impl IntoIterator<Item = (&'v str, &'v Value)>,
    ) -> Self {
        let mut values = Values::default();
        for (channel, value) in readings {
            let Some(value) = Datum::of(value) else { continue };
            match channel {
                "ignition" => values.0.push((Name::Field(Field::Ignition), value.clone())),
                "engine.hours" => values.number(Field::EngineHours, value.number()),
                "odometer" => {
                    values.number(Field::OdometerM, value.number());
                    values.number(Field::OdometerKm, value.number().map(|metres| metres / 1000.0));
                }
                _ => {}
            }
            values.0.push((Name::Channel(channel.into()), value));
        }
        // The position of the same record has the same hash.
        Self { at_ms, received_at_ms, hash: !hash, place: None, accuracy_m: None, values: values.0 }
    }
}

#[derive(Default)]
struct Values(Vec<(Name, Datum)>);

impl Values {
    fn number(&mut self, field: Field, value: Option<f64>) {
        self.0.extend(value.map(|value| (Name::Field(field), Datum::Number(value))));
    }

    fn flag(&mut self, field: Field, value: bool) {
        self.0.push((Name::Field(field), Datum::Flag(value)));
    }
}
