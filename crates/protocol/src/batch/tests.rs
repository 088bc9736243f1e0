use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::vec;

use prost::Message as _;

use super::BatchMessageError::{Malformed, Version};
use super::*;
use crate::{
    Composition, DeadLetter, DecodeError, DeviceId, MAX_DEAD_LETTER_BYTES, MAX_TOPIC_BYTES,
    OptionalField, OptionalFields, PackedFields, Position, PositionPart, PositionRecord, Reading,
    ReadingsRecord, Reason, Value, is_worker_name,
};

/// Every optional field with its largest value.
fn all_optional() -> OptionalFields {
    let mut fields = OptionalFields::NONE;
    for field in OptionalField::ALL {
        fields.set(field, field.spec().max).expect("within its bounds");
    }
    fields
}

fn with_optional(fields: &OptionalFields, raw: Option<&[u8]>) -> Record {
    let Record::Position(record) = widest_position(None) else { panic!("a position") };
    Record::Position(PositionRecord { packed: PackedFields::new(fields, raw), ..record })
}

/// The longest values that each field takes on the wire.
fn widest_position(raw: Option<usize>) -> Record {
    Record::Position(PositionRecord {
        frame_hash: u64::MAX,
        received_at_ms: u64::MAX,
        position: Position {
            device: DeviceId::new(u32::MAX),
            recorded_at: u32::MAX,
            direction_cdeg: u16::MAX,
            odometer_m: u32::MAX,
            hour_meter_min: u32::MAX,
            composition: Composition(u16::MAX),
            extension: Some(u16::MAX),
            speed_kmh: u8::MAX,
            latitude_udeg: i32::MIN,
            longitude_udeg: i32::MIN,
        },
        packed: raw.map(|length| PackedFields::from_stored(vec![7; length].into_boxed_slice())),
    })
}

fn dead_letter(topic_len: usize, len: usize, reason: Reason) -> Record {
    Record::DeadLetter(Box::new(DeadLetter {
        topic: "t".repeat(topic_len),
        offset: u32::MAX,
        reason,
        device: Some(DeviceId::new(u32::MAX)),
        received_at_ms: u64::MAX,
        bytes: vec![0xFF; len],
    }))
}

fn batch(records: Vec<Record>) -> BatchMessage {
    BatchMessage {
        key: BatchKey { worker: "parser-0".to_owned(), run: u64::MAX, sequence: 1 },
        tallies: vec![Tally { minute: 26_560_620, pings: 3 }, Tally::default()],
        records,
        traces: Vec::new(),
        canaries: Vec::new(),
    }
}

/// A batch's wire form, changed by the test before it is written.
fn tampered(change: impl FnOnce(&mut wire::Batch)) -> Result<BatchMessage, BatchMessageError> {
    let records =
        vec![widest_position(None), dead_letter(1, 1, Reason::Decode(DecodeError::BadFooter))];
    let mut message = wire::Batch::decode(&*batch(records).encode()).expect("our own message");
    change(&mut message);
    BatchMessage::decode(&message.encode_to_vec())
}

fn position_of(message: &mut wire::Batch) -> &mut wire::Position {
    match &mut message.records[0].kind {
        Some(wire::Kind::Position(position)) => position,
        other => panic!("the first record is a position, not {other:?}"),
    }
}

fn letter_of(message: &mut wire::Batch) -> &mut wire::DeadLetter {
    match &mut message.records[1].kind {
        Some(wire::Kind::DeadLetter(letter)) => letter,
        other => panic!("the second record is a dead letter, not {other:?}"),
    }
}

#[test]
fn what_was_written_is_read() {
    let records = vec![
        widest_position(None),
        widest_position(Some(35)),
        dead_letter(0, 0, Reason::Refused),
        dead_letter(MAX_TOPIC_BYTES, MAX_DEAD_LETTER_BYTES, Reason::Future),
    ];
    for message in [batch(records), batch(Vec::new())] {
        let bytes = message.encode();
        assert_eq!(bytes.len(), message.encoded_len());
        assert_eq!(BatchMessage::decode(&bytes), Ok(message));
    }
}

