//! Which partitions there are and should be: one a week (Monday, UTC), one for
//! what is older than all of them, one for what is later. Pure.

use super::super::BUCKET_SECONDS;
use super::super::devices::DEFAULT_RETENTION;
use super::super::retention::BucketLimit;

/// Buckets of a week.
const WEEK: u32 = 7 * 86_400 / BUCKET_SECONDS;
/// Unix time began on a Thursday: buckets from the Monday before it.
const SINCE_MONDAY: u32 = 3 * 86_400 / BUCKET_SECONDS;
/// Weeks made at once at most: ten years. What is older goes to [`PAST`].
const MOST_WEEKS: u32 = 520;

/// Holds what is older than the first week: few rows of many weeks, late uploads of weeks
/// that are gone, and clocks that stood at nothing.
pub(super) const PAST: &str = "past";
/// Holds what is later than the last week.
pub(super) const REST: &str = "rest";

/// A partition: everything below a bucket that the one before it does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) name: String,
    /// `None` for the last one, which has no end.
    pub(super) below: Option<u32>,
}

/// The first bucket of the week of this one; of the first week of all, 0.
pub(super) fn week_start(bucket: u32) -> u32 {
    ((bucket + SINCE_MONDAY) / WEEK * WEEK).saturating_sub(SINCE_MONDAY)
}

/// The first bucket of the next week.
pub(super) fn next_week(bucket: u32) -> u32 {
    (bucket + SINCE_MONDAY) / WEEK * WEEK + WEEK - SINCE_MONDAY
}

/// The first bucket of the first week that may get a partition of its own.
pub(super) fn earliest_week(until: u32) -> u32 {
    week_start(until).saturating_sub(MOST_WEEKS * WEEK)
}

/// What [`REST`] is to be split into, so that every week up to that of `until`
/// has a partition; empty when there is nothing to do. Without any week yet, the
/// first is that of `oldest`.
pub(super) fn weeks_to_make(
    present: &[Partition],
    oldest: u32,
    until: u32,
    name: impl Fn(u32) -> String,
) -> Vec<Partition> {
    let mut made = Vec::new();
    let last = present.iter().filter_map(|partition| partition.below).max();
    let mut from = last.unwrap_or_else(|| {
        let first = week_start(oldest.max(earliest_week(until)));
        made.push(Partition { name: PAST.to_owned(), below: Some(first) });
        first
    });
    while from <= until {
        let below = next_week(from);
        made.push(Partition { name: name(from), below: Some(below) });
        from = below;
    }
    if made.is_empty() {
        return made;
    }
    made.push(Partition { name: REST.to_owned(), below: None });
    made
}

/// The partitions all of whose buckets are before this one, the oldest first.
pub(super) fn expired(present: &[Partition], before: u32) -> Vec<&Partition> {
    let is_over = |partition: &&Partition| partition.below.is_some_and(|below| below <= before);
    let mut over: Vec<&Partition> = present.iter().filter(is_over).collect();
    over.sort_by_key(|partition| partition.below);
    over
}

/// The statement that makes an empty table like another of which this is the definition, as
/// the server shows it, but without its partitions: hundreds of them would be made and
/// dropped again.
pub(super) fn without_partitions(shown: &str, table: &str) -> Option<String> {
    let (_, definition) = shown.strip_prefix("CREATE TABLE `")?.split_once('`')?;
    // As MariaDB and as MySQL begin them, at the end of the definition.
    let begins = ["\n PARTITION BY ", "\n/*!50100 PARTITION BY "];
    let end = begins.iter().filter_map(|begin| definition.rfind(begin)).min();
    Some(format!("CREATE TABLE {table}{}", &definition[..end.unwrap_or(definition.len())]))
}

/// A week that devices of some classes leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thinned {
    /// The partition's name.
    pub(super) name: String,
    /// Its first bucket; 0 for [`PAST`].
    pub(super) week: u32,
    /// The first bucket that is not its own.
    pub(super) below: u32,
    /// Those whose period is over, in order of name.
    pub(super) classes: Vec<String>,
}

impl Thinned {
    /// Whether devices leave of which nobody has said anything.
    pub(super) fn takes_default(&self) -> bool {
        self.classes.iter().any(|class| class == DEFAULT_RETENTION)
    }
}

/// The weeks all of whose buckets are before the limit of a class, the oldest first.
pub(super) fn weeks_to_thin(present: &[Partition], over: &[BucketLimit]) -> Vec<Thinned> {
    let mut weeks = Vec::new();
    let mut first = 0;
    for partition in present {
        let Some(below) = partition.below else { continue };
        let mut classes: Vec<String> = over
            .iter()
            .filter(|limit| below <= limit.before)
            .map(|limit| limit.class.clone())
            .collect();
        classes.sort();
        if !classes.is_empty() {
            weeks.push(Thinned { name: partition.name.clone(), week: first, below, classes });
        }
        first = below;
    }
    weeks
}

