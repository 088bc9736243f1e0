//! Adds up a day, from its first row or behind the last one added.

use nemeses_protocol::PositionRecord;
use nemeses_store::history::DaySums;
use sha2::{Digest as _, Sha256};

use nemeses_reports::{Distance, Place, Point, RULES, Settings, Tally, Walker};

/// A day on its way.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    gap_s: u32,
    walker: Walker,
    began: u64,
    tally: Option<Tally>,
    engine_legs: u64,
    last: (u32, u64),
}

impl Day {
    /// A day from its first row on, behind the rows that `walker` has seen.
    pub(crate) fn begin(walker: Walker) -> Self {
        Self {
            gap_s: walker.settings().gap_s,
            began: known(walker.last(), &walker.state()),
            walker,
            tally: None,
            engine_legs: 0,
            last: (0, 0),
        }
    }

    /// A day behind the rows that were added up; `None` if other rules did, or with
    /// another `motion_kmh`.
    pub(crate) fn resume(settings: Settings, sums: &DaySums) -> Option<Self> {
        let walker = walker_behind(settings, sums)?;
        Some(Self {
            began: sums.began,
            tally: Some(tally_of(sums)),
            engine_legs: sums.engine_legs,
            last: (sums.last_at, sums.last_hash),
            ..Self::begin(walker)
        })
    }

    /// The next row, in order.
    pub(crate) fn push(&mut self, row: &PositionRecord) {
        let (point, leg) = self.walker.step(row);
        let first = self.tally.is_none();
        let tally = self.tally.get_or_insert_with(|| Tally::at(point));
        if let Some(leg) = leg {
            let heard = leg.seconds() <= self.gap_s;
            self.engine_legs += u64::from(heard && leg.from.ignition);
            tally.add_whole(&leg);
            if first {
                tally.rows = 1;
            }
        }
        self.last = key(row);
    }

    /// The sums; `None` without rows.
    pub(crate) fn sums(&self, device: u32, day: u32) -> Option<DaySums> {
        let tally = self.tally.as_ref()?;
        let place = tally.last.place;
        Some(DaySums {
            device,
            day,
            row_count: tally.rows,
            rules: RULES,
            began: self.began,
            state: self.walker.state(),
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
            odometer_sum_m: tally.distance.odometer_m,
            gps_sum_m: tally.distance.gps_m,
            moving_s: tally.moving_s,
            idle_s: tally.idle_s,
            engine_s: tally.engine_s,
            silent_s: tally.silent_s,
            engine_legs: self.engine_legs,
            max_speed_kmh: tally.max_speed_kmh.map(u32::from),
        })
    }
}

/// A walk behind a day; `None` if other rules added it up, or with another `motion_kmh`.
pub(crate) fn walker_behind(settings: Settings, sums: &DaySums) -> Option<Walker> {
    Walker::resume(settings, last_of(sums), &sums.state)
}

/// Whether a day can go on from these sums, and was made by this version's rules.
pub(crate) fn is_current(sums: &DaySums) -> bool {
    sums.rules == RULES && !sums.state.is_empty()
}

/// A hash of what is known behind a day, as the day behind it began with it.
pub(crate) fn known_behind(sums: &DaySums) -> u64 {
    known(Some(&last_of(sums)), &sums.state)
}

