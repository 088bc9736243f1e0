//! Legs: what lies between two consecutive rows, and whether the device moved.

use nemeses_protocol::Position;

use super::Settings;
use super::distance::{Odometer, haversine_m};

/// A standing receiver wanders within this radius; a leg below it is movement
/// only if a speed says so.
const WANDERING_M: f64 = 50.0;

/// A place with the second of the fix it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) latitude_udeg: i32,
    pub(crate) longitude_udeg: i32,
    pub(crate) fixed_at: u32,
}

impl Place {
    /// Of a row that had a fix.
    pub(crate) fn of(position: &Position) -> Self {
        Self {
            latitude_udeg: position.latitude_udeg,
            longitude_udeg: position.longitude_udeg,
            fixed_at: position.recorded_at,
        }
    }

    pub(crate) fn metres_to(self, other: Self) -> f64 {
        haversine_m(
            (self.latitude_udeg, self.longitude_udeg),
            (other.latitude_udeg, other.longitude_udeg),
        )
    }
}

/// A row, as far as reports need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) at: u32,
    /// Of this row, or of the last one before it that had a fix.
    pub(crate) place: Option<Place>,
    /// Without a fix the speed means nothing.
    pub(crate) speed_kmh: Option<u8>,
    pub(crate) ignition: bool,
    pub(crate) odometer_m: u32,
    pub(crate) hour_meter_min: u32,
}

impl Point {
    fn new(position: &Position, last_place: Option<Place>) -> Self {
        let fix = position.composition.gps_fix();
        Self {
            at: position.recorded_at,
            place: if fix { Some(Place::of(position)) } else { last_place },
            speed_kmh: fix.then_some(position.speed_kmh),
            ignition: position.composition.ignition(),
            odometer_m: position.odometer_m,
            hour_meter_min: position.hour_meter_min,
        }
    }

    fn is_fast(&self, settings: &Settings) -> bool {
        self.speed_kmh.is_some_and(|kmh| u32::from(kmh) >= settings.motion_kmh)
    }
}

/// What lies between two consecutive rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    pub(crate) from: Point,
    pub(crate) to: Point,
    /// From the last place known to this one's; `None` without a fix here or before.
    pub(crate) gps_m: Option<f64>,
    pub(crate) odometer: Odometer,
    pub(crate) kind: Kind,
}

/// What the device did on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Standing,
    Moving,
    /// Silent for longer than the gap, and heard again somewhere else.
    Dark,
}

impl Leg {
    fn new(from: Point, to: Point, settings: &Settings) -> Self {
        let gps_m = match (from.place, to.place) {
            (Some(old), Some(new)) if to.speed_kmh.is_some() => Some(old.metres_to(new)),
            _ => None,
        };
        let odometer = Odometer::between(from.odometer_m, to.odometer_m, to.at - from.at);
        let mut leg = Self { from, to, gps_m, odometer, kind: Kind::Standing };
        leg.kind = leg.decide(settings);
        leg
    }

    pub(crate) fn seconds(&self) -> u32 {
        self.to.at - self.from.at
    }

    fn decide(&self, settings: &Settings) -> Kind {
        let far = |metres: f64| metres >= f64::from(settings.min_distance_m);
        if self.seconds() > settings.gap_s {
            let elsewhere = self.gps_m.is_some_and(far) || far(self.odometer.advanced_m());
            return if elsewhere { Kind::Dark } else { Kind::Standing };
        }
        if self.moves(settings) { Kind::Moving } else { Kind::Standing }
    }

    /// Moving is a speed at both ends, or a mean speed over a distance that a
    /// standing receiver does not make up. With the ignition off it has to be
    /// more than that: a parked one wanders for hours.
    fn moves(&self, settings: &Settings) -> bool {
        let (from, to) = (self.from.is_fast(settings), self.to.is_fast(settings));
        if from && to {
            return true;
        }
        let (metres, seconds) = self.mean();
        let on = self.from.ignition || self.to.ignition;
        let enough = if on { WANDERING_M } else { f64::from(settings.min_distance_m) };
        let quick = metres > 0.0 && metres * 3.6 >= f64::from(settings.motion_kmh) * seconds;
        quick && (metres >= enough || (on && (from || to)))
    }

