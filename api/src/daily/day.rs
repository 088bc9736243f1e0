//! Adds up a day, from its first row or behind the last one added.

use nemeses_protocol::PositionRecord;
use nemeses_store::history::DaySums;

use crate::reports::{Distance, Place, Point, Settings, Tally, Walker};

/// A day on its way.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    settings: Settings,
    walker: Walker,
    tally: Option<Tally>,
    engine_legs: u64,
    before: Option<(u32, u64)>,
    last: (u32, u64),
}

impl Day {
    /// A day from its first row on; `before` is the last row before it, from
    /// which the first leg leads.
    pub(crate) fn begin(settings: Settings, before: Option<&PositionRecord>) -> Self {
        let mut walker = Walker::new(settings);
        if let Some(row) = before {
            walker.step(&row.position);
        }
        let before = before.map(key);
        let last = before.unwrap_or_default();
        Self { settings, walker, tally: None, engine_legs: 0, before, last }
    }

    /// A day behind the rows that were added up.
    pub(crate) fn resume(settings: Settings, sums: &DaySums) -> Self {
        let tally = tally_of(sums);
        Self {
            settings,
            walker: Walker::behind(settings, tally.last),
            tally: Some(tally),
            engine_legs: sums.engine_legs,
            before: sums.before,
            last: (sums.last_at, sums.last_hash),
        }
    }

    /// The next row, in order.
    pub(crate) fn push(&mut self, row: &PositionRecord) {
        let (point, leg) = self.walker.step(&row.position);
        let first = self.tally.is_none();
        let tally = self.tally.get_or_insert_with(|| Tally::at(point));
        if let Some(leg) = leg {
            let heard = leg.seconds() <= self.settings.gap_s;
            self.engine_legs += u64::from(heard && leg.from.ignition);
            tally.add(&leg, &self.settings);
            if first {
                tally.rows = 1;
            }
        }
        self.last = key(row);
    }

    /// The sums; `None` without rows.
    pub(crate) fn sums(&self, device: u32, day: u32) -> Option<DaySums> {
        let tally = self.tally.as_ref()?;
        let (odometer_sum_m, gps_m, unmetered_m) = tally.distance.parts();
        let place = tally.last.place;
        Some(DaySums {
            device,
            day,
            row_count: tally.rows,
            before: self.before,
            first_at: tally.first.at,
            first_odometer_m: tally.first.odometer_m,
            first_hour_min: tally.first.hour_meter_min,
            last_at: self.last.0,
            last_hash: self.last.1,
            last_odometer_m: tally.last.odometer_m,
            last_hour_min: tally.last.hour_meter_min,
            last_speed_kmh: tally.last.speed_kmh.map(u32::from),
            last_ignition: tally.last.ignition,
            place_at: place.map(|place| place.fixed_at),
            place_latitude_udeg: place.map_or(0, |place| place.latitude_udeg),
            place_longitude_udeg: place.map_or(0, |place| place.longitude_udeg),
            odometer_sum_m,
            gps_sum_mm: millimetres(gps_m),
            unmetered_sum_mm: millimetres(unmetered_m),
            moving_s: tally.moving_s,
            idle_s: tally.idle_s,
            engine_s: tally.engine_s,
            silent_s: tally.silent_s,
            engine_legs: self.engine_legs,
            max_speed_kmh: tally.max_speed_kmh.map(u32::from),
        })
    }
}

/// The sums as reports hold them.
pub(crate) fn tally_of(sums: &DaySums) -> Tally {
    let speed = |kmh: Option<u32>| kmh.and_then(|kmh| u8::try_from(kmh).ok());
    let place = sums.place_at.map(|fixed_at| Place {
        latitude_udeg: sums.place_latitude_udeg,
        longitude_udeg: sums.place_longitude_udeg,
        fixed_at,
    });
    let last = Point {
        at: sums.last_at,
        place,
        speed_kmh: speed(sums.last_speed_kmh),
        ignition: sums.last_ignition,
        odometer_m: sums.last_odometer_m,
        hour_meter_min: sums.last_hour_min,
    };
    // What is not kept of the first row is not needed to go on, nor shown.
    let first = Point {
        at: sums.first_at,
        place: None,
        speed_kmh: None,
        ignition: false,
        odometer_m: sums.first_odometer_m,
        hour_meter_min: sums.first_hour_min,
    };
    let metres = |mm: u64| std::time::Duration::from_millis(mm).as_secs_f64();
    Tally {
        first,
        last,
        distance: Distance::from_parts(
            sums.odometer_sum_m,
            metres(sums.gps_sum_mm),
            metres(sums.unmetered_sum_mm),
        ),
        moving_s: sums.moving_s,
        idle_s: sums.idle_s,
        engine_s: sums.engine_s,
        silent_s: sums.silent_s,
        max_speed_kmh: speed(sums.max_speed_kmh),
        rows: sums.row_count,
    }
}

fn key(row: &PositionRecord) -> (u32, u64) {
    (row.position.recorded_at, row.frame_hash)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a day's way, not below 0"
)]
fn millimetres(metres: f64) -> u64 {
    (metres * 1e3).round() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reports::Road;

    const FIX: u16 = 1 << 15;
    const ON: u16 = 1 << 13;

    fn road() -> impl Strategy<Value = Road> {
        let stretch = (0..4_u8, 1..20_u32, 1..4000_u32, any::<bool>());
        prop::collection::vec(stretch, 1..12).prop_map(|stretches| {
            let mut road = Road::new(FIX).odometer(7);
            for (sort, times, seconds, on) in stretches {
                road = road.with(if on { FIX | ON } else { FIX });
                road = match sort {
                    0 => road.times(times, seconds, 0, 0),
                    1 => road.times(times, seconds, i64::from(seconds) * 10, 36),
                    2 => road.with(ON).times(times, 10, 100, 36),
                    _ => road.times(times, 0, 1, 5),
                };
            }
            road
        })
    }

    proptest! {
        /// A day that was kept and gone on with is the day added up at once,
        /// wherever it was interrupted.
        #[test]
        fn an_interrupted_day_is_the_whole_one(road in road(), at in 1..200_usize) {
            let (before, rows) = road.rows().split_first().unwrap();
            prop_assume!(!rows.is_empty());
            let add = |mut day: Day, rows: &[PositionRecord]| {
                for row in rows {
                    day.push(row);
                }
                day.sums(1, 2).unwrap()
            };
            let begin = || Day::begin(Settings::default(), Some(before));
            let whole = add(begin(), rows);
            let (head, tail) = rows.split_at(at.min(rows.len()));
            let head = add(begin(), head);
            let resumed = add(Day::resume(Settings::default(), &head), tail);
            // Millimetres are rounded once more on the way.
            let near = |one: u64, two: u64| one.abs_diff(two) <= 2;
            prop_assert!(near(whole.gps_sum_mm, resumed.gps_sum_mm));
            prop_assert!(near(whole.unmetered_sum_mm, resumed.unmetered_sum_mm));
            let exact = DaySums { gps_sum_mm: whole.gps_sum_mm, unmetered_sum_mm: whole.unmetered_sum_mm, ..resumed };
            prop_assert_eq!(exact, whole);
        }
    }
}
