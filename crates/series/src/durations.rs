//! How long a channel of states had each of its values, window by window.
//!
//! A value holds until the next one, across the edges of windows. Until the first one nothing is
//! known, and nothing is claimed.

use std::mem;

use crate::{SeriesError, Value, Windows};

/// Most different values of a window. A channel with more of them has no states.
pub const MAX_STATES: usize = 100;

/// How long one value held in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTime {
    /// The value.
    pub value: Value,
    /// Milliseconds.
    pub ms: i64,
}

/// Sums up how long each value held, by window. Values are given in order of time.
#[derive(Debug)]
pub struct Durations<'a> {
    windows: &'a Windows,
    open: usize,
    /// Up to when times are summed.
    now_ms: i64,
    holds: Option<Value>,
    times: Vec<StateTime>,
    done: Vec<Vec<StateTime>>,
}

impl<'a> Durations<'a> {
    /// Before the first value. `before` is the value that held when the first window began, if
    /// it is known.
    pub fn new(windows: &'a Windows, before: Option<Value>) -> Self {
        Self {
            windows,
            open: 0,
            now_ms: windows.range_ms().start,
            holds: before,
            times: Vec::new(),
            done: Vec::with_capacity(windows.len()),
        }
    }

    /// Adds the next value.
    ///
    /// # Errors
    ///
    /// If it is earlier than the one before it, or a window has more than [`MAX_STATES`] values.
    pub fn push(&mut self, at_ms: i64, value: &Value) -> Result<(), SeriesError> {
        let early = at_ms < self.now_ms;
        if early && self.now_ms > self.windows.range_ms().start {
            return Err(SeriesError::OutOfOrder { at_ms, last_ms: self.now_ms });
        }
        self.advance(at_ms.max(self.now_ms))?;
        self.holds = Some(value.clone());
        Ok(())
    }

    /// Ends the series at a time, up to which the last value holds: now, or the end of the
    /// range. The result has, for each window, its values with their times, the longest first.
    ///
    /// # Errors
    ///
    /// As [`Durations::push`].
    pub fn finish(mut self, until_ms: i64) -> Result<Vec<Vec<StateTime>>, SeriesError> {
        self.advance(until_ms.max(self.now_ms))?;
        while self.open < self.windows.len() {
            self.close();
        }
        Ok(self.done)
    }

    fn advance(&mut self, to_ms: i64) -> Result<(), SeriesError> {
        while self.open < self.windows.len() {
            let end_ms = self.windows.window_ms(self.open).end;
            self.hold(to_ms.min(end_ms))?;
            if to_ms < end_ms {
                break;
            }
            self.close();
        }
        self.now_ms = to_ms;
        Ok(())
    }

    /// The value that holds does so up to a time.
    fn hold(&mut self, to_ms: i64) -> Result<(), SeriesError> {
        let ms = to_ms - mem::replace(&mut self.now_ms, to_ms);
        let Some(value) = self.holds.as_ref().filter(|_| ms > 0) else { return Ok(()) };
        match self.times.iter().position(|time| time.value == *value) {
            Some(place) => self.times[place].ms += ms,
            None if self.times.len() == MAX_STATES => return Err(SeriesError::TooManyStates),
            None => self.times.push(StateTime { value: value.clone(), ms }),
        }
        Ok(())
    }

    fn close(&mut self) {
        self.times.sort_by_key(|time| std::cmp::Reverse(time.ms));
        self.done.push(mem::take(&mut self.times));
        self.open += 1;
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::Step;

    fn three() -> Windows {
        Windows::new(0..30, Step::Fixed { ms: 10 }, &TimeZone::UTC, 3).unwrap()
    }

    fn time(value: &str, ms: i64) -> StateTime {
        StateTime { value: value.into(), ms }
    }

    #[test]
    fn a_value_holds_until_the_next_one_and_across_windows() {
        let windows = three();
        let mut durations = Durations::new(&windows, Some("open".into()));
        durations.push(2, &"closed".into()).unwrap();
        durations.push(5, &"open".into()).unwrap();
        durations.push(14, &"closed".into()).unwrap();
        let times = durations.finish(25).unwrap();
        assert_eq!(times[0], [time("open", 7), time("closed", 3)]);
        assert_eq!(times[1], [time("closed", 6), time("open", 4)]);
        assert_eq!(times[2], [time("closed", 5)]);
    }

    #[test]
    fn nothing_is_claimed_before_the_first_value() {
        let windows = three();
        let mut durations = Durations::new(&windows, None);
        durations.push(-7, &"old".into()).unwrap();
        durations.push(-5, &"older".into()).unwrap();
        let times = durations.finish(1_000).unwrap();
        assert!(times.iter().all(|window| *window == [time("older", 10)]));
        let none = Durations::new(&windows, None).finish(30).unwrap();
        assert_eq!(none, vec![Vec::new(); 3]);
    }

    #[test]
    fn disorder_and_too_many_states_are_refused() {
        let windows = Windows::new(0..1_000, Step::Fixed { ms: 1_000 }, &TimeZone::UTC, 1).unwrap();
        let mut durations = Durations::new(&windows, None);
        durations.push(5, &true.into()).unwrap();
        let refused = durations.push(4, &true.into());
        assert_eq!(refused, Err(SeriesError::OutOfOrder { at_ms: 4, last_ms: 5 }));
        let mut durations = Durations::new(&windows, None);
        let states = (0..102).map(|at| durations.push(at, &Value::whole(at)));
        assert_eq!(states.collect::<Vec<_>>()[101], Err(SeriesError::TooManyStates));
    }
}
