//! Sums over a range, by local day. A leg belongs to the day and range of the
//! row with which it ends, so that the sums of two adjoining ranges are those of
//! both together.

use jiff::civil::Date;
use nemeses_protocol::Position;

use super::distance::Source;
use super::leg::Walker;
use super::{Settings, Tally, Zone};

/// A local day with rows.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) tally: Tally,
    /// First second after the day.
    end: u32,
}

/// Adds up rows in time order. One entry a day with rows, some 200 bytes each.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    settings: Settings,
    zone: Zone,
    from: u32,
    walker: Walker,
    days: Vec<Day>,
}

/// The sums of all days.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Total {
    /// Its distance is the metres of the days, see `metres`.
    pub(crate) tally: Tally,
    pub(crate) metres: f64,
    pub(crate) source: Source,
}

impl Summary {
    /// Sums of what was recorded from `from` on. The last row before it should
    /// be pushed first: it is where the first leg begins.
    pub(crate) fn new(settings: Settings, zone: Zone, from: u32) -> Self {
        Self { settings, zone, from, walker: Walker::new(settings), days: Vec::new() }
    }

    pub(crate) fn push(&mut self, position: &Position) {
        let (point, leg) = self.walker.step(position);
        if point.at < self.from {
            return;
        }
        if let Some(day) = self.days.last_mut().filter(|day| point.at < day.end) {
            if let Some(leg) = leg {
                day.tally.add(&leg, &self.settings);
            }
        } else {
            let (date, end) = self.zone.day(point.at);
            let mut tally = Tally::at(point);
            if let Some(leg) = leg {
                tally.add(&leg, &self.settings);
                tally.rows = 1;
            }
            self.days.push(Day { date, tally, end });
        }
    }

    pub(crate) fn days(&self) -> &[Day] {
        &self.days
    }

    /// All days together; `None` without rows.
    pub(crate) fn total(&self) -> Option<Total> {
        let (first, rest) = self.days.split_first()?;
        let mut tally = first.tally;
        for day in rest {
            tally.absorb(&day.tally);
        }
        tally.rows = self.days.iter().map(|day| day.tally.rows).sum();
        let metres = self.days.iter().map(|day| day.tally.distance.metres()).sum();
        let moved = self.days.iter().filter(|day| day.tally.distance.metres() > 0.0);
        let sources = moved.map(|day| day.tally.distance.source());
        let source = sources.reduce(|one, two| if one == two { one } else { Source::Both });
        Some(Total { tally, metres, source: source.unwrap_or(Source::Gps) })
    }
}

/// Minutes by the hour meter, which wraps at 2^32. `None` if it says more than
/// the time that went by: it was set, or replaced.
pub(crate) fn hour_meter_run_min(tally: &Tally) -> Option<u32> {
    let run = tally.last.hour_meter_min.wrapping_sub(tally.first.hour_meter_min);
    // Both ends are cut to whole minutes.
    (run <= tally.seconds() / 60 + 1).then_some(run)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::PositionRecord;
    use proptest::prelude::*;

    use super::super::road::{FIX, ON, Road, START};
    use super::*;

    fn summary(rows: &[PositionRecord], zone: &str, from: u32, to: u32) -> Summary {
        let mut summary = Summary::new(Settings::default(), Zone::parse(zone).unwrap(), from);
        let before = rows.iter().rev().find(|row| row.position.recorded_at < from);
        let within = rows.iter().filter(|row| (from..=to).contains(&row.position.recorded_at));
        before.into_iter().chain(within).for_each(|row| summary.push(&row.position));
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
        for (day, metres, moving_s) in [(one, 59.0 * 200.0, 590), (two, 61.0 * 200.0, 610)] {
            assert!((day.tally.distance.metres() - metres).abs() < 0.5);
            assert_eq!(day.tally.moving_s, moving_s);
        }
        // The first of the long legs behind begins with the ignition on.
        assert_eq!((one.tally.idle_s, two.tally.idle_s), (0, 660));
        let total = summary.total().unwrap();
        assert!((total.metres - 24_000.0).abs() < 0.5);
        assert_eq!(total.source, Source::Odometer);
        assert_eq!((total.tally.moving_s, total.tally.idle_s), (1200, 660));
        assert_eq!(total.tally.rows, rows.rows().len() as u64);
        assert_eq!(total.tally.max_speed_kmh, Some(72));
        assert_eq!((total.tally.first.odometer_m, total.tally.last.odometer_m), (1000, 25_000));
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
        assert!((total.metres - 6000.0).abs() < 2.0, "{}", total.metres);
        assert_eq!(total.source, Source::Gps);
    }

    #[test]
    fn a_jump_of_the_odometer_is_bridged_by_gps() {
        let road = Road::new(FIX | ON).odometer(5000).times(30, 10, 200, 72);
        let road = road.go(10, 200, 72).odometer(3).times(29, 10, 200, 72);
        let total = summary(road.rows(), "UTC", 0, u32::MAX).total().unwrap();
        assert!((total.metres - 12_000.0).abs() < 1.0, "{}", total.metres);
        assert_eq!(total.source, Source::Both);
    }

    #[test]
    fn hour_meters_wrap() {
        let road = Road::new(FIX).go(3600, 0, 0);
        let [first, last] = road.rows() else { panic!() };
        let run = |from: u32, to: u32| {
            let mut rows = [first.clone(), last.clone()];
            rows[0].position.hour_meter_min = from;
            rows[1].position.hour_meter_min = to;
            hour_meter_run_min(&summary(&rows, "UTC", 0, u32::MAX).total().unwrap().tally)
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
        assert_eq!((one.tally.rows, one.tally.moving_s, one.metres.to_bits()), (1, 0, 0));
    }

    proptest! {
        /// Two adjoining ranges are both together, wherever they meet.
        #[test]
        fn ranges_add_up(stretches in prop::collection::vec((0..3_u8, 1..20_u32, 1..4000_u32, any::<bool>()), 1..20), at in 0..100_000_u32) {
            let mut road = Road::new(FIX).odometer(7);
            for (sort, times, seconds, on) in stretches {
                road = road.with(if on { FIX | ON } else { FIX });
                road = match sort {
                    0 => road.times(times, seconds, 0, 0),
                    1 => road.times(times, seconds, i64::from(seconds) * 10, 36),
                    _ => road.times(times, 0, 1, 5),
                };
            }
            let sums = |from, to| summary(road.rows(), "UTC", from, to).total();
            let whole = sums(0, u32::MAX).unwrap();
            let halves = [sums(0, START + at - 1), sums(START + at, u32::MAX)];
            let sum = |of: fn(&Tally) -> u64| halves.iter().flatten().map(|half| of(&half.tally)).sum::<u64>();
            prop_assert_eq!(sum(|t| t.moving_s), whole.tally.moving_s);
            prop_assert_eq!(sum(|t| t.idle_s), whole.tally.idle_s);
            prop_assert_eq!(sum(|t| t.engine_s), whole.tally.engine_s);
            prop_assert_eq!(sum(|t| t.silent_s), whole.tally.silent_s);
            prop_assert_eq!(sum(|t| t.rows), whole.tally.rows);
            let metres: f64 = halves.iter().flatten().map(|half| half.metres).sum();
            prop_assert!((metres - whole.metres).abs() < 1.0, "{} {}", metres, whole.metres);
        }
    }
}
