use proptest::prelude::*;

use super::super::Tally;
use super::super::road::{FIX, ON, Road, roads};
use super::*;

fn legs(road: &Road) -> Vec<Leg> {
    let mut walker = Walker::new(Settings::default(), true);
    road.rows().iter().filter_map(|row| walker.step(&row.position).1).collect()
}

fn kinds(road: &Road) -> Vec<LegKind> {
    legs(road).iter().map(|leg| leg.kind).collect()
}

/// All of it.
fn sums(road: &Road) -> Tally {
    let mut tally = Tally::at(Point::new(&road.rows()[0].position, None, None));
    for leg in legs(road) {
        tally.add_whole(&leg);
    }
    tally
}

fn metres(road: &Road) -> u64 {
    sums(road).distance.metres()
}

#[test]
fn speeds_at_both_ends_or_a_mean_speed() {
    let road = Road::new(FIX | ON).go(10, 0, 0).go(10, 150, 60).go(10, 150, 60).go(10, 80, 0);
    let [standing, leaving, driving, arriving] = kinds(&road)[..] else { panic!() };
    assert_eq!([standing, leaving], [LegKind::Standing, LegKind::Undecided]);
    assert_eq!([driving, arriving], [LegKind::Moving; 2]);
    assert_eq!((metres(&road), sums(&road).moving_s), (380, 30));
}

#[test]
fn a_parked_receiver_wanders_without_moving() {
    let on = Road::new(FIX | ON).go(10, 40, 0).go(10, 30, 3);
    assert_eq!((kinds(&on), metres(&on)), (vec![LegKind::Standing, LegKind::Undecided], 0));
    let off = Road::new(FIX).go(60, 150, 0).go(60, 100, 7);
    assert_eq!((kinds(&off), metres(&off)), (vec![LegKind::Undecided; 2], 0));
}

#[test]
fn motion_counts_where_ignition_is_missing() {
    let road = Road::new(FIX).go(60, 600, 40).go(60, 700, 42).go(600, 9000, 0);
    assert_eq!(kinds(&road), [LegKind::Undecided, LegKind::Moving, LegKind::Moving]);
    let sums = sums(&road);
    assert_eq!((sums.distance.metres(), sums.moving_s), (10_300, 720));
}

#[test]
fn rows_without_a_fix_do_not_move() {
    // Their coordinates are stale and their speed means nothing; the odometer may speak.
    let lost = Road::new(FIX | ON).with(ON).stray(10, 5000, 90).with(FIX | ON).stray(10, -5000, 0);
    assert_eq!(kinds(&lost), [LegKind::Standing; 2]);
    let tunnel = Road::new(FIX | ON).odometer(1000).with(ON).go(60, 900, 0);
    assert_eq!(kinds(&tunnel), [LegKind::Moving]);
}

#[test]
fn silence_is_dark_only_if_the_device_is_elsewhere() {
    assert_eq!(kinds(&Road::new(FIX).go(3601, 100, 0)), [LegKind::Standing]);
    assert_eq!(kinds(&Road::new(FIX).go(3601, 300, 0)), [LegKind::Dark]);
    assert_eq!(kinds(&Road::new(FIX | ON).go(3600, 50_000, 0)), [LegKind::Undecided]);
    let around = Road::new(FIX).odometer(5).stray(9000, 0, 0);
    assert_eq!(kinds(&around.clone().plus_odometer(20_000)), [LegKind::Dark]);
    assert_eq!(kinds(&around.plus_odometer(200)), [LegKind::Standing], "it crept");
}

#[test]
fn a_speed_that_is_repeated_after_the_halt_moves_nothing() {
    // 20 minutes at 12 m/s, and then for two hours the same speed at one place,
    // whatever the interval of the rows and the ignition.
    for seconds in [1, 10, 60, 120] {
        for (driving, parked) in [(ON, ON), (ON, 0), (0, 0)] {
            let drive = Road::new(FIX | driving);
            let drive = drive.times(1200 / seconds, seconds, i64::from(seconds) * 12, 43);
            let halted = drive.with(FIX | parked).times(7200 / seconds, seconds, 0, 43);
            let sums = sums(&halted);
            let what = format!("{seconds} {driving} {parked}");
            assert_eq!(sums.distance.metres(), 14_400, "{what}");
            assert!((1200..1200 + 30).contains(&sums.moving_s), "{what} {}", sums.moving_s);
        }
    }
    // One that scatters while it does.
    let mut road = Road::new(FIX | ON).times(60, 10, 120, 43);
    for n in 0..600 {
        road = road.stray(10, [9, -14, 7, 3, -5][n % 5], 43);
    }
    let sums = sums(&road);
    assert!(sums.moving_s < 640 && sums.distance.metres() < 7250, "{sums:?}");
}

#[test]
fn a_receiver_that_jitters_makes_no_metres() {
    // Twelve hours at one place; each hour an outlier of 600 m.
    for (seconds, bits) in [(60, FIX), (60, FIX | ON), (120, FIX), (300, FIX), (30, FIX)] {
        for odometer in [0, 70_000] {
            let mut road = Road::new(bits).odometer(odometer);
            let hourly = 3600 / seconds;
            for n in 0..12 * hourly {
                let wander = [8, -12, 20, -25, 9][n as usize % 5];
                road = match n % hourly {
                    17 => road.stray(seconds, 600, 9),
                    18 => road.stray(seconds, -600, 4),
                    _ => road.stray(seconds, wander, u8::from(n % 4 == 0) * 3),
                };
                if odometer > 0 && n % 4 == 0 {
                    road = road.plus_odometer(1);
                }
            }
            let sums = sums(&road);
            let what = format!("{seconds} {bits} {odometer}");
            assert_eq!((sums.distance.metres(), sums.moving_s), (0, 0), "{what}");
        }
    }
}

