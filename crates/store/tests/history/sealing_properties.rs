//! A property of sealing on SQLite: whatever is sent, late, again and in any order, and whenever it
//! is sealed, the answers are those of a history that seals nothing.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use nemeses_protocol::Record;
use nemeses_store::history::{ReadingsQuery, StoredReadings};
use proptest::prelude::*;

use crate::frames::{BASE_MS, part};
use crate::site::Site;
use crate::sqlite::empty_site;
use crate::suite::{assert_balanced, number_of, seal_all, temperature};

/// Minutes that cross buckets, days and weeks, many of them equal.
fn any_minute() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..30, 1_430_u64..1_450, 0_u64..12_000]
}

#[derive(Clone, Debug)]
enum Move {
    /// Minutes with values, of one of two devices.
    Send(Vec<(bool, u64, u8)>),
    /// Everything before this minute is sealed.
    Seal(u64),
}

fn any_move() -> impl Strategy<Value = Move> {
    let sent = (any::<bool>(), any_minute(), 0_u8..3);
    prop_oneof![
        3 => prop::collection::vec(sent, 1..120).prop_map(Move::Send),
        2 => any_minute().prop_map(Move::Seal),
    ]
}

const NAMES: [&str; 2] = ["id:a", "id:b"];

fn record(&(second, minute, value): &(bool, u64, u8)) -> Record {
    let name = NAMES[usize::from(second)];
    temperature(name, BASE_MS + minute * 60_000, f64::from(value) + 0.5)
}

async fn answers(site: &Site, query: (u64, u64, bool), name: &str) -> Vec<StoredReadings> {
    let device = number_of(site, name).await;
    let (from_ms, to_ms, descending) = query;
    let query = ReadingsQuery { device, from_ms, to_ms, descending };
    let found: Vec<StoredReadings> =
        site.database.channels().readings(query).try_collect().await.unwrap();
    let half = |record: StoredReadings| StoredReadings {
        content_hash: record.content_hash >> 32,
        ..record
    };
    found.into_iter().map(half).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn answers_are_the_same_with_and_without_sealing(
        moves in prop::collection::vec(any_move(), 1..10),
        queries in prop::collection::vec((any_minute(), any_minute(), any::<bool>()), 1..6),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (_folder, site) = empty_site().await;
            let (_other_folder, plain) = empty_site().await;
            let (site, plain) = (site.migrated().await, plain.migrated().await);
            // Both devices have their numbers, whatever is drawn.
            let first: Vec<Record> = NAMES.iter().map(|it| temperature(it, BASE_MS, 9.0)).collect();
            for site in [&site, &plain] {
                site.history().commit(&[part("w", 0, first.clone())], "x").await.unwrap();
            }
            let mut distinct = BTreeSet::new();
            for (sequence, made) in (1..).zip(&moves) {
                match made {
                    Move::Send(sent) => {
                        distinct.extend(sent.iter().copied());
                        let part = part("w", sequence, sent.iter().map(record).collect());
                        let parts = [part];
                        let sealed = site.history().commit(&parts, "x").await.unwrap();
                        let rows = plain.history().commit(&parts, "x").await.unwrap();
                        prop_assert_eq!(sealed, rows);
                    }
                    Move::Seal(minute) => {
                        seal_all(&site, BASE_MS + minute * 60_000).await;
                    }
                }
                assert_balanced(&site.database).await;
            }
            let (totals, expected) =
                (assert_balanced(&site.database).await, assert_balanced(&plain.database).await);
            prop_assert_eq!(&totals, &expected);
            prop_assert_eq!(totals.stored, 2 + distinct.len() as u64);
            let all = [(0, 12_000, false), (0, 12_000, true)];
            for (a, b, descending) in queries.iter().copied().chain(all) {
                let ms = |minute: u64| BASE_MS + minute * 60_000;
                let query = (ms(a.min(b)), ms(a.max(b)), descending);
                for name in NAMES {
                    let (sealed, rows) =
                        (answers(&site, query, name).await, answers(&plain, query, name).await);
                    prop_assert_eq!(sealed, rows, "{:?}", query);
                }
            }
            Ok(())
        })?;
    }
}
