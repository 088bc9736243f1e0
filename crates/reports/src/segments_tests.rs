use nemeses_protocol::Position;
use nemeses_protocol::{Composition, PositionRecord};
use proptest::prelude::*;

use super::super::road::{FIX, ON, Road, START, roads};
use super::*;

/// What a segment is, in seconds since the road began.
#[derive(Clone, Debug, PartialEq)]
struct Seen(SegmentKind, u32, u32, u64, bool, bool, bool);

fn seen(segment: &Segment) -> Seen {
    let Tally { first, last, distance, .. } = &segment.tally;
    let metres = distance.metres();
    let &Segment { kind, start_known, open, unobserved, .. } = segment;
    Seen(kind, first.at - START, last.at - START, metres, start_known, open, unobserved)
}

fn trip(from: u32, to: u32, metres: u64) -> Seen {
    Seen(SegmentKind::Trip, from, to, metres, true, false, false)
}

fn stop(from: u32, to: u32) -> Seen {
    Seen(SegmentKind::Stop, from, to, 0, true, false, false)
}

impl Seen {
    fn open(mut self) -> Self {
        self.5 = true;
        self
    }
    fn unobserved(mut self) -> Self {
        self.6 = true;
        self
    }
}

fn all(first: bool) -> Segments {
    Segments::new(Walker::new(Settings::default(), first), first)
}

fn segments_of(rows: &[PositionRecord], first: bool) -> Vec<Segment> {
    let mut segments = all(first);
    let mut out = Vec::new();
    for row in rows {
        segments.push(&row.position, &mut out);
    }
    segments.finish(&mut out);
    out
}

fn of(road: &Road) -> Vec<Seen> {
    segments_of(road.rows(), true).iter().map(seen).collect()
}

/// Parked for 600 s, then 6 km in 300 s, then parked for 600 s.
fn there(on: u16) -> Road {
    let parked = Road::new(FIX).odometer(50_000).times(10, 60, 0, 0).with(FIX | on);
    parked.times(30, 10, 200, 72).with(FIX).times(10, 60, 0, 0)
}

#[test]
fn a_trip_between_two_stops() {
    // The ignition is seen off at 960, soon after the last movement.
    let expected = [stop(0, 600), trip(600, 960, 6000), stop(960, 1500).open()];
    assert_eq!(of(&there(ON)), expected);
    let tally = segments_of(there(ON).rows(), true)[1].tally;
    assert_eq!((tally.moving_s, tally.max_speed_kmh, tally.rows), (300, Some(72), 32));
}

#[test]
fn motion_alone_where_ignition_is_missing() {
    // Leaving and arriving are slower than the speed that counts on both sides,
    // but each of these legs leads 200 m on within 10 s.
    let expected = [stop(0, 600), trip(600, 900, 6000), stop(900, 1500).open()];
    assert_eq!(of(&there(0)), expected);
}

#[test]
fn ignition_decides_where_it_stands_near_the_motion() {
    let road = Road::new(FIX).odometer(1).times(5, 60, 0, 0).with(FIX | ON).times(6, 10, 0, 0);
    // On at 310, away at 360; standing from 660, off at 680.
    let road = road.times(30, 10, 200, 72).times(2, 10, 0, 0).with(FIX).times(5, 60, 0, 0);
    let segments = segments_of(road.rows(), true);
    let expected = [stop(0, 310), trip(310, 740, 6000), stop(740, 980).open()];
    assert_eq!(segments.iter().map(seen).collect::<Vec<_>>(), expected);
    let idle = segments[1].tally;
    assert_eq!((idle.moving_s, idle.idle_s, idle.engine_s), (300, 130, 430));
}

#[test]
fn a_long_idle_is_a_stop_and_no_part_of_the_trip() {
    // Warming up for 300 s, and running on for 300 s: standing, with the engine on.
    let road = Road::new(FIX).odometer(1).times(5, 60, 0, 0).with(FIX | ON).times(6, 60, 0, 0);
    let road = road.times(30, 10, 200, 72).times(5, 60, 0, 0).with(FIX).times(5, 60, 0, 0);
    let segments = segments_of(road.rows(), true);
    let expected = [stop(0, 660), trip(660, 960, 6000), stop(960, 1560).open()];
    assert_eq!(segments.iter().map(seen).collect::<Vec<_>>(), expected);
    assert_eq!((segments[0].tally.idle_s, segments[2].tally.idle_s), (300, 360));
}

#[test]
fn a_red_light_is_no_stop() {
    for (lights, whole) in [(17, true), (18, false)] {
        let road = Road::new(FIX | ON).odometer(1).times(20, 10, 200, 72);
        let road = road.times(lights, 10, 0, 0).times(20, 10, 200, 72);
        let end = 400 + lights * 10;
        let two = [
            trip(0, 200, 4000),
            stop(200, 200 + lights * 10),
            trip(200 + lights * 10, end, 4000).open(),
        ];
        let expected = if whole { vec![trip(0, end, 8000).open()] } else { two.to_vec() };
        assert_eq!(of(&road), expected, "{lights}");
    }
}

