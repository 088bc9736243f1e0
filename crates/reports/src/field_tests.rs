//! What devices in the field send, and what is right of it.

use nemeses_protocol::{
    Frame, Item, OptionalField, OptionalFields, PackedFields, Position, PositionRecord, frames,
};

use super::leg::LegKind;
use super::road::{FIX, ON, Road};
use super::*;

/// The frames of a fixture, a line each.
fn fixture(hex: &str) -> Vec<Position> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).map(digit).collect();
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let position = |item| match item {
        Item::Frame { frame: Frame::Location(position), .. } => position,
        _ => panic!("no position"),
    };
    frames(&bytes).map(position).collect()
}

fn positions(road: &Road) -> Vec<Position> {
    road.rows().iter().map(|row: &PositionRecord| row.position).collect()
}

/// Kind, from and to in seconds since the first row, metres.
type Told = (SegmentKind, u32, u32, u64);

fn segments(rows: &[Position]) -> Vec<Told> {
    let mut finder = Segments::new(Walker::new(Settings::default(), true), true);
    let mut out = Vec::new();
    for row in rows {
        finder.push(row, &mut out);
    }
    finder.finish(&mut out);
    let start = rows[0].recorded_at;
    let told = |segment: &Segment| {
        let Tally { first, last, distance, .. } = segment.tally;
        (segment.kind, first.at - start, last.at - start, distance.metres())
    };
    out.iter().map(told).collect()
}

fn trips(rows: &[Position]) -> Vec<(u32, u32, u64)> {
    let trips = segments(rows).into_iter().filter(|told| told.0 == SegmentKind::Trip);
    trips.map(|(_, from, to, metres)| (from, to, metres)).collect()
}

fn summary(rows: &[Position], from: u32) -> Tally {
    let mut summary = Summary::new(Walker::new(Settings::default(), true), Zone::utc(), from);
    for row in rows {
        summary.push(row);
    }
    summary.total().unwrap()
}

const TRIP: SegmentKind = SegmentKind::Trip;
const STOP: SegmentKind = SegmentKind::Stop;

#[test]
fn two_fast_ends_are_no_motion() {
    let rows = fixture(include_str!("../fixtures/fast_at_both_ends_of_a_stand.hex"));
    assert_eq!(segments(&rows), [(TRIP, 0, 300, 4000), (STOP, 300, 3300, 0)]);
    let sums = summary(&rows, 0);
    assert_eq!((sums.moving_s, sums.engine_s, sums.idle_s), (240, 300, 60));
    assert_eq!(sums.max_speed_kmh, Some(60));
}

#[test]
fn a_stop_is_known_before_it_is_decided() {
    let rows = fixture(include_str!("../fixtures/stop_decided_behind_the_range.hex"));
    assert_eq!(segments(&rows), [(TRIP, 0, 360, 8000), (STOP, 360, 960, 0)]);
    for (kind, seconds, since) in [(STOP, 420, 360), (TRIP, 180, 0), (TRIP, 420, 0)] {
        let mut finder = OneKind::new(kind, Walker::new(Settings::default(), true), true);
        let until = rows[0].recorded_at + seconds;
        let mut out = Vec::new();
        let read = rows.iter().take_while(|row| row.recorded_at <= until);
        read.for_each(|row| finder.push(row, &mut out));
        assert_eq!(finder.pending_since(), Some(rows[0].recorded_at + since), "{kind:?} {seconds}");
    }
}

#[test]
fn a_place_at_zero_leads_nowhere() {
    let rows = fixture(include_str!("../fixtures/zero_place_in_a_drive.hex"));
    let sums = summary(&rows, 0);
    assert_eq!((sums.distance.metres(), sums.distance.source()), (5897, Source::Gps));
    assert_eq!((sums.moving_s, sums.max_speed_kmh), (300, Some(60)));
    assert_eq!(segments(&rows), [(TRIP, 0, 300, 5897)]);
    // A stale fix, and reflected signals 5 km away.
    for (latitude, longitude) in [(45_000_000, 9_000_000), (45_045_000, 9_030_000)] {
        let mut rows = rows.clone();
        (rows[2].latitude_udeg, rows[2].longitude_udeg) = (latitude, longitude);
        assert_eq!(summary(&rows, 0).distance.metres(), 5897, "{latitude}");
    }
}

#[test]
fn a_parked_odometer_stands_still() {
    let rows = fixture(include_str!("../fixtures/parked_with_a_standing_odometer.hex"));
    let (whole, parked) = (summary(&rows, 0), summary(&rows, rows[2].recorded_at));
    assert_eq!((whole.first.odometer_m, whole.last.odometer_m), (1000, 5000));
    assert_eq!((whole.distance.metres(), whole.distance.source()), (4000, Source::Odometer));
    assert_eq!((parked.distance.metres(), parked.moving_s), (0, 0));
}

