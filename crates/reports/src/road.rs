//! Rows for tests: a device going east along the equator from 10 degrees, where a
//! metre is always the same number of micro-degrees.

use nemeses_protocol::{Composition, DeviceId, Position, PositionRecord};
use proptest::prelude::*;

pub(crate) const FIX: u16 = Composition::GPS_FIX;
pub(crate) const ON: u16 = Composition::IGNITION;
/// Where roads begin.
const EAST_UDEG: i32 = 10_000_000;
/// 2020-07-01T00:00:00Z.
pub(crate) const START: u32 = 1_593_561_600;

/// A row after another.
#[derive(Clone, Debug)]
pub(crate) struct Road {
    rows: Vec<PositionRecord>,
    now: Position,
    metres: i64,
}

/// Micro-degrees of so many metres on the equator.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "roads are short")]
fn udeg(metres: i64) -> i32 {
    (metres as f64 / 0.111_195_08).round() as i32
}

impl Road {
    /// A standing device; its first row at [`START`], without an odometer.
    pub(crate) fn new(bits: u16) -> Self {
        let now = Position {
            device: DeviceId::new(0x0A_3F73),
            recorded_at: START,
            direction_cdeg: 9000,
            odometer_m: 0,
            hour_meter_min: 600,
            composition: Composition(bits),
            extension: None,
            speed_kmh: 0,
            latitude_udeg: 0,
            longitude_udeg: EAST_UDEG,
        };
        let mut road = Self { rows: Vec::new(), now, metres: 0 };
        road.put();
        road
    }

    fn put(&mut self) {
        let received_at_ms = u64::from(self.now.recorded_at) * 1000 + 500;
        let frame_hash = self.rows.len() as u64;
        self.rows.push(PositionRecord {
            position: self.now,
            frame_hash,
            received_at_ms,
            packed: None,
        });
    }

    /// The odometer of the last row and of all that follow.
    pub(crate) fn odometer(mut self, metres: u32) -> Self {
        self.now.odometer_m = metres;
        self.rows.last_mut().unwrap().position.odometer_m = metres;
        self
    }

    /// More on the last row's odometer.
    pub(crate) fn plus_odometer(self, metres: u32) -> Self {
        let sum = self.now.odometer_m + metres;
        self.odometer(sum)
    }

    /// Status bits of the rows that follow.
    pub(crate) fn with(mut self, bits: u16) -> Self {
        self.now.composition = Composition(bits);
        self
    }

    /// So many seconds later, so many metres on (east, or west if negative).
    pub(crate) fn go(mut self, seconds: u32, metres: i64, kmh: u8) -> Self {
        if self.now.odometer_m > 0 {
            self.now.odometer_m += u32::try_from(metres.abs()).unwrap();
        }
        self = self.stray(seconds, metres, kmh);
        self
    }

    /// The same, without the odometer noticing.
    pub(crate) fn stray(mut self, seconds: u32, metres: i64, kmh: u8) -> Self {
        self.metres += metres;
        self.now.recorded_at += seconds;
        self.now.longitude_udeg = EAST_UDEG + udeg(self.metres);
        self.now.speed_kmh = kmh;
        self.put();
        self
    }

    /// The same leg several times.
    pub(crate) fn times(mut self, times: u32, seconds: u32, metres: i64, kmh: u8) -> Self {
        for _ in 0..times {
            self = self.go(seconds, metres, kmh);
        }
        self
    }

    pub(crate) fn rows(&self) -> &[PositionRecord] {
        &self.rows
    }
}

/// Some hours of a device: stretches of every sort behind each other.
pub(crate) fn roads() -> impl Strategy<Value = Vec<PositionRecord>> {
    let stretch = (0..9_u32, 1..40_u32, 5..90_u32, any::<bool>(), prop::bool::weighted(0.9));
    (any::<bool>(), prop::collection::vec(stretch, 1..25)).prop_map(|(odometer, stretches)| {
        let mut road = Road::new(FIX);
        if odometer {
            road = road.odometer(100_000);
        }
        for (sort, times, seconds, on, fix) in stretches {
            let bits = if on { ON } else { 0 } | if fix { FIX } else { 0 };
            road = road.with(bits);
            road = match sort {
                0..3 => road.times(times, seconds, i64::from(seconds) * 15, 54),
                3..6 => road.times(times, seconds, 0, 0),
                6 => road.times(times, seconds, -i64::from(seconds) * 2, 7),
                7 => road.go(seconds * 100, i64::from(times) * 20, 0),
                _ => road.times(times, 0, 5, 30),
            };
        }
        road.rows().to_vec()
    })
}
