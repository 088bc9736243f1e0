//! Sums over a range, by local day. A leg belongs to the day and range of the
//! row with which it ends, so that the sums of two adjoining ranges are those of
//! both together.

use super::walker::hour_meter_run_min as run_min;
use super::{Row, Tally, Walker, Zone};
use jiff::civil::Date;

/// A local day with rows.
#[derive(Clone, Debug)]
pub struct Day {
    /// The day in the viewer's time zone.
    pub date: Date,
    /// The sums of what ended on it, and its first and last row.
    pub tally: Tally,
    /// First second after the day.
    end: u32,
}

/// Adds up rows in time order. One entry a day with rows, some 200 bytes each.
#[derive(Clone, Debug)]
pub struct Summary {
    zone: Zone,
    from: u32,
    walker: Walker,
    days: Vec<Day>,
}

impl Summary {
    /// Sums of what was recorded from `from` on, behind the rows that `walker` has
    /// seen. Rows before `from` are where legs lead from, and add nothing.
    pub fn new(walker: Walker, zone: Zone, from: u32) -> Self {
        Self { zone, from, walker, days: Vec::new() }
    }

    /// The next row, in order of time.
    pub fn push(&mut self, row: &impl Row) {
        let (point, leg) = self.walker.step(row);
        if point.at < self.from {
            return;
        }
        if let Some(day) = self.days.last_mut().filter(|day| point.at < day.end) {
            if let Some(leg) = leg {
                day.tally.add_whole(&leg);
            }
        } else {
            let (date, end) = self.zone.day(point.at);
            let mut tally = Tally::at(point);
            if let Some(leg) = leg {
                tally.add_whole(&leg);
                tally.rows = 1;
            }
            self.days.push(Day { date, tally, end });
        }
    }

    /// The days with rows, in order of time.
    pub fn days(&self) -> &[Day] {
        &self.days
    }

    /// All days together; `None` without rows.
    pub fn total(&self) -> Option<Tally> {
        let (first, rest) = self.days.split_first()?;
        let mut tally = first.tally;
        for day in rest {
            tally.absorb(&day.tally);
        }
        tally.rows = self.days.iter().map(|day| day.tally.rows).sum();
        Some(tally)
    }
}

