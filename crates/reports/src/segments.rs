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

use super::leg::{Leg, LegKind, Settled};
use super::parts::{Away, Drive, Pause, Stand, joined};
use super::segment::{Segment, SegmentKind};
use super::{Row, Settings, Tally, Walker};

#[derive(Clone, Copy, Debug)]
enum State {
    Nothing,
    Standing(Stand),
    Driving(Drive),
}

/// Finds trips and stops in rows in time order. Holds about a kilobyte.
#[derive(Clone, Debug)]
pub struct Segments {
    settings: Settings,
    walker: Walker,
    state: State,
    /// Whether trips that begin from here on are the same wherever reading began.
    certain: bool,
    /// Since when legs are.
    legs_certain_since: Option<u32>,
}

impl Segments {
    /// Begins with the row behind those that `walker` has seen. `from_the_first` says
    /// that there are none.
    pub fn new(walker: Walker, from_the_first: bool) -> Self {
        let settings = *walker.settings();
        let legs_certain_since = walker.is_certain().then_some(0);
        let (state, certain) = (State::Nothing, from_the_first);
        Self { settings, walker, state, certain, legs_certain_since }
    }

    /// Whether the segment of this kind that is under way, and all that follow,
    /// are the same as if reading had begun with the device's very first row.
    pub fn is_certain(&self, of: SegmentKind) -> bool {
        match (&self.state, of) {
            (State::Nothing, _) | (State::Standing(_), SegmentKind::Trip) => self.certain,
            (State::Standing(stand), SegmentKind::Stop) => stand.start_known,
            (State::Driving(drive), SegmentKind::Trip) => drive.start_known,
            (State::Driving(drive), SegmentKind::Stop) => {
                drive.start_known && drive.left.is_none_or(|stand| stand.start_known)
            }
        }
    }

    /// When the oldest segment of this kind began, or may have begun, that is not
    /// given out yet.
    pub fn pending_since(&self, of: SegmentKind) -> Option<u32> {
        match (&self.state, of) {
            (State::Nothing, _) => None,
            (State::Standing(stand), SegmentKind::Trip) => {
                let first = stand.warm.as_ref().or(stand.away.as_ref().map(|away| &away.way));
                first.map(|tally| tally.first.at)
            }
            (State::Standing(stand), SegmentKind::Stop) => Some(stand.body.first.at),
            (State::Driving(drive), SegmentKind::Trip) => Some(drive.trip.first.at),
            (State::Driving(drive), SegmentKind::Stop) => {
                let left = drive.left.map(|left| left.body.first.at);
                left.or(drive.pause.map(|pause| pause.head.first.at))
            }
        }
    }

    /// The next row. Segments come out in time order, when they are certain to
    /// be over.
    pub fn push(&mut self, row: &impl Row, out: &mut Vec<Segment>) {
        let (point, leg) = self.walker.step(row);
        if self.walker.is_certain() {
            self.legs_certain_since.get_or_insert(point.at);
        }
        let Some(leg) = leg else {
            self.state = State::Standing(Stand::new(Tally::at(point), self.certain));
            return;
        };
        let state = match leg.settled {
            Some(settled) => self.resolve(self.state, &settled, out),
            None => self.state,
        };
        self.state = match (leg.kind, state) {
            (_, State::Nothing) => State::Standing(Stand::new(Tally::at(point), self.certain)),
            (LegKind::Dark, state) => self.go_dark(state, &leg, out),
            (LegKind::Standing, State::Standing(stand)) => self.stand_on(stand, &leg),
            (LegKind::Moving, State::Standing(stand)) => self.leave(stand, &leg, out),
            (LegKind::Undecided, State::Standing(stand)) => {
                State::Standing(stand.perhaps_left(&leg))
            }
            (LegKind::Moving, State::Driving(drive)) => self.drive_on(drive, &leg, out),
            (LegKind::Standing, State::Driving(drive)) => self.pause(drive, &leg, out),
            (LegKind::Undecided, State::Driving(drive)) => {
                State::Driving(drive.perhaps_paused(&leg))
            }
        };
    }

    /// The rows end here: what is under way is open.
    pub fn finish(mut self, out: &mut Vec<Segment>) {
        match std::mem::replace(&mut self.state, State::Nothing) {
            State::Nothing => {}
            State::Standing(stand) => self.give_stop(&stand.joined(), &stand, true, out),
            State::Driving(mut drive) => {
                if let Some(pause) = drive.pause.take() {
                    drive.trip.absorb(&pause.whole());
                }
                match drive.left {
                    Some(mut stand) => {
                        stand.absorb(&drive.trip);
                        self.give_stop(&stand.joined(), &stand, true, out);
                    }
                    None => out.push(drive.segment(true)),
                }
            }
        }
    }

    /// What was undecided is decided.
    fn resolve(&self, state: State, settled: &Settled, out: &mut Vec<Segment>) -> State {
        match state {
            State::Nothing => state,
            State::Standing(mut stand) => {
                let away = stand.away.take();
                if let Some(away) = away.filter(|_| settled.moved) {
                    return State::Driving(self.left(stand, &away, settled, out));
                }
                stand.come_back(away, settled);
                State::Standing(stand)
            }
            State::Driving(mut drive) => {
                match &mut drive.pause {
                    Some(pause) if !settled.moved => pause.last().count(&settled.counts),
                    pause => {
                        if let Some(pause) = pause.take() {
                            drive.trip.absorb(&pause.whole());
                        }
                        drive.trip.count(&settled.counts);
                        drive.trip.count(&settled.rest);
                    }
                }
                State::Driving(drive)
            }
        }
    }