/// Partitions as `ALTER TABLE` wants them. Names are this module's own.
pub(super) fn definition(partitions: &[Partition]) -> String {
    let parts: Vec<String> = partitions
        .iter()
        .map(|Partition { name, below }| match below {
            Some(below) => format!("PARTITION {name} VALUES LESS THAN ({below})"),
            None => format!("PARTITION {name} VALUES LESS THAN MAXVALUE"),
        })
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(from: u32) -> String {
        format!("w{from}")
    }

    #[test]
    fn weeks_begin_on_monday() {
        // 2026-11-16 is a Monday: 1 794 787 200 s.
        let monday = 1_794_787_200 / BUCKET_SECONDS;
        assert_eq!(week_start(monday), monday);
        assert_eq!(week_start(monday + WEEK - 1), monday);
        assert_eq!(next_week(monday), monday + WEEK);
        assert_eq!(week_start(0), 0);
    }

    #[test]
    fn the_first_time_makes_all_and_the_second_nothing() {
        let monday = week_start(6_000_000);
        let made = weeks_to_make(&[], monday + 5, monday + WEEK, named);
        let names: Vec<&str> = made.iter().map(|partition| partition.name.as_str()).collect();
        let (first, second) = (named(monday), named(monday + WEEK));
        assert_eq!(names, [PAST, &first, &second, REST]);
        assert!(weeks_to_make(&made, 0, monday + WEEK, named).is_empty());
        let more = weeks_to_make(&made, 0, monday + 2 * WEEK, named);
        assert_eq!(more[0].name, named(monday + 2 * WEEK));
        assert_eq!(more.len(), 2);
    }

    #[test]
    fn a_clock_at_nothing_does_not_make_thousands_of_weeks() {
        let made = weeks_to_make(&[], 0, 6_000_000, named);
        assert!(made.len() <= MOST_WEEKS as usize + 4, "{}", made.len());
    }

    #[test]
    fn only_whole_weeks_expire_and_the_oldest_first() {
        let monday = week_start(6_000_000);
        let present = weeks_to_make(&[], monday, monday + 2 * WEEK, named);
        let names = |before| -> Vec<String> {
            expired(&present, before).iter().map(|partition| partition.name.clone()).collect()
        };
        assert_eq!(names(monday - 1), [""; 0]);
        assert_eq!(names(monday + WEEK - 1), [PAST]);
        assert_eq!(names(monday + 2 * WEEK), [PAST, &named(monday), &named(monday + WEEK)]);
    }

    #[test]
    fn a_table_is_made_like_another_without_its_partitions() {
        let columns = "(\n  `a` int NOT NULL,\n  PRIMARY KEY (`a`)\n) ENGINE=InnoDB";
        let expected = Some(format!("CREATE TABLE t {columns}"));
        for partitions in [
            "",
            "\n PARTITION BY RANGE (`a`)\n(PARTITION `past` VALUES LESS THAN (5) ENGINE = InnoDB)",
            "\n/*!50100 PARTITION BY RANGE (`a`)\n(PARTITION past VALUES LESS THAN (5)) */",
        ] {
            let shown = format!("CREATE TABLE `positions` {columns}{partitions}");
            assert_eq!(without_partitions(&shown, "t"), expected);
        }
        assert_eq!(without_partitions("CREATE VIEW", "t"), None);
    }

    #[test]
    fn a_class_leaves_the_weeks_that_are_wholly_over_for_it() {
        let monday = week_start(6_000_000);
        let present = weeks_to_make(&[], monday, monday + 2 * WEEK, named);
        let limit = |class: &str, before| BucketLimit { class: class.to_owned(), before };
        let over = [limit("short", monday + 2 * WEEK), limit("default", monday + WEEK + 3)];
        let weeks = weeks_to_thin(&present, &over);
        let seen: Vec<_> = weeks.iter().map(|week| (week.week, week.classes.len())).collect();
        assert_eq!(seen, [(0, 2), (monday, 2), (monday + WEEK, 1)]);
        assert_eq!(weeks[1].below, monday + WEEK);
        assert!(weeks[1].takes_default() && !weeks[2].takes_default());
        assert_eq!(weeks_to_thin(&present, &[]), []);
    }

    proptest! {
        #[test]
        fn every_bucket_has_its_week(oldest in 0_u32..14_000_000, ahead in 0_u32..100_000) {
            let until = oldest + ahead;
            let made = weeks_to_make(&[], oldest, until, named);
            let bounds: Vec<u32> = made.iter().filter_map(|partition| partition.below).collect();
            prop_assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(*bounds.last().unwrap() > until);
            prop_assert!(bounds[0] <= oldest.max(until.saturating_sub((MOST_WEEKS + 1) * WEEK)));
        }
    }
}
