use nemeses_protocol::{DeadLetter, DecodeError, Reason, Tally};
use proptest::prelude::*;

use super::super::testing::record;
use super::*;

fn key(sequence: u64) -> BatchKey {
    BatchKey { worker: "w".into(), run: 7, sequence }
}

fn frame(device: u32, recorded_at: u32, frame_hash: u64, received_at_ms: u64) -> Record {
    Record::Position(PositionRecord { received_at_ms, ..record(device, recorded_at, frame_hash) })
}

fn letter(received_at_ms: u64) -> Record {
    Record::DeadLetter(Box::new(DeadLetter {
        topic: "/messenger".into(),
        offset: 0,
        reason: Reason::Decode(DecodeError::BadHeader),
        device: None,
        received_at_ms,
        bytes: vec![1],
    }))
}

fn part(sequence: u64, records: Vec<Record>) -> Part {
    Part { key: key(sequence), tallies: Vec::new(), records }
}

#[test]
fn equal_frames_are_one_row_and_its_duplicates() {
    let parts = [
        part(1, vec![frame(1, 600, 5, 60_000), frame(1, 600, 5, 120_001)]),
        part(2, vec![frame(1, 600, 5, 60_001), frame(1, 600, 6, 60_002)]),
    ];
    let plan = plan(&parts, &[], &[], &HashSet::new());
    assert_eq!(plan.rows().len(), 2);
    let settled = plan.settle(&[true, true], &[]);
    assert_eq!((settled.committed[0].stored, settled.committed[0].duplicates), (1, 1));
    assert_eq!((settled.committed[1].stored, settled.committed[1].duplicates), (1, 1));
    assert_eq!(
        settled.duplicates,
        [DuplicateRow {
            device: 1,
            recorded_at: 600,
            hash: 5,
            times: 2,
            last_received_at_ms: 120_001
        }]
    );
    let minutes: Vec<(u64, u32)> =
        settled.books.iter().map(|row| (row.key.sequence, row.minute)).collect();
    assert_eq!(minutes, [(1, 1), (1, 2), (2, 1)]);
}

#[test]
fn a_row_that_was_there_already_makes_all_its_bearers_duplicates() {
    let parts = [part(1, vec![frame(1, 600, 5, 1), frame(1, 600, 5, 2)])];
    let settled = plan(&parts, &[], &[], &HashSet::new()).settle(&[false], &[]);
    assert_eq!((settled.committed[0].stored, settled.committed[0].duplicates), (0, 2));
    assert_eq!(settled.duplicates[0].times, 2);
}

#[test]
fn a_key_in_the_books_or_offered_twice_is_a_repeat() {
    let records = vec![frame(1, 600, 5, 1)];
    let parts = [part(1, records.clone()), part(2, records.clone()), part(2, records)];
    let booked = HashSet::from([("w".to_owned(), 7, 1)]);
    let plan = plan(&parts, &[], &[], &booked);
    let settled = plan.settle(&[true], &[]);
    let repeated: Vec<bool> = settled.committed.iter().map(|part| part.repeated).collect();
    assert_eq!(repeated, [true, false, true]);
    assert_eq!(settled.books.len(), 1);
    assert!(!plan.is_empty());
}

#[test]
fn a_part_without_anything_still_enters_the_books() {
    let parts = [part(1, Vec::new())];
    let settled = plan(&parts, &[], &[], &HashSet::new()).settle(&[], &[]);
    assert_eq!(settled.books.len(), 1);
    assert_eq!(settled.books[0].totals, Totals::default());
    assert!(!settled.committed[0].repeated);
}

#[test]
fn days_are_listed_once() {
    let records = vec![
        frame(2, 86_400, 1, 0),
        frame(1, 10, 1, 0),
        frame(1, 20, 1, 0),
        frame(1, 86_399, 1, 0),
    ];
    let parts = [part(1, records)];
    let plan = plan(&parts, &[], &[], &HashSet::new());
    assert_eq!(plan.days(plan.position_days()), [(1, 0), (2, 1)]);
}

fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        9 => (0_u32..3, 0_u32..4, 0_u64..3, 0_u64..200_000)
            .prop_map(|(device, second, hash, at)| frame(device, second * 299, hash, at)),
        1 => (0_u64..200_000).prop_map(letter),
    ]
}

proptest! {
    #[test]
    fn the_books_balance_whatever_is_new(
        contents in prop::collection::vec(
            (prop::collection::vec(any_record(), 0..20), prop::collection::vec((0_u32..4, 0_u32..5), 0..3)),
            1..5,
        ),
        new in prop::collection::vec(any::<bool>(), 36),
    ) {
        let parts: Vec<Part> = contents
            .into_iter()
            .zip(1..)
            .map(|((records, tallies), sequence)| Part {
                tallies: tallies
                    .into_iter()
                    .map(|(minute, pings)| Tally { minute, pings })
                    .collect(),
                ..part(sequence, records)
            })
            .collect();
        let plan = plan(&parts, &[], &[], &HashSet::new());
        let rows = plan.rows();
        let is_new = &new[..rows.len()];
        let settled = plan.settle(is_new, &[]);

        let keys: HashSet<_> = rows.iter().map(|row| key_of(row)).collect();
        prop_assert_eq!(keys.len(), rows.len());
        prop_assert!(rows.is_sorted_by_key(|row| key_of(row)));

        let mut books = Totals::default();
        for row in &settled.books {
            prop_assert!(row.totals.balance());
            books.add(&row.totals);
        }
        let offered: usize = parts.iter().map(|part| part.records.len()).sum();
        let pings: u64 =
            parts.iter().flat_map(|part| &part.tallies).map(|tally| u64::from(tally.pings)).sum();
        prop_assert_eq!(books.received, offered as u64 + pings);
        prop_assert_eq!(books.stored, is_new.iter().filter(|new| **new).count() as u64);
        let itemised: u64 = settled.duplicates.iter().map(|row| row.times).sum();
        prop_assert_eq!(books.duplicates, itemised);
    }
}
