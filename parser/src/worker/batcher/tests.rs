use std::collections::BTreeSet;

use nemeses_protocol::{DeadLetter, MAX_BATCH_BYTES, Reason};
use proptest::prelude::*;

use super::*;

/// A record of this many bytes that can be told from others.
fn record(number: u64, bytes: usize) -> Record {
    Record::DeadLetter(Box::new(DeadLetter {
        topic: String::new(),
        offset: 0,
        reason: Reason::Future,
        device: None,
        received_at_ms: number,
        bytes: vec![0; bytes],
    }))
}

fn batcher(rows: usize, bytes: usize) -> Batcher<usize> {
    Batcher::new("parser-0".into(), 9, Limits { rows, bytes })
}

fn all<R>(batcher: &mut Batcher<R>) -> Vec<Batch<R>> {
    batcher.close();
    std::iter::from_fn(|| batcher.next_full()).collect()
}

#[test]
fn a_message_larger_than_a_batch_goes_over_several_and_is_due_after_the_last() {
    let mut batcher = batcher(10, MAX_BATCH_BYTES);
    let records = (0..25).map(|number| record(number, 1)).collect();
    assert_eq!(batcher.take(records, 2, 60_000, Instant::now(), 7), None);
    let mut closed = all(&mut batcher);
    let rows: Vec<_> = closed.iter().map(|batch| batch.message.records.len()).collect();
    assert_eq!(rows, [10, 10, 5]);
    assert_eq!(closed[2].message.tallies, [Tally { minute: 1, pings: 2 }]);
    let keys: Vec<_> = closed.iter().map(|batch| batch.message.key.sequence).collect();
    assert_eq!(keys, [1, 2, 3]);
    for index in [1, 0] {
        let share = closed.remove(index).shares.pop().unwrap();
        assert_eq!(share.published(), None);
    }
    assert_eq!(closed.remove(0).shares.pop().unwrap().published(), Some(7));
}

#[test]
fn pings_alone_make_a_batch() {
    let mut batcher = batcher(10, MAX_BATCH_BYTES);
    for minute in [1, 1, 2] {
        batcher.take(Vec::new(), 3, minute * 60_000, Instant::now(), 0);
    }
    let closed = all(&mut batcher);
    assert_eq!(closed.len(), 1);
    let tallies = [Tally { minute: 1, pings: 6 }, Tally { minute: 2, pings: 3 }];
    assert_eq!(closed[0].message.tallies, tallies);
}

#[test]
fn a_message_without_anything_is_due_at_once_and_opens_nothing() {
    let mut batcher = batcher(10, MAX_BATCH_BYTES);
    assert_eq!(batcher.take(Vec::new(), 0, 0, Instant::now(), 5), Some(5));
    assert!(batcher.opened().is_none());
    assert!(all(&mut batcher).is_empty());
}

#[test]
fn a_full_batch_is_ready_without_waiting() {
    let mut batcher = batcher(2, MAX_BATCH_BYTES);
    batcher.take(vec![record(0, 1)], 0, 0, Instant::now(), 0);
    assert!(!batcher.has_full() && batcher.opened().is_some());
    batcher.take(vec![record(1, 1)], 0, 0, Instant::now(), 1);
    assert!(batcher.has_full() && batcher.opened().is_none());
}

#[derive(Clone, Debug)]
struct Taken {
    sizes: Vec<usize>,
    pings: u32,
    minute: u64,
    flush: bool,
}

fn taken() -> impl Strategy<Value = Taken> {
    let sizes = prop_oneof![
        9 => proptest::collection::vec(0_usize..100, 0..5),
        1 => proptest::collection::vec(0_usize..32 * 1024, 0..40),
    ];
    (sizes, 0_u32..3, 0_u64..3, any::<bool>()).prop_map(|(sizes, pings, minute, flush)| Taken {
        sizes,
        pings,
        minute,
        flush,
    })
}

