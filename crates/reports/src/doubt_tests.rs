use nemeses_protocol::Position;
use nemeses_protocol::PositionRecord;
use proptest::prelude::*;

use super::super::road::{FIX, ON, Road};
use super::*;

fn doubts(rows: &[PositionRecord]) -> Vec<Option<Doubt>> {
    let mut doubts = Doubts::default();
    rows.iter().map(|row| doubts.judge(&row.position).doubt).collect()
}

fn of(road: &Road) -> Vec<Option<Doubt>> {
    doubts(road.rows())
}

/// At 20 m/s, a row each 10 s.
fn driving(rows: u32) -> Road {
    Road::new(FIX | ON).times(rows, 10, 200, 72)
}

#[test]
fn a_place_at_zero_is_doubted_anywhere_else() {
    let mut rows = driving(4).rows().to_vec();
    (rows[2].position.latitude_udeg, rows[2].position.longitude_udeg) = (0, 0);
    assert_eq!(doubts(&rows), [None, None, Some(Doubt::ZeroPlace), None, None]);
    // As the first row of all, and again and again.
    for row in &mut rows[..3] {
        (row.position.latitude_udeg, row.position.longitude_udeg) = (0, 0);
    }
    let zero = Some(Doubt::ZeroPlace);
    assert_eq!(doubts(&rows), [zero, zero, zero, None, None]);
    // A ship that passes there.
    for (row, longitude) in rows.iter_mut().zip([-2000, 0, 2000, 4000, 6000]) {
        row.position.longitude_udeg = longitude;
    }
    assert_eq!(doubts(&rows), [None; 5]);
}

#[test]
fn a_jump_and_the_way_back() {
    // Reflected signals 5 km away; and an old fix from before a tunnel.
    for metres in [5000, -5000, -1500] {
        let road = driving(10).go(10, metres, 72).go(10, 400 - metres, 72);
        let mut expected = [None; 14];
        expected[11] = Some(Doubt::Jump);
        assert_eq!(of(&road.go(10, 200, 72)), expected, "{metres}");
    }
}

#[test]
fn rows_that_agree_are_believed_in_the_end() {
    // The first row of all was wrong.
    let road = Road::new(FIX).go(10, 9_000_000, 72).times(4, 10, 200, 72);
    let jump = Some(Doubt::Jump);
    assert_eq!(of(&road), [None, jump, jump, None, None, None]);
    // Not at once, however quickly rows come; and not if they disagree.
    let road = Road::new(FIX).go(1, 90_000, 72).times(20, 1, 20, 72);
    assert_eq!(of(&road).iter().filter(|doubt| doubt.is_some()).count(), 20);
    let mut road = Road::new(FIX);
    for n in 0..20 {
        road = road.go(10, if n % 2 == 0 { 90_000 } else { -45_000 }, 0);
    }
    assert_eq!(of(&road)[1..], [jump; 20]);
}

#[test]
fn time_and_speed_explain_a_way() {
    // 30 km in ten minutes between two stands, and 75 km in five by air.
    assert_eq!(of(&Road::new(FIX).go(600, 30_000, 0)), [None; 2]);
    assert_eq!(of(&Road::new(FIX).go(60, 3_000, 0)), [None, Some(Doubt::Jump)]);
    assert_eq!(of(&Road::new(FIX).go(600, 60_000, 255).go(300, 75_000, 255)), [None; 3]);
    assert_eq!(of(&Road::new(FIX).go(36_000, 2_500_000, 0)), [None; 2], "a flight in the dark");
}

#[test]
fn a_place_repeated_at_speed_is_no_new_fix() {
    // The receiver was stuck for a minute, and then caught up.
    let road = driving(5).times(6, 10, 0, 72).go(10, 1400, 72).go(10, 200, 72);
    assert_eq!(of(&road), [None; 14]);
    // The speed is held against the way since the row before, not since that fix.
    let leaving = Road::new(FIX).times(3, 600, 0, 0).with(FIX | ON).go(300, 0, 72);
    assert_eq!(of(&leaving.go(10, 200, 72))[4..], [Some(Doubt::Speed), None]);
    // A parked one has new fixes there, so that the way back from a jump is one.
    let road = Road::new(FIX).times(30, 10, 0, 0).go(10, 1400, 0);
    assert_eq!(of(&road)[31], Some(Doubt::Jump));
}

#[test]
fn a_speed_that_nothing_led_up_to() {
    let parked = Road::new(FIX).times(3, 60, 0, 0);
    let seen = of(&parked.clone().go(60, 0, 255).go(60, 0, 255).go(60, 5, 0));
    assert_eq!(seen[4..], [Some(Doubt::Speed), Some(Doubt::Speed), None]);
    // 60 and 2.5 x 72 are 240.
    assert_eq!(of(&driving(5).go(10, 200, 240))[6], None);
    assert_eq!(of(&driving(5).go(10, 200, 241))[6], Some(Doubt::Speed));
    assert_eq!(of(&driving(5).go(120, 1000, 230))[6], Some(Doubt::Speed));
    // Leaving quickly, and after long stands.
    assert_eq!(of(&parked.clone().go(10, 80, 60).go(10, 250, 130)), [None; 6]);
    assert_eq!(of(&parked.go(600, 4000, 110)), [None; 5]);
}

#[test]
fn rows_without_a_fix_claim_nothing() {
    let road = driving(3).with(ON).stray(10, 9000, 255).with(FIX | ON).stray(10, -8600, 72);
    assert_eq!(of(&road), [None; 6]);
}

proptest! {
    /// Whoever judges a row needs no more rows before it than said.
    #[test]
    fn few_rows_before_suffice(
        legs in prop::collection::vec((1..120_u32, prop_oneof![4 => 0..1_i64, 4 => -30..30_i64, 1 => 200..400_i64], prop::bool::weighted(0.95)), 60..90),
    ) {
        let mut road = Road::new(FIX);
        for (seconds, speed, fix) in legs {
            let kmh = u8::try_from(speed.abs() * 36 / 10).unwrap_or(0);
            let metres = i64::from(seconds) * speed;
            road = road.with(if fix { FIX } else { 0 }).go(seconds, metres, kmh);
        }
        let rows = road.rows();
        let (whole, from) = (doubts(rows), rows.len() - ROWS_TO_JUDGE as usize - 1);
        let part = doubts(&rows[from..]);
        prop_assert_eq!(part.last(), whole.last());
    }

    /// No rows panic, as long as they are in time order; and those at rest are believed.
    #[test]
    fn any_rows(raw in prop::collection::vec((any::<u32>(), any::<u8>(), -90_000_000..=90_000_000_i32, -180_000_000..=180_000_000_i32), 0..50)) {
        let mut rows: Vec<Position> = raw.into_iter().map(|(at, speed, lat, lon)| {
            let mut position = Road::new(FIX).rows()[0].position;
            (position.recorded_at, position.speed_kmh) = (at, speed);
            (position.latitude_udeg, position.longitude_udeg) = (lat, lon);
            position
        }).collect();
        rows.sort_by_key(|row| row.recorded_at);
        let mut doubts = Doubts::default();
        for row in &rows {
            doubts.judge(row);
        }
    }
}
