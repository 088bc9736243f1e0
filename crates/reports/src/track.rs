//! The line of a device on a map or in a file: which rows are on it, and where it
//! is interrupted. One place for every form, so that all show the same line.

use super::Settings;
use super::doubt::{Doubt, Doubts};
use super::place::Place;
use super::row::Row;

/// What a row is to the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Why the row is not believed; one whose place is in doubt is not on the line.
    pub doubt: Option<Doubt>,
    /// The way from the row before to this one is unknown (a long silence, and then
    /// another place): a new line begins here. True of the first one.
    pub begins: bool,
}

/// Marks a device's rows in time order. A few dozen bytes a device.
#[derive(Clone, Copy, Debug)]
pub struct Track {
    doubts: Doubts,
    gap_s: u32,
    min_distance_m: u32,
    last: Option<Place>,
}

impl Track {
    /// `settings` say how long a silence and how far a way are unobserved.
    pub fn new(settings: &Settings) -> Self {
        let &Settings { gap_s, min_distance_m, .. } = settings;
        Self { doubts: Doubts::default(), gap_s, min_distance_m, last: None }
    }

    /// The next row.
    pub fn step(&mut self, row: &impl Row) -> Mark {
        let (position, verdict) = (row.position(), self.doubts.judge(row));
        let doubt = verdict.doubt;
        if !position.composition.gps_fix() || doubt.is_some_and(Doubt::is_of_place) {
            return Mark { doubt, begins: false };
        }
        let here = Place::of(position);
        let continues = self.last.is_some_and(|last| !self.is_unobserved(last, here));
        self.last = Some(here);
        Mark { doubt, begins: verdict.relocated || !continues }
    }

    /// Whether nobody knows the way from one place to the next.
    fn is_unobserved(&self, from: Place, to: Place) -> bool {
        to.fixed_at - from.fixed_at > self.gap_s
            && from.metres_to(to) >= f64::from(self.min_distance_m)
    }
}

#[cfg(test)]
mod tests {
    use super::super::road::{FIX, Road};
    use super::*;

    fn marks(road: &Road) -> Vec<Mark> {
        let mut track = Track::new(&Settings::default());
        road.rows().iter().map(|row| track.step(&row.position)).collect()
    }

    #[test]
    fn a_line_is_interrupted_where_the_way_is_unknown() {
        let road = Road::new(FIX).go(10, 100, 36).go(3601, 150, 0).go(3601, 300_000, 60);
        let begins: Vec<_> = marks(&road.go(10, 100, 60)).iter().map(|mark| mark.begins).collect();
        assert_eq!(begins, [true, false, false, true, false]);
    }

    #[test]
    fn doubtful_rows_and_those_without_a_fix_are_not_on_it() {
        let road = Road::new(FIX).go(10, 100, 36).go(10, 9000, 36).go(10, -8900, 36).with(0);
        let marks = marks(&road.go(10, 100, 36));
        assert_eq!(marks[2], Mark { doubt: Some(Doubt::Jump), begins: false });
        assert_eq!(marks[3..], [Mark::default(); 2]);
    }
}
