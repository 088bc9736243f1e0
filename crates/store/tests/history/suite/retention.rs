//! Retention: what is old leaves, nothing else does, and the books balance.

use nemeses_protocol::{BatchKey, DeviceId, Record, Tally};
use nemeses_store::history::{Minutes, Part, RangeQuery, Retention, Step};

use super::assert_balanced;
use crate::frames::{BASE, BASE_MS, frame, letter, part};
use crate::site::Site;

const WEEK: u32 = 7 * 86_400;

/// Steps until nothing is left to take; says how many rows that were.
async fn expire_all(retention: &dyn Retention, before: u32) -> u64 {
    let mut removed = 0;
    loop {
        let step = retention.expire_positions(before).await.unwrap();
        assert!(!step.busy);
        removed += step.removed;
        if !step.more {
            return removed;
        }
    }
}

/// Ten devices, a frame each in every one of eight weeks.
fn eight_weeks() -> Vec<Record> {
    let weeks = 0..8;
    weeks
        .flat_map(|week| (1..=10).map(move |device| (device, BASE + week * WEEK)))
        .map(|(device, recorded_at)| frame(device, recorded_at, 1))
        .collect()
}

async fn rows_of(site: &Site, device: u32) -> usize {
    use futures_util::TryStreamExt as _;
    let query = RangeQuery {
        device: DeviceId::new(device),
        from: 0,
        to: u32::MAX,
        descending: false,
        after: None,
        limit: None,
    };
    site.history().positions(query).try_collect::<Vec<_>>().await.unwrap().len()
}

pub(crate) async fn what_is_too_old_leaves_and_stays_in_the_books(site: Site) {
    let site = site.migrated().await;
    let retention = site.database.retention();
    let until = BASE + 9 * WEEK;
    let made = retention.prepare(BASE, until).await.unwrap();
    assert_eq!(made > 0, site.product.is_server(), "{made}");
    assert_eq!(retention.prepare(BASE, until).await.unwrap(), 0);
    site.history().commit(&[part("w", 1, eight_weeks())], "x").await.unwrap();

    // Whole weeks leave on MySQL; so only what lies in them is asked for.
    let before = BASE + 4 * WEEK + 6 * 86_400;
    let survey = retention.survey(before).await.unwrap();
    assert_eq!(survey.expired, 50);
    assert_eq!(survey.oldest, Some(BASE / 300 * 300));
    assert!(survey.bytes > 0);
    let removed = expire_all(retention.as_ref(), before).await;
    let kept_longer = if site.product.is_server() { 0..=10 } else { 0..=0 };
    assert!(kept_longer.contains(&(50 - removed)), "{removed}");
    assert_eq!(assert_balanced(&site.database).await.stored, 80);
    assert_eq!(rows_of(&site, 3).await, 8 - usize::try_from(removed / 10).unwrap());
    assert_eq!(expire_all(retention.as_ref(), before).await, 0);
    assert_balanced(&site.database).await;

    // What is to come still has its place.
    let later = vec![frame(1, until, 2), frame(1, BASE + 20 * WEEK, 2)];
    site.history().commit(&[part("w", 2, later)], "x").await.unwrap();
    assert_eq!(assert_balanced(&site.database).await.stored, 82);
}

pub(crate) async fn late_rows_of_a_week_that_is_gone_are_kept_until_the_next_run(site: Site) {
    let site = site.migrated().await;
    site.history().commit(&[part("w", 1, eight_weeks())], "x").await.unwrap();
    site.history().commit(&[part("w", 3, vec![frame(3, 60, 1)])], "x").await.unwrap();
    let retention = site.database.retention();
    let made = retention.prepare(BASE + 7 * WEEK, BASE + 9 * WEEK).await.unwrap();
    assert!(made <= 11, "a clock at nothing makes no weeks: {made}");
    let before = BASE + 4 * WEEK;
    let gone = expire_all(retention.as_ref(), before).await;
    assert!(gone >= 30, "{gone}");

    // The same frame again, another one, and a clock that stood at nothing.
    let late = vec![frame(1, BASE, 1), frame(1, BASE + 1, 1), frame(2, 60, 1)];
    let committed = site.history().commit(&[part("w", 2, late)], "x").await.unwrap();
    assert_eq!(committed[0].stored, 3);
    assert_balanced(&site.database).await;
    assert_eq!(expire_all(retention.as_ref(), before).await, 3);
    assert_balanced(&site.database).await;
}

