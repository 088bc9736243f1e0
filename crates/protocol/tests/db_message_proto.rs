//! `docs/db-message.proto` says what the program writes: a batch in which every
//! field is set is read by the file's names, numbers and types alone.
#![allow(missing_docs, reason = "a test program")]

#[path = "common/proto.rs"]
mod proto;

use std::collections::BTreeSet;

use nemeses_protocol::{
    BatchKey, BatchMessage, BatchTrace, Canary, Composition, DB_MESSAGE_VERSION, DeadLetter,
    DeviceId, OptionalField, OptionalFields, PackedFields, Position, PositionPart, PositionRecord,
    Reading, ReadingsRecord, Reason, Record, Tally, TraceContext, Value,
};

const FILE: &str = include_str!("../../../docs/db-message.proto");

const FOLLOWED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Each with the smallest value that it can have.
fn optional_fields() -> OptionalFields {
    let mut fields = OptionalFields::NONE;
    for field in OptionalField::ALL {
        fields.set(field, field.spec().min).expect("within its bounds");
    }
    fields
}

fn position() -> Position {
    Position {
        device: DeviceId::new(671_603),
        recorded_at: 1_593_637_200,
        direction_cdeg: 5_487,
        odometer_m: 25_000_000,
        hour_meter_min: 36_000,
        composition: Composition(0xB800),
        extension: Some(0x8400),
        speed_kmh: 60,
        latitude_udeg: -19_932_833,
        longitude_udeg: 43_938_493,
    }
}

fn batch() -> BatchMessage {
    let record = PositionRecord {
        position: position(),
        frame_hash: 0xD0A4_4B46_D9F4_12B7,
        received_at_ms: 1_593_637_201_234,
        packed: PackedFields::new(&optional_fields(), Some(&[0x50, 0xF7])),
    };
    let letter = DeadLetter {
        topic: "/messenger/0A3F73".to_owned(),
        offset: 33,
        reason: Reason::IdentityMismatch,
        device: Some(DeviceId::new(7)),
        received_at_ms: 1_593_637_202_345,
        bytes: vec![0xDE, 0xAD],
    };
    BatchMessage {
        key: BatchKey { worker: "parser-0".to_owned(), run: u64::MAX - 1, sequence: 9 },
        tallies: vec![Tally { minute: 26_560_620, pings: 3 }],
        records: vec![
            Record::Position(record),
            Record::DeadLetter(Box::new(letter)),
            Record::Readings(Box::new(readings())),
        ],
        traces: vec![BatchTrace {
            record: 1,
            context: TraceContext::parse(FOLLOWED).expect("one"),
        }],
        canaries: vec![Canary { sender: "parser-1".to_owned(), run: 5, sequence: 6 }],
    }
}

fn readings() -> ReadingsRecord {
    let reading = |channel: &str, unit: Option<&str>, value| Reading {
        channel: channel.into(),
        unit: unit.map(Into::into),
        value,
    };
    let readings = vec![
        reading("door", None, Value::Flag(true)),
        reading("temperature", Some("Cel"), Value::Number(21.5)),
    ];
    ReadingsRecord {
        identity: "id:a".parse().expect("one"),
        recorded_at_ms: 1_593_637_200_500,
        timeless: true,
        content_hash: 77,
        received_at_ms: 1_593_637_203_456,
        position: Some(Box::new(PositionPart { position: position(), packed: None })),
        readings,
    }
}

const EXPECTED: &[&str] = &[
    "worker=parser-0",
    "run=18446744073709551614",
    "sequence=9",
    "tallies.minute=26560620",
    "tallies.pings=3",
    "traces.record=1",
    "traces.traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "canaries.sender=parser-1",
    "canaries.run=5",
    "canaries.sequence=6",
    "records.position.device=671603",
    "records.position.recorded_at=1593637200",
    "records.position.direction_cdeg=5487",
    "records.position.odometer_m=25000000",
    "records.position.hour_meter_min=36000",
    "records.position.composition=47104",
    "records.position.extension=33792",
    "records.position.speed_kmh=60",
    "records.position.latitude_udeg=-19932833",
    "records.position.longitude_udeg=43938493",
    "records.position.frame_hash=15034224223746003639",
    "records.position.received_at_ms=1593637201234",
    "records.position.raw=[50, F7]",
    "records.dead_letter.topic=/messenger/0A3F73",
    "records.dead_letter.offset=33",
    "records.dead_letter.reason=identity_mismatch",
    "records.dead_letter.device=7",
    "records.dead_letter.received_at_ms=1593637202345",
    "records.dead_letter.bytes=[DE, AD]",
    "records.readings.identity=id:a",
    "records.readings.recorded_at_ms=1593637200500",
    "records.readings.timeless=1",
    "records.readings.content_hash=77",
    "records.readings.received_at_ms=1593637203456",
    "records.readings.encoded=[04, 64, 6F, 6F, 72, 01, 0B, 74, 65, 6D, 70, 65, 72, 61, 74, 75, 72, 65, 11, AE, 03]",
    "records.readings.units.reading=1",
    "records.readings.units.unit=Cel",
    "records.readings.position.direction_cdeg=5487",
    "records.readings.position.odometer_m=25000000",
    "records.readings.position.hour_meter_min=36000",
    "records.readings.position.composition=47104",
    "records.readings.position.extension=33792",
    "records.readings.position.speed_kmh=60",
    "records.readings.position.latitude_udeg=-19932833",
    "records.readings.position.longitude_udeg=43938493",
];

#[test]
fn the_file_reads_what_the_program_writes() {
    let schema = proto::schema(FILE);
    assert_eq!(proto::values(&schema, "Batch", &batch().encode()), expected());
}

/// The version, [`EXPECTED`], and the optional fields behind the position's raw bytes.
fn expected() -> Vec<String> {
    let optional = |(field, value): (OptionalField, i32)| {
        format!("records.position.optional_fields.{}={value}", field.spec().name)
    };
    let mut lines: Vec<String> = EXPECTED.iter().map(|line| (*line).to_owned()).collect();
    let at = lines.iter().position(|line| line.starts_with("records.dead_letter")).expect("one");
    lines.splice(at..at, optional_fields().iter().map(optional));
    lines.insert(0, format!("version={DB_MESSAGE_VERSION}"));
    lines
}

#[test]
fn every_field_of_the_file_is_written() {
    let declared: BTreeSet<String> = proto::schema(FILE)
        .values()
        .flat_map(|fields| fields.values().map(|field| field.name.clone()))
        .collect();
    let written: BTreeSet<String> = expected()
        .iter()
        .filter_map(|line| line.split('=').next())
        .flat_map(|path| path.split('.').map(str::to_owned))
        .collect();
    assert_eq!(declared, written);
}

/// An absent value must be told from a zero exactly where the program tells them
/// apart.
#[test]
fn what_may_be_absent_is_optional() {
    let optional: BTreeSet<String> = proto::schema(FILE)
        .values()
        .flat_map(|fields| fields.values().cloned())
        .filter(|field| field.label == "optional")
        .map(|field| field.name)
        .collect();
    let names = OptionalField::ALL.map(|field| field.spec().name.to_owned());
    let others = ["device", "extension", "raw", "optional_fields"].map(str::to_owned);
    let expected: BTreeSet<String> = names.into_iter().chain(others).collect();
    assert_eq!(optional, expected);
}

#[test]
fn the_file_names_the_latest_version() {
    assert!(FILE.contains("package nemeses.db.v1;"));
    assert!(FILE.contains(&format!("version {DB_MESSAGE_VERSION}.")));
}
