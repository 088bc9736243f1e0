//! Which batches go to the journal: many plain live frames, none of which can be a
//! duplicate by what is known here. All others are written where they belong at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use nemeses_protocol::{BatchKey, PositionRecord, Record};

use crate::hash::NumberHash;
use crate::history::engine::{Batch, BooksRow, Marks, Settled, fits_journal};
use crate::history::{Committed, Part};

/// Rows of the smallest batch that goes to the journal: a smaller one dirties few
/// pages, and at rates that make such batches nobody has to wait for groups.
const JOURNAL_FROM: usize = 64;
/// Lines of the books of a batch in the journal: parts times minutes of arrival. A
/// statement of each count is kept prepared.
const MAX_BOOKS: usize = 8;
/// Devices whose newest second is remembered: 18 bytes each at most, 4.5 MiB in all.
const MAX_DEVICES: usize = 250_000;

/// A batch for the journal.
pub(super) struct Journaled<'a> {
    /// Sorted by key, each key once, with the index of its part.
    pub(super) rows: Vec<(u32, &'a PositionRecord)>,
    /// The parts' keys.
    pub(super) parts: Vec<&'a BatchKey>,
    pub(super) books: Vec<BooksRow<'a>>,
    pub(super) exporter: &'a str,
    /// None, in the slot on which the batch relies.
    pub(super) marks: &'a Marks,
    pub(super) rule_marks: &'a [Vec<u8>],
}

/// Rows that are to be written beside the journal, by their recorded seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direct {
    /// The newest.
    pub(super) newest: u32,
    /// The newest of those that this process may have committed before.
    pub(super) newest_in_doubt: Option<u32>,
}

/// The newest second that this process has committed of each device. A row that is
/// newer is new, unless another process was faster; then the row is found to be a
/// duplicate when it is put where it belongs.
#[derive(Default)]
pub(super) struct Newest(Mutex<HashMap<u32, u32, NumberHash>>);

impl Newest {
    /// A batch for the journal, and what is reported of it once it is there; `None` when
    /// it is to be written otherwise.
    pub(super) fn fit<'a>(&self, batch: &'a Batch<'_>) -> Option<(Journaled<'a>, Vec<Committed>)> {
        let Batch { plan, exporter, marks, rule_marks } = batch;
        let rows = plan.borne();
        let fits = plan.letters.is_empty()
            && rows.len() >= JOURNAL_FROM
            && rows.iter().all(|(_, record)| fits_journal(record))
            && self.are_older_than(&rows);
        if !fits {
            return None;
        }
        let Settled { committed, books, .. } = plan.settle(&vec![true; rows.len()], &[]);
        let parts = plan.part_keys();
        let journaled = Journaled { rows, parts, books, exporter, marks, rule_marks };
        (journaled.books.len() <= MAX_BOOKS).then_some((journaled, committed))
    }

    /// Whether each of the rows, sorted by key, is newer than all before it.
    fn are_older_than(&self, rows: &[(u32, &PositionRecord)]) -> bool {
        let newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = None;
        rows.iter().all(|(_, record)| {
            let position = &record.position;
            let this = (position.device.number(), position.recorded_at);
            let equals_neighbour = before.replace(this) == Some(this);
            !equals_neighbour && newest.get(&this.0).is_some_and(|newest| *newest < this.1)
        })
    }

    /// What there is to know of rows beside the journal; none without rows.
    pub(super) fn direct(&self, parts: &[Part]) -> Option<Direct> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Option<Direct> = None;
        for record in parts.iter().flat_map(|part| &part.records) {
            let Record::Position(record) = record else { continue };
            let position = &record.position;
            let second = position.recorded_at;
            let newest = known.get(&position.device.number());
            let in_doubt = newest.is_none_or(|newest| second <= *newest).then_some(second);
            let before = found.unwrap_or(Direct { newest: 0, newest_in_doubt: None });
            found = Some(Direct {
                newest: before.newest.max(second),
                newest_in_doubt: before.newest_in_doubt.max(in_doubt),
            });
        }
        found
    }

    /// Notes rows that are committed.
    pub(super) fn learn(&self, parts: &[Part]) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in parts.iter().flat_map(|part| &part.records) {
            let Record::Position(record) = record else { continue };
            let position = &record.position;
            if let Some(second) = newest.get_mut(&position.device.number()) {
                *second = (*second).max(position.recorded_at);
                continue;
            }
            if newest.len() >= MAX_DEVICES {
                newest.clear();
            }
            newest.insert(position.device.number(), position.recorded_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::engine::testing::record;

    fn part(records: &[PositionRecord]) -> Part {
        Part {
            key: BatchKey { worker: "w".to_owned(), run: 1, sequence: 1 },
            tallies: Vec::new(),
            records: records.iter().cloned().map(Record::Position).collect(),
        }
    }

    #[test]
    fn only_what_is_newer_than_all_that_is_known_of_its_device_is_taken_to_be_new() {
        let newest = Newest::default();
        let judged = |rows: &[PositionRecord]| {
            let rows: Vec<_> = rows.iter().map(|record| (0, record)).collect();
            newest.are_older_than(&rows)
        };
        assert!(!judged(&[record(1, 20, 1)]), "a device never heard of");
        newest.learn(&[part(&[record(1, 20, 1), record(1, 10, 1), record(2, 5, 1)])]);
        assert!(judged(&[record(1, 21, 1), record(1, 22, 1), record(2, 6, 1)]));
        assert!(!judged(&[record(1, 20, 2)]), "another frame of the same second");
        assert!(!judged(&[record(1, 15, 1)]));
        assert!(!judged(&[record(1, 21, 1), record(1, 21, 2)]));
        assert!(!judged(&[record(1, 21, 1), record(3, 30, 1)]));
    }

    #[test]
    fn what_is_not_newer_than_all_that_is_known_of_its_device_is_in_doubt() {
        let newest = Newest::default();
        newest.learn(&[part(&[record(1, 20, 1)])]);
        let direct = |records: &[PositionRecord]| {
            newest.direct(&[part(records)]).map(|direct| (direct.newest, direct.newest_in_doubt))
        };
        assert_eq!(direct(&[]), None);
        assert_eq!(direct(&[record(1, 21, 1)]), Some((21, None)));
        assert_eq!(direct(&[record(1, 20, 1), record(1, 30, 1)]), Some((30, Some(20))));
        assert_eq!(direct(&[record(1, 3, 1), record(2, 9, 1)]), Some((9, Some(9))));
    }

    #[test]
    fn it_stays_bounded() {
        let newest = Newest::default();
        let devices = u32::try_from(MAX_DEVICES).unwrap() + 1;
        let records: Vec<_> = (0..devices).map(|device| record(device, 1, 1)).collect();
        newest.learn(&[part(&records)]);
        assert_eq!(newest.0.lock().unwrap().len(), 1);
    }
}
