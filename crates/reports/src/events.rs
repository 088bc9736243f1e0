//! Events: what changed at a row, and episodes over several.

use super::distance::Odometer;
use super::leg::{Leg, LegKind, Point};
use super::{Finder, Row, Walker};

/// A mean speed of this share of a speed bears it out.
const BORNE_OUT: f64 = 0.75;

/// What is worth an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLimits {
    /// Faster than this is overspeed; `None` for no such events.
    pub speed_kmh: Option<u32>,
    /// Silence for longer than this is a stretch offline.
    pub offline_s: u32,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The ignition was turned on.
    IgnitionOn,
    /// The ignition was turned off.
    IgnitionOff,
    /// All rows with a speed that is believed, from the first to the last, were too
    /// fast, and it moved. More than one was, or the way says so as well.
    Overspeed {
        /// The highest speed believed.
        peak_kmh: u8,
    },
    /// From the last row before the silence to the first one after it.
    Offline,
    /// By so many metres.
    OdometerJump(i64),
}

/// One event. Those of a moment have equal ends.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What it is.
    pub what: What,
    /// The row with which it begins.
    pub first: Point,
    /// For an open stretch offline the same as `first`.
    pub last: Point,
    /// Whether it began at its first row. Else it began there or earlier.
    pub start_known: bool,
    /// It had not ended with the last row read.
    pub open: bool,
}

impl Event {
    fn moment(what: What, point: Point) -> Self {
        Self { what, first: point, last: point, start_known: true, open: false }
    }

    fn between(what: What, leg: &Leg) -> Self {
        Self { first: leg.from, ..Self::moment(what, leg.to) }
    }
}

/// An overspeed under way.
#[derive(Clone, Copy, Debug)]
struct Episode {
    first: Point,
    last: Point,
    peak_kmh: u8,
    start_known: bool,
    /// The way bears the only speed out.
    borne_out: bool,
}

impl Episode {
    /// One speed alone may be wrong: a second one, or the way, has to agree.
    fn event(self) -> Option<Event> {
        let Self { first, last, peak_kmh, start_known, borne_out } = self;
        let event =
            Event { what: What::Overspeed { peak_kmh }, first, last, start_known, open: false };
        (borne_out || last.at > first.at).then_some(event)
    }
}

/// A believed speed at the end of a leg, and the leg's mean.
#[derive(Clone, Copy, Debug)]
struct Reading {
    point: Point,
    kmh: u8,
    mean_kmh: f64,
}

impl Reading {
    fn of(leg: &Leg) -> Option<Self> {
        let kmh = leg.to.speed_kmh?;
        Some(Self { point: leg.to, kmh, mean_kmh: leg.mean_kmh() })
    }

    fn bears_out(&self, kmh: u8) -> bool {
        self.mean_kmh >= f64::from(kmh) * BORNE_OUT
    }
}

/// Finds events in rows in time order. Holds a few hundred bytes, and the speeds of legs
/// that are undecided: those of some minutes.
#[derive(Clone, Debug)]
pub struct Events {
    limits: EventLimits,
    gap_s: u32,
    walker: Walker,
    last: Option<Point>,
    overspeed: Option<Episode>,
    undecided: Vec<Reading>,
    /// Whether an overspeed that begins from here on begins there.
    certain: bool,
    from_the_first: bool,
}

impl Events {
    /// Finds events behind the rows that `walker` has seen. `from_the_first` says that there
    /// are none.
    pub fn new(walker: Walker, limits: EventLimits, from_the_first: bool) -> Self {
        Self {
            limits,
            gap_s: walker.settings().gap_s,
            last: walker.last().copied(),
            walker,
            overspeed: None,
            undecided: Vec::new(),
            certain: from_the_first,
            from_the_first,
        }
    }

    fn between(&self, leg: &Leg, out: &mut Vec<Event>) {
        if leg.seconds() > self.limits.offline_s {
            out.push(Event::between(What::Offline, leg));
        }
        match (leg.from.ignition, leg.to.ignition) {
            (false, true) => out.push(Event::moment(What::IgnitionOn, leg.to)),
            (true, false) => out.push(Event::moment(What::IgnitionOff, leg.to)),
            _ => {}
        }
        if let Odometer::Jumped(metres) = leg.odometer {
            out.push(Event::moment(What::OdometerJump(metres), leg.to));
        }
    }

    /// Takes the speeds that `max_speed_kmh` takes: those of legs that moved, of undecided
    /// ones as soon as it is decided what they were.
    fn speeds(&mut self, leg: &Leg, limit: u32, out: &mut Vec<Event>) {
        if let Some(settled) = leg.settled {
            for reading in std::mem::take(&mut self.undecided) {
                self.speed(&reading, settled.moved, limit, out);
            }
        }
        if leg.seconds() > self.gap_s {
            self.end_overspeed(out);
            self.certain |= self.walker.is_certain();
        }
        match Reading::of(leg) {
            Some(reading) if leg.kind == LegKind::Undecided => self.undecided.push(reading),
            Some(reading) => self.speed(&reading, leg.kind == LegKind::Moving, limit, out),
            None => {}
        }
    }

