//! Sealed readings: the same records as before, known when they are sent again, in the books, and
//! gone when their period is over.

use nemeses_protocol::{DeviceId, Record};
use nemeses_store::history::{ClassLimit, Minutes, SealFrom, SealStep, StoredReadings};

use super::assert_balanced;
use super::readings::{number_of, stored, temperature};
use crate::frames::{BASE, BASE_MS, part};
use crate::site::Site;

const DAY_MS: u64 = 86_400_000;

/// Seals everything that was recorded before a time; what that was.
pub(crate) async fn seal_all(site: &Site, before_ms: u64) -> SealStep {
    let (mut sum, mut next) = (SealStep::default(), Some(SealFrom::default()));
    while let Some(from) = next {
        let step = site.database.sealing().seal(before_ms, from).await.unwrap();
        sum.records += step.records;
        sum.values += step.values;
        sum.blocks += step.blocks;
        next = step.next;
    }
    sum
}

/// Records as they can be compared: of a sealed one's hash the upper half is known.
pub(crate) async fn comparable(
    site: &Site,
    device: DeviceId,
    descending: bool,
) -> Vec<StoredReadings> {
    let mut records = stored(site, device, descending).await;
    for record in &mut records {
        record.content_hash >>= 32;
    }
    records
}

/// Commits records in parts of 500; how many were stored, and were duplicates.
async fn commit(site: &Site, sequence: u64, records: Vec<Record>) -> (u64, u64) {
    let (mut stored, mut duplicates) = (0, 0);
    for (number, some) in (0..).zip(records.chunks(500)) {
        let part = part("w", sequence * 100 + number, some.to_vec());
        let committed = site.history().commit(&[part], "x").await.unwrap();
        stored += committed[0].stored;
        duplicates += committed[0].duplicates;
    }
    (stored, duplicates)
}

fn every(seconds: u64, count: u32) -> Vec<Record> {
    let at = |number: u32| BASE_MS + u64::from(number) * seconds * 1000;
    let record = |number: u32| temperature("id:a", at(number), f64::from(number) / 10.0);
    (0..count).map(record).collect()
}

async fn rows(site: &Site) -> i64 {
    site.number("SELECT COUNT(*) FROM readings").await
}

pub(crate) async fn sealed_readings_are_the_same_records(site: Site) {
    let site = site.migrated().await;
    // Nine days, two weeks: more than one block.
    let sent = every(120, 6_500);
    assert_eq!(commit(&site, 1, sent.clone()).await, (6_500, 0));
    let device = number_of(&site, "id:a").await;
    let (before, back) =
        (comparable(&site, device, false).await, comparable(&site, device, true).await);
    let sealed = seal_all(&site, BASE_MS + 8 * DAY_MS).await;
    assert_eq!((sealed.records, sealed.values), (8 * 720, 8 * 720));
    assert_eq!(rows(&site).await, 6_500 - 8 * 720);
    assert_eq!(comparable(&site, device, false).await, before);
    assert_eq!(comparable(&site, device, true).await, back);
    assert_balanced(&site.database).await;
    let totals = site.database.sealing().sealed().await.unwrap();
    assert_eq!((totals.records, totals.values), (8 * 720, 8 * 720));
    assert_eq!(totals.sealed_to_ms, BASE_MS + 8 * DAY_MS);
    assert!(totals.blocks >= 2 && totals.bytes < 6 * totals.records, "{totals:?}");

    // The rest, and nothing more after it.
    let rest = seal_all(&site, BASE_MS + 30 * DAY_MS).await;
    assert_eq!((rest.records, rows(&site).await), (6_500 - 8 * 720, 0));
    assert_eq!(seal_all(&site, BASE_MS + 30 * DAY_MS).await, SealStep::default());
    assert_eq!(comparable(&site, device, false).await, before);
    assert_eq!(comparable(&site, device, true).await, back);
    assert_balanced(&site.database).await;
}

pub(crate) async fn a_sealed_record_that_is_sent_again_is_known(site: Site) {
    let site = site.migrated().await;
    let sent = every(60, 3_000);
    commit(&site, 1, sent.clone()).await;
    // Another process knows of no sealing.
    let other = site.another().await;
    let mixed = [every(60, 20), every(59, 20)].concat();
    seal_all(&site, BASE_MS + 30 * DAY_MS).await;
    let committed = other.history().commit(&[part("v", 1, mixed.clone())], "y").await.unwrap();
    // At 0 s both are the same record.
    assert_eq!((committed[0].stored, committed[0].duplicates), (19, 21));
    assert_eq!(commit(&site, 2, sent).await, (0, 3_000));
    assert_eq!(rows(&site).await, 19);
    assert_balanced(&site.database).await;

    // Late rows go into the blocks, and are known from then on.
    let device = number_of(&site, "id:a").await;
    let before = comparable(&site, device, false).await;
    assert_eq!(seal_all(&site, BASE_MS + 30 * DAY_MS).await.records, 19);
    assert_eq!(comparable(&site, device, false).await, before);
    assert_eq!(commit(&site, 3, mixed).await, (0, 40));
    assert_eq!(rows(&site).await, 0);
    // In bulk as well, with new ones between.
    let many = [every(60, 400), every(61, 400)].concat();
    let (stored, duplicates) = commit(&site, 4, many).await;
    assert_eq!(stored + duplicates, 800);
    assert_eq!(u64::try_from(rows(&site).await).unwrap(), stored);
    assert_balanced(&site.database).await;
}

