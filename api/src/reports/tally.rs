//! What adds up along a stretch of rows.

use super::Settings;
use super::distance::Distance;
use super::leg::{Kind, Leg, Point};

/// The sums of a stretch and its two ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pub(crate) first: Point,
    pub(crate) last: Point,
    pub(crate) distance: Distance,
    pub(crate) moving_s: u64,
    /// Standing with the ignition on.
    pub(crate) idle_s: u64,
    /// With the ignition on.
    pub(crate) engine_s: u64,
    /// In gaps longer than the setting.
    pub(crate) silent_s: u64,
    pub(crate) max_speed_kmh: Option<u8>,
    pub(crate) rows: u64,
}

impl Tally {
    /// A stretch of one row.
    pub(crate) fn at(point: Point) -> Self {
        Self {
            first: point,
            last: point,
            distance: Distance::default(),
            moving_s: 0,
            idle_s: 0,
            engine_s: 0,
            silent_s: 0,
            max_speed_kmh: point.speed_kmh,
            rows: 1,
        }
    }

    /// A leg that begins where the stretch ends.
    pub(crate) fn add(&mut self, leg: &Leg, settings: &Settings) {
        self.last = leg.to;
        self.rows += 1;
        self.distance.add(leg);
        self.max_speed_kmh = self.max_speed_kmh.max(leg.to.speed_kmh);
        let seconds = u64::from(leg.seconds());
        if leg.seconds() > settings.gap_s {
            // Nobody knows what the engine did.
            self.silent_s += seconds;
            return;
        }
        let on = leg.from.ignition;
        self.engine_s += if on { seconds } else { 0 };
        match leg.kind {
            Kind::Moving => self.moving_s += seconds,
            Kind::Standing if on => self.idle_s += seconds,
            Kind::Standing | Kind::Dark => {}
        }
    }

    /// The stretch that begins with the row with which this one ends.
    pub(crate) fn absorb(&mut self, next: &Self) {
        self.last = next.last;
        self.distance.absorb(&next.distance);
        self.moving_s += next.moving_s;
        self.idle_s += next.idle_s;
        self.engine_s += next.engine_s;
        self.silent_s += next.silent_s;
        self.max_speed_kmh = self.max_speed_kmh.max(next.max_speed_kmh);
        self.rows += next.rows.saturating_sub(1);
    }

    pub(crate) fn seconds(&self) -> u32 {
        self.last.at - self.first.at
    }
}
