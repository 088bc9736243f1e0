//! Notes in a commit which days it changes, once a slot, and remembers what is
//! noted, so that not every commit writes it again: with 10 000 devices that are
//! 10 000 rows in ten minutes.
//!
//! Marks of a slot are taken some minutes after it is over. So a commit that
//! relies on a mark must be over before that: it looks at the clock once more
//! before it ends, and starts over in the next slot if it took too long.

use std::sync::{Mutex, PoisonError};

use nemeses_runtime::Clock;

use super::days::{DeviceDay, KnownDays};
use super::fault::{Fault, Kind};
use super::value::Value;
use crate::history::daily::SLOT_SECONDS;

/// Seconds beyond its slot that a transaction may take. Whoever takes marks waits
/// for longer than this, the COMMIT and the difference of clocks together.
const OVERTIME_S: u32 = 60;

/// Marks of one slot.
#[derive(Debug, Default)]
pub(in crate::history) struct Marks {
    slot: u32,
    days: Vec<DeviceDay>,
}

impl Marks {
    /// None yet, in the slot that is now.
    pub(in crate::history) fn none_yet() -> Self {
        Self { slot: Clock::system().now_s() / SLOT_SECONDS, days: Vec::new() }
    }

    /// When they arrived.
    pub(in crate::history) const fn slot(&self) -> u32 {
        self.slot
    }

    /// Fails if the marks may be taken before this transaction is over.
    pub(in crate::history) fn still_open(&self) -> Result<(), Fault> {
        self.open_at(Clock::system().now_s())
    }

    /// As the columns of `daily_marks` have them: slot, device, day.
    pub(in crate::history) fn values(&self) -> impl Iterator<Item = [Value<'static>; 3]> {
        let slot = self.slot;
        self.days.iter().map(move |(device, day)| [slot.into(), (*device).into(), (*day).into()])
    }

    fn open_at(&self, now_s: u32) -> Result<(), Fault> {
        let end = self.slot.saturating_add(1).saturating_mul(SLOT_SECONDS);
        if now_s < end.saturating_add(OVERTIME_S) {
            return Ok(());
        }
        Err(Fault::new(Kind::Conflict, "the transaction outlasted its slot of daily sums"))
    }
}

/// The marks of the current slot that are certainly there.
#[derive(Default)]
pub(in crate::history) struct KnownMarks(Mutex<(u32, KnownDays)>);

impl KnownMarks {
    /// Those of the days that are not known to be marked in the slot that is now.
    pub(in crate::history) fn missing(&self, days: &[DeviceDay]) -> Marks {
        self.missing_in(Clock::system().now_s() / SLOT_SECONDS, days)
    }

    fn missing_in(&self, slot: u32, days: &[DeviceDay]) -> Marks {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let days = if known.0 == slot { known.1.unknown(days) } else { days.to_vec() };
        Marks { slot, days }
    }

    /// Notes marks that are committed.
    pub(in crate::history) fn learn(&self, marks: &Marks) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 < marks.slot {
            *known = (marks.slot, KnownDays::default());
        }
        if known.0 == marks.slot {
            known.1.learn(&marks.days);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_marked_once_a_slot() {
        let known = KnownMarks::default();
        let days = [(1, 5), (2, 5)];
        let first = known.missing_in(7, &days);
        assert_eq!(first.days, days);
        known.learn(&first);
        assert_eq!(known.missing_in(7, &[(1, 5), (1, 6), (2, 5)]).days, [(1, 6)]);
        let next = known.missing_in(8, &days);
        assert_eq!(next.days, days);
        known.learn(&next);
        // A slow commit of the slot before tells nothing about this one.
        known.learn(&Marks { slot: 7, days: vec![(9, 9)] });
        assert_eq!(known.missing_in(8, &[(9, 9), (1, 5)]).days, [(9, 9)]);
    }

    #[test]
    fn a_commit_that_outlasts_its_slot_starts_over() {
        let marks = Marks { slot: 7, days: vec![] };
        let end = 8 * SLOT_SECONDS;
        assert!(marks.open_at(end + OVERTIME_S - 1).is_ok());
        let fault = marks.open_at(end + OVERTIME_S).unwrap_err();
        assert_eq!(fault.kind, Kind::Conflict);
    }
}