#[test]
fn the_engine_of_a_silent_device_is_known_by_its_hour_meter_alone() {
    // Fifty minutes dark at one place.
    let road = Road::new(FIX | ON).times(30, 10, 200, 72).go(10, 0, 0).go(3000, 0, 0);
    let sums_of = sums(&road);
    assert_eq!((sums_of.engine_s, sums_of.idle_s, sums_of.moving_s), (310, 10, 300));
    let mut rows = road.rows().to_vec();
    rows.last_mut().unwrap().position.hour_meter_min += 20;
    let mut walker = Walker::new(Settings::default(), true);
    let legs = rows.iter().filter_map(|row| walker.step(&row.position).1);
    assert_eq!(legs.last().unwrap().counts.engine_s, 1200);
}

#[test]
fn a_standing_odometer_is_no_missing_one() {
    // Driven here, and then parked under trees: places move, the odometer does not.
    let road = Road::new(FIX | ON).odometer(1000).times(20, 10, 200, 72).with(FIX);
    let road = road.times(20, 60, 0, 0).stray(60, 150, 6).stray(60, 150, 6).stray(60, -280, 0);
    assert_eq!(metres(&road), 4000);
}

#[test]
fn what_is_carried_without_speed_and_odometer_is_not_driven() {
    let road = Road::new(FIX | ON).odometer(1000).times(20, 10, 200, 72).with(FIX);
    let road = road.times(20, 60, 0, 0).stray(600, 2000, 0);
    let carried = (0..30).fold(road, |road, _| road.stray(60, 0, 0));
    assert_eq!(metres(&carried), 4000);
}

#[test]
fn places_alone_are_believed_in_the_end() {
    // No ignition, no speed, no odometer.
    let road = Road::new(FIX).times(10, 60, 0, 0).times(10, 60, 500, 0).times(10, 60, 0, 0);
    assert_eq!((metres(&road), sums(&road).moving_s), (5000, 600));
    let quick = Road::new(FIX).times(10, 1, 0, 0).times(600, 1, 15, 0).times(900, 1, 0, 0);
    let driven = metres(&quick);
    assert!((8900..=9000).contains(&driven), "{driven}");
}

#[test]
fn a_doubtful_place_is_bridged() {
    let road = Road::new(FIX | ON).times(10, 10, 200, 72).go(10, 5000, 72).go(10, -4600, 72);
    let sums = sums(&road.times(10, 10, 200, 72));
    assert_eq!((sums.distance.metres(), sums.moving_s), (4400, 220));
}

#[test]
fn the_fastest_speed_is_one_of_a_moving_device() {
    let parked = Road::new(FIX).times(3, 60, 0, 0).go(60, 0, 255).go(60, 0, 0).go(60, 0, 43);
    assert_eq!(sums(&parked.times(3, 60, 0, 43)).max_speed_kmh, None);
    let road = Road::new(FIX | ON).times(10, 10, 200, 72).go(10, 200, 255).times(10, 10, 200, 74);
    assert_eq!(sums(&road).max_speed_kmh, Some(74));
}

#[test]
fn the_seconds_stood_on_a_leg() {
    let stood = |road: Road| legs(&road).last().unwrap().stood_s();
    // 400 m at 36 km/h take 40 of 120 s.
    assert_eq!(stood(Road::new(FIX | ON).times(9, 10, 100, 36).go(120, 400, 0)), 80);
    assert_eq!(stood(Road::new(FIX | ON).times(9, 10, 100, 36).go(10, 100, 36)), 0);
    assert_eq!(stood(Road::new(FIX | ON).go(10, 10, 0)), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Once certain, a walk that began anywhere makes the same legs.
    #[test]
    fn the_same_legs_once_certain(rows in roads(), at in any::<prop::sample::Index>()) {
        let at = at.index(rows.len());
        let (mut whole, mut part) = (Walker::new(Settings::default(), true), Walker::new(Settings::default(), false));
        // What was undecided and never left adds nothing, whether it was seen or not.
        let adds = |settled: &Settled| settled.moved || settled.counts != Counts::default();
        let told = |leg: Option<Leg>| leg.map(|leg| (leg.kind, leg.counts, leg.settled.filter(adds), leg.way));
        let mut certain = false;
        for (n, row) in rows.iter().enumerate() {
            let (_, of_whole) = whole.step(&row.position);
            if n < at { continue; }
            let (_, of_part) = part.step(&row.position);
            if certain {
                let (of_part, of_whole) = (told(of_part), told(of_whole));
                prop_assert_eq!(of_part, of_whole, "{}", n);
            }
            certain = part.is_certain();
        }
    }

    /// The parts of a stretch fit into its time.
    #[test]
    fn no_more_time_than_went_by(rows in roads()) {
        let mut walker = Walker::new(Settings::default(), true);
        let mut tally: Option<Tally> = None;
        for row in &rows {
            let (point, leg) = walker.step(&row.position);
            let tally = tally.get_or_insert_with(|| Tally::at(point));
            if let Some(leg) = leg {
                tally.add_whole(&leg);
            }
            let seconds = u64::from(tally.seconds());
            prop_assert!(tally.moving_s + tally.idle_s + tally.silent_s <= seconds);
            prop_assert!(tally.engine_s <= seconds);
        }
    }
}
