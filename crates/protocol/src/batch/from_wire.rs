//! Protobuf into records, within bounds.

use alloc::boxed::Box;
use alloc::vec::Vec;

use prost::Message as _;
use prost::encoding::{DecodeContext, decode_key, int32, sint32, skip_field};

use super::BatchMessageError::{self, Malformed, Version};
use super::{BatchMessage, BatchTrace, DB_MESSAGE_VERSION, MAX_BATCH_BYTES, MAX_BATCH_ROWS, wire};
use crate::{
    BatchKey, Canary, Composition, DeadLetter, DeviceId, MAX_BATCH_CANARIES, MAX_DEAD_LETTER_BYTES,
    MAX_READINGS_BYTES, MAX_TOPIC_BYTES, OptionalField, OptionalFields, PackedFields, Position,
    PositionPart, PositionRecord, ReadingsRecord, Reason, Record, Tally, TraceContext, is_unit,
    is_worker_name, read_readings,
};

const NOT_PROTOBUF: BatchMessageError = Malformed("not protobuf");

pub(super) fn decode(bytes: &[u8]) -> Result<BatchMessage, BatchMessageError> {
    if bytes.len() > MAX_BATCH_BYTES {
        return Err(Malformed("larger than 256 KiB"));
    }
    check_version(bytes)?;
    check_counts(bytes)?;
    let batch = wire::Batch::decode(bytes).map_err(|_| NOT_PROTOBUF)?;
    let records = batch.records.into_iter().map(record).collect::<Result<Vec<_>, _>>()?;
    Ok(BatchMessage {
        key: key(batch.worker, batch.run, batch.sequence)?,
        tallies: batch.tallies.into_iter().map(tally).collect(),
        traces: traces(&batch.traces, records.len()),
        canaries: canaries(batch.canaries),
        records,
    })
}

/// The version alone, so that a later version is named as such even when the rest
/// is not readable for this one.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct VersionOnly {
    #[prost(uint32, tag = "1")]
    version: u32,
}

fn check_version(bytes: &[u8]) -> Result<(), BatchMessageError> {
    match VersionOnly::decode(bytes).map_err(|_| NOT_PROTOBUF)?.version {
        0 => Err(Malformed("no version")),
        1..=DB_MESSAGE_VERSION => Ok(()),
        later => Err(Version(later)),
    }
}

/// Counts before anything is taken apart: an empty record is two bytes on the
/// wire and a hundred in memory.
fn check_counts(mut bytes: &[u8]) -> Result<(), BatchMessageError> {
    let (mut records, mut tallies) = (0_usize, 0_usize);
    while !bytes.is_empty() {
        let (field, wire_type) = decode_key(&mut bytes).map_err(|_| NOT_PROTOBUF)?;
        skip_field(wire_type, field, &mut bytes, DecodeContext::default())
            .map_err(|_| NOT_PROTOBUF)?;
        records += usize::from(field == wire::RECORDS);
        tallies += usize::from(field == wire::TALLIES);
    }
    if records > MAX_BATCH_ROWS {
        return Err(Malformed("more than 1000 records"));
    }
    if tallies > MAX_BATCH_ROWS {
        return Err(Malformed("more than 1000 tallies"));
    }
    Ok(())
}

fn key(
    worker: alloc::string::String,
    run: u64,
    sequence: u64,
) -> Result<BatchKey, BatchMessageError> {
    if !is_worker_name(&worker) {
        return Err(Malformed("worker is not 1 to 64 of A-Z a-z 0-9 . _ -"));
    }
    if sequence == 0 {
        return Err(Malformed("no sequence"));
    }
    Ok(BatchKey { worker, run, sequence })
}

fn tally(tally: wire::Tally) -> Tally {
    Tally { minute: tally.minute, pings: tally.pings }
}

/// Nothing depends on traces: those that are none, or that name no record, are
/// passed over, and so are more than there are records.
fn traces(traces: &[wire::Trace], records: usize) -> Vec<BatchTrace> {
    let read = |trace: &wire::Trace| {
        let names_one = usize::try_from(trace.record).is_ok_and(|at| at < records);
        let context = TraceContext::parse(&trace.traceparent).filter(|_| names_one)?;
        Some(BatchTrace { record: trace.record, context })
    };
    traces.iter().filter_map(read).take(records).collect()
}

/// Nothing depends on canaries either.
fn canaries(canaries: Vec<wire::Canary>) -> Vec<Canary> {
    let read = |wire::Canary { sender, run, sequence }| {
        is_worker_name(&sender).then_some(Canary { sender, run, sequence })
    };
    canaries.into_iter().filter_map(read).take(MAX_BATCH_CANARIES).collect()
}