    /// How far in how many seconds: by GPS, which may span rows without a fix,
    /// else by odometer.
    fn mean(&self) -> (f64, f64) {
        match (self.gps_m, self.from.place) {
            (Some(metres), Some(old)) => (metres, f64::from(self.to.at - old.fixed_at)),
            _ => (self.odometer.advanced_m(), f64::from(self.seconds())),
        }
    }
}

/// Makes legs of rows.
#[derive(Clone, Debug)]
pub(crate) struct Walker {
    settings: Settings,
    last: Option<Point>,
}

impl Walker {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, last: None }
    }

    /// Goes on behind a row.
    pub(crate) fn behind(settings: Settings, last: Point) -> Self {
        Self { settings, last: Some(last) }
    }

    /// The next row, in time order, and the leg that leads to it. Behind a dark leg
    /// the last place known is not where the device is, so it is forgotten.
    pub(crate) fn step(&mut self, position: &Position) -> (Point, Option<Leg>) {
        let mut point = Point::new(position, self.last.and_then(|last| last.place));
        let mut leg = self.last.map(|last| Leg::new(last, point, &self.settings));
        if let Some(leg) = leg.as_mut().filter(|leg| leg.kind == Kind::Dark)
            && point.speed_kmh.is_none()
        {
            point.place = None;
            leg.to = point;
        }
        self.last = Some(point);
        (point, leg)
    }
}

#[cfg(test)]
mod tests {
    use super::super::road::{FIX, ON, Road};
    use super::*;

    fn kinds(road: &Road) -> Vec<Kind> {
        let mut walker = Walker::new(Settings::default());
        road.rows().iter().filter_map(|row| walker.step(&row.position).1).map(|l| l.kind).collect()
    }

    #[test]
    fn speeds_at_both_ends_or_a_mean_speed() {
        let road = Road::new(FIX | ON).go(10, 0, 0).go(10, 150, 60).go(10, 150, 60).go(10, 80, 0);
        let [standing, leaving, driving, arriving] = kinds(&road)[..] else { panic!() };
        assert_eq!(standing, Kind::Standing);
        assert_eq!([leaving, driving, arriving], [Kind::Moving; 3]);
    }

    #[test]
    fn a_parked_receiver_wanders_without_moving() {
        let on = Road::new(FIX | ON).go(10, 40, 0).go(10, 30, 3);
        assert_eq!(kinds(&on), [Kind::Standing; 2]);
        let off = Road::new(FIX).go(60, 150, 0).go(60, 100, 7);
        assert_eq!(kinds(&off), [Kind::Standing; 2]);
    }

    #[test]
    fn motion_counts_where_ignition_is_missing() {
        let road = Road::new(FIX).go(60, 600, 40).go(60, 700, 42).go(600, 9000, 0);
        assert_eq!(kinds(&road), [Kind::Moving; 3]);
    }

    #[test]
    fn rows_without_a_fix_do_not_move() {
        // Their coordinates are stale and their speed means nothing; the odometer may speak.
        let lost =
            Road::new(FIX | ON).with(ON).stray(10, 5000, 90).with(FIX | ON).stray(10, -5000, 0);
        assert_eq!(kinds(&lost), [Kind::Standing; 2]);
        let tunnel = Road::new(FIX | ON).odometer(1000).with(ON).go(60, 900, 0);
        assert_eq!(kinds(&tunnel), [Kind::Moving]);
    }

    #[test]
    fn silence_is_dark_only_if_the_device_is_elsewhere() {
        assert_eq!(kinds(&Road::new(FIX).go(3601, 100, 0)), [Kind::Standing]);
        assert_eq!(kinds(&Road::new(FIX).go(3601, 300, 0)), [Kind::Dark]);
        assert_eq!(kinds(&Road::new(FIX | ON).go(3600, 50_000, 0)), [Kind::Moving]);
        let around = Road::new(FIX).odometer(5).stray(9000, 0, 0);
        assert_eq!(kinds(&around.plus_odometer(20_000)), [Kind::Dark]);
    }
}