#[test]
fn estimates_are_upper_bounds_and_close() {
    let reasons = DecodeError::ALL.map(Reason::Decode);
    let longest = reasons.into_iter().max_by_key(|reason| reason.code().len()).expect("some");
    let empty = batch(Vec::new()).encoded_len();
    for record in [
        widest_position(None),
        widest_position(Some(35)),
        with_optional(&all_optional(), None),
        with_optional(&all_optional(), Some(&[0x50; 35])),
        dead_letter(10, 100, longest),
        dead_letter(MAX_TOPIC_BYTES, MAX_DEAD_LETTER_BYTES, longest),
    ] {
        let estimate = record.encoded_len_estimate();
        let added = batch(vec![record]).encoded_len() - empty;
        assert!((added..added + 40).contains(&estimate), "{estimate} for {added} bytes");
        assert!(estimate + BatchMessage::BASE_LEN_ESTIMATE <= MAX_BATCH_BYTES);
    }
}

#[test]
fn the_base_estimate_holds_for_the_largest_base() {
    let mut message = batch(Vec::new());
    message.key = BatchKey { worker: "w".repeat(64), run: u64::MAX, sequence: u64::MAX };
    message.tallies = vec![Tally { minute: u32::MAX, pings: u32::MAX }; MAX_BATCH_ROWS];
    assert!(message.encoded_len() <= BatchMessage::BASE_LEN_ESTIMATE);
    assert_eq!(BatchMessage::decode(&message.encode()), Ok(message));
}

#[test]
fn a_full_batch_of_positions_fits() {
    let full = batch(vec![with_optional(&all_optional(), Some(&[0x50; 35])); MAX_BATCH_ROWS]);
    assert!(full.encoded_len() <= MAX_BATCH_BYTES);
    assert_eq!(BatchMessage::decode(&full.encode()), Ok(full));
}

#[test]
fn bounds_are_checked_before_memory_is_taken() {
    let rows = tampered(|message| message.records = vec![wire::Record::default(); 1001]);
    assert_eq!(rows, Err(Malformed("more than 1000 records")));
    let tallies = tampered(|message| message.tallies = vec![wire::Tally::default(); 1001]);
    assert_eq!(tallies, Err(Malformed("more than 1000 tallies")));
    let bytes = vec![0; MAX_BATCH_BYTES + 1];
    assert_eq!(BatchMessage::decode(&bytes), Err(Malformed("larger than 256 KiB")));
}

#[test]
fn versions() {
    let later = DB_MESSAGE_VERSION + 1;
    assert_eq!(tampered(|message| message.version = later), Err(Version(later)));
    assert_eq!(tampered(|message| message.version = 0), Err(Malformed("no version")));
    assert_eq!(BatchMessage::decode(b""), Err(Malformed("no version")));
}

#[test]
fn the_version_is_the_first_that_knows_the_reasons() {
    let version = |reason| {
        let mut message = batch(vec![dead_letter(1, 1, reason)]).encode();
        message.truncate(2);
        message
    };
    assert_eq!(version(Reason::Future), [8, 1]);
    assert_eq!(version(Reason::Quarantined), [8, 2]);
    assert_eq!(version(Reason::UnknownDevice), [8, 2]);
    let kept = batch(vec![dead_letter(1, 1, Reason::Quarantined)]);
    assert_eq!(BatchMessage::decode(&kept.encode()), Ok(kept));
}

fn version_of(message: &BatchMessage) -> u32 {
    wire::Batch::decode(&*message.encode()).expect("our own message").version
}

/// A batch without optional fields is one that builds of before read, byte for byte.
#[test]
fn the_version_is_the_first_that_knows_the_optional_fields() {
    assert_eq!(version_of(&batch(vec![widest_position(Some(35))])), 1);
    for field in OptionalField::ALL {
        let mut fields = OptionalFields::NONE;
        fields.set(field, field.spec().min).expect("within its bounds");
        let message = batch(vec![widest_position(None), with_optional(&fields, None)]);
        assert_eq!(version_of(&message), field.spec().since);
    }
    let letter = dead_letter(1, 1, Reason::Quarantined);
    assert!(version_of(&batch(vec![with_optional(&all_optional(), None), letter])) >= 3);
}