fn record(record: wire::Record) -> Result<Record, BatchMessageError> {
    match record.kind {
        Some(wire::Kind::Position(position)) => position_record(&position).map(Record::Position),
        Some(wire::Kind::DeadLetter(letter)) => {
            dead_letter(letter).map(|letter| Record::DeadLetter(Box::new(letter)))
        }
        Some(wire::Kind::Readings(readings)) => {
            readings_record(readings).map(|record| Record::Readings(Box::new(record)))
        }
        None => Err(Malformed("a record of a kind that this version does not know")),
    }
}

fn position_record(wire: &wire::Position) -> Result<PositionRecord, BatchMessageError> {
    Ok(PositionRecord {
        frame_hash: wire.frame_hash,
        received_at_ms: wire.received_at_ms,
        position: Position {
            device: DeviceId::new(wire.device),
            recorded_at: wire.recorded_at,
            direction_cdeg: narrow(wire.direction_cdeg, "direction_cdeg beyond 16 bits")?,
            odometer_m: wire.odometer_m,
            hour_meter_min: wire.hour_meter_min,
            composition: Composition(narrow(wire.composition, "composition beyond 16 bits")?),
            extension: wire
                .extension
                .map(|extension| narrow(extension, "extension beyond 16 bits"))
                .transpose()?,
            speed_kmh: narrow(wire.speed_kmh, "speed_kmh beyond 8 bits")?,
            latitude_udeg: wire.latitude_udeg,
            longitude_udeg: wire.longitude_udeg,
        },
        packed: PackedFields::new(&optional(wire.optional_fields.as_deref())?, wire.raw.as_deref()),
    })
}

fn optional(message: Option<&[u8]>) -> Result<OptionalFields, BatchMessageError> {
    let mut fields = OptionalFields::NONE;
    let mut rest = message.unwrap_or_default();
    while !rest.is_empty() {
        let (number, wire_type) = decode_key(&mut rest).map_err(|_| NOT_PROTOBUF)?;
        let field = OptionalField::from_number(number)
            .ok_or(Malformed("an optional field that this version does not know"))?;
        let mut value = 0;
        let merge = if field.spec().min < 0 { sint32::merge } else { int32::merge };
        merge(wire_type, &mut value, &mut rest, DecodeContext::default())
            .map_err(|_| NOT_PROTOBUF)?;
        fields.set(field, value).map_err(|_| Malformed("an optional field out of its bounds"))?;
    }
    Ok(fields)
}

fn narrow<T: TryFrom<u32>>(value: u32, complaint: &'static str) -> Result<T, BatchMessageError> {
    T::try_from(value).map_err(|_| Malformed(complaint))
}

fn dead_letter(wire: wire::DeadLetter) -> Result<DeadLetter, BatchMessageError> {
    if wire.topic.len() > MAX_TOPIC_BYTES {
        return Err(Malformed("a dead letter's topic is longer than 65535 bytes"));
    }
    if wire.bytes.len() > MAX_DEAD_LETTER_BYTES {
        return Err(Malformed("a dead letter is longer than 32 KiB"));
    }
    Ok(DeadLetter {
        topic: wire.topic,
        offset: wire.offset,
        reason: Reason::from_code(&wire.reason)
            .ok_or(Malformed("a reason that this version does not know"))?,
        device: wire.device.map(DeviceId::new),
        received_at_ms: wire.received_at_ms,
        bytes: wire.bytes,
    })
}

fn readings_record(wire: wire::Readings) -> Result<ReadingsRecord, BatchMessageError> {
    if wire.encoded.len() > MAX_READINGS_BYTES {
        return Err(Malformed("readings are longer than 64 KiB"));
    }
    let identity = wire.identity.parse().map_err(|_| Malformed("readings of no device"))?;
    let position = wire.position.as_ref().map(position_record).transpose()?;
    let mut readings = read_readings(&wire.encoded)
        .filter(|readings| !readings.is_empty() || position.is_some())
        .ok_or(Malformed("readings that are none"))?;
    for wire::Unit { reading, unit } in wire.units {
        let named = usize::try_from(reading).ok().and_then(|at| readings.get_mut(at));
        let reading = named.filter(|_| is_unit(&unit)).ok_or(Malformed("a unit that is none"))?;
        reading.unit = Some(unit.into_boxed_str());
    }
    Ok(ReadingsRecord {
        identity,
        recorded_at_ms: wire.recorded_at_ms,
        timeless: wire.timeless,
        content_hash: wire.content_hash,
        received_at_ms: wire.received_at_ms,
        position: position
            .map(|PositionRecord { position, packed, .. }| PositionPart { position, packed })
            .map(Box::new),
        readings,
    })
}
