//! Windows: a range of time divided by a step.
//!
//! A window contains its beginning and not its end, and is called by its beginning. Windows are
//! whole: the range is widened to the steps around it, so that the same window has the same
//! values whichever range was asked for.

mod calendar;
mod step;

use std::ops::Range;

use jiff::tz::TimeZone;

use crate::SeriesError;

pub use step::{CalendarUnit, Step};

/// Most windows of a range: 400 kB of their edges, and 14 MB of results for all 12 aggregates.
pub const MAX_WINDOWS: usize = 50_000;

/// A range of time divided into windows that adjoin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    step: Step,
    /// The beginnings in order, and the end of the last window.
    edges: Vec<i64>,
}

impl Windows {
    /// The windows of `step` that together cover `range` (milliseconds). Calendar steps follow
    /// `zone`; fixed ones are aligned to 1970 (UTC) and ignore it. [`Step::Auto`] takes the
    /// smallest of a list of round steps that gives at most `limit` windows.
    ///
    /// # Errors
    ///
    /// If the range is empty or beyond the calendar, or has more than `limit` or [`MAX_WINDOWS`]
    /// windows.
    pub fn new(
        range: Range<i64>,
        step: Step,
        zone: &TimeZone,
        limit: usize,
    ) -> Result<Self, SeriesError> {
        if range.is_empty() {
            return Err(SeriesError::EmptyRange);
        }
        let limit = limit.min(MAX_WINDOWS);
        if step != Step::Auto {
            return Self::of_step(&range, step, zone, limit);
        }
        let mut refused = SeriesError::TooManyWindows { step, limit };
        for step in Step::ROUND {
            match Self::of_step(&range, step, zone, limit) {
                Err(error @ SeriesError::TooManyWindows { .. }) => refused = error,
                done => return done,
            }
        }
        Err(refused)
    }

    fn of_step(
        range: &Range<i64>,
        step: Step,
        zone: &TimeZone,
        limit: usize,
    ) -> Result<Self, SeriesError> {
        let edges = match step {
            Step::Calendar { count, unit } => calendar::edges(range, count, unit, zone, limit)?,
            Step::Fixed { ms } => fixed_edges(range, i64::from(ms), limit)?,
            Step::Auto => None,
        };
        let edges = edges.ok_or(SeriesError::TooManyWindows { step, limit })?;
        Ok(Self { step, edges })
    }

    /// The step; the chosen one where [`Step::Auto`] was asked for.
    pub fn step(&self) -> Step {
        self.step
    }

    /// How many windows.
    pub fn len(&self) -> usize {
        self.edges.len() - 1
    }

    /// Whether there is no window; never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The beginnings of the windows in milliseconds.
    pub fn starts_ms(&self) -> &[i64] {
        &self.edges[..self.len()]
    }

    /// From the beginning of the first window to the end of the last: what has to be read.
    pub fn range_ms(&self) -> Range<i64> {
        self.edges[0]..self.edges[self.len()]
    }

    /// The times of a window.
    ///
    /// # Panics
    ///
    /// If there is no window of this number.
    pub fn window_ms(&self, window: usize) -> Range<i64> {
        self.edges[window]..self.edges[window + 1]
    }

    /// The window in which a time lies.
    pub fn window_at(&self, at_ms: i64) -> Option<usize> {
        let later = self.edges.partition_point(|edge| *edge <= at_ms);
        (1..self.edges.len()).contains(&later).then(|| later - 1)
    }
}

/// The edges of fixed steps around a range; none if there would be more than `limit` windows.
fn fixed_edges(
    range: &Range<i64>,
    step: i64,
    limit: usize,
) -> Result<Option<Vec<i64>>, SeriesError> {
    let edge = |ordinal: i64| ordinal.checked_mul(step).ok_or(SeriesError::OutOfRange);
    let (first, last) = (range.start.div_euclid(step), (range.end - 1).div_euclid(step));
    let fits = i128::from(last) - i128::from(first) < i128::try_from(limit).unwrap_or(i128::MAX);
    if !fits {
        return Ok(None);
    }
    (first..=last + 1).map(edge).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests;