/// Minutes by the hour meter; `None` if it was set, or replaced.
pub fn hour_meter_run_min(tally: &Tally) -> Option<u32> {
    run_min(tally.first.hour_meter_min, tally.last.hour_meter_min, tally.seconds())
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::PositionRecord;
    use proptest::prelude::*;

    use super::super::road::{FIX, ON, Road, START, roads};
    use super::super::{Settings, distance::Source};
    use super::*;

    fn summary(rows: &[PositionRecord], zone: &str, from: u32, to: u32) -> Summary {
        let walker = Walker::new(Settings::default(), true);
        let mut summary = Summary::new(walker, Zone::parse(zone).unwrap(), from);
        rows.iter()
            .take_while(|row| row.position.recorded_at <= to)
            .for_each(|row| summary.push(&row.position));
        summary
    }

    /// Two days: 23:50 to 00:10 at 20 m/s, in frames of 10 s, standing before and after.
    fn over_midnight() -> Road {
        let road = Road::new(FIX).odometer(1000).times(142, 600, 0, 0).go(600, 0, 0);
        road.with(FIX | ON).times(120, 10, 200, 72).times(6, 10, 0, 0).with(FIX).times(5, 600, 0, 0)
    }

    #[test]
    fn days_and_their_sum() {
        let rows = over_midnight();
        let summary = summary(rows.rows(), "UTC", START, u32::MAX);
        let [one, two] = summary.days() else { panic!() };
        assert_eq!(
            (one.date.to_string(), two.date.to_string()),
            ("2020-07-01".into(), "2020-07-02".into())
        );
        // Frames at 23:50:10 to 23:59:50 end on the first day, 00:00:00 to 00:10:00 on the second.
        for (day, metres, moving_s) in [(one, 59 * 200, 590), (two, 61 * 200, 610)] {
            assert_eq!(day.tally.distance.metres(), metres);
            assert_eq!(day.tally.moving_s, moving_s);
        }
        // The first of the long legs behind begins with the ignition on.
        assert_eq!((one.tally.idle_s, two.tally.idle_s), (0, 660));
        let total = summary.total().unwrap();
        assert_eq!(total.distance.metres(), 24_000);
        assert_eq!(total.distance.source(), Source::Odometer);
        assert_eq!((total.moving_s, total.idle_s), (1200, 660));
        assert_eq!(total.rows, rows.rows().len() as u64);
        assert_eq!(total.max_speed_kmh, Some(72));
        assert_eq!((total.first.odometer_m, total.last.odometer_m), (1000, 25_000));
    }

    #[test]
    fn a_day_is_the_viewers() {
        let rows = over_midnight();
        let berlin = summary(rows.rows(), "+02:00", START, u32::MAX);
        let dates: Vec<_> = berlin.days().iter().map(|day| day.date.to_string()).collect();
        assert_eq!(dates, ["2020-07-01", "2020-07-02"]);
        assert_eq!(berlin.days()[0].tally.moving_s, 0);
        assert_eq!(berlin.days()[1].tally.moving_s, 1200);
    }

    #[test]
    fn without_an_odometer_only_moving_counts() {
        let road = Road::new(FIX | ON).times(30, 10, 200, 72).with(FIX).times(50, 60, 30, 0);
        let total = summary(road.rows(), "UTC", 0, u32::MAX).total().unwrap();
        assert_eq!(total.distance.metres(), 6000);
        assert_eq!(total.distance.source(), Source::Gps);
    }

    #[test]
    fn a_jump_of_the_odometer_is_bridged_by_gps() {
        let road = Road::new(FIX | ON).odometer(5000).times(30, 10, 200, 72);
        let road = road.go(10, 200, 72).odometer(3).times(29, 10, 200, 72);
        let total = summary(road.rows(), "UTC", 0, u32::MAX).total().unwrap();
        assert_eq!(total.distance.metres(), 12_000);
        assert_eq!(total.distance.source(), Source::Both);
    }

    #[test]
    fn hour_meters_wrap() {
        let road = Road::new(FIX).go(3600, 0, 0);
        let [first, last] = road.rows() else { panic!() };
        let run = |from: u32, to: u32| {
            let mut rows = [first.clone(), last.clone()];
            rows[0].position.hour_meter_min = from;
            rows[1].position.hour_meter_min = to;
            hour_meter_run_min(&summary(&rows, "UTC", 0, u32::MAX).total().unwrap())
        };
        assert_eq!(run(100, 160), Some(60));
        assert_eq!(run(u32::MAX - 9, 20), Some(30));
        assert_eq!(run(160, 100), None);
        assert_eq!(run(100, 100), Some(0));
        assert_eq!(run(100, 162), None);
    }

    #[test]
    fn nothing_sums_to_nothing() {
        assert!(summary(&[], "UTC", 0, u32::MAX).total().is_none());
        let one = summary(Road::new(FIX).rows(), "UTC", 0, u32::MAX).total().unwrap();
        assert_eq!((one.rows, one.moving_s, one.distance.metres()), (1, 0, 0));
    }

    proptest! {
        /// Two adjoining ranges are both together, wherever they meet.
        #[test]
        fn ranges_add_up(rows in roads(), at in 0..100_000_u32) {
            let sums = |from, to| summary(&rows, "UTC", from, to).total();
            let whole = sums(0, u32::MAX).unwrap();
            let halves = [sums(0, START + at - 1), sums(START + at, u32::MAX)];
            let sum = |of: fn(&Tally) -> u64| halves.iter().flatten().map(of).sum::<u64>();
            prop_assert_eq!(sum(|t| t.moving_s), whole.moving_s);
            prop_assert_eq!(sum(|t| t.idle_s), whole.idle_s);
            prop_assert_eq!(sum(|t| t.engine_s), whole.engine_s);
            prop_assert_eq!(sum(|t| t.silent_s), whole.silent_s);
            prop_assert_eq!(sum(|t| t.rows), whole.rows);
            prop_assert_eq!(sum(|t| t.distance.odometer_m), whole.distance.odometer_m);
            prop_assert_eq!(sum(|t| t.distance.gps_m), whole.distance.gps_m);
            let fastest = halves.iter().flatten().filter_map(|half| half.max_speed_kmh).max();
            prop_assert_eq!(fastest, whole.max_speed_kmh);
        }
    }
}
