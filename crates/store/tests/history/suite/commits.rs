//! Commits: once, whole, balanced.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nemeses_protocol::{DeviceId, Record};
use nemeses_store::StoreError;
use nemeses_store::history::Profile;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sqlx::Connection as _;

use super::assert_balanced;
use crate::frames::{BASE, BASE_MS, frame, letter, part, pings, record};
use crate::site::{Product, Site};

const MINUTE: u32 = BASE / 60;

pub(crate) async fn while_commits_are_stuck_others_still_write(site: Site) {
    const STUCK: &str = "SELECT COUNT(*) FROM information_schema.processlist \
        WHERE db = DATABASE() AND state LIKE 'Waiting for table%'";
    let site = site.migrated().await;
    if site.product == Product::Sqlite {
        return; // One transaction at a time.
    }
    let mut locking = sqlx::MySqlConnection::connect(&site.url).await.unwrap();
    sqlx::raw_sql("LOCK TABLES `positions` WRITE").execute(&mut locking).await.unwrap();
    let others = async {
        while site.number(STUCK).await < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        site.database.devices().put(&Profile::new(DeviceId::new(7), 1)).await.unwrap();
        assert_eq!(site.number(STUCK).await, 2, "they do not wait any more");
        sqlx::raw_sql("UNLOCK TABLES").execute(&mut locking).await.unwrap();
    };
    let (one, two) =
        ([part("w", 1, vec![frame(1, BASE, 1)])], [part("v", 1, vec![frame(2, BASE, 1)])]);
    let (history, other) = (site.history(), site.history());
    let (one, two, ()) = tokio::join!(history.commit(&one, "x"), other.commit(&two, "x"), others);
    assert_eq!(one.unwrap()[0].stored + two.unwrap()[0].stored, 2);
    locking.close().await.unwrap();
    assert_balanced(&site.database).await;
}

pub(crate) async fn a_commit_counts_once(site: Site) {
    let site = site.migrated().await;
    let letter = Record::DeadLetter(Box::new(letter(Some(1), BASE_MS, b"abc")));
    let mut first = part("w", 1, vec![frame(1, BASE, 1), frame(2, BASE + 61, 2), letter]);
    first.tallies = vec![pings(MINUTE, 3), pings(MINUTE + 2, 4)];
    let second = part("w", 2, vec![frame(3, BASE, 3)]);
    let parts = [first, second];

    let committed = site.history().commit(&parts, "x").await.unwrap();
    assert!(!committed[0].repeated && !committed[1].repeated);
    assert_eq!((committed[0].stored, committed[0].dead_letters, committed[0].pings), (2, 1, 7));
    let before = assert_balanced(&site.database).await;
    assert_eq!((before.received, before.stored, before.pings), (11, 3, 7));

    let third = part("w", 3, vec![frame(4, BASE, 4)]);
    let again = [parts[0].clone(), third, parts[1].clone()];
    let committed = site.history().commit(&again, "y").await.unwrap();
    let repeated: Vec<bool> = committed.iter().map(|part| part.repeated).collect();
    assert_eq!(repeated, [true, false, true]);
    assert_eq!((committed[0].stored, committed[0].pings), (0, 0));
    let after = assert_balanced(&site.database).await;
    assert_eq!(after.received, before.received + 1);
    assert_eq!(site.number("SELECT COUNT(*) FROM dead_letters").await, 1);
}

pub(crate) async fn duplicates_inside_and_outside_a_batch(site: Site) {
    let site = site.migrated().await;
    let twice = part("w", 1, vec![frame(1, BASE, 1), frame(1, BASE, 1), frame(1, BASE, 2)]);
    let committed = site.history().commit(&[twice], "x").await.unwrap();
    assert_eq!((committed[0].stored, committed[0].duplicates), (2, 1));

    let mixed = part("w", 2, vec![frame(1, BASE, 2), frame(1, BASE, 3), frame(1, BASE, 1)]);
    let committed = site.history().commit(&[mixed], "x").await.unwrap();
    assert_eq!((committed[0].stored, committed[0].duplicates), (1, 2));

    let totals = assert_balanced(&site.database).await;
    assert_eq!((totals.stored, totals.duplicates), (3, 3));
    assert_eq!(site.number("SELECT COUNT(*) FROM duplicates").await, 2);
    assert_eq!(site.number("SELECT COUNT(*) FROM duplicates WHERE times = 2").await, 1);
}

