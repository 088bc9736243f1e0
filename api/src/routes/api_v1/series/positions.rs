//! What positions say as channels: `position.speed_kmh` and so on, for every device that
//! sends positions. The names are reserved.

use nemeses_protocol::{FieldForm, OptionalField, PositionRecord};
use nemeses_reports::number::{degrees, direction};
use nemeses_series::{Kind, Value};

/// What these names begin with.
const PREFIX: &str = "position.";

/// A channel of positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PositionChannel {
    /// Behind the prefix.
    name: &'static str,
    pub(super) unit: Option<&'static str>,
    pub(super) kind: Kind,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Latitude,
    Longitude,
    Speed,
    Direction,
    Odometer,
    HourMeter,
    Ignition,
    Fix,
    Optional(OptionalField),
}

impl Part {
    /// The mark of positions that do not say this.
    const fn unknown(self) -> Option<OptionalField> {
        Some(match self {
            Self::Speed => OptionalField::SpeedUnknown,
            Self::Direction => OptionalField::DirectionUnknown,
            Self::Odometer => OptionalField::OdometerUnknown,
            Self::HourMeter => OptionalField::HourMeterUnknown,
            Self::Ignition => OptionalField::IgnitionUnknown,
            Self::Fix => OptionalField::FixUnknown,
            Self::Latitude | Self::Longitude | Self::Optional(_) => return None,
        })
    }
}

/// The parts that every position has.
const ALWAYS: [PositionChannel; 8] = [
    channel("latitude", Some("deg"), Kind::Gauge, Part::Latitude),
    channel("longitude", Some("deg"), Kind::Gauge, Part::Longitude),
    channel("speed_kmh", Some("km/h"), Kind::Gauge, Part::Speed),
    channel("direction_deg", Some("deg"), Kind::Gauge, Part::Direction),
    channel("odometer_m", Some("m"), Kind::Counter, Part::Odometer),
    channel("hour_meter_min", Some("min"), Kind::Counter, Part::HourMeter),
    channel("ignition", None, Kind::State, Part::Ignition),
    channel("gps_fix", None, Kind::State, Part::Fix),
];

const fn channel(
    name: &'static str,
    unit: Option<&'static str>,
    kind: Kind,
    part: Part,
) -> PositionChannel {
    PositionChannel { name, unit, kind, part }
}

/// Numbers that some devices send, but for those that are part of a time or of the speed.
fn sometimes() -> impl Iterator<Item = PositionChannel> {
    let own = |field: &OptionalField| {
        let number = matches!(field.spec().form, FieldForm::Number { .. });
        number && !matches!(field, OptionalField::RecordedMs | OptionalField::Speed)
    };
    OptionalField::ALL.into_iter().filter(own).map(|field| {
        let unit = field.spec().shown.ends_with("_m").then_some("m");
        channel(field.spec().shown, unit, Kind::Gauge, Part::Optional(field))
    })
}

impl PositionChannel {
    /// The channel of a reserved name; `Err` with all of them for one that is none of them.
    pub(super) fn of(name: &str) -> Option<Result<Self, String>> {
        let name = name.strip_prefix(PREFIX)?;
        let found = ALWAYS.into_iter().chain(sometimes()).find(|channel| channel.name == name);
        Some(found.ok_or_else(|| {
            let names: Vec<String> =
                ALWAYS.into_iter().chain(sometimes()).map(|channel| channel.name()).collect();
            names.join(", ")
        }))
    }

    /// The whole name.
    pub(super) fn name(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// What a position says.
    pub(super) fn value(&self, record: &PositionRecord) -> Option<Value> {
        let (position, optional) = (&record.position, record.optional());
        let bits = position.composition;
        if self.part.unknown().is_some_and(|mark| optional.get(mark).is_some()) {
            return None;
        }
        Some(match self.part {
            Part::Latitude | Part::Longitude if !bits.gps_fix() => return None,
            Part::Latitude => Value::Number(degrees(position.latitude_udeg)),
            Part::Longitude => Value::Number(degrees(position.longitude_udeg)),
            Part::Speed => match optional.get(OptionalField::Speed) {
                Some(tenths) => Value::Number(f64::from(tenths) / 10.0),
                None => Value::Number(position.speed_kmh.into()),
            },
            Part::Direction => Value::Number(direction(position.direction_cdeg)),
            Part::Odometer => Value::Number(position.odometer_m.into()),
            Part::HourMeter => Value::Number(position.hour_meter_min.into()),
            Part::Ignition => Value::Bool(bits.ignition()),
            Part::Fix => Value::Bool(bits.gps_fix()),
            Part::Optional(field) => {
                let FieldForm::Number { decimals } = field.spec().form else { return None };
                let whole = optional.get(field)?;
                Value::Number(f64::from(whole) / f64::from(10_u32.pow(decimals.into())))
            }
        })
    }
}

/// When it was recorded, Unix milliseconds.
pub(super) fn at_ms(record: &PositionRecord) -> i64 {
    let ms = record.optional().get(OptionalField::RecordedMs).unwrap_or(0);
    i64::from(record.position.recorded_at) * 1000 + i64::from(ms)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Composition, DeviceId, OptionalFields, PackedFields, Position};

    use super::*;

    #[test]
    fn a_position_s_parts_are_channels() {
        let mut optional = OptionalFields::NONE;
        optional.set(OptionalField::Altitude, 8_123).unwrap();
        optional.set(OptionalField::RecordedMs, 250).unwrap();
        optional.set(OptionalField::HourMeterUnknown, 1).unwrap();
        let position = Position {
            device: DeviceId::new(1),
            recorded_at: 1_593_637_200,
            direction_cdeg: 5487,
            odometer_m: 25_000_000,
            hour_meter_min: 36_000,
            composition: Composition(Composition::IGNITION),
            extension: None,
            speed_kmh: 60,
            latitude_udeg: -19_932_833,
            longitude_udeg: -43_938_493,
        };
        let packed = PackedFields::new(&optional, None);
        let record = PositionRecord { position, frame_hash: 1, received_at_ms: 0, packed };
        assert_eq!(at_ms(&record), 1_593_637_200_250);
        for (name, value) in [
            ("position.speed_kmh", Some(Value::Number(60.0))),
            ("position.odometer_m", Some(Value::Number(25e6))),
            ("position.altitude_m", Some(Value::Number(812.3))),
            ("position.ignition", Some(Value::Bool(true))),
            ("position.gps_fix", Some(Value::Bool(false))),
            ("position.latitude", None),
            ("position.hour_meter_min", None),
            ("position.hdop", None),
        ] {
            let channel = PositionChannel::of(name).unwrap().unwrap();
            assert_eq!((channel.name().as_str(), channel.value(&record)), (name, value));
        }
        assert_eq!(PositionChannel::of("speed_kmh"), None);
        let names = PositionChannel::of("position.speed").unwrap().unwrap_err();
        for channel in ALWAYS.into_iter().chain(sometimes()) {
            assert!(names.contains(&channel.name()), "{names} lacks {}", channel.name());
        }
    }
}
