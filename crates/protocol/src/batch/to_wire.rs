//! Records into protobuf.

use alloc::borrow::ToOwned;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use prost::Message as _;
use prost::encoding::{int32, message, sint32};

use super::{BatchMessage, BatchTrace, READINGS_SINCE, wire};
use crate::{
    Canary, DeadLetter, DecodeError, DeviceId, OptionalField, OptionalFields, PackedFields,
    PositionRecord, Reading, ReadingsRecord, Reason, Record, Value, write_readings,
};

/// A position without its raw bytes: record and kind 3 bytes each (key and a
/// length below 2^14), then keys and widest values of device 6, time 5, direction 4,
/// odometer 6, hour meter 6, composition 4, extension 4, speed 3, latitude 6,
/// longitude 6, hash 9, arrival 11.
const POSITION_LEN: usize = 3 + 3 + 70;
/// A dead letter without topic and bytes: record and kind 6 bytes each, keys and
/// lengths of topic and bytes 6 each, offset 6, device 6, arrival 11, reason 2 and
/// at most 30 letters.
const DEAD_LETTER_LEN: usize = 6 + 6 + 12 + 23 + 32;
/// Readings without position, names and values: record and kind 6 bytes each, identity and
/// its key at most 139, times and hash 29, the flag 2, key and length of the readings 6.
const READINGS_LEN: usize = 6 + 6 + 139 + 29 + 2 + 6;
/// A unit beside its bytes: keys, lengths and the reading's place.
const UNIT_LEN: usize = 9;
/// A reading's value at most, and its name's length, beside a text's bytes.
const READING_LEN: usize = 2 + 10 + 2;
/// Key and length of a byte field.
const BYTES_HEAD_LEN: usize = 6;

pub(super) fn encode(batch: &BatchMessage) -> Vec<u8> {
    let base = base(batch);
    let estimate: usize = batch.records.iter().map(record_len_estimate).sum();
    let mut out = Vec::with_capacity(base.encoded_len() + estimate);
    base.encode_raw(&mut out);
    for record in &batch.records {
        message::encode(wire::RECORDS, &to_record(record), &mut out);
    }
    out
}

pub(super) fn encoded_len(batch: &BatchMessage) -> usize {
    let record_len = |record| message::encoded_len(wire::RECORDS, &to_record(record));
    base(batch).encoded_len() + batch.records.iter().map(record_len).sum::<usize>()
}

pub(super) fn record_len_estimate(record: &Record) -> usize {
    match record {
        Record::Position(record) => position_len_estimate(record.packed.as_ref()),
        Record::DeadLetter(letter) => DEAD_LETTER_LEN + letter.topic.len() + letter.bytes.len(),
        Record::Readings(record) => {
            let position = record.position.as_deref();
            let position = position.map_or(0, |part| position_len_estimate(part.packed.as_ref()));
            let readings = record.readings.iter().map(reading_len_estimate).sum::<usize>();
            READINGS_LEN + position + readings
        }
    }
}

fn position_len_estimate(packed: Option<&PackedFields>) -> usize {
    let packed = packed.map_or(0, |packed| {
        // No field is longer than in the packed form, but for its key.
        2 * BYTES_HEAD_LEN + packed.as_bytes().len() + 2 * OptionalField::ALL.len()
    });
    POSITION_LEN + packed
}

fn reading_len_estimate(reading: &Reading) -> usize {
    let text = match &reading.value {
        Value::Text(text) => text.len(),
        Value::Flag(_) | Value::Integer(_) | Value::Number(_) => 0,
    };
    let unit = reading.unit.as_ref().map_or(0, |unit| UNIT_LEN + unit.len());
    READING_LEN + reading.channel.len() + text + unit
}

/// The batch without its records, which are written one at a time behind it, so
/// that they are not all held twice.
fn base(batch: &BatchMessage) -> wire::Batch {
    let tally = |tally: &crate::Tally| wire::Tally { minute: tally.minute, pings: tally.pings };
    wire::Batch {
        version: version(&batch.records),
        worker: batch.key.worker.clone(),
        run: batch.key.run,
        sequence: batch.key.sequence,
        tallies: batch.tallies.iter().map(tally).collect(),
        records: Vec::new(),
        traces: batch.traces.iter().map(to_trace).collect(),
        canaries: batch.canaries.iter().map(to_canary).collect(),
    }
}