#[test]
fn a_short_hop_is_part_of_the_stop() {
    // 150 m, and 1 km in 100 s: too near, too short.
    let road = Road::new(FIX | ON).times(5, 60, 0, 0);
    let near = road.clone().times(10, 10, 15, 6).times(18, 10, -8, 6).times(5, 60, 0, 0);
    let [Seen(SegmentKind::Stop, 0, 880, _, true, true, false)] = of(&near)[..] else {
        panic!("{:?}", of(&near))
    };
    let short = road.times(10, 10, 100, 36).times(5, 60, 0, 0);
    let [Seen(SegmentKind::Stop, 0, 700, _, true, true, false)] = of(&short)[..] else {
        panic!("{:?}", of(&short))
    };
}

#[test]
fn a_parked_receiver_that_wanders_all_night_makes_no_trip() {
    let mut road = Road::new(FIX);
    for n in 0..600_i64 {
        road = road.stray(60, [90, -60, 120, -150][usize::try_from(n % 4).unwrap()], 4);
    }
    assert_eq!(of(&road), [stop(0, 36_000).open()]);
}

#[test]
fn silence_at_one_place_is_a_stop() {
    let road = there(ON).go(50_000, 10, 0).with(FIX | ON).times(30, 10, 200, 72);
    let segments = segments_of(road.rows(), true);
    let starts: Vec<_> = segments.iter().map(|s| (s.kind, s.tally.first.at - START)).collect();
    let (trip, stop) = (SegmentKind::Trip, SegmentKind::Stop);
    assert_eq!(starts, [(stop, 0), (trip, 600), (stop, 960), (trip, 51_500)]);
    assert_eq!(segments[2].tally.silent_s, 50_000);
}

#[test]
fn silence_between_two_places_is_an_unobserved_trip() {
    let road = there(ON).go(7200, 90_000, 0).times(10, 60, 0, 0);
    let expected = [
        stop(0, 600),
        trip(600, 960, 6000),
        stop(960, 1500),
        trip(1500, 8700, 90_000).unobserved(),
        stop(8700, 9300).open(),
    ];
    assert_eq!(of(&road), expected);
    // In the middle of a drive, too.
    let road = Road::new(FIX | ON).odometer(1).times(30, 10, 200, 72);
    let road = road.go(4000, 50_000, 70).times(30, 10, 200, 72);
    let expected =
        [trip(0, 300, 6000), trip(300, 4300, 50_000).unobserved(), trip(4300, 4600, 6000).open()];
    assert_eq!(of(&road), expected);
}

#[test]
fn a_tunnel_is_driven_through_by_the_odometer() {
    let road = Road::new(FIX | ON).odometer(9).times(12, 10, 200, 72);
    let road = road.with(ON).times(60, 10, 200, 0).with(FIX | ON).times(12, 10, 200, 72);
    assert_eq!(of(&road), [trip(0, 840, 16_800).open()]);
}

#[test]
fn a_place_from_before_the_silence_does_not_count_behind_it() {
    let dark = Road::new(FIX).odometer(100_000).with(0).times(4, 5, 75, 54).go(3700, 200, 0);
    let road = dark.with(FIX).times(22, 14, 210, 54);
    let last = |rows: &[PositionRecord], first| {
        let Seen(kind, from, to, metres, _, open, _) =
            seen(segments_of(rows, first).last().unwrap());
        (kind, from, to, metres, open)
    };
    assert_eq!(last(&road.rows()[1..], false), last(road.rows(), true));
}

#[test]
fn nothing_and_one_row() {
    assert!(segments_of(&[], true).is_empty());
    assert!(of(&Road::new(FIX)).is_empty());
}

