//! Remembers which (device, day) rows are certainly in `device_days`, so that
//! not every commit writes them again. Forgetting costs one needless write,
//! nothing else.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::hash::NumberHash;

/// A device and a day of recorded time (Unix seconds / 86 400).
pub(in crate::history) type DeviceDay = (u32, u32);

/// Days kept in each of two generations: 100 000 devices' today, or 10 000
/// devices' last ten days. 2 x 100 000 entries of 8 bytes are about 4 MiB.
const GENERATION: usize = 100_000;

/// A bounded set in two generations: when the young one is full it becomes the
/// old one, and the old one is forgotten.
#[derive(Default)]
pub(in crate::history) struct KnownDays {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashSet<DeviceDay, NumberHash>,
    old: HashSet<DeviceDay, NumberHash>,
}

impl KnownDays {
    /// Those of the days that are not known, in their order.
    pub(in crate::history) fn unknown(&self, days: &[DeviceDay]) -> Vec<DeviceDay> {
        let known = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |day: &DeviceDay| known.young.contains(day) || known.old.contains(day);
        days.iter().copied().filter(|day| !is_known(day)).collect()
    }

    /// Forgets all of them: some were deleted.
    pub(in crate::history) fn forget(&self) {
        let mut known = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Generations::default();
    }

    /// Notes days whose rows are committed.
    pub(in crate::history) fn learn(&self, days: &[DeviceDay]) {
        let mut known = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        for day in days {
            if known.young.len() >= GENERATION {
                known.old = std::mem::take(&mut known.young);
            }
            known.young.insert(*day);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learnt_is_known() {
        let known = KnownDays::default();
        known.learn(&[(1, 1), (2, 1)]);
        assert_eq!(known.unknown(&[(1, 1), (1, 2), (2, 1), (3, 1)]), [(1, 2), (3, 1)]);
    }

    #[test]
    fn it_stays_bounded_and_keeps_the_newest() {
        let known = KnownDays::default();
        let last = u32::try_from(3 * GENERATION).unwrap();
        for device in 0..=last {
            known.learn(&[(device, 1)]);
        }
        let held = known.generations.lock().unwrap();
        assert!(held.young.len() + held.old.len() <= 2 * GENERATION);
        drop(held);
        assert_eq!(known.unknown(&[(last, 1), (0, 1)]), [(0, 1)]);
    }
}