    /// It had left indeed.
    fn left(
        &self,
        mut stand: Stand,
        away: &Away,
        settled: &Settled,
        out: &mut Vec<Segment>,
    ) -> Drive {
        let mut trip = stand.warm.take().unwrap_or_else(|| Tally::at(stand.body.last));
        trip.absorb(&away.way);
        trip.count(&settled.counts);
        let mut drive = Drive::new(trip, self.certain, &stand);
        drive.reach(away.way.last.place);
        drive.pause = away.rest.map(|mut rest| {
            rest.count(&settled.rest);
            Pause::of(rest, 0)
        });
        self.confirm(&mut drive, out);
        drive
    }

    fn stand_on(&mut self, mut stand: Stand, leg: &Leg) -> State {
        stand.add(leg, &self.settings);
        if !self.certain && stand.body.first.place.is_none() && leg.to.place.is_some() {
            // Where it was before its first fix here, another reader may know.
            stand = Stand::new(Tally::at(leg.to), false);
        }
        self.settle(&stand.joined());
        State::Standing(stand)
    }

    /// Standing for long enough makes what follows certain.
    fn settle(&mut self, standing: &Tally) {
        let Some(since) = self.legs_certain_since else { return };
        let seconds = standing.last.at.saturating_sub(standing.first.at.max(since));
        let long = standing.last.at >= since && seconds >= self.settings.stop_s;
        self.certain |= long && standing.first.place.is_some();
    }

    fn leave(&self, mut stand: Stand, leg: &Leg, out: &mut Vec<Segment>) -> State {
        let warm = stand.warm.take();
        let trip = warm.unwrap_or_else(|| Tally::at(stand.body.last));
        self.drive_on(Drive::new(trip, self.certain, &stand), leg, out)
    }

    fn drive_on(&self, mut drive: Drive, leg: &Leg, out: &mut Vec<Segment>) -> State {
        if let Some(mut pause) = drive.pause.take() {
            let seen_s = pause.whole().seconds();
            let more_s = pause.before_s.saturating_add(leg.stood_s());
            if seen_s > 0 && seen_s.saturating_add(more_s) >= self.settings.stop_s {
                pause.before_s = more_s;
                let stand = self.arrive(drive, pause, out);
                return self.leave(stand, leg, out);
            }
            drive.trip.absorb(&pause.whole());
        }
        drive.add(leg);
        self.confirm(&mut drive, out);
        State::Driving(drive)
    }

    /// A drive that leads far and lasts long is a trip, and what it left is over.
    fn confirm(&self, drive: &mut Drive, out: &mut Vec<Segment>) {
        if !drive.is_trip(&self.settings) {
            return;
        }
        if let Some(stand) = drive.left.take() {
            self.give_stop(&stand.body, &stand, false, out);
        }
    }

    fn pause(&mut self, mut drive: Drive, leg: &Leg, out: &mut Vec<Segment>) -> State {
        let mut pause = drive.pause.unwrap_or_else(|| Pause::at(leg.from, drive.stood_s));
        pause.add(leg, &self.settings);
        drive.pause = Some(pause);
        let seen_s = pause.whole().seconds();
        if seen_s.saturating_add(pause.before_s) < self.settings.stop_s {
            return State::Driving(drive);
        }
        self.settle(&pause.whole());
        State::Standing(self.arrive(drive, pause, out))
    }

    /// The pause has become a stop: what was driven is a trip, or it was nothing
    /// and the old stop goes on.
    fn arrive(&self, mut drive: Drive, pause: Pause, out: &mut Vec<Segment>) -> Stand {
        let soon = |off: &Tally| off.first.at - pause.head.first.at < self.settings.stop_s;
        let body = match pause.off {
            Some(off) if soon(&off) => {
                drive.trip.absorb(&pause.head);
                off
            }
            off => joined(pause.head, [off.as_ref()]),
        };
        let stand = Stand {
            body,
            warm: pause.warm,
            away: None,
            start_known: drive.start_known,
            more_s: pause.before_s,
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
            State::Standing(stand) => self.give_stop(&stand.joined(), &stand, false, out),
            State::Driving(mut drive) => {
                let stood_s = drive.stood_s;
                let pause = drive.pause.take().unwrap_or_else(|| Pause::at(leg.from, stood_s));
                let stand = self.arrive(drive, pause, out);
                self.give_stop(&stand.joined(), &stand, false, out);
            }
        }
        let mut tally = Tally::at(leg.from);
        tally.add(leg);
        out.push(Segment {
            kind: SegmentKind::Trip,
            tally,
            start_known: self.legs_certain_since.is_some_and(|since| since <= leg.from.at),
            open: false,
            unobserved: true,
        });
        self.certain |= self.walker.is_certain();
        State::Standing(Stand::new(Tally::at(leg.to), self.certain))
    }

    fn give_stop(&self, tally: &Tally, stand: &Stand, open: bool, out: &mut Vec<Segment>) {
        let seconds = tally.seconds();
        if seconds == 0 || seconds.saturating_add(stand.more_s) < self.settings.stop_s {
            return;
        }
        let (kind, start_known) = (SegmentKind::Stop, stand.start_known);
        out.push(Segment { kind, tally: *tally, start_known, open, unobserved: false });
    }
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