/// Commits and sealing at the same time, with the same records sent again and again.
pub(crate) async fn what_is_sealed_while_it_is_sent_again_is_there_once(site: Site) {
    let site = site.migrated().await;
    let sent = every(30, 1_500);
    commit(&site, 1, sent.clone()).await;
    let late: Vec<Record> =
        (0..300).map(|it| temperature("id:a", BASE_MS + it * 90_000 + 1, 1.5)).collect();
    let sealing = async {
        for step in 1..=12 {
            seal_all(&site, BASE_MS + step * 3_600_000 + 1).await;
        }
    };
    let another = site.another().await;
    let sending = async {
        for (sequence, records) in (1..).zip([&sent, &late, &sent, &late]) {
            for (number, some) in (0..).zip(records.chunks(100)) {
                let part = part("v", sequence * 100 + number, some.to_vec());
                another.history().commit(&[part], "y").await.unwrap();
            }
        }
    };
    tokio::join!(sealing, sending);
    let device = number_of(&site, "id:a").await;
    assert_eq!(stored(&site, device, false).await.len(), 1_800);
    let totals = assert_balanced(&site.database).await;
    assert_eq!((totals.stored, totals.duplicates), (1_800, 3_300));
    seal_all(&site, BASE_MS + 30 * DAY_MS).await;
    assert_eq!((stored(&site, device, true).await.len(), rows(&site).await), (1_800, 0));
    assert_balanced(&site.database).await;
}

/// Two that seal at once, as after a lease that lapsed too early.
pub(crate) async fn two_that_seal_at_once_seal_each_record_once(site: Site) {
    let site = site.migrated().await;
    for device in ["id:a", "id:b", "id:c"] {
        let records = (0..900).map(|it| temperature(device, BASE_MS + it * 60_000, 0.5)).collect();
        commit(&site, u64::from(device.as_bytes()[3]), records).await;
    }
    let seal = async |database: nemeses_store::history::Database| {
        let mut next = Some(SealFrom::default());
        while let Some(from) = next {
            // One may lose so often that it gives up; the other goes on.
            match database.sealing().seal(BASE_MS + DAY_MS, from).await {
                Ok(step) => next = step.next,
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    };
    let (one, two) = (site.another().await, site.another().await);
    tokio::join!(seal(one), seal(two));
    assert_eq!(rows(&site).await, 0);
    assert_balanced(&site.database).await;
    let totals = site.database.sealing().sealed().await.unwrap();
    assert_eq!(totals.records, 2_700);
}

pub(crate) async fn sealed_readings_leave_and_stay_in_the_books(site: Site) {
    let site = site.migrated().await;
    site.database.retention().prepare(BASE, BASE + 60 * 86_400).await.unwrap();
    // A record in six hours for five weeks.
    commit(&site, 1, every(6 * 3600, 140)).await;
    seal_all(&site, BASE_MS + 60 * DAY_MS).await;
    let counts = site.database.books().count_tables(Minutes::ALL).await.unwrap();
    assert_eq!((counts.readings, counts.values), (140, 140));
    let minute = u32::try_from(BASE_MS / 60_000).unwrap();
    for (from, to, expected) in
        [(0, minute - 1, 0), (minute, minute, 140), (minute + 1, u32::MAX, 0)]
    {
        let counts = site.database.books().count_tables(Minutes { from, to }).await.unwrap();
        assert_eq!((counts.readings, counts.values), (expected, expected));
    }
    let retention = site.database.retention();
    let before = BASE + 21 * 86_400;
    while retention.expire_positions(before).await.unwrap().more {}
    let device = number_of(&site, "id:a").await;
    let left = stored(&site, device, false).await;
    // What is not over stays; blocks leave whole, so up to a week more may.
    assert!(left.len() >= 56 && left.len() <= 56 + 28, "{}", left.len());
    assert!(left.iter().any(|record| record.recorded_at_ms == BASE_MS + 21 * DAY_MS));
    assert_balanced(&site.database).await;

    // What left with its class.
    let over = [ClassLimit { class: "default".into(), before: BASE + 60 * 86_400 }];
    loop {
        let step = retention.expire_classes(&over).await.unwrap();
        if !step.more {
            break;
        }
    }
    assert_eq!(stored(&site, device, false).await, []);
    assert_eq!(site.number("SELECT COUNT(*) FROM sealed_blocks").await, 0);
    assert_eq!(site.number("SELECT COUNT(*) FROM sealed_chunks").await, 0);
    assert_balanced(&site.database).await;
}

/// A live store that has lost its memory gets sealed values, too.
pub(crate) async fn the_newest_values_are_rebuilt_from_blocks(site: Site) {
    use futures_util::TryStreamExt as _;
    let site = site.migrated().await;
    commit(&site, 1, every(60, 10)).await;
    let before = site.history().recent_entries(BASE_MS, BASE).try_concat().await.unwrap();
    seal_all(&site, BASE_MS + DAY_MS).await;
    let after = site.history().recent_entries(BASE_MS, BASE).try_concat().await.unwrap();
    let shown = |entries: &[nemeses_store::live::LiveEntry]| -> Vec<_> {
        let values = entries.iter().filter_map(|entry| entry.values.as_ref());
        values
            .flat_map(|values| values.values().iter())
            .map(|it| (it.channel.clone(), it.recorded_at_ms, it.value.clone()))
            .collect()
    };
    assert_eq!(shown(&before).len(), 1);
    assert_eq!(shown(&before), shown(&after));
}
