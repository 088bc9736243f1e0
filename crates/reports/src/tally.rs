//! What adds up along a stretch of rows.

use super::distance::Distance;
use super::leg::{Counts, Leg, Point};

/// The sums of a stretch and its two ends.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    /// The row with which the stretch begins.
    pub first: Point,
    /// The row with which it ends.
    pub last: Point,
    /// The way made.
    pub distance: Distance,
    /// Seconds in motion.
    pub moving_s: u64,
    /// Standing with the ignition on.
    pub idle_s: u64,
    /// With the ignition on.
    pub engine_s: u64,
    /// In gaps longer than the setting.
    pub silent_s: u64,
    /// While moving.
    pub max_speed_kmh: Option<u8>,
    /// Rows in the stretch, both ends included.
    pub rows: u64,
}

impl Tally {
    /// A stretch of one row.
    pub fn at(point: Point) -> Self {
        Self {
            first: point,
            last: point,
            distance: Distance::default(),
            moving_s: 0,
            idle_s: 0,
            engine_s: 0,
            silent_s: 0,
            max_speed_kmh: None,
            rows: 1,
        }
    }

    /// A leg that begins where the stretch ends, without what it settled.
    pub fn add(&mut self, leg: &Leg) {
        self.last = leg.to;
        self.rows += 1;
        self.count(&leg.counts);
    }

    /// A leg with what it settled.
    pub fn add_whole(&mut self, leg: &Leg) {
        self.add(leg);
        if let Some(settled) = leg.settled {
            self.count(&settled.counts);
            self.count(&settled.rest);
        }
    }

    pub(crate) fn count(&mut self, counts: &Counts) {
        self.distance.odometer_m += counts.odometer_m;
        self.distance.gps_m += counts.gps_m;
        self.moving_s += u64::from(counts.moving_s);
        self.idle_s += u64::from(counts.idle_s);
        self.engine_s += u64::from(counts.engine_s);
        self.silent_s += u64::from(counts.silent_s);
        self.max_speed_kmh = self.max_speed_kmh.max(counts.max_speed_kmh);
    }

    /// The stretch that begins with the row with which this one ends.
    pub fn absorb(&mut self, next: &Self) {
        self.last = next.last;
        self.distance.absorb(&next.distance);
        self.moving_s += next.moving_s;
        self.idle_s += next.idle_s;
        self.engine_s += next.engine_s;
        self.silent_s += next.silent_s;
        self.max_speed_kmh = self.max_speed_kmh.max(next.max_speed_kmh);
        self.rows += next.rows.saturating_sub(1);
    }

    /// Seconds from the first row to the last.
    pub fn seconds(&self) -> u32 {
        self.last.at - self.first.at
    }
}
