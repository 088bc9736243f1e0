//! The values of one window as they come, and what they are summarised to.

use crate::number::{self, finite};
use crate::{Aggregate, Kind, SeriesError, Summary, Value};

/// Most values of a window whose median or percentile is asked for: 8 MiB. They are exact, so
/// every value has to be held; beyond the bound the answer is refused rather than estimated.
pub const MAX_QUANTILE_VALUES: usize = 1 << 20;

/// The values of a window in order of time, summarised as they come.
#[derive(Clone, Debug)]
pub struct Accumulator {
    kind: Kind,
    /// Time and value of the last number before the window.
    before: Option<(i64, f64)>,
    summary: Summary,
    /// The finite numbers, if some aggregate needs them.
    numbers: Option<Vec<f64>>,
}

impl Accumulator {
    /// An empty window. `before` is the last number before it (milliseconds, value), from which
    /// [`Aggregate::Delta`] and [`Aggregate::Rate`] count.
    pub fn new(kind: Kind, aggregates: &[Aggregate], before: Option<(i64, f64)>) -> Self {
        let needed = aggregates.iter().any(|aggregate| aggregate.needs_values());
        let numbers = needed.then(Vec::new);
        Self { kind, before, summary: Summary::default(), numbers }
    }

    /// Adds the next value.
    ///
    /// # Errors
    ///
    /// If it is earlier than the one before it, or one too many ([`MAX_QUANTILE_VALUES`]).
    pub fn push(&mut self, at_ms: i64, value: &Value) -> Result<(), SeriesError> {
        self.follows(at_ms)?;
        if let (Some(numbers), Some(number)) = (&mut self.numbers, value.as_finite()) {
            if numbers.len() == MAX_QUANTILE_VALUES {
                return Err(SeriesError::TooManyValues);
            }
            numbers.push(number);
        }
        self.summary.push(at_ms, value);
        Ok(())
    }

    /// Adds the summary of the next values in their place.
    ///
    /// # Errors
    ///
    /// If they are earlier than the value before them, or an aggregate needs the values
    /// themselves.
    pub fn join(&mut self, summary: &Summary) -> Result<(), SeriesError> {
        if self.numbers.is_some() {
            return Err(SeriesError::NeedsValues);
        }
        if let Some(first) = &summary.first {
            self.follows(first.at_ms)?;
        }
        self.summary.join(summary);
        Ok(())
    }

    fn follows(&self, at_ms: i64) -> Result<(), SeriesError> {
        match &self.summary.last {
            Some(last) if last.at_ms > at_ms => {
                Err(SeriesError::OutOfOrder { at_ms, last_ms: last.at_ms })
            }
            _ => Ok(()),
        }
    }

    /// The last number so far, from which the next window's differences count.
    pub fn last_number(&self) -> Option<(i64, f64)> {
        self.summary.numbers.map(|numbers| numbers.last).or(self.before)
    }

    /// Ends the window: the aggregates, of those that it was made for, in the order asked for.
    /// None where there is nothing to summarise, or where the result is no finite number.
    pub fn finish(mut self, aggregates: &[Aggregate]) -> Vec<Option<Value>> {
        aggregates.iter().map(|aggregate| self.result(*aggregate)).collect()
    }

    fn result(&mut self, aggregate: Aggregate) -> Option<Value> {
        let summary = &self.summary;
        match aggregate {
            Aggregate::Count => Some(Value::Number(number::count(summary.count))),
            Aggregate::First => summary.first.as_ref().map(|first| first.value.clone()),
            Aggregate::Last => summary.last.as_ref().map(|last| last.value.clone()),
            _ => self.number(aggregate).and_then(finite).map(Value::Number),
        }
    }

    fn number(&mut self, aggregate: Aggregate) -> Option<f64> {
        let numbers = &self.summary.numbers?;
        match aggregate {
            Aggregate::Mean => Some(numbers.mean()),
            Aggregate::Min => Some(numbers.min),
            Aggregate::Max => Some(numbers.max),
            Aggregate::Sum => Some(numbers.sum),
            Aggregate::Stddev => numbers.stddev(),
            Aggregate::Delta => self.delta().map(|(delta, _)| delta),
            Aggregate::Rate => self.delta().and_then(per_second),
            Aggregate::Median => quantile(self.numbers.as_mut()?, 0.5),
            Aggregate::P95 => quantile(self.numbers.as_mut()?, 0.95),
            Aggregate::Count | Aggregate::First | Aggregate::Last => None,
        }
    }

    /// The change up to the last number, and the seconds that it took. None of a single number
    /// with none before it.
    fn delta(&self) -> Option<(f64, f64)> {
        let numbers = &self.summary.numbers?;
        let within = match self.kind {
            Kind::Counter => numbers.increase,
            _ => numbers.last.1 - numbers.first.1,
        };
        let (base_ms, up_to_first) = match self.before {
            Some((at_ms, before)) => (at_ms, self.kind.change(before, numbers.first.1)),
            None if numbers.count > 1 => (numbers.first.0, 0.0),
            None => return None,
        };
        Some((up_to_first + within, number::seconds_between(base_ms, numbers.last.0)))
    }
}

fn per_second((delta, seconds): (f64, f64)) -> Option<f64> {
    (seconds > 0.0).then(|| delta / seconds)
}

/// The value below which a share of the numbers lies, interpolated linearly between the two
/// nearest (as spreadsheets' PERCENTILE and NumPy do). Reorders the numbers.
fn quantile(numbers: &mut [f64], share: f64) -> Option<f64> {
    let last = numbers.len().checked_sub(1)?;
    let place = number::length(last) * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to last")]
    let below = (place.floor() as usize).min(last);
    let (_, low, above) = numbers.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests;