#[test]
fn any_subset_of_optional_fields_is_read_as_it_was_written() {
    for bits in 0..1_u32 << OptionalField::ALL.len() {
        let mut fields = OptionalFields::NONE;
        for field in OptionalField::ALL {
            if bits >> (field.number() - 1) & 1 == 1 {
                let spec = field.spec();
                fields.set(field, if bits % 2 == 0 { spec.min } else { spec.max }).expect("one");
            }
        }
        let raw = (bits % 3 == 0).then_some(&[0x50_u8; 35][..]);
        let message = batch(vec![with_optional(&fields, raw)]);
        let bytes = message.encode();
        assert_eq!(bytes.len(), message.encoded_len());
        assert_eq!(BatchMessage::decode(&bytes), Ok(message));
    }
}

#[test]
fn optional_fields_that_cannot_be_kept_are_an_error_and_not_a_loss() {
    let read = |bytes: &[u8]| {
        tampered(|message| position_of(message).optional_fields = Some(bytes.to_vec()))
    };
    // Field 1 (recorded_ms) with 1000, field 99, and half a field.
    let beyond = read(&[0x08, 0xE8, 0x07]);
    assert_eq!(beyond, Err(Malformed("an optional field out of its bounds")));
    let unknown = read(&[0x98, 0x06, 0x01]);
    assert_eq!(unknown, Err(Malformed("an optional field that this version does not know")));
    assert_eq!(read(&[0x08]), Err(Malformed("not protobuf")));
    assert_eq!(read(&[]), tampered(|_| {}), "none");
}

#[test]
fn bytes_that_are_no_protobuf() {
    for bytes in [&b"50F7"[..], b"\xFF\xFF\xFF", b"\x08\x01\x32\x7F"] {
        assert_eq!(BatchMessage::decode(bytes), Err(Malformed("not protobuf")), "{bytes:?}");
    }
}

#[test]
fn the_key_is_checked() {
    let bad_worker = Err(Malformed("worker is not 1 to 64 of A-Z a-z 0-9 . _ -"));
    for worker in ["", "a b", "ä", "a/b", &"w".repeat(65)] {
        assert!(!is_worker_name(worker));
        assert_eq!(tampered(|message| worker.clone_into(&mut message.worker)), bad_worker);
    }
    assert!(is_worker_name("Node_1.eu-west-0") && is_worker_name(&"w".repeat(64)));
    assert_eq!(tampered(|message| message.sequence = 0), Err(Malformed("no sequence")));
}

#[test]
fn fields_wider_than_their_type() {
    let too_wide: [(fn(&mut wire::Position), _); 4] = [
        (|position| position.direction_cdeg = 1 << 16, "direction_cdeg beyond 16 bits"),
        (|position| position.composition = 1 << 16, "composition beyond 16 bits"),
        (|position| position.extension = Some(1 << 16), "extension beyond 16 bits"),
        (|position| position.speed_kmh = 1 << 8, "speed_kmh beyond 8 bits"),
    ];
    for (widen, complaint) in too_wide {
        let read = tampered(|message| widen(position_of(message)));
        assert_eq!(read, Err(Malformed(complaint)));
    }
}

#[test]
fn dead_letters_keep_their_bounds() {
    let topic = tampered(|message| letter_of(message).topic = "t".repeat(MAX_TOPIC_BYTES + 1));
    assert_eq!(topic, Err(Malformed("a dead letter's topic is longer than 65535 bytes")));
    let bytes = tampered(|message| letter_of(message).bytes = vec![0; MAX_DEAD_LETTER_BYTES + 1]);
    assert_eq!(bytes, Err(Malformed("a dead letter is longer than 32 KiB")));
}

