//! Trips and stops: a device's time cut into stretches of driving and standing.
//!
//! A trip is ended by standing for `stop_s`, so what comes behind such a stand
//! does not depend on what came before it. That is what lets a report begin
//! reading anywhere, look back until its first segment is certain, and give the
//! same trip in every range; see [`Segments::is_certain`].
#![expect(
    clippy::large_enum_variant,
    clippy::large_types_passed_by_value,
    reason = "a step moves a state of 840 bytes once or twice, and there is one a report"
)]

use nemeses_protocol::Position;

use super::leg::{Kind, Leg, Place, Point, Walker};
use super::{Settings, Tally};

/// Driving or standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentKind {
    Trip,
    Stop,
}

/// One trip or stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) kind: SegmentKind,
    pub(crate) tally: Tally,
    /// Whether it began at its first row. Else it began there or earlier.
    pub(crate) start_known: bool,
    /// It had not ended with the last row read.
    pub(crate) open: bool,
    /// A trip of which only the two ends are known: silence between two places.
    pub(crate) unobserved: bool,
}

/// Standing, since the end of a trip.
#[derive(Clone, Copy, Debug)]
struct Stand {
    body: Tally,
    /// The part since the ignition was turned on, where the next trip begins if
    /// the device leaves soon.
    warm: Option<Tally>,
    start_known: bool,
}

/// Standing within a trip, for less than a stop so far.
#[derive(Clone, Copy, Debug)]
struct Pause {
    /// Still part of the trip: up to where the ignition was turned off.
    head: Tally,
    /// The part since.
    off: Option<Tally>,
    warm: Option<Tally>,
}

/// Driving, perhaps only for a moment.
#[derive(Clone, Copy, Debug)]
struct Drive {
    trip: Tally,
    start_known: bool,
    /// What it left, until it is certain to be a trip.
    left: Option<Stand>,
    /// The furthest from its first place, metres.
    reach_m: f64,
    pause: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Nothing,
    Standing(Stand),
    Driving(Drive),
}

/// Finds trips and stops in rows in time order. Holds a few hundred bytes.
#[derive(Clone, Debug)]
pub(crate) struct Segments {
    settings: Settings,
    walker: Walker,
    state: State,
    /// Whether trips that begin from here on are the same wherever reading began.
    certain: bool,
}

impl Segments {
    /// Begins with nothing. `from_the_first` says that no row comes before the
    /// first one pushed.
    pub(crate) fn new(settings: Settings, from_the_first: bool) -> Self {
        let walker = Walker::new(settings);
        Self { settings, walker, state: State::Nothing, certain: from_the_first }
    }

    /// Whether the segment of this kind that is under way, and all that follow,
    /// are the same as if reading had begun with the device's very first row.
    pub(crate) fn is_certain(&self, of: SegmentKind) -> bool {
        match (&self.state, of) {
            (State::Nothing, _) | (State::Standing(_), SegmentKind::Trip) => self.certain,
            (State::Standing(stand), SegmentKind::Stop) => stand.start_known,
            (State::Driving(drive), SegmentKind::Trip) => drive.start_known,
            (State::Driving(drive), SegmentKind::Stop) => {
                drive.start_known && drive.left.is_none_or(|stand| stand.start_known)
            }
        }
    }

    /// When the oldest segment of this kind began that is not given out yet.
    pub(crate) fn pending_since(&self, of: SegmentKind) -> Option<u32> {
        match (&self.state, of) {
            (State::Nothing, _) | (State::Standing(_), SegmentKind::Trip) => None,
            (State::Standing(stand), SegmentKind::Stop) => Some(stand.body.first.at),
            (State::Driving(drive), SegmentKind::Trip) => Some(drive.trip.first.at),
            (State::Driving(drive), SegmentKind::Stop) => drive.left.map(|left| left.body.first.at),
        }
    }