/// More than one statement, and every rung of the ladder on the second time.
pub(crate) async fn a_large_batch_with_rows_that_are_there(site: Site) {
    let site = site.migrated().await;
    let device = |number: u32| frame(number % 97, BASE + number * 7, u64::from(number));
    let odd: Vec<Record> = (0..2_600).filter(|number| number % 2 == 1).map(device).collect();
    let all: Vec<Record> = (0..2_600).map(device).collect();
    let committed = site.history().commit(&[part("w", 1, odd)], "x").await.unwrap();
    assert_eq!(committed[0].stored, 1_300);
    let committed = site.history().commit(&[part("w", 2, all.clone())], "x").await.unwrap();
    assert_eq!((committed[0].stored, committed[0].duplicates), (1_300, 1_300));
    let committed = site.history().commit(&[part("w", 3, all)], "x").await.unwrap();
    assert_eq!((committed[0].stored, committed[0].duplicates), (0, 2_600));
    assert_eq!(assert_balanced(&site.database).await.stored, 2_600);
}

pub(crate) async fn an_empty_part_is_remembered(site: Site) {
    let site = site.migrated().await;
    assert_eq!(site.history().commit(&[], "x").await.unwrap(), []);
    let empty = [part("w", 1, Vec::new())];
    assert!(!site.history().commit(&empty, "x").await.unwrap()[0].repeated);
    assert!(site.history().commit(&empty, "x").await.unwrap()[0].repeated);
    assert_eq!(assert_balanced(&site.database).await.received, 0);
}

/// Four committers on two handles draw their frames from the same few.
pub(crate) async fn committers_with_the_same_frames_balance(site: Site) {
    const COMMITTERS: u64 = 4;
    const BATCHES: u64 = 15;
    const ROWS: u32 = 120;
    let site = site.migrated().await;
    let another = site.another().await;
    let mut tasks = Vec::new();
    for committer in 0..COMMITTERS {
        let history = if committer % 2 == 0 { site.database.history() } else { another.history() };
        tasks.push(tokio::spawn(async move {
            let mut rng = StdRng::seed_from_u64(committer);
            let mut offered = HashSet::new();
            for sequence in 1..=BATCHES {
                let records: Vec<Record> = (0..ROWS)
                    .map(|_| {
                        let (device, second) = (rng.random_range(0..20), rng.random_range(0..60));
                        offered.insert((device, second));
                        frame(device, BASE + second * 10, 7)
                    })
                    .collect();
                let parts = [part(&format!("w{committer}"), sequence, records)];
                while let Err(error) = history.commit(&parts, "x").await {
                    assert!(error.is_transient(), "{error}");
                }
            }
            offered
        }));
    }
    let mut distinct = HashSet::new();
    for task in tasks {
        distinct.extend(task.await.unwrap());
    }
    let totals = assert_balanced(&site.database).await;
    assert_eq!(totals.received, COMMITTERS * BATCHES * u64::from(ROWS));
    assert_eq!(totals.stored, distinct.len() as u64);
}

/// A doubtful commit may still be running when it is repeated.
pub(crate) async fn the_same_batch_committed_at_once_counts_once(site: Site) {
    let site = site.migrated().await;
    let another = site.another().await;
    for sequence in 1..=10 {
        let second = u32::try_from(sequence).unwrap() * 400;
        let letter = Record::DeadLetter(Box::new(letter(None, BASE_MS, b"x")));
        let mut records: Vec<Record> =
            (0..50).map(|device| frame(device, BASE + second, 1)).collect();
        records.push(letter);
        let parts = [part("w", sequence, records)];
        let (one, two) = (site.history(), another.history());
        let (one, two) = tokio::join!(one.commit(&parts, "x"), two.commit(&parts, "y"));
        let stored: u64 = [one.unwrap(), two.unwrap()]
            .iter()
            .map(|committed| {
                assert!(committed[0].repeated == (committed[0].stored == 0));
                committed[0].stored
            })
            .sum();
        assert_eq!(stored, 50);
    }
    assert_eq!(assert_balanced(&site.database).await.received, 510);
}

