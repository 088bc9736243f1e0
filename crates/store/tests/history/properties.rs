//! Properties of reads on SQLite: any rows, any range, any cursor.

use nemeses_protocol::{DeviceId, PositionRecord, Record};
use nemeses_store::history::RangeQuery;
use proptest::prelude::*;

use crate::frames::{part, record};
use crate::sqlite::empty_site;
use crate::suite::{expected, keys, read};

/// Seconds that lie on the edges of buckets and days, at the ends of time, or anywhere.
fn any_second() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => (0_u32..5, 0_u32..3).prop_map(|(day, off)| (day * 86_400 + off).saturating_sub(1)),
        4 => (0_u32..40, 0_u32..3).prop_map(|(bucket, off)| (bucket * 300 + off).saturating_sub(1)),
        1 => (0_u32..3).prop_map(|off| u32::MAX - off),
        2 => any::<u32>(),
    ]
}

fn any_hash() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..3, any::<u64>()]
}

prop_compose! {
    fn any_query()(
        device in 0_u32..3,
        ends in prop_oneof![Just((0, u32::MAX)), (any_second(), any_second())],
        descending: bool,
        after in prop::option::of((any_second(), any_hash())),
        limit in prop::option::of(0_u64..30),
    ) -> RangeQuery {
        let (from, to) = ends;
        RangeQuery { device: DeviceId::new(device), from, to, descending, after, limit }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_range_is_what_the_model_says(
        rows in prop::collection::vec((0_u32..3, any_second(), any_hash()), 0..60),
        queries in prop::collection::vec(any_query(), 1..20),
    ) {
        let rows: Vec<PositionRecord> =
            rows.into_iter().map(|(device, at, hash)| record(device, at, hash)).collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (_folder, site) = empty_site().await;
            let site = site.migrated().await;
            let records: Vec<Record> = rows.iter().cloned().map(Record::Position).collect();
            site.history().commit(&[part("w", 1, records)], "x").await.unwrap();
            for query in queries {
                let found = read(&*site.history(), query.clone()).await;
                prop_assert_eq!(keys(&found), expected(&rows, &query), "{:?}", query);
            }
            Ok(())
        })?;
    }
}