fn known(last: Option<&Point>, state: &[u8]) -> u64 {
    let mut bytes = state.to_vec();
    if let Some(last) = last {
        let place =
            last.place.map(|place| (place.latitude_udeg, place.longitude_udeg, place.fixed_at));
        let (latitude, longitude, fixed_at) = place.unwrap_or_default();
        for number in [last.at, last.odometer_m, last.hour_meter_min, fixed_at] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [latitude, longitude] {
            bytes.extend(number.to_le_bytes());
        }
        let speed = last.speed_kmh.map_or([0, 0], |kmh| [1, kmh]);
        bytes.extend([u8::from(last.ignition), u8::from(place.is_some()), speed[0], speed[1]]);
    }
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// The last row of a day, as reports hold it.
fn last_of(sums: &DaySums) -> Point {
    let place = sums.place_at.map(|fixed_at| Place {
        latitude_udeg: sums.place_latitude_udeg,
        longitude_udeg: sums.place_longitude_udeg,
        fixed_at,
    });
    Point {
        at: sums.last_at,
        place,
        speed_kmh: speed(sums.last_speed_kmh),
        ignition: sums.last_ignition,
        odometer_m: sums.last_odometer_m,
        hour_meter_min: sums.last_hour_min,
    }
}

/// As it is on the wire.
pub(crate) fn speed(kmh: Option<u32>) -> Option<u8> {
    kmh.and_then(|kmh| u8::try_from(kmh).ok())
}

/// The sums as reports hold them.
pub(crate) fn tally_of(sums: &DaySums) -> Tally {
    // What is not kept of the first row is not needed to go on, nor shown.
    let first = Point {
        at: sums.first_at,
        place: None,
        speed_kmh: None,
        ignition: false,
        odometer_m: sums.first_odometer_m,
        hour_meter_min: sums.first_hour_min,
    };
    Tally {
        first,
        last: last_of(sums),
        distance: Distance { odometer_m: sums.odometer_sum_m, gps_m: sums.gps_sum_m },
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::road::roads;

    fn add(mut day: Day, rows: &[PositionRecord]) -> DaySums {
        for row in rows {
            day.push(row);
        }
        day.sums(1, 2).unwrap()
    }

    proptest! {
        /// A day that was kept and gone on with is the day added up at once,
        /// wherever it was interrupted.
        #[test]
        fn an_interrupted_day_is_the_whole_one(rows in roads(), at in any::<prop::sample::Index>()) {
            let settings = Settings::default();
            let begin = || Day::begin(Walker::new(settings, true));
            let whole = add(begin(), &rows);
            let head = add(begin(), &rows[..=at.index(rows.len())]);
            let resumed = add(Day::resume(settings, &head).unwrap(), &rows[at.index(rows.len()) + 1..]);
            prop_assert_eq!(resumed, whole);
        }

        /// Whatever differs behind a day, the next one began with something else.
        #[test]
        fn all_that_is_known_behind_a_day_counts(rows in roads()) {
            let mut sums = add(Day::begin(Walker::new(Settings::default(), true)), &rows);
            (sums.place_at, sums.last_speed_kmh) = (Some(1), Some(5));
            let changes: [fn(&mut DaySums); 9] = [
                |sums| sums.state.push(0),
                |sums| sums.last_at ^= 1,
                |sums| sums.last_odometer_m ^= 1,
                |sums| sums.last_hour_min ^= 1,
                |sums| sums.last_speed_kmh = Some(6),
                |sums| sums.last_ignition ^= true,
                |sums| sums.place_at = Some(2),
                |sums| sums.place_latitude_udeg ^= 1,
                |sums| sums.place_longitude_udeg ^= 1,
            ];
            for (index, change) in changes.into_iter().enumerate() {
                let mut other = sums.clone();
                change(&mut other);
                prop_assert_ne!(known_behind(&other), known_behind(&sums), "change {}", index);
            }
        }

        /// Days added up one behind the other are the stretch added up at once, and
        /// each knows what it began with.
        #[test]
        fn days_join(rows in roads(), at in any::<prop::sample::Index>()) {
            let settings = Settings::default();
            let (one, two) = rows.split_at(at.index(rows.len()));
            prop_assume!(!one.is_empty());
            let whole = add(Day::begin(Walker::new(settings, true)), &rows);
            let one = add(Day::begin(Walker::new(settings, true)), one);
            let two = add(Day::begin(walker_behind(settings, &one).unwrap()), two);
            prop_assert_eq!(two.began, known_behind(&one));
            prop_assert_eq!(one.odometer_sum_m + two.odometer_sum_m, whole.odometer_sum_m);
            prop_assert_eq!(one.gps_sum_m + two.gps_sum_m, whole.gps_sum_m);
            prop_assert_eq!(one.moving_s + two.moving_s, whole.moving_s);
            prop_assert_eq!(one.idle_s + two.idle_s, whole.idle_s);
            prop_assert_eq!(one.engine_s + two.engine_s, whole.engine_s);
            prop_assert_eq!(one.silent_s + two.silent_s, whole.silent_s);
            prop_assert_eq!(one.max_speed_kmh.max(two.max_speed_kmh), whole.max_speed_kmh);
            prop_assert_eq!((two.state, two.last_at), (whole.state, whole.last_at));
        }
    }
}