proptest! {
    /// Nothing is lost, doubled or reordered; every bound holds; a receipt comes
    /// exactly when the last batch with a part of its message is kept, and never
    /// when one of them is given up.
    #[test]
    fn neither_loses_nor_reorders_and_keeps_the_bounds(
        messages in proptest::collection::vec(taken(), 0..40),
        rows in 1_usize..20,
        bytes in (BatchMessage::BASE_LEN_ESTIMATE..MAX_BATCH_BYTES),
        order in any::<prop::sample::Index>(),
        given_up in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut batcher = batcher(rows, bytes);
        let now = Instant::now();
        let mut number = 0;
        let mut sent = Vec::new();
        let mut pings = 0_u64;
        let mut at_once = BTreeSet::new();
        for (receipt, message) in messages.iter().enumerate() {
            let records: Vec<_> = message.sizes.iter().map(|size| {
                number += 1;
                record(number, *size)
            }).collect();
            sent.extend(records.clone());
            pings += u64::from(message.pings);
            at_once.extend(batcher.take(records, message.pings, message.minute * 60_000, now, receipt));
            if message.flush {
                batcher.close();
            }
        }
        let closed = all(&mut batcher);
        for (index, batch) in closed.iter().enumerate() {
            let message = &batch.message;
            prop_assert_eq!(message.key.sequence, index as u64 + 1);
            prop_assert!(message.records.len() <= rows);
            prop_assert!(batch.shares.len() <= rows);
            prop_assert!(message.encoded_len() <= bytes || message.records.len() == 1);
            prop_assert!(message.encoded_len() <= MAX_BATCH_BYTES);
            prop_assert!(!message.records.is_empty() || !message.tallies.is_empty());
        }
        let received: Vec<_> =
            closed.iter().flat_map(|batch| batch.message.records.clone()).collect();
        prop_assert_eq!(received, sent);
        let counted: u64 = closed.iter()
            .flat_map(|batch| &batch.message.tallies).map(|tally| u64::from(tally.pings)).sum();
        prop_assert_eq!(counted, pings);
        let empty: BTreeSet<_> = messages.iter().enumerate()
            .filter(|(_, message)| message.sizes.is_empty() && message.pings == 0)
            .map(|(receipt, _)| receipt).collect();
        prop_assert_eq!(&at_once, &empty);

        // Kept in some other order, one perhaps given up.
        let mut closed: Vec<_> = closed.into_iter().map(|batch| batch.shares).collect();
        let count = closed.len();
        if count > 0 {
            closed.rotate_left(order.index(count));
        }
        let lost = given_up.filter(|_| count > 0).map(|index| index.index(count));
        let mut receipts = at_once;
        for (index, shares) in closed.into_iter().enumerate() {
            if lost != Some(index) {
                for receipt in shares.into_iter().filter_map(Share::published) {
                    prop_assert!(receipts.insert(receipt), "twice");
                }
            }
        }
        if lost.is_none() {
            prop_assert_eq!(receipts.len(), messages.len());
        } else {
            prop_assert!(receipts.len() < messages.len());
        }
    }
}

#[test]
fn a_followed_message_is_named_in_every_batch_that_holds_a_part_of_it() {
    let context = TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled: true };
    let mut batcher = batcher(10, MAX_BATCH_BYTES);
    let records = |count| (0..count).map(|number| record(number, 1)).collect::<Vec<_>>();
    batcher.take(records(3), 0, 0, Instant::now(), 1);
    batcher.follow(context);
    batcher.take(records(9), 0, 0, Instant::now(), 2);
    batcher.take(records(1), 0, 0, Instant::now(), 3);
    batcher.follow(context);
    batcher.take(Vec::new(), 1, 0, Instant::now(), 4);
    let closed = all(&mut batcher);
    let traces: Vec<_> = closed.iter().map(|batch| batch.message.traces.clone()).collect();
    assert_eq!(
        traces,
        [vec![BatchTrace { record: 3, context }], vec![BatchTrace { record: 0, context }]]
    );
}

#[test]
fn traces_count_against_the_bytes_of_a_batch() {
    let context = TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled: true };
    let one = record(0, 1).encoded_len_estimate();
    let bound = BatchMessage::BASE_LEN_ESTIMATE + 10 * (one + BatchTrace::ENCODED_LEN_ESTIMATE);
    let mut batcher = batcher(1000, bound);
    for number in 0..25 {
        batcher.follow(context);
        batcher.take(vec![record(number, 1)], 0, 0, Instant::now(), 1);
    }
    let closed = all(&mut batcher);
    let rows: Vec<_> = closed.iter().map(|batch| batch.message.traces.len()).collect();
    assert_eq!(rows, [10, 10, 5]);
    assert!(closed.iter().all(|batch| batch.message.encoded_len() <= bound));
}
