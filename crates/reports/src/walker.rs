//! Makes legs of a device's rows, one after the other, with what each counts. All
//! that is remembered of the rows before is in here, and can be kept: a walk that
//! goes on from a kept state is the walk from the device's first row.

use super::Settings;
use super::distance::Odometer;
use super::doubt::Doubts;
use super::leg::{Counts, Leg, LegKind, Point, Settled, Way};
use super::meter::{Advance, Meter, Metres};
use super::motion::{Decision, Motion, Pending, Seen};
use super::rest::Slow;
use super::row::Row;

/// The ignition of a row holds for so long where the device stands; behind that the
/// hour meter tells whether the engine ran on.
const IGNITION_HOLDS_S: u32 = 600;
/// Silence is dark by the odometer alone if it advanced so far.
const DARK_M: u32 = 1000;
/// As many rows in a row as another reader needs to believe the same place.
const ROWS_TO_AGREE: u8 = 6;

/// Makes legs of rows. Some 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walker {
    settings: Settings,
    pub(super) last: Option<Point>,
    /// The odometer where the last place comes from.
    pub(super) placed_m: u32,
    pub(super) doubts: Doubts,
    pub(super) motion: Motion,
    pub(super) slow: Slow,
    pub(super) meter: Meter,
    /// Believed places in a row.
    pub(super) believed: u8,
    /// Whether all of this is as if reading had begun with the device's first row.
    pub(super) certain: bool,
}

impl Walker {
    /// A walk from the first row that is read. `from_the_first` says that it is the
    /// device's first one.
    pub fn new(settings: Settings, from_the_first: bool) -> Self {
        Self {
            settings,
            last: None,
            placed_m: 0,
            doubts: Doubts::default(),
            motion: Motion::at(None),
            slow: Slow::default(),
            meter: Meter::default(),
            believed: 0,
            certain: from_the_first,
        }
    }

    /// What counts as moving and as silence.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The row it stands at.
    pub fn last(&self) -> Option<&Point> {
        self.last.as_ref()
    }

    /// Whether what follows is the same as if reading had begun with the device's
    /// very first row.
    pub fn is_certain(&self) -> bool {
        self.certain
    }

    /// The next row, in time order, and the leg that leads to it.
    pub fn step(&mut self, row: &impl Row) -> (Point, Option<Leg>) {
        let verdict = self.doubts.judge(row);
        let place = self.last.and_then(|last| last.place);
        let to = Point::new(row, verdict.doubt, place);
        self.believed = if to.is_placed() { self.believed.saturating_add(1) } else { 0 };
        let Some(from) = self.last.replace(to) else {
            (self.motion, self.placed_m) = (Motion::at(to.place), to.odometer_m);
            return (to, None);
        };
        let leg = self.leg(from, to, verdict.relocated);
        self.last = Some(leg.to);
        if to.is_placed() {
            self.placed_m = to.odometer_m;
        }
        self.settle();
        (leg.to, Some(leg))
    }

    fn leg(&mut self, from: Point, to: Point, relocated: bool) -> Leg {
        let seconds = to.at - from.at;
        let odometer = Odometer::between(from.odometer_m, to.odometer_m, seconds);
        let way = from.place.zip(to.place).filter(|_| to.is_placed() && !relocated);
        let way =
            way.map(|(from, to)| Way { mm: from.mm_to(to), seconds: to.fixed_at - from.fixed_at });
        let leg = Leg {
            from,
            to,
            way,
            odometer,
            kind: LegKind::Standing,
            quick: false,
            counts: Counts::default(),
            settled: None,
        };
        if seconds > self.settings.gap_s { self.silence(leg) } else { self.seen(leg, relocated) }
    }

    /// Nobody knows what it did meanwhile: only whether it is elsewhere.
    fn silence(&mut self, mut leg: Leg) -> Leg {
        let far_mm = u64::from(self.settings.min_distance_m) * 1000;
        let advanced_m = leg.odometer.advanced_m();
        let least_m = if leg.way.is_some() { DARK_M } else { self.settings.min_distance_m };
        let elsewhere = leg.way.is_some_and(|way| way.mm >= far_mm)
            || advanced_m.is_some_and(|metres| metres >= least_m);
        if elsewhere {
            leg.kind = LegKind::Dark;
            // The last place known is not where it is.
            leg.to.place = leg.to.place.filter(|_| leg.to.is_placed());
        }
        let settled = self.motion.silence(leg.to.place);
        // Without a place of its own, only who knows an older one can say where it stands.
        self.slow = if leg.to.is_placed() { Slow::LONG } else { Slow::default() };
        leg.settled = settled.map(|settled| self.settled(settled));
        let metres = if elsewhere {
            self.meter.moved(leg.way.map(|way| way.mm), self.advance(&leg))
        } else {
            self.meter.stood(advanced_m, leg.seconds(), false)
        };
        leg.counts = Counts { silent_s: leg.seconds(), ..counted(metres) };
        leg
    }

