//! A channel's values summarised window by window, as they are read.

use crate::{Accumulator, Aggregate, Kind, SeriesError, Summary, Value, Windows};

/// Summarises a channel's values by window. Values and summaries are given in order of time.
/// Those before the first window only serve as what its differences count from, those after the
/// last window are ignored.
#[derive(Debug)]
pub struct Resampler<'a> {
    windows: &'a Windows,
    aggregates: &'a [Aggregate],
    kind: Kind,
    /// Which window is open, and its end.
    open: usize,
    end_ms: i64,
    /// The time of the newest value.
    last_ms: i64,
    accumulator: Accumulator,
    columns: Vec<Vec<Option<Value>>>,
}

/// A channel summarised by window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resampled {
    /// Beginnings of the windows in milliseconds.
    pub starts_ms: Vec<i64>,
    /// A column for each aggregate in the order asked for, with an entry for each window. None
    /// is a gap, never 0; only [`Aggregate::Count`] has a 0 there.
    pub columns: Vec<Vec<Option<Value>>>,
}

impl Resampled {
    /// A column as finite numbers, for [`crate::Statistics`] and drawings; text and the like are
    /// gaps.
    ///
    /// # Panics
    ///
    /// If there is no such column.
    pub fn numbers(&self, column: usize) -> Vec<Option<f64>> {
        self.columns[column].iter().map(|value| value.as_ref()?.as_finite()).collect()
    }
}

impl<'a> Resampler<'a> {
    /// Before the first value. `before` is the last number before the windows (milliseconds and
    /// value), if it is known.
    pub fn new(
        windows: &'a Windows,
        aggregates: &'a [Aggregate],
        kind: Kind,
        before: Option<(i64, f64)>,
    ) -> Self {
        Self {
            windows,
            aggregates,
            kind,
            open: 0,
            end_ms: windows.window_ms(0).end,
            last_ms: i64::MIN,
            accumulator: Accumulator::new(kind, aggregates, before),
            columns: vec![Vec::with_capacity(windows.len()); aggregates.len()],
        }
    }

    /// Adds the next value.
    ///
    /// # Errors
    ///
    /// As [`Accumulator::push`].
    pub fn push(&mut self, at_ms: i64, value: &Value) -> Result<(), SeriesError> {
        self.follow(at_ms, at_ms)?;
        if self.is_early(at_ms) {
            let number = value.as_finite().map(|number| (at_ms, number));
            let before = number.or(self.accumulator.last_number());
            self.accumulator = Accumulator::new(self.kind, self.aggregates, before);
            return Ok(());
        }
        self.advance(at_ms);
        if self.open == self.windows.len() {
            return Ok(());
        }
        self.accumulator.push(at_ms, value)
    }

    /// Whether a summary can stand for its values: no aggregate needs them, and they lie in one
    /// window. If not, the values themselves have to be given.
    pub fn can_join(&self, summary: &Summary) -> bool {
        let (Some(first), Some(last)) = (&summary.first, &summary.last) else { return true };
        let values = self.aggregates.iter().any(|aggregate| aggregate.needs_values());
        let window = self.windows.window_at(first.at_ms);
        !values && window.is_some() && window == self.windows.window_at(last.at_ms)
    }

    /// Adds the summary of the next values, for which [`Resampler::can_join`] is true.
    ///
    /// # Errors
    ///
    /// As [`Accumulator::join`], and if the values lie in more than one window.
    pub fn join(&mut self, summary: &Summary) -> Result<(), SeriesError> {
        if !self.can_join(summary) {
            return Err(SeriesError::NeedsValues);
        }
        if let (Some(first), Some(last)) = (&summary.first, &summary.last) {
            self.follow(first.at_ms, last.at_ms)?;
            self.advance(first.at_ms);
        }
        self.accumulator.join(summary)
    }

    /// Ends the series.
    pub fn finish(mut self) -> Resampled {
        self.advance(i64::MAX);
        Resampled { starts_ms: self.windows.starts_ms().to_vec(), columns: self.columns }
    }

    /// Values from `at_ms` to `last_ms` must not be earlier than what came before.
    fn follow(&mut self, at_ms: i64, last_ms: i64) -> Result<(), SeriesError> {
        if at_ms < self.last_ms {
            return Err(SeriesError::OutOfOrder { at_ms, last_ms: self.last_ms });
        }
        self.last_ms = last_ms;
        Ok(())
    }

    fn is_early(&self, at_ms: i64) -> bool {
        self.open == 0 && at_ms < self.windows.window_ms(0).start
    }

    /// Closes the windows that end before a time.
    fn advance(&mut self, at_ms: i64) {
        while self.open < self.windows.len() && at_ms >= self.end_ms {
            let before = self.accumulator.last_number();
            let next = Accumulator::new(self.kind, self.aggregates, before);
            let results = std::mem::replace(&mut self.accumulator, next).finish(self.aggregates);
            for (column, result) in self.columns.iter_mut().zip(results) {
                column.push(result);
            }
            self.open += 1;
            if self.open < self.windows.len() {
                self.end_ms = self.windows.window_ms(self.open).end;
            }
        }
    }
}

#[cfg(test)]
mod tests;
