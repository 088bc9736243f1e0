//! Which records become which blocks. Pure.

use std::collections::HashSet;

use super::hash32;
use crate::history::channels::StoredReadings;
use nemeses_protocol::Value;

/// Records of a full block.
pub(super) const MAX_RECORDS: usize = 4096;
/// Bytes of the values of a block, about as rows have them. A server that takes packets of 1 MiB
/// then takes each chunk.
const MAX_BYTES: usize = 512 * 1024;

/// What becomes of records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The blocks, in order of time; no millisecond is in two of them.
    pub(super) blocks: Vec<Vec<StoredReadings>>,
    /// Time and hash of the rows that are in them.
    pub(super) taken: Vec<(u64, u64)>,
}

/// Makes blocks of the records of one that is there, if any, and rows of the same time or later;
/// both in order of time. A row stays one if its key is in the block as 32 bits of the hash, or if
/// its millisecond has more than a block can hold. Without any row that is taken there are no
/// blocks: all stays as it is.
pub(super) fn plan(there: Vec<StoredReadings>, rows: Vec<StoredReadings>) -> Plan {
    let end = there.last().map(|record| record.recorded_at_ms);
    let late = end.is_some_and(|end| rows.last().is_some_and(|row| row.recorded_at_ms < end));
    let mut keys: HashSet<(u64, u32)> = there.iter().map(key).collect();
    let rows = rows.into_iter().filter(|row| keys.insert(key(row)));
    let mut records: Vec<(bool, StoredReadings)> =
        there.into_iter().map(|it| (false, it)).collect();
    records.extend(rows.map(|row| (true, row)));
    records.sort_by_key(|(_, record)| key(record));

    let mut moments: Vec<Vec<(bool, StoredReadings)>> = Vec::new();
    for record in records {
        match moments.last_mut() {
            Some(moment) if moment[0].1.recorded_at_ms == record.1.recorded_at_ms => {
                moment.push(record);
            }
            _ => moments.push(vec![record]),
        }
    }
    for moment in &mut moments {
        let bytes: usize = moment.iter().map(|(_, record)| size(record)).sum();
        if moment.len() > MAX_RECORDS || bytes > MAX_BYTES {
            moment.retain(|(is_row, _)| !is_row);
        }
    }
    pack(moments, late)
}

fn pack(moments: Vec<Vec<(bool, StoredReadings)>>, late: bool) -> Plan {
    let count: usize = moments.iter().map(Vec::len).sum();
    // Late records make one full block two halves rather than a full one and a few records.
    let most = if late { count.div_ceil(count.div_ceil(MAX_RECORDS).max(1)) } else { MAX_RECORDS };
    let mut plan = Plan::default();
    let mut bytes = 0;
    for moment in moments {
        let more: usize = moment.iter().map(|(_, record)| size(record)).sum();
        let fits = plan.blocks.last().is_some_and(|block: &Vec<StoredReadings>| {
            block.len() + moment.len() <= most && bytes + more <= MAX_BYTES
        });
        if !fits {
            plan.blocks.push(Vec::new());
            bytes = 0;
        }
        bytes += more;
        let block = plan.blocks.last_mut().expect("one was pushed if there was none");
        for (is_row, record) in moment {
            plan.taken.extend(is_row.then_some((record.recorded_at_ms, record.content_hash)));
            block.push(record);
        }
    }
    plan.blocks.retain(|block| !block.is_empty());
    if plan.taken.is_empty() { Plan::default() } else { plan }
}

fn key(record: &StoredReadings) -> (u64, u32) {
    (record.recorded_at_ms, hash32(record.content_hash))
}

/// About what its values take.
fn size(record: &StoredReadings) -> usize {
    let value = |(_, value): &(u16, Value)| match value {
        Value::Text(text) => 8 + text.len(),
        Value::Flag(_) | Value::Integer(_) | Value::Number(_) => 8,
    };
    record.values.iter().map(value).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(recorded_at_ms: u64, hash: u64) -> StoredReadings {
        StoredReadings {
            recorded_at_ms,
            content_hash: hash << 32 | 7,
            received_at_ms: 5,
            timeless: false,
            values: vec![(0, Value::Integer(1))],
        }
    }

    fn times(range: std::ops::Range<u64>) -> Vec<StoredReadings> {
        range.map(|at| record(at, at)).collect()
    }

    #[test]
    fn blocks_fill_up_and_the_last_one_waits_for_more() {
        let first = plan(Vec::new(), times(0..5000));
        let lengths: Vec<usize> = first.blocks.iter().map(Vec::len).collect();
        assert_eq!((lengths, first.taken.len()), (vec![4096, 904], 5000));
        let next = plan(first.blocks[1].clone(), times(5000..9000));
        let lengths: Vec<usize> = next.blocks.iter().map(Vec::len).collect();
        assert_eq!((lengths, next.taken.len()), (vec![4096, 808], 4000));
    }

    #[test]
    fn late_rows_make_halves_of_a_full_block() {
        let there: Vec<StoredReadings> = (0..4096).map(|at| record(at * 2, 0)).collect();
        let done = plan(there, vec![record(3, 0)]);
        assert_eq!(done.blocks.iter().map(Vec::len).collect::<Vec<_>>(), [2049, 2048]);
        assert_eq!(done.taken, [(3, 7)]);
    }

    #[test]
    fn what_a_block_cannot_tell_apart_stays_a_row() {
        let (a, mut b) = (record(1, 9), record(1, 9));
        b.content_hash += 1;
        assert_eq!(plan(vec![a.clone()], vec![b.clone()]), Plan::default());
        let done = plan(Vec::new(), vec![a.clone(), b]);
        assert_eq!((done.blocks, done.taken), (vec![vec![a.clone()]], vec![(1, a.content_hash)]));
        // Nor does a moment that no packet could hold.
        let text = |hash| StoredReadings {
            values: vec![(0, Value::Text("x".repeat(200_000).into()))],
            ..record(5, hash)
        };
        let done = plan(Vec::new(), vec![a, text(1), text(2), text(3)]);
        assert_eq!(done.taken.len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(
            there in prop::collection::btree_set((0_u64..400, 0_u64..3), 0..300),
            rows in prop::collection::btree_set((0_u64..400, 0_u64..5), 1..300),
        ) {
            let of = |keys: &std::collections::BTreeSet<(u64, u64)>| -> Vec<StoredReadings> {
                keys.iter().map(|(at, hash)| record(*at, *hash)).collect()
            };
            let done = plan(of(&there), of(&rows));
            let mut all: Vec<StoredReadings> = done.blocks.concat();
            prop_assert!(all.is_sorted_by_key(key));
            for (before, after) in done.blocks.iter().zip(done.blocks.iter().skip(1)) {
                prop_assert!(before.last().unwrap().recorded_at_ms < after[0].recorded_at_ms);
            }
            all.dedup();
            let union = there.union(&rows).count();
            let new = rows.difference(&there).count();
            prop_assert_eq!(done.taken.len(), new);
            prop_assert_eq!(all.len(), if new == 0 { 0 } else { union });
        }
    }
}
