//! Retention classes: a device's rows leave when its class's period is over, the rows
//! of others stay, whatever comes meanwhile and wherever the work is interrupted.

use nemeses_protocol::{DeviceId, Record};
use nemeses_store::history::{
    ClassCount, ClassLimit, ClassWeek, NotedClass, Profile, RangeQuery, Retention, Step,
};

use super::assert_balanced;
use super::readings::{number_of, stored, temperature};
use crate::frames::{BASE, frame, part, record};
use crate::site::{Product, Site};

const WEEK: u32 = 7 * 86_400;
/// A Monday at midnight, two days before the frames begin.
const MONDAY: u32 = BASE / 86_400 * 86_400 - 2 * 86_400;
const DEVICES: u32 = 6;
const WEEKS: u32 = 5;

/// Device 1 and 2 are of the short class, 3 is of the long one.
async fn fleet(site: Site) -> Site {
    let site = site.migrated().await;
    // Weeks are made ahead of their rows.
    site.database.retention().prepare(BASE, BASE + 6 * WEEK).await.unwrap();
    let records: Vec<Record> = (0..WEEKS)
        .flat_map(|week| (1..=DEVICES).map(move |device| (device, BASE + week * WEEK)))
        .flat_map(|(device, at)| [frame(device, at, 1), frame(device, at + 3600, 2)])
        .collect();
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();
    for (device, class) in [(1, "short"), (2, "short"), (3, "long")] {
        put_in(&site, device, class).await;
    }
    site
}

async fn put_in(site: &Site, device: u32, class: &str) {
    let profile = Profile::new(DeviceId::new(device), 1);
    let profile = Profile { retention: class.to_owned(), ..profile };
    site.database.devices().put(&profile).await.unwrap();
}

fn limits(of: &[(&str, u32)]) -> Vec<ClassLimit> {
    let limit = |(class, weeks): &(&str, u32)| ClassLimit {
        class: (*class).to_owned(),
        before: MONDAY + weeks * WEEK,
    };
    of.iter().map(limit).collect()
}

/// The weeks of which a device has rows, by the second of its first row in each.
async fn weeks_of(site: &Site, device: u32) -> Vec<u32> {
    use futures_util::TryStreamExt as _;
    let query = RangeQuery {
        device: DeviceId::new(device),
        from: 0,
        to: u32::MAX,
        descending: false,
        after: None,
        limit: None,
    };
    let rows: Vec<_> = site.history().positions(query).try_collect().await.unwrap();
    let mut weeks: Vec<u32> =
        rows.iter().map(|row| (row.position.recorded_at - MONDAY) / WEEK).collect();
    weeks.dedup();
    weeks
}

async fn all_steps(retention: &dyn Retention, over: &[ClassLimit]) -> Step {
    let mut sum = Step::default();
    loop {
        let step = retention.expire_classes(over).await.unwrap();
        assert!(!step.busy);
        sum.removed += step.removed;
        sum.readings += step.readings;
        sum.weeks += step.weeks;
        if !step.more {
            return sum;
        }
    }
}