/// Commits whose caller stops waiting at some moment, then offered again.
pub(crate) async fn a_commit_given_up_half_way_leaves_nothing_half_done(site: Site) {
    let site = site.migrated().await;
    let batch = |sequence: u64| {
        let second = u32::try_from(sequence).unwrap();
        let records = (0..200).map(|device| frame(device, BASE + second, 1)).collect();
        [part("w", sequence, records)]
    };
    let started = Instant::now();
    site.history().commit(&batch(1), "x").await.unwrap();
    // The first one is the slowest: within its time lie all moments of the others.
    // How much slower depends on the machine, so the patience shrinks with each
    // commit that was quicker.
    let mut longest = started.elapsed();
    let mut rng = StdRng::seed_from_u64(11);
    let mut given_up = 0;
    let mut sequence = 1;
    while sequence < 40 || given_up < 10 {
        sequence += 1;
        let parts = batch(sequence);
        let patience = longest.mul_f64(rng.random_range(0.0..1.0));
        let first = tokio::time::timeout(patience, site.history().commit(&parts, "x")).await;
        let again = site.history().commit(&parts, "x").await.unwrap();
        match first {
            Ok(committed) => {
                assert!(!committed.unwrap()[0].repeated && again[0].repeated);
                longest = longest.mul_f64(0.97);
            }
            Err(_) => given_up += 1,
        }
    }
    let totals = assert_balanced(&site.database).await;
    let sent = sequence * 200;
    assert_eq!((totals.received, totals.stored, totals.duplicates), (sent, sent, 0));
}

pub(crate) async fn a_refused_row_is_found_and_leaves_nothing(site: Site) {
    let site = site.migrated().await;
    site.refuse_speed_255().await;
    let mut guilty = record(2, BASE, 2);
    guilty.position.speed_kmh = 255;
    let guilty = Record::Position(guilty);
    let good = [frame(1, BASE, 1), frame(3, BASE, 3)];
    let parts = [part("w", 1, vec![good[0].clone(), guilty.clone(), good[1].clone()])];

    let error = site.history().commit(&parts, "x").await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert_eq!(site.number("SELECT COUNT(*) FROM positions").await, 0);
    assert_eq!(site.number("SELECT COUNT(*) FROM books").await, 0);

    let history = site.history();
    assert!(matches!(history.probe(&[guilty]).await, Err(StoreError::Refused { .. })));
    history.probe(&good).await.unwrap();
    let rubbish = Record::DeadLetter(Box::new(letter(None, BASE_MS, b"x")));
    history.probe(&[rubbish, good[0].clone(), good[0].clone()]).await.unwrap();
    assert_eq!(site.number("SELECT COUNT(*) FROM positions").await, 0);
    assert_eq!(site.number("SELECT COUNT(*) FROM dead_letters").await, 0);

    history.commit(&[part("w", 1, good.to_vec())], "x").await.unwrap();
    assert_eq!(assert_balanced(&site.database).await.stored, 2);
}

/// Not only rows of positions can be refused: whatever a commit writes of a record
/// is tried, or the line would stand still without a guilty row.
pub(crate) async fn a_record_whose_day_is_refused_is_found(site: Site) {
    let site = site.migrated().await;
    site.refuse_days_of_device_2().await;
    let history = site.history();
    let (good, guilty) = (frame(1, BASE, 1), frame(2, BASE, 2));
    let parts = [part("w", 1, vec![good.clone(), guilty.clone()])];
    let refused = history.commit(&parts, "x").await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    assert!(matches!(history.probe(&[guilty]).await, Err(StoreError::Refused { .. })));
    history.probe(std::slice::from_ref(&good)).await.unwrap();
    assert_eq!(site.number("SELECT COUNT(*) FROM device_days").await, 0);
    history.commit(&[part("w", 1, vec![good])], "x").await.unwrap();
    assert_eq!(assert_balanced(&site.database).await.stored, 1);
}

pub(crate) async fn a_restart_remembers(site: Site) {
    let site = site.migrated().await;
    let parts = [part("w", 1, vec![frame(1, BASE, 1)])];
    site.history().commit(&parts, "x").await.unwrap();

    let restarted = site.another().await;
    restarted.history().check_schema().await.unwrap();
    restarted.history().ping().await.unwrap();
    assert!(restarted.history().commit(&parts, "x").await.unwrap()[0].repeated);
    // The same day again, by handles that do not know it yet.
    let more = [part("w", 2, vec![frame(1, BASE + 1, 1), frame(1, BASE, 1)])];
    let committed = restarted.history().commit(&more, "x").await.unwrap();
    assert_eq!((committed[0].stored, committed[0].duplicates), (1, 1));
    assert_eq!(assert_balanced(&restarted).await.received, 3);
    assert_eq!(site.number("SELECT COUNT(*) FROM device_days").await, 1);
}