    fn speed(&mut self, reading: &Reading, moved: bool, limit: u32, out: &mut Vec<Event>) {
        if let Some(episode) = &mut self.overspeed {
            episode.borne_out |= reading.bears_out(episode.peak_kmh);
        }
        let &Reading { point, kmh, .. } = reading;
        if u32::from(kmh) <= limit || !moved {
            self.end_overspeed(out);
            self.certain |= self.walker.is_certain();
            return;
        }
        let (borne_out, start_known) = (reading.bears_out(kmh), self.certain);
        let begun = Episode { first: point, last: point, peak_kmh: kmh, start_known, borne_out };
        let episode = self.overspeed.get_or_insert(begun);
        episode.last = point;
        episode.peak_kmh = kmh.max(episode.peak_kmh);
    }

    fn end_overspeed(&mut self, out: &mut Vec<Event>) {
        out.extend(self.overspeed.take().and_then(Episode::event));
    }
}

/// Events come out in the order in which they end.
impl Finder for Events {
    type Found = Event;

    fn push(&mut self, row: &impl Row, out: &mut Vec<Event>) {
        let (point, leg) = self.walker.step(row);
        self.last = Some(point);
        self.certain |= self.limits.speed_kmh.is_none();
        let Some(leg) = leg else { return };
        if let Some(limit) = self.limits.speed_kmh {
            self.speeds(&leg, limit, out);
        }
        self.between(&leg, out);
    }

    fn is_certain(&self) -> bool {
        let known = self.overspeed.map_or(self.certain, |episode| episode.start_known);
        known && (self.last.is_some() || self.from_the_first)
    }

    fn pending_since(&self) -> Option<u32> {
        let first = self.overspeed.map(|episode| episode.first);
        first.or(self.undecided.first().map(|reading| reading.point)).map(|point| point.at)
    }

    fn finish(mut self, silent_until: u32, out: &mut Vec<Event>) {
        let silence = |last: Point| silent_until.saturating_sub(last.at);
        let stale = self.last.is_some_and(|last| silence(last) > self.gap_s);
        let overspeed = self.overspeed.take().and_then(Episode::event);
        out.extend(overspeed.map(|event| Event { open: !stale, ..event }));
        if let Some(last) = self.last.filter(|last| silence(*last) > self.limits.offline_s) {
            out.push(Event { open: true, ..Event::moment(What::Offline, last) });
        }
    }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::PositionRecord;
    use proptest::prelude::*;

    use super::super::Settings;
    use super::super::road::{FIX, ON, Road, START};
    use super::*;

    const LIMITS: EventLimits = EventLimits { speed_kmh: Some(80), offline_s: 600 };

    fn all(first: bool) -> Events {
        Events::new(Walker::new(Settings::default(), first), LIMITS, first)
    }

    fn events(rows: &[PositionRecord], first: bool, until: u32) -> Vec<Event> {
        let mut events = all(first);
        let mut out = Vec::new();
        for row in rows {
            events.push(&row.position, &mut out);
        }
        events.finish(until, &mut out);
        out
    }

    fn seen(event: &Event) -> (What, u32, u32, bool, bool) {
        let &Event { what, first, last, start_known, open } = event;
        (what, first.at - START, last.at - START, start_known, open)
    }

    fn of(road: &Road) -> Vec<(What, u32, u32, bool, bool)> {
        events(road.rows(), true, 0).iter().map(seen).collect()
    }

    #[test]
    fn ignition_where_it_changes() {
        let road = Road::new(FIX).go(60, 0, 0).with(FIX | ON).times(3, 60, 0, 0);
        let road = road.with(FIX).times(2, 60, 0, 0);
        let expected =
            [(What::IgnitionOn, 120, 120, true, false), (What::IgnitionOff, 300, 300, true, false)];
        assert_eq!(of(&road), expected);
    }

    #[test]
    fn one_overspeed_an_episode() {
        let road = Road::new(FIX | ON).go(10, 200, 80).go(10, 230, 81).go(10, 300, 130);
        // Without a fix the speed means nothing: the episode neither ends nor grows.
        let road = road.with(ON).go(10, 0, 0).with(FIX | ON).go(10, 230, 85).go(10, 200, 80);
        let road = road.go(10, 240, 82).go(10, 100, 30).go(10, 300, 90);
        let over = |peak_kmh, from, to, open| (What::Overspeed { peak_kmh }, from, to, true, open);
        let expected = [over(130, 20, 50, false), over(82, 70, 70, false), over(90, 90, 90, true)];
        assert_eq!(of(&road), expected);
    }