#[test]
fn a_trip_ends_where_the_speed_is_repeated() {
    // 20 minutes of driving, and then for two hours the last speed.
    for (seconds, off) in [(10, ON), (10, 0), (30, 0), (120, 0)] {
        let road = Road::new(FIX | ON).times(1200 / seconds, seconds, i64::from(seconds) * 12, 43);
        let road = road.with(FIX | off).times(7200 / seconds, seconds, 0, 43);
        let found = segments(&positions(&road));
        let [(TRIP, 0, trip_end, 14_400), (STOP, stop_start, 8400, 0)] = found[..] else {
            panic!("{seconds} {off} {found:?}")
        };
        assert_eq!(trip_end, stop_start);
        assert!((1200..=1200 + seconds).contains(&trip_end), "{seconds} {off} {trip_end}");
    }
}

#[test]
fn a_round_of_deliveries_is_many_trips() {
    // A row each two minutes: drives of six minutes, and stands of four or five, of
    // which two rows are seen. It arrives and leaves between rows. Speeds at the
    // stands are 0, or the last one again.
    for (stuck, bits) in [(0, 0), (30, 0), (0, ON)] {
        let mut road = Road::new(FIX | ON).times(5, 120, 0, 0);
        for _ in 0..6 {
            road = road.with(FIX | ON).go(120, 400, 30).go(120, 1000, 30).go(120, 1000, 30);
            road = road.with(FIX | bits).go(120, 300, stuck).go(120, 0, stuck);
        }
        let found = trips(&positions(&road));
        assert_eq!(found.len(), 6, "{stuck} {bits} {found:?}");
        assert!(found.iter().all(|(from, to, metres)| to - from == 480 && *metres == 2700));
    }
    // A red light seen in two rows is none.
    let road = Road::new(FIX | ON).times(5, 10, 120, 43).go(120, 1340, 43).go(50, 0, 0);
    let road = road.go(120, 1400, 43).times(5, 60, 700, 43);
    assert_eq!(trips(&positions(&road)).len(), 1);
}

#[test]
fn a_receiver_that_jitters_is_one_stop() {
    for (seconds, bits) in [(60, FIX), (60, FIX | ON), (120, FIX), (300, FIX | ON)] {
        let mut road = Road::new(bits).odometer(90_000);
        let hourly = 3600 / seconds;
        for n in 0..12 * hourly {
            road = match n % hourly {
                3 => road.stray(seconds, 600, 12).plus_odometer(9),
                4 => road.stray(seconds, -600, 7).plus_odometer(8),
                _ => road.stray(seconds, [12, -8, -17, 3, 10][n as usize % 5], 0),
            };
        }
        let expected = [(STOP, 0, 43_200, 0)];
        assert_eq!(segments(&positions(&road)), expected, "{seconds} {bits}");
        assert_eq!(summary(&positions(&road), 0).distance.metres(), 0, "{seconds} {bits}");
    }
}

#[test]
fn trips_without_wired_ignition() {
    for seconds in [1, 10, 60, 120] {
        let metres = i64::from(seconds) * 14;
        let road = Road::new(FIX).times(960 / seconds, seconds, 0, 0);
        let road =
            road.times(1200 / seconds, seconds, metres, 50).times(960 / seconds, seconds, 0, 0);
        let found = segments(&positions(&road));
        let expected = [(STOP, 0, 960, 0), (TRIP, 960, 2160, 16_800), (STOP, 2160, 3120, 0)];
        assert_eq!(found, expected, "{seconds}");
    }
}

#[test]
fn who_is_slow_is_given_the_time_to_leave() {
    // A walker at 3 km/h takes four minutes for `min_distance_m`.
    let settings = Settings { motion_kmh: 2, ..Settings::default() };
    let road = Road::new(FIX).times(60, 10, 0, 0).times(180, 10, 8, 3).times(60, 10, 0, 0);
    let mut walker = Walker::new(settings, true);
    let legs = road.rows().iter().filter_map(|row| walker.step(&row.position).1);
    let mut tally = Tally::at(Walker::new(settings, true).step(&road.rows()[0].position).0);
    legs.for_each(|leg| tally.add_whole(&leg));
    assert_eq!((tally.distance.metres(), tally.moving_s), (1440, 1800));
    // As a vehicle it stands.
    assert_eq!(summary(&positions(&road), 0).distance.metres(), 0);
}

