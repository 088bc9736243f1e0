//! The summary of a stretch of values that can be joined with the next one's, so that a question
//! about a long range can be answered without every value.

use crate::kind::increase;
use crate::number;
use crate::{Sample, Value};

/// What is known of a stretch of values in order of time. Joining the summaries of two adjoining
/// stretches gives the summary of both, up to the rounding of sums.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many values, of any type.
    pub count: u64,
    /// The first value.
    pub first: Option<Sample>,
    /// The last value.
    pub last: Option<Sample>,
    /// The finite numbers among them; none if there is no such number.
    pub numbers: Option<NumberSummary>,
}

/// What is known of the finite numbers of a stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberSummary {
    /// How many, at least one.
    pub count: u64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Their sum.
    pub sum: f64,
    /// The sum of squared differences from their mean.
    pub squares: f64,
    /// The increase of a counter from the first to the last, resets handled.
    pub increase: f64,
    /// Time in milliseconds and value of the first.
    pub first: (i64, f64),
    /// Time in milliseconds and value of the last.
    pub last: (i64, f64),
}

impl Summary {
    /// Adds the next value, which must not be earlier than the last.
    pub fn push(&mut self, at_ms: i64, value: &Value) {
        if self.first.is_none() {
            self.first = Some(Sample { at_ms, value: value.clone() });
        }
        self.last = Some(Sample { at_ms, value: value.clone() });
        self.count += 1;
        if let Some(number) = value.as_finite() {
            match &mut self.numbers {
                Some(numbers) => numbers.push(at_ms, number),
                None => self.numbers = Some(NumberSummary::of(at_ms, number)),
            }
        }
    }

    /// Adds the stretch that follows this one.
    pub fn join(&mut self, next: &Self) {
        self.count += next.count;
        if self.first.is_none() {
            self.first.clone_from(&next.first);
        }
        if next.last.is_some() {
            self.last.clone_from(&next.last);
        }
        match (&mut self.numbers, &next.numbers) {
            (Some(numbers), Some(next)) => numbers.join(next),
            (None, next) => self.numbers = *next,
            (Some(_), None) => {}
        }
    }
}

impl NumberSummary {
    /// One number.
    pub fn of(at_ms: i64, number: f64) -> Self {
        Self {
            count: 1,
            min: number,
            max: number,
            sum: number,
            squares: 0.0,
            increase: 0.0,
            first: (at_ms, number),
            last: (at_ms, number),
        }
    }

    /// Adds the next number (Welford's method).
    pub fn push(&mut self, at_ms: i64, number: f64) {
        let before = self.mean();
        self.count += 1;
        self.sum += number;
        self.squares += (number - before) * (number - self.mean());
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        self.increase += increase(self.last.1, number);
        self.last = (at_ms, number);
    }

    /// Adds the stretch that follows this one (Chan's method).
    pub fn join(&mut self, next: &Self) {
        let apart = next.mean() - self.mean();
        let (ours, theirs) = (number::count(self.count), number::count(next.count));
        self.squares += next.squares + apart * apart * ours * theirs / (ours + theirs);
        self.count += next.count;
        self.sum += next.sum;
        self.min = self.min.min(next.min);
        self.max = self.max.max(next.max);
        self.increase += increase(self.last.1, next.first.1) + next.increase;
        self.last = next.last;
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sum / number::count(self.count)
    }

    /// The standard deviation of a sample; none of a single number.
    pub fn stddev(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squares / number::count(self.count - 1)).sqrt())
    }
}

#[cfg(test)]
mod tests;
