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
    site.history().commit(&[part("w", 1, eight_weeks())], "x").await.unwrap();
    let retention = site.database.retention();
    let (now, until) = (BASE + 7 * WEEK, BASE + 9 * WEEK);
    let made = retention.prepare(now, until).await.unwrap();
    assert_eq!(made > 0, site.product.is_server(), "{made}");
    assert_eq!(retention.prepare(now, until).await.unwrap(), 0);

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
