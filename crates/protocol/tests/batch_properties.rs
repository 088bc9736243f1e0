//! What holds for all `/DB` messages and for all bytes.
#![allow(missing_docs, reason = "a test program")]

mod common;

use common::{any_optional, any_position};
use nemeses_protocol::{
    BatchKey, BatchMessage, BatchTrace, Canary, DeadLetter, DecodeError, DeviceId,
    MAX_BATCH_CANARIES, PackedFields, PositionRecord, Reason, Record, Tally, TraceContext,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn any_reason() -> impl Strategy<Value = Reason> {
    let policy = [Reason::IdentityMismatch, Reason::TopicMismatch, Reason::Future, Reason::Refused];
    let all = policy.into_iter().chain(DecodeError::ALL.map(Reason::Decode));
    select(all.collect::<Vec<_>>())
}

fn any_record() -> impl Strategy<Value = Record> {
    let raw = proptest::option::of(vec(any::<u8>(), 1..40));
    let packed =
        (any_optional(), raw).prop_map(|(fields, raw)| PackedFields::new(&fields, raw.as_deref()));
    let position = (any_position(), any::<u64>(), any::<u64>(), packed).prop_map(
        |(position, frame_hash, received_at_ms, packed)| {
            Record::Position(PositionRecord { position, frame_hash, received_at_ms, packed })
        },
    );
    let identity = (".{0,30}", any::<u32>(), any_reason(), any::<Option<u32>>());
    let letter = (identity, any::<u64>(), vec(any::<u8>(), 0..200)).prop_map(
        |((topic, offset, reason, device), received_at_ms, bytes)| {
            let device = device.map(DeviceId::new);
            let letter = DeadLetter { topic, offset, reason, device, received_at_ms, bytes };
            Record::DeadLetter(Box::new(letter))
        },
    );
    prop_oneof![position, letter]
}

fn trace((at, record): (usize, &Record)) -> BatchTrace {
    let trace_id = (u128::from(record.received_at_ms()) + 1).to_be_bytes();
    let context = TraceContext { trace_id, span_id: [7; 8], sampled: at % 2 == 0 };
    BatchTrace { record: u32::try_from(at).unwrap_or_default(), context }
}

fn any_batch() -> impl Strategy<Value = BatchMessage> {
    let key = ("[A-Za-z0-9._-]{1,64}", any::<u64>(), 1..=u64::MAX)
        .prop_map(|(worker, run, sequence)| BatchKey { worker, run, sequence });
    let tally = any::<(u32, u32)>().prop_map(|(minute, pings)| Tally { minute, pings });
    (key, vec(tally, 0..4), vec(any_record(), 0..20)).prop_map(|(key, tallies, records)| {
        let traces = records.iter().enumerate().step_by(3).map(trace).collect();
        let canaries = (0..records.len() as u64).map(|sequence| Canary {
            sender: key.worker.clone(),
            run: key.run,
            sequence,
        });
        let canaries = canaries.take(MAX_BATCH_CANARIES).collect();
        BatchMessage { key, tallies, records, traces, canaries }
    })
}

proptest! {
    #![proptest_config(common::config())]

    #[test]
    fn a_batch_is_read_as_it_was_written(batch in any_batch()) {
        let bytes = batch.encode();
        prop_assert_eq!(bytes.len(), batch.encoded_len());
        let records: usize = batch.records.iter().map(Record::encoded_len_estimate).sum();
        let traces = batch.traces.len() * BatchTrace::ENCODED_LEN_ESTIMATE;
        prop_assert!(bytes.len() <= BatchMessage::BASE_LEN_ESTIMATE + records + traces);
        prop_assert_eq!(BatchMessage::decode(&bytes), Ok(batch));
    }

    #[test]
    fn any_bytes_are_a_batch_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(batch) = BatchMessage::decode(&bytes) {
            prop_assert_eq!(BatchMessage::decode(&batch.encode()), Ok(batch));
        }
    }

    #[test]
    fn a_damaged_batch_is_a_batch_or_an_error(
        batch in any_batch(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
        length in any::<Index>(),
    ) {
        let mut bytes = batch.encode();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(length.index(bytes.len() + 1));
        if let Ok(batch) = BatchMessage::decode(&bytes) {
            prop_assert_eq!(BatchMessage::decode(&batch.encode()), Ok(batch));
        }
    }
}