#[test]
fn what_a_later_version_may_add_is_an_error_and_not_a_loss() {
    let kind = tampered(|message| message.records[0].kind = None);
    assert_eq!(kind, Err(Malformed("a record of a kind that this version does not know")));
    let reason = tampered(|message| "new".clone_into(&mut letter_of(message).reason));
    assert_eq!(reason, Err(Malformed("a reason that this version does not know")));
    // Field 15 of the record, an empty message.
    let mut bytes = batch(Vec::new()).encode();
    bytes.extend_from_slice(&[0x32, 0x02, 0x7A, 0x00]);
    let unknown_kind = BatchMessage::decode(&bytes);
    assert_eq!(unknown_kind, Err(Malformed("a record of a kind that this version does not know")));
}

#[test]
fn fields_that_are_not_known_are_passed_over() {
    let mut bytes = batch(Vec::new()).encode();
    // Field 99, varint 1.
    bytes.extend_from_slice(&[0x98, 0x06, 0x01]);
    assert_eq!(BatchMessage::decode(&bytes), Ok(batch(Vec::new())));
}

#[test]
fn canaries_that_are_none_or_too_many_are_passed_over() {
    let canary = |sender: &str| wire::Canary { sender: sender.to_owned(), run: 1, sequence: 2 };
    let read = tampered(|message| {
        message.canaries = vec![canary("a/b"), canary("")];
        message.canaries.extend(vec![canary("parser-0"); MAX_BATCH_CANARIES + 1]);
    });
    let read = read.expect("a batch").canaries;
    assert_eq!(read.len(), MAX_BATCH_CANARIES);
    assert!(read.iter().all(|canary| canary.sender == "parser-0"));
}

/// Nothing depends on a trace, so none spoils a batch.
#[test]
fn traces_that_are_none_are_passed_over() {
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = |record, text: &str| wire::Trace { record, traceparent: text.to_owned() };
    let read = tampered(|message| {
        let beyond = u32::try_from(message.records.len()).unwrap();
        message.traces = vec![trace(0, "rubbish"), trace(beyond, good), trace(u32::MAX, good)];
        message.traces.extend([trace(1, good), trace(1, good), trace(1, good)]);
    });
    let read = read.expect("a batch").traces;
    assert_eq!(read.len(), 2, "as many as records");
    assert!(
        read.iter().all(|trace| trace.record == 1 && alloc::format!("{}", trace.context) == good)
    );
}

#[test]
fn a_record_of_an_identity_has_a_position_readings_or_both() {
    let Record::Position(PositionRecord { position, packed, .. }) =
        with_optional(&all_optional(), Some(&[0x50; 35]))
    else {
        panic!("a position")
    };
    let part = Box::new(PositionPart { position, packed });
    let reading = Reading { channel: "door".into(), unit: None, value: Value::Flag(true) };
    for (position, readings, good) in [
        (Some(part.clone()), vec![reading.clone()], true),
        (Some(part), Vec::new(), true),
        (None, vec![reading], true),
        (None, Vec::new(), false),
    ] {
        let record = ReadingsRecord {
            identity: "id:a".parse().expect("one"),
            recorded_at_ms: 1_593_637_200_500,
            timeless: false,
            content_hash: 7,
            received_at_ms: 8,
            position,
            readings,
        };
        let before = record.clone();
        let record = Record::Readings(Box::new(record));
        let estimate = record.encoded_len_estimate();
        let message = batch(vec![record]);
        assert_eq!(version_of(&message), 3);
        assert!(message.encoded_len() - batch(Vec::new()).encoded_len() <= estimate);
        let Ok(again) = BatchMessage::decode(&message.encode()) else {
            assert!(!good);
            continue;
        };
        assert!(good);
        let [Record::Readings(again)] = &again.records[..] else { panic!("{again:?}") };
        // Whose it is and when is the record's to say.
        let device = DeviceId::new(9);
        assert_eq!(again.position_of(device), before.position_of(device));
        assert_eq!(again.readings, before.readings);
    }
}