    /// The next row. Segments come out in time order, when they are certain to
    /// be over.
    pub(crate) fn push(&mut self, position: &Position, out: &mut Vec<Segment>) {
        let (point, leg) = self.walker.step(position);
        let Some(leg) = leg else {
            self.state = State::Standing(Stand::new(Tally::at(point), self.certain));
            return;
        };
        self.state = match (leg.kind, self.state) {
            (_, State::Nothing) => State::Standing(Stand::new(Tally::at(point), self.certain)),
            (Kind::Dark, state) => self.go_dark(state, &leg, out),
            (Kind::Standing, State::Standing(stand)) => self.stand_on(stand, &leg),
            (Kind::Moving, State::Standing(stand)) => self.leave(stand, &leg, out),
            (Kind::Moving, State::Driving(drive)) => self.drive_on(drive, &leg, out),
            (Kind::Standing, State::Driving(drive)) => self.pause(drive, &leg, out),
        };
    }

    /// The rows end here: what is under way is open.
    pub(crate) fn finish(mut self, out: &mut Vec<Segment>) {
        match std::mem::replace(&mut self.state, State::Nothing) {
            State::Nothing => {}
            State::Standing(stand) => self.give_stop(&stand.whole(), stand.start_known, true, out),
            State::Driving(mut drive) => {
                if let Some(pause) = drive.pause.take() {
                    drive.trip.absorb(&pause.whole());
                }
                match drive.left {
                    Some(mut stand) => {
                        stand.absorb(&drive.trip);
                        self.give_stop(&stand.whole(), stand.start_known, true, out);
                    }
                    None => out.push(drive.segment(true)),
                }
            }
        }
    }

    fn stand_on(&mut self, mut stand: Stand, leg: &Leg) -> State {
        stand.add(leg, &self.settings);
        if !self.certain && stand.body.first.place.is_none() && leg.to.place.is_some() {
            // Where it was before its first fix here, another reader may know.
            stand = Stand::new(Tally::at(leg.to), false);
        }
        self.settle(&stand.whole());
        State::Standing(stand)
    }

    /// Standing for long enough makes what follows certain.
    fn settle(&mut self, standing: &Tally) {
        let long = standing.seconds() >= self.settings.stop_s;
        self.certain |= long && standing.first.place.is_some();
    }

    fn leave(&self, mut stand: Stand, leg: &Leg, out: &mut Vec<Segment>) -> State {
        let warm = stand.warm.take();
        let trip = warm.unwrap_or_else(|| Tally::at(stand.body.last));
        let drive =
            Drive { trip, start_known: self.certain, left: Some(stand), reach_m: 0.0, pause: None };
        self.drive_on(drive, leg, out)
    }

    fn drive_on(&self, mut drive: Drive, leg: &Leg, out: &mut Vec<Segment>) -> State {
        if let Some(pause) = drive.pause.take() {
            drive.trip.absorb(&pause.whole());
        }
        drive.add(leg, &self.settings);
        self.confirm(&mut drive, out);
        State::Driving(drive)
    }

    /// A drive that leads far and lasts long is a trip, and what it left is over.
    fn confirm(&self, drive: &mut Drive, out: &mut Vec<Segment>) {
        if !drive.is_trip(&self.settings) {
            return;
        }
        if let Some(stand) = drive.left.take() {
            self.give_stop(&stand.body, stand.start_known, false, out);
        }
    }

    fn pause(&mut self, mut drive: Drive, leg: &Leg, out: &mut Vec<Segment>) -> State {
        let mut pause = drive.pause.unwrap_or_else(|| Pause::at(leg.from));
        pause.add(leg, &self.settings);
        drive.pause = Some(pause);
        if pause.whole().seconds() < self.settings.stop_s {
            return State::Driving(drive);
        }
        self.settle(&pause.whole());
        State::Standing(self.arrive(drive, pause, out))
    }

    /// The pause has become a stop: what was driven is a trip, or it was nothing
    /// and the old stop goes on.
    fn arrive(&self, mut drive: Drive, pause: Pause, out: &mut Vec<Segment>) -> Stand {
        let soon = |off: &Tally| off.first.at - pause.head.first.at < self.settings.stop_s;
        let stand = match pause.off {
            Some(off) if soon(&off) => {
                drive.trip.absorb(&pause.head);
                Stand { body: off, warm: pause.warm, start_known: drive.start_known }
            }
            _ => {
                let mut body = pause.head;
                if let Some(off) = &pause.off {
                    body.absorb(off);
                }
                Stand { body, warm: pause.warm, start_known: drive.start_known }
            }
        };
        self.confirm(&mut drive, out);
        match drive.left {
            None => {
                out.push(drive.segment(false));
                stand
            }
            Some(mut old) => {
                old.absorb(&drive.trip);
                old.absorb(&stand.body);
                old.warm = stand.warm;
                old
            }
        }
    }

