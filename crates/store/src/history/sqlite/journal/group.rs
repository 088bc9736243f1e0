//! Rows that are in the journal: how they gather, become a group in the order of
//! the table's key, and leave it in slices. Pure; the order of a group follows from
//! its batches alone, so that after a crash the number of rows that were put where
//! they belong tells which.

use nemeses_protocol::{BatchKey, PositionRecord};

use super::super::super::engine::key_of;

/// A row of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Index of its batch's key.
    pub(super) part: u32,
    pub(super) record: PositionRecord,
}

/// Rows of consecutive batches.
#[derive(Debug)]
pub(super) struct Group {
    /// The keys of the batches' parts.
    pub(super) parts: Vec<BatchKey>,
    /// In the order of the batches; once sealed, of the key.
    pub(super) rows: Vec<Row>,
    /// The last batch.
    pub(super) last_id: i64,
    /// The oldest recorded second.
    pub(super) oldest: u32,
}

impl Default for Group {
    fn default() -> Self {
        Self { parts: Vec::new(), rows: Vec::new(), last_id: 0, oldest: u32::MAX }
    }
}

impl Group {
    /// Where the parts of the next batch begin.
    pub(super) fn next_part(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX)
    }

    /// Adds a batch.
    pub(super) fn add(&mut self, id: i64, parts: Vec<BatchKey>, rows: Vec<Row>) {
        let oldest = rows.iter().map(|row| row.record.position.recorded_at).min();
        self.oldest = self.oldest.min(oldest.unwrap_or(u32::MAX));
        self.parts.extend(parts);
        self.rows.extend(rows);
        self.last_id = id;
    }

    /// Puts the rows in the order of their keys; equal ones stay in that of their arrival.
    pub(super) fn seal(mut self) -> Self {
        self.rows.sort_by_key(|row| key_of(&row.record));
        self
    }

    /// The next rows after `done` of a sealed group, at most so many, and whether they
    /// are the last.
    pub(super) fn slice(&self, done: usize, at_most: usize) -> (&[Row], bool) {
        let rest = self.rows.get(done..).unwrap_or_default();
        let length = rest.len().min(at_most);
        (&rest[..length], length == rest.len())
    }
}

/// A run of rows with one key.
pub(super) fn equals(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    rows.chunk_by(|a, b| key_of(&a.record) == key_of(&b.record))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::super::engine::testing::record;
    use super::*;

    fn row(part: u32, device: u32, recorded_at: u32, frame_hash: u64) -> Row {
        Row { part, record: record(device, recorded_at, frame_hash) }
    }

    proptest! {
        #[test]
        fn slices_are_the_group_in_the_order_of_its_keys(
            batches in prop::collection::vec(
                prop::collection::vec((0_u32..4, 0_u32..1000, 0_u64..2), 0..20), 0..8),
            at_most in 1_usize..9,
        ) {
            let mut group = Group::default();
            let mut all = Vec::new();
            for (id, batch) in (1_i64..).zip(&batches) {
                let part = group.next_part();
                let rows: Vec<Row> = batch
                    .iter()
                    .map(|(device, at, hash)| row(part, *device, *at, *hash))
                    .collect();
                all.extend(rows.clone());
                let key = BatchKey { worker: String::new(), run: 0, sequence: 0 };
                group.add(id, vec![key], rows);
            }
            all.sort_by_key(|row| key_of(&row.record));
            let group = group.seal();
            let mut sliced = Vec::new();
            loop {
                let (slice, is_last) = group.slice(sliced.len(), at_most);
                sliced.extend_from_slice(slice);
                prop_assert_eq!(is_last, sliced.len() == all.len());
                if is_last {
                    break;
                }
                prop_assert_eq!(slice.len(), at_most);
            }
            prop_assert_eq!(&sliced, &all);
            let runs: Vec<Row> = equals(&all).flatten().cloned().collect();
            prop_assert_eq!(runs, all);
        }
    }
}