fn to_trace(trace: &BatchTrace) -> wire::Trace {
    wire::Trace { record: trace.record, traceparent: trace.context.to_string() }
}

fn to_canary(canary: &Canary) -> wire::Canary {
    let Canary { sender, run, sequence } = canary;
    wire::Canary { sender: sender.clone(), run: *run, sequence: *sequence }
}

/// The first version that knows all reasons and fields of the records.
fn version(records: &[Record]) -> u32 {
    let since = |record: &Record| match record {
        Record::Position(record) => {
            record.optional().iter().map(|(field, _)| field.spec().since).max().unwrap_or(1)
        }
        Record::DeadLetter(letter) => since_of_reason(letter.reason),
        Record::Readings(_) => READINGS_SINCE,
    };
    records.iter().map(since).max().unwrap_or(1)
}

/// The first version that knows a reason.
const fn since_of_reason(reason: Reason) -> u32 {
    match reason {
        Reason::Quarantined | Reason::UnknownDevice => 2,
        Reason::BadPayload
        | Reason::BadLine
        | Reason::BadDevice
        | Reason::UnknownMember
        | Reason::Unsupported
        | Reason::BadValue
        | Reason::BadChannel
        | Reason::BadTime
        | Reason::BadUnit
        | Reason::TooManyValues
        | Reason::TooManyChannels
        | Reason::Decode(
            DecodeError::BadChecksum
            | DecodeError::BadCount
            | DecodeError::NoIdentity
            | DecodeError::SecondIdentity
            | DecodeError::BadDate
            | DecodeError::BadField
            | DecodeError::BadJson,
        ) => READINGS_SINCE,
        _ => 1,
    }
}

fn to_record(record: &Record) -> wire::Record {
    let kind = match record {
        Record::Position(record) => wire::Kind::Position(to_position(record)),
        Record::DeadLetter(letter) => wire::Kind::DeadLetter(to_dead_letter(letter)),
        Record::Readings(record) => wire::Kind::Readings(to_readings(record)),
    };
    wire::Record { kind: Some(kind) }
}

fn to_position(record: &PositionRecord) -> wire::Position {
    let position = &record.position;
    wire::Position {
        device: position.device.number(),
        recorded_at: position.recorded_at,
        direction_cdeg: position.direction_cdeg.into(),
        odometer_m: position.odometer_m,
        hour_meter_min: position.hour_meter_min,
        composition: position.composition.0.into(),
        extension: position.extension.map(u32::from),
        speed_kmh: position.speed_kmh.into(),
        latitude_udeg: position.latitude_udeg,
        longitude_udeg: position.longitude_udeg,
        frame_hash: record.frame_hash,
        received_at_ms: record.received_at_ms,
        raw: record.raw().map(ToOwned::to_owned),
        optional_fields: record.has_optional().then(|| to_optional(&record.optional())),
    }
}

fn to_optional(fields: &OptionalFields) -> Vec<u8> {
    let mut out = Vec::new();
    for (field, value) in fields.iter() {
        let tag = field.number().into();
        if field.spec().min < 0 {
            sint32::encode(tag, &value, &mut out);
        } else {
            int32::encode(tag, &value, &mut out);
        }
    }
    out
}

fn to_dead_letter(letter: &DeadLetter) -> wire::DeadLetter {
    wire::DeadLetter {
        topic: letter.topic.clone(),
        offset: letter.offset,
        reason: letter.reason.code().to_owned(),
        device: letter.device.map(DeviceId::number),
        received_at_ms: letter.received_at_ms,
        bytes: letter.bytes.clone(),
    }
}

fn to_readings(record: &ReadingsRecord) -> wire::Readings {
    let units = (0_u32..).zip(&record.readings).filter_map(|(reading, Reading { unit, .. })| {
        unit.as_deref().map(|unit| wire::Unit { reading, unit: unit.to_owned() })
    });
    wire::Readings {
        identity: record.identity.to_string(),
        recorded_at_ms: record.recorded_at_ms,
        timeless: record.timeless,
        content_hash: record.content_hash,
        received_at_ms: record.received_at_ms,
        encoded: write_readings(&record.readings),
        units: units.collect(),
        position: record.position_of(DeviceId::NONE).map(|position| wire::Position {
            // The record says so.
            device: 0,
            recorded_at: 0,
            frame_hash: 0,
            received_at_ms: 0,
            ..to_position(&position)
        }),
    }
}