pub(crate) async fn each_class_leaves_when_its_period_is_over(site: Site) {
    let site = fleet(site).await;
    let retention = site.database.retention();
    let named = retention.classes().await.unwrap();
    let count = |class: &str, devices| ClassCount { class: class.to_owned(), devices };
    assert_eq!(named, [count("long", 1), count("short", 2)]);

    // The default class is over for two weeks, the short one for three, the long for none.
    let over = limits(&[("default", 2), ("short", 3)]);
    let survey = retention.survey_classes(&over).await.unwrap();
    let week = |class: &str, week: u32, rows| ClassWeek {
        class: class.to_owned(),
        week: MONDAY + week * WEEK,
        rows,
    };
    let seen = [
        week("default", 0, 6),
        week("short", 0, 4),
        week("default", 1, 6),
        week("short", 1, 4),
        week("short", 2, 4),
    ];
    assert_eq!(survey, seen);

    let done = all_steps(retention.as_ref(), &over).await;
    assert_eq!(done.removed, 24);
    assert_eq!(done.weeks, if site.product.is_server() { 3 } else { 0 });
    assert_eq!(weeks_of(&site, 1).await, [3, 4]);
    assert_eq!(weeks_of(&site, 3).await, [0, 1, 2, 3, 4]);
    assert_eq!(weeks_of(&site, 6).await, [2, 3, 4]);
    assert_eq!(assert_balanced(&site.database).await.stored, 60);
    assert_eq!(retention.survey_classes(&over).await.unwrap(), []);
    assert_eq!(all_steps(retention.as_ref(), &over).await, Step::default());

    // A row that is there is there once; one that is gone is as good as new.
    let again = vec![frame(3, BASE, 1), frame(1, BASE, 1)];
    let committed = site.history().commit(&[part("w", 2, again)], "x").await.unwrap();
    assert_eq!((committed[0].stored, committed[0].duplicates), (1, 1));
    assert_balanced(&site.database).await;

    // Another class: what is over for it goes, what is gone stays gone. A week is
    // rewritten again after seven days, with what came late for it.
    put_in(&site, 4, "short").await;
    put_in(&site, 1, "long").await;
    if site.product.is_server() {
        assert_eq!(all_steps(retention.as_ref(), &over).await, Step::default());
        site.run("UPDATE retention_weeks SET done_at_ms = 1").await;
    }
    assert_eq!(all_steps(retention.as_ref(), &over).await.removed, 2);
    assert_eq!(weeks_of(&site, 4).await, [3, 4]);
    assert_eq!(weeks_of(&site, 1).await, [0, 3, 4]);
    assert_eq!(assert_balanced(&site.database).await.stored, 61);

    // Whole weeks go as ever.
    while retention.expire_positions(MONDAY + WEEK).await.unwrap().more {}
    assert_eq!(weeks_of(&site, 3).await, [1, 2, 3, 4]);
    assert_balanced(&site.database).await;
}

/// A device's reading in a week, as the device is written.
fn reading_in(identity: &str, week: u32, minute: u32) -> Record {
    temperature(identity, u64::from(BASE + week * WEEK + minute * 60) * 1000, minute.into())
}

/// The weeks of which a device has readings that can be read.
async fn reading_weeks(site: &Site, device: DeviceId) -> Vec<u32> {
    let readings = stored(site, device, false).await;
    let second = |at_ms: u64| u32::try_from(at_ms / 1000).unwrap();
    let mut weeks: Vec<u32> =
        readings.iter().map(|one| (second(one.recorded_at_ms) - MONDAY) / WEEK).collect();
    weeks.dedup();
    weeks
}

/// Between steps the books balance but for positions of a week that is being rewritten: those
/// that left are counted step by step. Of readings and their values all are booked.
async fn balanced_by_now(site: &Site) {
    if site.product == Product::Sqlite {
        assert_balanced(&site.database).await;
    }
    let books = site.database.books();
    let totals = books.totals(nemeses_store::history::Minutes::ALL).await.unwrap();
    let counts = books.count_tables(nemeses_store::history::Minutes::ALL).await.unwrap();
    assert_eq!(totals.values_stored, counts.values + counts.values_removed, "{counts:?}");
}

pub(crate) async fn readings_leave_with_their_device_s_class(site: Site) {
    let site = fleet(site).await;
    let retention = site.database.retention();
    let mut records: Vec<Record> = Vec::new();
    for week in 0..WEEKS {
        for device in ["000001", "000003", "000006", "id:short", "id:default"] {
            records.extend([0, 90].map(|minute| reading_in(device, week, minute)));
        }
    }
    // Of clocks that were reset: in no week.
    let long_ago = u64::from(BASE - 30 * WEEK) * 1000;
    records.extend(["000001", "000003"].map(|device| temperature(device, long_ago, 1.0)));
    site.history().commit(&[part("w", 2, records)], "x").await.unwrap();
    let (short, default) =
        (number_of(&site, "id:short").await, number_of(&site, "id:default").await);
    put_in(&site, short.number(), "short").await;

    let over = limits(&[("default", 2), ("short", 3)]);
    let done = all_steps(retention.as_ref(), &over).await;
    // Positions as without readings; six records of each short device, four of the others'.
    assert_eq!((done.removed, done.readings), (24, 2 * 6 + 2 * 4 + 1));
    for (device, weeks) in [
        (DeviceId::new(1), [3, 4].as_slice()),
        (DeviceId::new(6), &[2, 3, 4]),
        (short, &[3, 4]),
        (default, &[2, 3, 4]),
    ] {
        assert_eq!(reading_weeks(&site, device).await, weeks, "{device}");
    }
    // The long class keeps all, that of long ago as well.
    assert_eq!(stored(&site, DeviceId::new(3), false).await.len(), 11);
    assert_balanced(&site.database).await;
    let counts =
        site.database.books().count_tables(nemeses_store::history::Minutes::ALL).await.unwrap();
    assert_eq!((counts.readings, counts.readings_removed, counts.values_removed), (31, 21, 21));
    assert_eq!(all_steps(retention.as_ref(), &over).await, Step::default());
}