    /// Silence, and then another place: what was under way ended with the last
    /// row before, and nothing that follows depends on it.
    fn go_dark(&mut self, state: State, leg: &Leg, out: &mut Vec<Segment>) -> State {
        match state {
            State::Nothing => {}
            State::Standing(stand) => self.give_stop(&stand.whole(), stand.start_known, false, out),
            State::Driving(mut drive) => {
                let pause = drive.pause.take().unwrap_or_else(|| Pause::at(leg.from));
                let stand = self.arrive(drive, pause, out);
                self.give_stop(&stand.whole(), stand.start_known, false, out);
            }
        }
        let mut tally = Tally::at(leg.from);
        tally.add(leg, &self.settings);
        out.push(Segment {
            kind: SegmentKind::Trip,
            tally,
            start_known: true,
            open: false,
            unobserved: true,
        });
        self.certain = true;
        State::Standing(Stand::new(Tally::at(leg.to), true))
    }

    fn give_stop(&self, tally: &Tally, start_known: bool, open: bool, out: &mut Vec<Segment>) {
        if tally.seconds() < self.settings.stop_s {
            return;
        }
        let kind = SegmentKind::Stop;
        out.push(Segment { kind, tally: *tally, start_known, open, unobserved: false });
    }
}

impl Stand {
    fn new(body: Tally, start_known: bool) -> Self {
        Self { body, warm: None, start_known }
    }

    fn add(&mut self, leg: &Leg, settings: &Settings) {
        add_to(&mut self.body, &mut self.warm, leg, settings);
    }

    fn whole(&self) -> Tally {
        joined(self.body, [self.warm.as_ref()])
    }

    fn absorb(&mut self, next: &Tally) {
        let whole = self.whole();
        (self.body, self.warm) = (whole, None);
        self.body.absorb(next);
    }
}

impl Pause {
    fn at(point: Point) -> Self {
        let off = (!point.ignition).then(|| Tally::at(point));
        Self { head: Tally::at(point), off, warm: None }
    }

    fn add(&mut self, leg: &Leg, settings: &Settings) {
        if let Some(off) = &mut self.off {
            add_to(off, &mut self.warm, leg, settings);
        } else {
            self.head.add(leg, settings);
            self.off = (!leg.to.ignition).then(|| Tally::at(leg.to));
        }
    }

    fn whole(&self) -> Tally {
        joined(self.head, [self.off.as_ref(), self.warm.as_ref()])
    }
}

fn joined<const N: usize>(mut first: Tally, rest: [Option<&Tally>; N]) -> Tally {
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
        part.add(leg, settings);
    } else {
        body.add(leg, settings);
        *warm = (!leg.from.ignition && leg.to.ignition).then(|| Tally::at(leg.to));
    }
    if let Some(part) = warm.take_if(|w| !leg.to.ignition || w.seconds() >= settings.stop_s) {
        body.absorb(&part);
    }
}

impl Drive {
    fn add(&mut self, leg: &Leg, settings: &Settings) {
        self.trip.add(leg, settings);
        if let (Some(start), Some(here)) = (self.start(), leg.to.place) {
            self.reach_m = self.reach_m.max(start.metres_to(here));
        }
    }

    fn start(&self) -> Option<Place> {
        self.trip.first.place
    }

    /// Far and long enough. The odometer counts as well as places: there are
    /// tunnels, and round trips seen seldom.
    fn is_trip(&self, settings: &Settings) -> bool {
        let far = f64::from(settings.min_distance_m);
        let metered = self.trip.engine_s > 0 && self.trip.distance.metered_m() >= far;
        self.trip.seconds() >= settings.min_duration_s && (self.reach_m >= far || metered)
    }

    fn segment(&self, open: bool) -> Segment {
        let (tally, start_known) = (self.trip, self.start_known);
        Segment { kind: SegmentKind::Trip, tally, start_known, open, unobserved: false }
    }
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
