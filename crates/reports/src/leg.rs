//! Legs: what lies between two consecutive rows, and what of it counts.

use super::distance::Odometer;
use super::doubt::Doubt;
use super::place::Place;
use super::row::Row;

/// A row, as far as reports need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// When it was recorded, Unix seconds.
    pub at: u32,
    /// Of this row, or of the last one before it whose place is believed.
    pub place: Option<Place>,
    /// As reported, if it is, where place and speed are believed. Without a fix it means nothing.
    pub speed_kmh: Option<u8>,
    /// Whether the ignition was on.
    pub ignition: bool,
    /// Metres as reported; 0 where the device has no odometer.
    pub odometer_m: u32,
    /// Minutes as reported; 0 where the device has no hour meter.
    pub hour_meter_min: u32,
}

impl Point {
    pub(super) fn new(row: &impl Row, doubt: Option<Doubt>, last_place: Option<Place>) -> Self {
        let position = row.position();
        let placed = position.composition.gps_fix() && !doubt.is_some_and(Doubt::is_of_place);
        Self {
            at: position.recorded_at,
            place: if placed { Some(Place::of(position)) } else { last_place },
            speed_kmh: row.speed_kmh().filter(|_| placed && doubt.is_none()),
            ignition: position.composition.ignition(),
            odometer_m: position.odometer_m,
            hour_meter_min: position.hour_meter_min,
        }
    }

    /// Whether the place is this row's own.
    pub(super) fn is_placed(&self) -> bool {
        self.place.is_some_and(|place| place.fixed_at == self.at)
    }
}

/// The straight way between two believed places. It may span rows without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) mm: u64,
    pub(crate) seconds: u32,
}

/// What the device did on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegKind {
    Standing,
    Moving,
    /// It may be leaving, or is out of sight: a later leg tells, see [`Settled`].
    Undecided,
    /// Silent for longer than the gap, and heard again somewhere else.
    Dark,
}

/// What a leg adds to sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) moving_s: u32,
    /// Standing with the ignition on.
    pub(crate) idle_s: u32,
    pub(crate) engine_s: u32,
    /// In silence for longer than the gap.
    pub(crate) silent_s: u32,
    /// Metres by the odometer, and by GPS where it has no say.
    pub(crate) odometer_m: u64,
    pub(crate) gps_m: u64,
    pub(crate) max_speed_kmh: Option<u8>,
}

/// What the undecided legs before a leg turned out to be, and what they add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) moved: bool,
    pub(crate) counts: Counts,
    /// Of those that it stood behind the last one that moved.
    pub(crate) rest: Counts,
}

/// What lies between two consecutive rows.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    /// Where it begins.
    pub from: Point,
    pub(crate) to: Point,
    /// `None` unless it ends in a believed place and another is known before.
    pub(crate) way: Option<Way>,
    pub(crate) odometer: Odometer,
    pub(crate) kind: LegKind,
    /// As quick as something that moves, whatever it turns out to be.
    pub(crate) quick: bool,
    pub(crate) counts: Counts,
    /// Comes before the leg itself.
    pub(crate) settled: Option<Settled>,
}

impl Leg {
    /// How long it lasted, in seconds.
    pub fn seconds(&self) -> u32 {
        self.to.at - self.from.at
    }

    /// Mean speed by places or odometer, whichever is faster.
    pub(crate) fn mean_kmh(&self) -> f64 {
        let kmh = |mm: f64, seconds: u32| {
            if seconds > 0 { mm * 3.6e-3 / f64::from(seconds) } else { 0.0 }
        };
        #[expect(clippy::cast_precision_loss, reason = "2e10 mm at most")]
        let by_places = self.way.map_or(0.0, |way| kmh(way.mm as f64, way.seconds));
        let advanced_m = self.odometer.advanced_m().map_or(0.0, f64::from);
        by_places.max(kmh(advanced_m * 1e3, self.seconds()))
    }

    /// Seconds of a moving leg in which it must have stood, by the faster of the
    /// speeds at its ends; 0 where none is known.
    pub(crate) fn stood_s(&self) -> u32 {
        let fastest = self.from.speed_kmh.max(self.to.speed_kmh).unwrap_or(0);
        let Some(way) = self.way.filter(|_| fastest > 0) else { return 0 };
        let driven_s = (way.mm * 9).div_ceil(2500 * u64::from(fastest));
        self.seconds().saturating_sub(u32::try_from(driven_s).unwrap_or(u32::MAX))
    }
}