/// Of devices that send no positions nothing is rewritten, and no week is looked at for ever.
pub(crate) async fn readings_alone_leave_with_their_class_and_are_looked_for_once(site: Site) {
    const DAYS: &str = "SELECT COUNT(*) FROM device_days WHERE device >= 16777216";
    let site = fleet(site).await;
    let retention = site.database.retention();
    let records = (0..WEEKS).map(|week| reading_in("id:only", week, 0));
    site.history().commit(&[part("w", 2, records.collect())], "x").await.unwrap();
    let only = number_of(&site, "id:only").await;
    put_in(&site, only.number(), "only").await;
    // One position that came by another way keeps its week's day.
    let late = frame(only.number(), BASE + WEEK + 86_400, 1);
    site.history().commit(&[part("w", 3, vec![late])], "x").await.unwrap();
    assert_eq!(site.number(DAYS).await, 6);

    let over = limits(&[("only", 1)]);
    let done = all_steps(retention.as_ref(), &over).await;
    assert_eq!((done.removed, done.readings, done.weeks), (0, 1, 0));
    assert_eq!(reading_weeks(&site, only).await, [1, 2, 3, 4]);
    assert_eq!(site.number(DAYS).await, 5);
    if site.product.is_server() {
        site.run("UPDATE retention_weeks SET done_at_ms = 1").await;
    }
    assert_eq!(all_steps(retention.as_ref(), &over).await, Step::default());
    let over = limits(&[("only", 2)]);
    let done = all_steps(retention.as_ref(), &over).await;
    assert_eq!((done.removed, done.readings), (1, 1));
    assert_eq!(reading_weeks(&site, only).await, [2, 3, 4]);
    assert_balanced(&site.database).await;
}

pub(crate) async fn readings_that_come_while_a_class_leaves_are_counted(site: Site) {
    let site = fleet(site).await;
    let retention = site.database.retention();
    let over = limits(&[("short", 4)]);
    let first = (0..WEEKS).flat_map(|week| ["000001", "000005"].map(|id| reading_in(id, week, 0)));
    site.history().commit(&[part("w", 2, first.collect())], "x").await.unwrap();
    let (mut sequence, mut readings) = (3, 0);
    loop {
        let step = retention.expire_classes(&over).await.unwrap();
        readings += step.readings;
        let minute = u32::try_from(sequence).unwrap();
        // Where what is late goes at once, the loop would not end.
        let ids = if sequence < 20 { ["000001", "000005"].as_slice() } else { &["000005"] };
        let late =
            (0..WEEKS).flat_map(|week| ids.iter().map(move |id| reading_in(id, week, minute)));
        site.history().commit(&[part("w", sequence, late.collect())], "x").await.unwrap();
        balanced_by_now(&site).await;
        sequence += 1;
        if !step.more {
            break;
        }
        assert!(sequence < 200, "it does not end");
    }
    assert!(readings >= 4, "{readings}");
    let of_five = stored(&site, DeviceId::new(5), false).await.len();
    assert_eq!(of_five, usize::try_from(sequence - 2).unwrap() * WEEKS as usize);
    // What came late and is still there is read, and leaves the next time.
    if site.product.is_server() {
        site.run("UPDATE retention_weeks SET done_at_ms = 1").await;
    }
    all_steps(retention.as_ref(), &over).await;
    assert_eq!(reading_weeks(&site, DeviceId::new(1)).await, [4]);
    let counts =
        site.database.books().count_tables(nemeses_store::history::Minutes::ALL).await.unwrap();
    let left = stored(&site, DeviceId::new(1), false).await.len() + of_five;
    assert_eq!(usize::try_from(counts.readings).unwrap(), left, "none is hidden");
    assert_balanced(&site.database).await;
}