    /// Overspeeds: peak, first and last second behind the beginning of `road`'s end.
    fn over(parked: &Road, go: impl FnOnce(Road) -> Road) -> Vec<(u8, u32, u32)> {
        let begin = parked.rows().last().unwrap().position.recorded_at - START;
        let found = of(&go(parked.clone()));
        let of_speed = |&(what, from, to, ..): &(What, u32, u32, bool, bool)| match what {
            What::Overspeed { peak_kmh } => Some((peak_kmh, from - begin, to - begin)),
            _ => None,
        };
        found.iter().filter_map(of_speed).collect()
    }

    #[test]
    fn an_episode_begins_with_the_first_leg_that_moved() {
        // Where it stands a speed means nothing, and with the next row it is 250 m away.
        for odometer in [0, 5000] {
            let parked = Road::new(FIX).odometer(odometer).times(3, 600, 0, 0);
            let drive = |road: Road| road.with(FIX | ON).go(300, 0, 90).times(5, 10, 250, 90);
            let found = over(&parked, |road| drive(road).go(10, 100, 0));
            assert_eq!(found, [(90, 310, 350)], "{odometer}");
        }
        // Neither ignition nor odometer: what the first leg was is known with the next ones.
        let parked = Road::new(FIX).times(20, 60, 0, 0);
        let found = over(&parked, |road| road.go(60, 1400, 95).go(60, 1500, 85).go(60, 900, 40));
        assert_eq!(found, [(95, 60, 120)]);
        let found = over(&parked, |road| road.go(60, 1400, 95).times(4, 60, 1000, 60));
        assert_eq!(found, [(95, 60, 60)], "the way says so as well");
        // It never left.
        let back = |road: Road| road.go(60, 1400, 95).go(60, -1400, 0).times(5, 60, 0, 0);
        assert_eq!(over(&parked, back), []);
    }

    #[test]
    fn a_parked_car_with_a_frame_of_255() {
        for bits in [FIX, FIX | ON] {
            for odometer in [0, 5000] {
                let parked = Road::new(bits).odometer(odometer).times(20, 60, 0, 0);
                for metres in [0, 9, -40] {
                    let spike = |road: Road| road.stray(60, metres, 255).stray(60, -metres, 0);
                    assert_eq!(over(&parked, spike), [], "{bits} {odometer} {metres}");
                    let twice = |road: Road| road.stray(60, metres, 255).stray(10, 0, 255);
                    let then_drives = |road| twice(road).with(FIX | ON).times(9, 10, 200, 72);
                    assert_eq!(over(&parked, then_drives), [], "{bits} {odometer} {metres}");
                }
            }
        }
    }

    #[test]
    fn silence() {
        let road = Road::new(FIX | ON).go(600, 0, 0).go(601, 0, 0).with(FIX).go(5000, 0, 90);
        let expected = [
            (What::Offline, 600, 1201, true, false),
            (What::Offline, 1201, 6201, true, false),
            (What::IgnitionOff, 6201, 6201, true, false),
            (What::Offline, 6201, 6201, true, true),
        ];
        let found = events(road.rows(), true, START + 6201 + 3601);
        assert_eq!(found.iter().map(seen).collect::<Vec<_>>(), expected);
        assert_eq!(of(&road).len(), 3, "nobody waited");
    }

    #[test]
    fn odometers_that_jump() {
        let road = Road::new(FIX | ON).odometer(9000).go(10, 100, 36).go(10, 100, 36).odometer(40);
        let road = road.go(10, 100, 36).plus_odometer(3000).go(10, 100, 36);
        let found: Vec<_> = of(&road).into_iter().map(|event| (event.0, event.1)).collect();
        assert_eq!(found, [(What::OdometerJump(-9060), 20), (What::OdometerJump(3100), 30)]);
    }

    proptest! {
        /// Reading may begin anywhere: what is said to be certain is the truth,
        /// and once certain nothing is missing.
        #[test]
        fn the_same_wherever_reading_begins(
            rows in prop::collection::vec((1..2000_u32, 60..100_u8, any::<bool>(), prop::bool::weighted(0.8)), 1..60),
            at in 0..60_usize,
        ) {
            let mut road = Road::new(FIX).odometer(7);
            for (seconds, kmh, on, fix) in rows {
                let bits = if on { ON } else { 0 } | if fix { FIX } else { 0 };
                road = road.with(bits).go(seconds, i64::from(seconds), kmh);
            }
            let at = at.min(road.rows().len());
            let (mut whole, mut part) = (all(true), all(false));
            let (mut of_whole, mut of_part, mut begun) = (Vec::new(), Vec::new(), false);
            for (n, row) in road.rows().iter().enumerate() {
                whole.push(&row.position, &mut of_whole);
                if n < at { continue; }
                part.push(&row.position, &mut of_part);
                if !begun {
                    of_whole.clear();
                    of_part.clear();
                    begun = part.is_certain();
                }
            }
            if begun {
                whole.finish(0, &mut of_whole);
                part.finish(0, &mut of_part);
                prop_assert_eq!(of_part.iter().map(seen).collect::<Vec<_>>(), of_whole.iter().map(seen).collect::<Vec<_>>());
            }
        }
    }
}
