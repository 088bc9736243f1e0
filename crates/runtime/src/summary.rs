//! One log line a minute for what may happen thousands of times: counts by reason
//! instead of a line each. The first of a quiet time is told at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Clock;

/// Between two lines.
const LINE_EVERY_MS: u64 = 60_000;
/// How often to look whether a line is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What happened since the last line, by reason. Reasons are words of the program,
/// so that there are few.
#[derive(Debug)]
pub struct Summary {
    state: Mutex<State>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<&'static str, u64>,
    told_at_ms: Option<u64>,
}

/// The counts of one line: `malformed 3, not_connect 12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Summary {
    /// Nothing has happened yet.
    pub fn new(clock: Clock) -> Self {
        Self { state: Mutex::default(), clock }
    }

    /// Counts; cheap, and never logs.
    pub fn note(&self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.lock().counts.entry(reason).or_default() += count;
        }
    }

    /// What to tell now: something, if something happened and the last line is a
    /// minute old. It is forgotten here.
    pub fn due(&self) -> Option<Counts> {
        let now_ms = self.clock.now_ms();
        let mut state = self.lock();
        // A clock that was set back must not silence us.
        let told_lately =
            state.told_at_ms.is_some_and(|told| (told..told + LINE_EVERY_MS).contains(&now_ms));
        if told_lately || state.counts.is_empty() {
            return None;
        }
        state.told_at_ms = Some(now_ms);
        Some(Counts(std::mem::take(&mut state.counts)))
    }

    /// What was not told yet, whether or not it is due.
    pub fn rest(&self) -> Option<Counts> {
        let counts = std::mem::take(&mut self.lock().counts);
        (!counts.is_empty()).then_some(Counts(counts))
    }

    /// Tells what is due until `stop`, then the rest.
    pub async fn tell_until(&self, stop: &CancellationToken, tell: impl Fn(&Counts)) {
        let telling = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                self.due().iter().for_each(&tell);
            }
        };
        let _: Option<std::convert::Infallible> = stop.run_until_cancelled(telling).await;
        self.rest().iter().for_each(tell);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::new(Clock::system())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (reason, count)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{reason} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_700_000_000_000;

    #[test]
    fn a_flood_is_a_line_a_minute_that_tells_all_of_it() {
        let clock = Clock::held(START_MS);
        let summary = Summary::new(clock.clone());
        let mut lines = Vec::new();
        // Three minutes of 100 a second, looked at each second.
        for second in 0..180 {
            clock.set(START_MS + second * 1000);
            summary.note("malformed", 99);
            summary.note("not_connect", 1);
            lines.extend(summary.due().map(|counts| counts.to_string()));
        }
        assert_eq!(
            lines,
            [
                "malformed 99, not_connect 1",
                "malformed 5940, not_connect 60",
                "malformed 5940, not_connect 60"
            ]
        );
        assert_eq!(summary.rest().unwrap().to_string(), "malformed 5841, not_connect 59");
        assert_eq!(summary.rest(), None);
    }

    #[test]
    fn nothing_is_no_line_and_the_first_of_a_quiet_time_is_told_at_once() {
        let clock = Clock::held(START_MS);
        let summary = Summary::new(clock.clone());
        assert_eq!(summary.due(), None);
        summary.note("a", 0);
        assert_eq!(summary.due(), None);
        summary.note("a", 1);
        assert_eq!(summary.due().unwrap().to_string(), "a 1");
        clock.set(START_MS + LINE_EVERY_MS);
        assert_eq!(summary.due(), None);
        summary.note("a", 2);
        assert_eq!(summary.due().unwrap().to_string(), "a 2");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_it() {
        let clock = Clock::held(START_MS);
        let summary = Summary::new(clock.clone());
        summary.note("a", 1);
        assert!(summary.due().is_some());
        clock.set(START_MS - 3_600_000);
        summary.note("a", 1);
        assert!(summary.due().is_some());
    }

    #[tokio::test]
    async fn what_was_not_told_yet_is_told_at_the_end() {
        let (summary, told) = (Summary::new(Clock::held(START_MS)), Mutex::new(Vec::new()));
        summary.note("a", 1);
        assert!(summary.due().is_some());
        summary.note("a", 2);
        let stop = CancellationToken::new();
        stop.cancel();
        let tell = |counts: &Counts| told.lock().unwrap().push(counts.to_string());
        summary.tell_until(&stop, tell).await;
        assert_eq!(*told.lock().unwrap(), ["a 2"]);
    }
}