/// Ten values a second of one device: a step takes some of them, and commits wait for none long.
pub(crate) async fn many_readings_of_one_day_leave_in_parts(site: Site) {
    const RECORDS: u64 = 12_000;
    let site = fleet(site).await;
    let retention = site.database.retention();
    let begins = u64::from(BASE) * 1000;
    let records: Vec<Record> =
        (0..RECORDS).map(|at| temperature("000001", begins + at * 300, 1.0)).collect();
    for (sequence, records) in (2..).zip(records.chunks(1000)) {
        site.history().commit(&[part("w", sequence, records.to_vec())], "x").await.unwrap();
    }
    let over = limits(&[("short", 1)]);
    let (mut readings, mut most) = (0, 0);
    loop {
        let step = retention.expire_classes(&over).await.unwrap();
        (readings, most) = (readings + step.readings, most.max(step.readings));
        // What is there can be read until it goes.
        if step.readings > 0 && site.product == Product::Sqlite && readings < RECORDS {
            assert!(!stored(&site, DeviceId::new(1), false).await.is_empty());
        }
        balanced_by_now(&site).await;
        if !step.more {
            break;
        }
    }
    assert_eq!(readings, RECORDS);
    assert!(most <= 7_000, "{most} at once");
    assert_balanced(&site.database).await;
}

pub(crate) async fn what_comes_while_a_class_leaves_is_kept_once(site: Site) {
    let site = fleet(site).await;
    let retention = site.database.retention();
    let over = limits(&[("short", 4)]);
    let mut sequence = 2;
    let mut late: Vec<(u32, u32, u64)> = Vec::new();
    let mut removed = 0;
    loop {
        let step = retention.expire_classes(&over).await.unwrap();
        removed += step.removed;
        // Late frames for all weeks, of a device that stays and of one that leaves; those
        // of the steps before come again, received at another moment.
        let mut records: Vec<Record> = late
            .iter()
            .filter(|(device, ..)| *device == 5 || sequence < 20)
            .map(|(device, at, hash)| {
                let mut again = record(*device, *at, *hash);
                again.received_at_ms += 60_000 * sequence;
                Record::Position(again)
            })
            .collect();
        for week in 0..WEEKS {
            // Where what is late goes at once, the loop would not end.
            for device in if sequence < 20 { [1, 5].as_slice() } else { &[5] } {
                let row = (*device, BASE + week * WEEK + 60, sequence);
                records.push(frame(row.0, row.1, row.2));
                late.push(row);
            }
        }
        site.history().commit(&[part("w", sequence, records)], "x").await.unwrap();
        sequence += 1;
        if !step.more {
            break;
        }
        assert!(sequence < 100, "it does not end");
    }
    assert!(removed >= 16, "{removed}");
    assert_balanced(&site.database).await;
    let rows = site.number("SELECT COUNT(*) FROM positions WHERE device = 5").await;
    let of_five = late.iter().filter(|(device, ..)| *device == 5).count() + 2 * WEEKS as usize;
    assert_eq!(usize::try_from(rows).unwrap(), of_five);
    assert_eq!(weeks_of(&site, 5).await, [0, 1, 2, 3, 4]);
    assert_eq!(weeks_of(&site, 2).await, [4]);
    assert_eq!(site.number("SELECT COUNT(*) FROM positions WHERE device = 2").await, 2);
}

pub(crate) async fn what_comes_while_a_class_leaves_is_added_up_again(site: Site) {
    const COPIED: &str =
        "SELECT COUNT(*) FROM retention_rewrite WHERE phase = 0 AND next_bucket >= below";
    let site = fleet(site).await;
    if site.product == Product::Sqlite {
        return; // It rewrites nothing.
    }
    let retention = site.database.retention();
    let over = limits(&[("short", 1)]);
    while site.number(COPIED).await == 0 {
        assert!(retention.expire_classes(&over).await.unwrap().more);
    }
    let late = vec![frame(5, BASE + 60, 9)];
    site.history().commit(&[part("w", 2, late)], "x").await.unwrap();
    assert!(retention.expire_classes(&over).await.unwrap().more);
    // Whoever keeps the sums added the day up while the row was nowhere.
    site.run("DELETE FROM daily_marks").await;
    all_steps(retention.as_ref(), &over).await;
    assert_eq!(site.number("SELECT COUNT(*) FROM positions WHERE device = 5").await, 11);
    assert_eq!(site.number("SELECT COUNT(*) FROM daily_marks").await, 1);
    let day = i64::from(BASE / 86_400);
    assert_eq!(
        site.number("SELECT CAST(day AS SIGNED) FROM daily_marks WHERE device = 5").await,
        day
    );
    assert_balanced(&site.database).await;
}

