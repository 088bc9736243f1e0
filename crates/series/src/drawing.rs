//! Few points that draw the same line as many.
//!
//! Two steps (MinMaxLTTB): the range is divided into slots, of which each keeps its least and
//! its greatest value; of these, the points with the largest triangles are chosen. The first and
//! last point and the extremes of the whole are always chosen, so that a chart never hides what
//! an alarm saw. A gap stays a gap: points on its two sides are not joined by a line.

mod triangles;

use std::ops::Range;

use crate::{SeriesError, number};

/// Fewest points: first, last, least and greatest.
pub const MIN_DRAWN_POINTS: usize = 4;

/// Most points, a few for each pixel of a large screen: 2.5 MB of slots.
pub const MAX_DRAWN_POINTS: usize = 10_000;

/// Slots for each point: with two values each, four candidates for each point that is chosen.
const SLOTS_PER_POINT: usize = 2;

/// A number that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Dot {
    /// Its place in the input.
    ordinal: u64,
    at_ms: i64,
    value: f64,
    /// How many gaps come before it.
    gaps: u64,
}

/// Chooses the points to draw from values that are given in order of time.
#[derive(Debug)]
pub struct Drawing {
    range_ms: Range<i64>,
    points: usize,
    longest_gap_ms: Option<i64>,
    next: u64,
    gaps: u64,
    in_gap: bool,
    first: Option<Dot>,
    last: Option<Dot>,
    /// All of them while there are few, then none.
    few: Vec<Dot>,
    /// The least and the greatest of each slot; empty while there are few.
    slots: Vec<Option<(Dot, Dot)>>,
}

impl Drawing {
    /// Chooses at most `points` (between [`MIN_DRAWN_POINTS`] and [`MAX_DRAWN_POINTS`], and
    /// brought there otherwise) for a range of time in milliseconds. Neighbours that are further
    /// apart than `longest_gap_ms` have a gap between them.
    pub fn new(range_ms: Range<i64>, points: usize, longest_gap_ms: Option<i64>) -> Self {
        Self {
            range_ms,
            points: points.clamp(MIN_DRAWN_POINTS, MAX_DRAWN_POINTS),
            longest_gap_ms,
            next: 0,
            gaps: 0,
            in_gap: false,
            first: None,
            last: None,
            few: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// Adds the next value. None is a gap, and so are NaN and the infinities. Times outside the
    /// range are drawn in its first or last slot.
    ///
    /// # Errors
    ///
    /// If it is earlier than the one before it.
    pub fn push(&mut self, at_ms: i64, value: Option<f64>) -> Result<(), SeriesError> {
        if let Some(last) = self.last.filter(|last| last.at_ms > at_ms) {
            return Err(SeriesError::OutOfOrder { at_ms, last_ms: last.at_ms });
        }
        match value.and_then(number::finite) {
            Some(value) => self.add(at_ms, value),
            None => self.in_gap = self.last.is_some(),
        }
        Ok(())
    }

    /// The chosen points in order of time, with a None between two that have a gap between
    /// them: at most twice as many entries as points.
    pub fn finish(self) -> Vec<(i64, Option<f64>)> {
        let dots = if self.slots.is_empty() { self.few } else { self.chosen() };
        let mut drawn: Vec<(i64, Option<f64>)> = Vec::with_capacity(dots.len());
        let mut before: Option<Dot> = None;
        for dot in dots {
            if let Some(before) = before.filter(|before| before.gaps != dot.gaps) {
                drawn.push((middle(before.at_ms, dot.at_ms), None));
            }
            drawn.push((dot.at_ms, Some(dot.value)));
            before = Some(dot);
        }
        drawn
    }

    fn add(&mut self, at_ms: i64, value: f64) {
        let apart = self.last.map_or(0, |last| at_ms.saturating_sub(last.at_ms));
        let gap = self.in_gap || self.longest_gap_ms.is_some_and(|longest| apart > longest);
        self.gaps += u64::from(gap);
        self.in_gap = false;
        let dot = Dot { ordinal: self.next, at_ms, value, gaps: self.gaps };
        self.next += 1;
        self.first.get_or_insert(dot);
        self.last = Some(dot);
        self.keep(dot);
    }

    fn keep(&mut self, dot: Dot) {
        if !self.slots.is_empty() {
            return self.keep_in_slot(dot);
        }
        self.few.push(dot);
        if self.few.len() > self.points {
            self.slots = vec![None; self.points * SLOTS_PER_POINT];
            for dot in std::mem::take(&mut self.few) {
                self.keep_in_slot(dot);
            }
        }
    }

    fn keep_in_slot(&mut self, dot: Dot) {
        let number = self.slot_of(dot.at_ms);
        let slot = &mut self.slots[number];
        let (least, greatest) = slot.get_or_insert((dot, dot));
        if dot.value < least.value {
            *least = dot;
        }
        if dot.value > greatest.value {
            *greatest = dot;
        }
    }

    fn slot_of(&self, at_ms: i64) -> usize {
        let span = i128::from(self.range_ms.end) - i128::from(self.range_ms.start);
        let into = i128::from(at_ms) - i128::from(self.range_ms.start);
        let last = self.slots.len() - 1;
        let slots = i128::try_from(self.slots.len()).unwrap_or(0);
        usize::try_from((into.max(0) * slots).div_euclid(span.max(1))).unwrap_or(last).min(last)
    }

    fn chosen(self) -> Vec<Dot> {
        let kept = self.slots.iter().flatten().flat_map(|(least, greatest)| [*least, *greatest]);
        let mut dots: Vec<Dot> = kept.chain(self.first).chain(self.last).collect();
        dots.sort_unstable_by_key(|dot| dot.ordinal);
        dots.dedup_by_key(|dot| dot.ordinal);
        triangles::choose(&dots, self.points)
    }
}

fn middle(from_ms: i64, to_ms: i64) -> i64 {
    from_ms + to_ms.saturating_sub(from_ms) / 2
}

#[cfg(test)]
mod tests;