/// Weeks with few rows share a partition, and what is over leaves it while the rest stays.
pub(crate) async fn one_old_clock_makes_no_hundreds_of_weeks(site: Site) {
    const FEW_STEPS: usize = 4;
    let site = site.migrated().await;
    let now = BASE + 340 * WEEK;
    let records = |weeks: &[u32]| -> Vec<Record> {
        weeks.iter().map(|weeks_ago| frame(1, now - weeks_ago * WEEK, 1)).collect()
    };
    let old = [part("w", 1, records(&[340, 200, 30, 14, 5, 0]))];
    site.history().commit(&old, "x").await.unwrap();
    let retention = site.database.retention();
    let made = retention.prepare(now, now + 4 * WEEK).await.unwrap();
    assert!(made <= 8, "{made}");
    let steps = expire_in_steps(retention.as_ref(), now - 13 * WEEK).await;
    // SQLite takes a bucket's rows at a time.
    assert!(!site.product.is_server() || steps.len() <= FEW_STEPS, "{steps:?}");
    assert_eq!(steps.iter().map(|step| step.removed).sum::<u64>(), 4);
    assert_eq!(rows_of(&site, 1).await, 2);
    assert_balanced(&site.database).await;

    // Late for a week that is gone, and for one that is not.
    let late = [part("w", 2, records(&[100, 6]))];
    site.history().commit(&late, "x").await.unwrap();
    assert_eq!(expire_all(retention.as_ref(), now - 13 * WEEK).await, 1);
    assert_eq!(rows_of(&site, 1).await, 3);
    assert_balanced(&site.database).await;
}

/// As an earlier version made them: a partition a week, with and without rows.
pub(crate) async fn weeks_without_rows_leave_at_once(site: Site) {
    const WEEKS: u32 = 40;
    let site = site.migrated().await;
    let retention = site.database.retention();
    retention.prepare(BASE, BASE + WEEKS * WEEK).await.unwrap();
    let rows = [0, 17].map(|week| frame(1, BASE + week * WEEK, 1)).to_vec();
    site.history().commit(&[part("w", 1, rows)], "x").await.unwrap();
    let steps = expire_in_steps(retention.as_ref(), BASE + (WEEKS - 1) * WEEK).await;
    assert!(steps.len() <= 6, "{steps:?}");
    assert_eq!(steps.iter().map(|step| step.removed).sum::<u64>(), 2);
    if site.product.is_server() {
        assert!(steps[0].partitions_left > 20, "{steps:?}");
        assert!(retention.survey(0).await.unwrap().partitions < Some(6));
    }
    assert_balanced(&site.database).await;
}

/// The last step finds nothing.
async fn expire_in_steps(retention: &dyn Retention, before: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        let step = retention.expire_positions(before).await.unwrap();
        assert!(!step.busy);
        steps.push(step);
        if !step.more {
            return steps;
        }
    }
}

pub(crate) async fn letters_and_books_have_periods_of_their_own(site: Site) {
    const DAY_MS: u64 = 86_400_000;
    let site = site.migrated().await;
    let first_day = BASE_MS / DAY_MS * DAY_MS;
    let minute = |ms: u64| u32::try_from(ms / 60_000).unwrap();
    for sequence in 0..30 {
        let arrived = first_day + sequence * DAY_MS / 10;
        let records = vec![Record::DeadLetter(Box::new(letter(Some(1), arrived, b"x")))];
        let part = Part {
            key: BatchKey { worker: "w".into(), run: 7, sequence },
            tallies: vec![Tally { minute: minute(arrived), pings: 2 }],
            records,
        };
        site.history().commit(&[part], "x").await.unwrap();
    }
    let retention = site.database.retention();
    let before = first_day + 2 * DAY_MS;
    let mut letters = 0;
    loop {
        let step = retention.expire_letters(before).await.unwrap();
        letters += step.removed;
        if !step.more {
            break;
        }
    }
    assert_eq!(letters, 20);
    let totals = assert_balanced(&site.database).await;
    assert_eq!((totals.dead_letters, totals.pings), (30, 60));

    let mut steps = 0;
    while retention.fold_books(minute(before)).await.unwrap().more {
        steps += 1;
    }
    assert_eq!(steps, 20);
    assert_eq!(retention.fold_books(minute(before)).await.unwrap(), Step::default());
    let lines = site.database.books().lines(Minutes::ALL, None, None, 100).await.unwrap();
    assert_eq!(lines.len(), 2 + 10, "two days folded, one as it was");
    assert_eq!((lines[0].minute, lines[0].totals.pings), (minute(first_day), 20));
    assert_eq!(assert_balanced(&site.database).await, totals);
}