#[test]
fn a_creeping_odometer_is_not_believed() {
    let mut road = Road::new(FIX | ON).odometer(50_000);
    for n in 0..95 {
        road = road.stray(10, 200, 72).plus_odometer(u32::from(n % 5 == 0));
    }
    let rows = positions(&road);
    let sums = summary(&rows, 0);
    assert_eq!(sums.last.odometer_m - sums.first.odometer_m, 19);
    assert_eq!((sums.distance.metres(), sums.distance.source()), (19_000, Source::Gps));
    assert_eq!(trips(&rows), [(0, 950, 19_000)]);
}

#[test]
fn one_frame_of_255_is_nothing() {
    let mut limits = EventLimits { speed_kmh: Some(80), offline_s: 3600 };
    let mut found = |road: &Road| {
        let mut events = Events::new(Walker::new(Settings::default(), true), limits, true);
        let mut out = Vec::new();
        road.rows().iter().for_each(|row| events.push(&row.position, &mut out));
        events.finish(0, &mut out);
        out.retain(|event| matches!(event.what, What::Overspeed { .. }));
        limits.offline_s = 3600;
        out.iter().map(|event| event.what).collect::<Vec<_>>()
    };
    let parked = Road::new(FIX).times(9, 60, 0, 0);
    assert_eq!(found(&parked.clone().go(60, 0, 255).go(60, 0, 0)), []);
    assert_eq!(found(&parked.clone().go(60, 0, 90).go(60, 0, 0)), []);
    assert_eq!(found(&parked.times(20, 60, 0, 90)), [], "repeated");
    let driving = Road::new(FIX | ON).times(9, 10, 190, 70);
    assert_eq!(found(&driving.clone().go(10, 190, 255).go(10, 190, 70)), []);
    assert_eq!(found(&driving.clone().go(10, 190, 140).go(10, 190, 70)), [], "no second witness");
    let over = [What::Overspeed { peak_kmh: 96 }];
    assert_eq!(found(&driving.clone().go(10, 260, 96).go(10, 200, 70)), over, "the way says so");
    assert_eq!(found(&driving.go(60, 1100, 90).go(60, 1300, 96).go(60, 1100, 70)), over);
}

#[test]
fn what_a_receiver_says_without_moving_counts_for_nothing() {
    let mut walker = Walker::new(Settings::default(), true);
    let road = Road::new(FIX).times(9, 60, 0, 0).go(60, 0, 255).times(60, 60, 0, 43);
    let legs = road.rows().iter().filter_map(|row| walker.step(&row.position).1);
    for leg in legs {
        assert_eq!((leg.kind, leg.counts.moving_s), (LegKind::Standing, 0));
        assert_eq!(leg.counts.max_speed_kmh, None);
    }
}

/// What trackers without a speed send, 110 km/h on a motorway, a row each ten seconds, after
/// and before a stand: the places alone tell it.
#[test]
fn a_drive_without_speeds_is_no_row_of_jumps() {
    let road = Road::new(FIX).times(20, 60, 0, 0).times(60, 10, 306, 0).times(20, 60, 0, 0);
    let mut unknown = OptionalFields::NONE;
    unknown.set(OptionalField::SpeedUnknown, 1).unwrap();
    unknown.set(OptionalField::IgnitionUnknown, 1).unwrap();
    let with_marks = |row: &PositionRecord| PositionRecord {
        packed: PackedFields::new(&unknown, None),
        ..row.clone()
    };
    let rows: Vec<PositionRecord> = road.rows().iter().map(with_marks).collect();
    let mut track = Track::new(&Settings::default());
    assert!(rows.iter().all(|row| track.step(row).doubt.is_none()));
    let mut finder = Segments::new(Walker::new(Settings::default(), true), true);
    let mut out = Vec::new();
    for row in &rows {
        finder.push(row, &mut out);
    }
    finder.finish(&mut out);
    let trips: Vec<&Segment> = out.iter().filter(|segment| segment.kind == TRIP).collect();
    assert_eq!(trips.len(), 1);
    let metres = trips[0].tally.distance.metres();
    assert!((18_000..=18_400).contains(&metres), "{metres}");
    assert_eq!(trips[0].tally.max_speed_kmh, None);
    // A jump of 5 km in ten seconds is one all the same.
    let mut jump = rows[40].clone();
    jump.position.recorded_at += 5;
    jump.position.latitude_udeg += 45_000;
    let mut track = Track::new(&Settings::default());
    for row in &rows[..=40] {
        track.step(row);
    }
    assert_eq!(track.step(&jump).doubt, Some(Doubt::Jump));
}
