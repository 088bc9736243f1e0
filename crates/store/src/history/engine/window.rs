//! Which buckets one statement of a read looks into. Each bucket is a range of the
//! key, and planning a range costs a server more than reading some rows from it; so
//! where rows lie close, a page asks for the buckets that will fill it. Pure.

use super::plan::DAY_SECONDS;
use super::rows::bucket_of;
use crate::history::BUCKET_SECONDS;

/// Buckets of a day.
pub(super) const DAY_BUCKETS: usize = (DAY_SECONDS / BUCKET_SECONDS) as usize;
/// Buckets of one statement: an hour, two, four, eight, a whole day. Few, so that
/// each is prepared once a connection.
const RUNGS: [usize; 5] = [12, 24, 48, 96, DAY_BUCKETS];

/// How close the rows lay that were read last; a whole day is read until that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Density {
    rows: u64,
    buckets: u64,
}

impl Density {
    /// So many rows lay between these seconds, in either order.
    pub(super) fn learn(&mut self, rows: u64, from: u32, to: u32) {
        let buckets = u64::from(bucket_of(from).abs_diff(bucket_of(to))) + 1;
        *self = Self { rows, buckets };
    }

    /// Buckets that hold so many rows, as far as one knows; a day's at most.
    pub(super) fn buckets_of(self, rows: u64) -> usize {
        let Some(buckets) = (rows * self.buckets).checked_div(self.rows) else {
            return DAY_BUCKETS;
        };
        // The first one may have been read in part.
        usize::try_from(buckets + 1).map_or(DAY_BUCKETS, rung_of)
    }
}

fn rung_of(buckets: usize) -> usize {
    RUNGS.into_iter().find(|rung| *rung >= buckets).unwrap_or(DAY_BUCKETS)
}

/// The first so many buckets of a stretch within one day, or the last when read
/// backwards; `None` when nothing is left of it.
pub(super) fn window(from: u32, to: u32, buckets: usize, descending: bool) -> Option<(u32, u32)> {
    if from > to {
        return None;
    }
    let more = u32::try_from(buckets).unwrap_or(u32::MAX).saturating_sub(1);
    Some(if descending {
        let first = bucket_of(to).saturating_sub(more).saturating_mul(BUCKET_SECONDS);
        (from.max(first), to)
    } else {
        let behind = bucket_of(from).saturating_add(more).saturating_add(1);
        let last = behind.checked_mul(BUCKET_SECONDS).map_or(u32::MAX, |behind| behind - 1);
        (from, to.min(last))
    })
}

/// First and last second of a day.
pub(super) fn seconds_of(day: u32) -> (u32, u32) {
    let first = day.saturating_mul(DAY_SECONDS);
    (first, first.saturating_add(DAY_SECONDS - 1))
}

/// The buckets of a stretch within one day, the last repeated up to the next
/// rung, so that statements come in few lengths. Empty only if the stretch is.
pub(super) fn padded(from: u32, to: u32) -> Vec<u32> {
    let mut buckets: Vec<u32> = (bucket_of(from)..=bucket_of(to)).collect();
    let rung = rung_of(buckets.len());
    buckets.resize(rung.max(buckets.len()), bucket_of(to));
    buckets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_come_in_few_lengths() {
        assert_eq!(padded(0, 299).len(), 12);
        assert_eq!(padded(0, 12 * 300 - 1), (0..12).collect::<Vec<_>>());
        assert_eq!(padded(0, 12 * 300).len(), 24);
        assert_eq!(padded(0, DAY_SECONDS - 1).len(), DAY_BUCKETS);
        assert_eq!(padded(86_399, 86_399), vec![287; 12]);
    }

    #[test]
    fn the_last_day_of_time_ends_with_it() {
        let (first, last) = seconds_of(u32::MAX / DAY_SECONDS);
        assert!(first < last);
        assert_eq!(last, u32::MAX);
        assert!(padded(first, last).len() <= DAY_BUCKETS);
        assert_eq!(window(last, last, 12, false), Some((last, last)));
    }

    #[test]
    fn a_page_asks_for_what_will_fill_it() {
        let mut density = Density::default();
        assert_eq!(density.buckets_of(1000), DAY_BUCKETS);
        // A frame each 3 s, each 10 s, each minute, none.
        for (seconds, rows, buckets) in
            [(3_000, 1000, 12), (10_000, 1000, 48), (60_000, 1000, DAY_BUCKETS), (3_599, 0, 288)]
        {
            density.learn(rows, seconds, 0);
            assert_eq!(density.buckets_of(1000), buckets, "{rows} in {seconds} s");
        }
    }

    proptest! {
        /// Window after window the whole stretch is read, each second once.
        #[test]
        fn windows_join(
            day in 0..=u32::MAX / DAY_SECONDS,
            from in 0..DAY_SECONDS,
            length in 0..DAY_SECONDS,
            rung in 0..RUNGS.len(),
            descending: bool,
        ) {
            let (first, last) = seconds_of(day);
            let (mut from, mut to) = (first.saturating_add(from), last);
            to = to.min(from.saturating_add(length));
            let wanted = u64::from(to - from) + 1;
            let mut read = 0;
            while let Some((low, high)) = window(from, to, RUNGS[rung], descending) {
                prop_assert!(low >= from && high <= to && low <= high);
                prop_assert!(padded(low, high).len() <= RUNGS[rung]);
                read += u64::from(high - low) + 1;
                let end = if descending {
                    prop_assert_eq!(high, to);
                    low.checked_sub(1).map(|next| to = next)
                } else {
                    prop_assert_eq!(low, from);
                    high.checked_add(1).map(|next| from = next)
                };
                if end.is_none() {
                    break;
                }
            }
            prop_assert_eq!(read, wanted);
        }
    }
}