    fn seen(&mut self, mut leg: Leg, relocated: bool) -> Leg {
        let idle_s = engine_s(&leg);
        let advance = self.advance(&leg);
        let mut seen = Seen {
            from: &leg.from,
            to: &leg.to,
            way: leg.way,
            advance,
            proven: self.meter.proven,
            relocated,
            settings: &self.settings,
            idle_s,
            at_rest: false,
        };
        self.slow.add(&seen);
        seen.at_rest = self.slow.is_rest();
        let (seconds, on) = (seen.seconds(), seen.on());
        let Decision { kind, quick, settled } = self.motion.decide(&seen);
        (leg.kind, leg.quick) = (kind, quick);
        leg.settled = settled.map(|settled| self.settled(settled));
        leg.counts = match kind {
            LegKind::Moving => {
                let metres = self.meter.moved(leg.way.map(|way| way.mm), advance);
                let engine_s = if leg.from.ignition { seconds } else { 0 };
                let max_speed_kmh = leg.to.speed_kmh;
                Counts { moving_s: seconds, engine_s, max_speed_kmh, ..counted(metres) }
            }
            LegKind::Undecided => Counts { engine_s: idle_s, ..Counts::default() },
            LegKind::Standing | LegKind::Dark => {
                let metres = self.meter.stood(leg.odometer.advanced_m(), seconds, on);
                Counts { idle_s, engine_s: idle_s, ..counted(metres) }
            }
        };
        leg
    }

    /// What the odometer did, on the leg and on the way that ends with it.
    fn advance(&self, leg: &Leg) -> Option<Advance> {
        let leg_m = leg.odometer.advanced_m()?;
        let Some(way) = leg.way else { return Some(Advance { leg_m, way_m: leg_m }) };
        let way_m = Odometer::between(self.placed_m, leg.to.odometer_m, way.seconds);
        Some(Advance { leg_m, way_m: way_m.advanced_m()? })
    }

    /// Counts the legs that were undecided.
    fn settled(&mut self, (moved, pending): (bool, Pending)) -> Settled {
        let Pending { seconds, idle_s, rest_s, rest_idle_s, .. } = pending;
        let Pending { way_mm, advanced_m, max_speed_kmh, .. } = pending;
        if moved {
            let advance = advanced_m.map(|metres| Advance { leg_m: metres, way_m: metres });
            let metres = self.meter.moved(way_mm, advance);
            let counts = Counts { moving_s: seconds, max_speed_kmh, ..counted(metres) };
            let rest = Counts { idle_s: rest_idle_s, ..Counts::default() };
            return Settled { moved, counts, rest };
        }
        let idle_s = idle_s.saturating_add(rest_idle_s);
        let metres = self.meter.stood(advanced_m, seconds.saturating_add(rest_s), idle_s > 0);
        let counts = Counts { idle_s, ..counted(metres) };
        Settled { moved, counts, rest: Counts::default() }
    }

    /// A stop lets forget what was before it.
    fn settle(&mut self) {
        if !self.motion.rests() {
            return;
        }
        self.meter.rest();
        let metered = self.meter.known || self.last.is_some_and(|last| last.odometer_m == 0);
        let agreed = self.believed >= ROWS_TO_AGREE && self.slow.is_agreed();
        self.certain |= agreed && metered && !self.meter.is_suspect();
    }
}

fn counted(metres: Metres) -> Counts {
    let Metres { odometer_m, gps_m } = metres;
    Counts { odometer_m, gps_m, ..Counts::default() }
}

/// Seconds with the engine on, of a stand.
fn engine_s(leg: &Leg) -> u32 {
    let seconds = leg.seconds();
    if !leg.from.ignition {
        return 0;
    }
    if seconds <= IGNITION_HOLDS_S {
        return seconds;
    }
    let (from, to) = (leg.from.hour_meter_min, leg.to.hour_meter_min);
    hour_meter_run_min(from, to, seconds).map_or(0, |run| run.saturating_mul(60).min(seconds))
}

/// Minutes by the hour meter, which wraps at 2^32. `None` if it says more than the
/// time that went by: it was set, or replaced.
pub(crate) fn hour_meter_run_min(from_min: u32, to_min: u32, seconds: u32) -> Option<u32> {
    let run = to_min.wrapping_sub(from_min);
    // Both ends are cut to whole minutes.
    (run <= seconds / 60 + 1).then_some(run)
}

#[cfg(test)]
#[path = "walker_tests.rs"]
mod tests;