/// The times of the rows before and behind a segment, or of its own first and last.
fn around(rows: &[PositionRecord], tally: &Tally) -> (u32, u32) {
    let times = || rows.iter().map(|row| row.position.recorded_at);
    let before = times().rfind(|at| *at < tally.first.at);
    let behind = times().find(|at| *at > tally.last.at);
    (before.unwrap_or(tally.first.at), behind.unwrap_or(tally.last.at))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Reading may begin anywhere: what is said to be certain is the truth.
    #[test]
    fn the_same_wherever_reading_begins(rows in roads(), at in 0.0..1.0_f64) {
        let whole: Vec<Seen> = segments_of(&rows, true).iter().map(seen).collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
        let at = (rows.len() as f64 * at) as usize;
        for segment in segments_of(&rows[at..], false) {
            if segment.start_known {
                prop_assert!(whole.contains(&seen(&segment)), "{:?} of {:?}", seen(&segment), whole);
            }
        }
    }

    /// Once certain, nothing is missing or other than in the whole.
    #[test]
    fn the_rest_is_the_same_once_certain(rows in roads(), at in 0.0..1.0_f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
        let at = (rows.len() as f64 * at) as usize;
        let mut whole = all(true);
        let mut part = all(false);
        let (mut of_whole, mut of_part, mut begun) = (Vec::new(), Vec::new(), false);
        for (n, row) in rows.iter().enumerate() {
            whole.push(&row.position, &mut of_whole);
            if n < at { continue; }
            part.push(&row.position, &mut of_part);
            if !begun {
                of_whole.clear();
                of_part.clear();
                begun = part.is_certain(SegmentKind::Stop);
            }
            if begun {
                prop_assert!(part.is_certain(SegmentKind::Stop));
                for kind in [SegmentKind::Trip, SegmentKind::Stop] {
                    prop_assert_eq!(part.pending_since(kind), whole.pending_since(kind));
                }
            }
        }
        if begun {
            whole.finish(&mut of_whole);
            part.finish(&mut of_part);
            prop_assert_eq!(of_part.iter().map(seen).collect::<Vec<_>>(), of_whole.iter().map(seen).collect::<Vec<_>>());
        }
    }

    /// Trips are certain sooner, and then none is missing or other than in the whole.
    #[test]
    fn trips_are_the_same_once_certain(rows in roads(), at in 0.0..1.0_f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
        let at = (rows.len() as f64 * at) as usize;
        let mut part = all(false);
        let (mut of_part, mut since) = (Vec::new(), None);
        for row in &rows[at..] {
            part.push(&row.position, &mut of_part);
            if since.is_none() {
                of_part.clear();
                since = part.is_certain(SegmentKind::Trip).then_some(row.position.recorded_at);
            }
        }
        let trips = |segments: &[Segment]| -> Vec<Seen> {
            segments.iter().filter(|s| s.kind == SegmentKind::Trip).map(seen).collect()
        };
        if let Some(since) = since {
            part.finish(&mut of_part);
            let mut whole = segments_of(&rows, true);
            whole.retain(|segment| segment.tally.last.at > since);
            prop_assert_eq!(trips(&of_part), trips(&whole));
        }
    }

    /// Segments follow each other, cover what they say, and have no negative parts.
    #[test]
    fn in_order_and_apart(rows in roads()) {
        let segments = segments_of(&rows, true);
        for pair in segments.windows(2) {
            prop_assert!(pair[0].tally.last.at <= pair[1].tally.first.at);
            prop_assert!(!pair[0].open);
        }
        for Segment { kind, tally, unobserved, .. } in &segments {
                        prop_assert!(tally.moving_s + tally.idle_s + tally.silent_s <= u64::from(tally.seconds()));
            prop_assert!(tally.engine_s <= u64::from(tally.seconds()));
            if *kind == SegmentKind::Trip && !unobserved {
                // Rows of one second may lead far in no time.
                prop_assert!(tally.seconds() >= 180 && tally.distance.metres() > 0);
            }
            // Where rows are seldom, a stop counts what it stood on the legs before and behind.
            let (first, last) = match kind {
                SegmentKind::Trip => (tally.first.at, tally.last.at),
                SegmentKind::Stop => around(&rows, tally),
            };
            prop_assert!(last - first >= 180 || *unobserved);
        }
        let sum: u64 = segments.iter().map(|segment| segment.tally.moving_s).sum();
        let mut walker = Walker::new(Settings::default(), true);
        let legs = rows.iter().filter_map(|row| walker.step(&row.position).1);
        let settled = |leg: &Leg| leg.settled.map_or(0, |settled| settled.counts.moving_s);
        let moving = legs.map(|leg| u64::from(leg.counts.moving_s + settled(&leg)));
        prop_assert!(sum <= moving.sum());
    }

    /// No rows panic, however mad, as long as they are in time order.
    #[test]
    fn any_rows(raw in prop::collection::vec((any::<u32>(), any::<u16>(), any::<u32>(), any::<u8>(), -90_000_000..=90_000_000_i32, -180_000_000..=180_000_000_i32), 0..50)) {
        let mut rows: Vec<Position> = raw.into_iter().map(|(at, bits, odometer, speed, lat, lon)| {
            let mut position = Road::new(0).rows()[0].position;
            position.recorded_at = at;
            position.composition = Composition(bits);
            position.odometer_m = odometer;
            position.hour_meter_min = odometer.wrapping_mul(7);
            position.speed_kmh = speed;
            (position.latitude_udeg, position.longitude_udeg) = (lat, lon);
            position
        }).collect();
        rows.sort_by_key(|row| row.recorded_at);
        let mut segments = all(true);
        let mut out = Vec::new();
        for row in &rows {
            segments.push(row, &mut out);
        }
        segments.finish(&mut out);
        prop_assert!(out.iter().all(|segment| segment.tally.first.at <= segment.tally.last.at));
    }
}
