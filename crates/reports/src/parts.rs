//! What a trip or a stop is made of while it is under way: see `segments.rs`, which
//! decides what becomes of them.

use super::leg::{Leg, Point, Settled};
use super::place::Place;
use super::segment::{Segment, SegmentKind};
use super::{Settings, Tally};

/// Standing, since the end of a trip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    pub(super) body: Tally,
    /// The part since the ignition was turned on, where the next trip begins if
    /// the device leaves soon.
    pub(super) warm: Option<Tally>,
    /// The part since it perhaps left.
    pub(super) away: Option<Away>,
    pub(super) start_known: bool,
    /// Seconds that it stood on the legs before and behind, where rows are seldom.
    pub(super) more_s: u32,
}

/// Legs that may turn out to be the beginning of a drive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Away {
    /// Up to the last quick one.
    pub(super) way: Tally,
    pub(super) rest: Option<Tally>,
}

/// Standing within a trip, for less than a stop so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    /// Still part of the trip: up to where the ignition was turned off.
    pub(super) head: Tally,
    /// The part since.
    pub(super) off: Option<Tally>,
    pub(super) warm: Option<Tally>,
    /// Seconds that it stood on the leg before.
    pub(super) before_s: u32,
}

/// Driving, perhaps only for a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drive {
    pub(super) trip: Tally,
    pub(super) start_known: bool,
    /// What it left, until it is certain to be a trip.
    pub(super) left: Option<Stand>,
    /// The furthest from its first place, metres.
    pub(super) reach_m: f64,
    /// Seconds that it stood on its last leg.
    pub(super) stood_s: u32,
    pub(super) pause: Option<Pause>,
}

impl Stand {
    pub(super) fn new(body: Tally, start_known: bool) -> Self {
        Self { body, warm: None, away: None, start_known, more_s: 0 }
    }

    pub(super) fn add(&mut self, leg: &Leg, settings: &Settings) {
        add_to(&mut self.body, &mut self.warm, leg, settings);
    }

    pub(super) fn perhaps_left(mut self, leg: &Leg) -> Self {
        let away = self.away.get_or_insert(Away { way: Tally::at(leg.from), rest: None });
        if leg.quick {
            if let Some(rest) = away.rest.take() {
                away.way.absorb(&rest);
            }
            away.way.add(leg);
        } else {
            away.rest.get_or_insert(Tally::at(leg.from)).add(leg);
        }
        self
    }

    /// It did not leave: what looked like it was part of the stand.
    pub(super) fn come_back(&mut self, away: Option<Away>, settled: &Settled) {
        let held = self.warm.as_mut().unwrap_or(&mut self.body);
        if let Some(away) = away {
            held.absorb(&away.joined());
        }
        held.count(&settled.counts);
    }

    pub(super) fn joined(&self) -> Tally {
        let away = self.away.as_ref().map(Away::joined);
        joined(self.body, [self.warm.as_ref(), away.as_ref()])
    }

    pub(super) fn absorb(&mut self, next: &Tally) {
        let whole = self.joined();
        (self.body, self.warm, self.away) = (whole, None, None);
        self.body.absorb(next);
    }
}

impl Away {
    pub(super) fn joined(&self) -> Tally {
        joined(self.way, [self.rest.as_ref()])
    }
}

impl Pause {
    pub(super) fn at(point: Point, before_s: u32) -> Self {
        Self::of(Tally::at(point), before_s)
    }

    pub(super) fn of(head: Tally, before_s: u32) -> Self {
        let off = (!head.last.ignition).then(|| Tally::at(head.last));
        Self { head, off, warm: None, before_s }
    }

    pub(super) fn add(&mut self, leg: &Leg, settings: &Settings) {
        if let Some(off) = &mut self.off {
            add_to(off, &mut self.warm, leg, settings);
        } else {
            self.head.add(leg);
            self.off = (!leg.to.ignition).then(|| Tally::at(leg.to));
        }
    }

    /// Its last part.
    pub(super) fn last(&mut self) -> &mut Tally {
        self.warm.as_mut().or(self.off.as_mut()).unwrap_or(&mut self.head)
    }

    pub(super) fn whole(&self) -> Tally {
        joined(self.head, [self.off.as_ref(), self.warm.as_ref()])
    }
}

pub(super) fn joined<const N: usize>(mut first: Tally, rest: [Option<&Tally>; N]) -> Tally {
    for next in rest.into_iter().flatten() {
        first.absorb(next);
    }
    first
}

/// Adds a standing leg. The warm part begins where the ignition is turned on,
/// and is no part of a departure once the ignition is off again or it has lasted
/// as long as a stop.
fn add_to(body: &mut Tally, warm: &mut Option<Tally>, leg: &Leg, settings: &Settings) {
    if let Some(part) = warm {
        part.add(leg);
    } else {
        body.add(leg);
        *warm = (!leg.from.ignition && leg.to.ignition).then(|| Tally::at(leg.to));
    }
    if let Some(part) = warm.take_if(|w| !leg.to.ignition || w.seconds() >= settings.stop_s) {
        body.absorb(&part);
    }
}

impl Drive {
    pub(super) fn new(trip: Tally, start_known: bool, left: &Stand) -> Self {
        Self { trip, start_known, left: Some(*left), reach_m: 0.0, stood_s: 0, pause: None }
    }

    pub(super) fn add(&mut self, leg: &Leg) {
        self.trip.add(leg);
        self.stood_s = leg.stood_s();
        self.reach(leg.to.place);
    }

    pub(super) fn reach(&mut self, place: Option<Place>) {
        if let (Some(start), Some(here)) = (self.start(), place) {
            self.reach_m = self.reach_m.max(start.metres_to(here));
        }
    }

    pub(super) fn perhaps_paused(mut self, leg: &Leg) -> Self {
        let mut pause = self.pause.unwrap_or_else(|| Pause::at(leg.from, self.stood_s));
        pause.last().add(leg);
        self.pause = Some(pause);
        self
    }

    pub(super) fn start(&self) -> Option<Place> {
        self.trip.first.place
    }

    /// Far and long enough. The odometer counts as well as places: there are
    /// tunnels, and round trips seen seldom.
    pub(super) fn is_trip(&self, settings: &Settings) -> bool {
        let far = f64::from(settings.min_distance_m);
        let metres = u64::from(settings.min_distance_m);
        let metered = self.trip.engine_s > 0 && self.trip.distance.odometer_m >= metres;
        self.trip.seconds() >= settings.min_duration_s && (self.reach_m >= far || metered)
    }

    pub(super) fn segment(&self, open: bool) -> Segment {
        let (tally, start_known) = (self.trip, self.start_known);
        Segment { kind: SegmentKind::Trip, tally, start_known, open, unobserved: false }
    }
}