pub(crate) async fn days_that_left_are_noted_again_when_late_rows_come(site: Site) {
    const DAYS_OF_1: &str = "SELECT COUNT(*) FROM device_days WHERE device = 1";
    let site = fleet(site).await;
    let retention = site.database.retention();
    let over = limits(&[("short", 1)]);
    assert_eq!(site.number(DAYS_OF_1).await, 5);
    // At whatever step the day is forgotten: the first row after it notes the day anew.
    for sequence in 2..100 {
        let step = retention.expire_classes(&over).await.unwrap();
        if site.number(DAYS_OF_1).await == 4 {
            let late = vec![frame(1, BASE + 60, sequence)];
            site.history().commit(&[part("w", sequence, late)], "x").await.unwrap();
            assert_eq!(site.number(DAYS_OF_1).await, 5, "after {step:?}");
            break;
        }
        assert!(step.more);
    }
    all_steps(retention.as_ref(), &over).await;

    // Days without rows go with whole weeks, of which nothing is left to remove.
    let before = MONDAY + 2 * WEEK;
    while retention.expire_positions(before).await.unwrap().more {}
    assert_eq!(site.number(DAYS_OF_1).await, 3);
    let late = vec![frame(1, BASE + 61, 7)];
    site.history().commit(&[part("x", 1, late)], "x").await.unwrap();
    assert_eq!(site.number(DAYS_OF_1).await, 4);
    assert_balanced(&site.database).await;
}

pub(crate) async fn a_rewrite_under_way_is_finished_when_nothing_has_a_period(site: Site) {
    const COUNTING: &str = "SELECT COUNT(*) FROM retention_rewrite WHERE phase = 1";
    let site = fleet(site).await;
    let retention = site.database.retention();
    assert_eq!(retention.finish_rewriting(&[]).await.unwrap(), Step::default());
    if site.product == Product::Sqlite {
        return; // It rewrites nothing.
    }
    let over = limits(&[("short", 1)]);
    assert!(retention.expire_classes(&over).await.unwrap().more);
    // As long as nothing left, only those go on that were told that this class is over.
    let longer = [ClassLimit { class: "short".to_owned(), before: MONDAY }];
    for others in [[].as_slice(), &longer] {
        assert_eq!(retention.finish_rewriting(others).await.unwrap(), Step::default());
    }
    assert_eq!(weeks_of(&site, 1).await, [0, 1, 2, 3, 4]);
    while site.number(COUNTING).await == 0 {
        assert!(retention.finish_rewriting(&over).await.unwrap().more);
    }
    let late = frame(5, BASE + 60, 9);
    site.history().commit(&[part("w", 2, vec![late])], "x").await.unwrap();
    while retention.finish_rewriting(&[]).await.unwrap().more {}
    assert!(!retention.survey(0).await.unwrap().rewriting);
    assert_eq!(weeks_of(&site, 1).await, [1, 2, 3, 4]);
    assert_balanced(&site.database).await;
}

pub(crate) async fn classes_that_have_a_period_are_noted(site: Site) {
    let site = site.migrated().await;
    let retention = site.database.retention();
    assert_eq!(retention.noted_classes().await.unwrap(), []);
    let noted = |class: &str, keep_s| NotedClass { class: class.to_owned(), keep_s };
    let before = [noted("default", Some(5)), noted("law", None)];
    retention.note_classes(&before).await.unwrap();
    assert_eq!(retention.noted_classes().await.unwrap(), before);
    retention.note_classes(&before[..1]).await.unwrap();
    assert_eq!(retention.noted_classes().await.unwrap(), before[..1]);
}
