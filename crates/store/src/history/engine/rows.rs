//! Positions and dead letters as rows: which value goes into which column.

use nemeses_protocol::{
    BatchKey, Composition, DeadLetter, DeviceId, PROTOCOLS, PackedFields, Position, PositionRecord,
};
use sha2::{Digest as _, Sha256};

use super::fault::Fault;
use super::value::{Fields, Value};
use crate::history::BUCKET_SECONDS;
use crate::history::dead_letters::StoredLetter;

/// The clustered key of a position: bucket, device, recorded second, hash.
pub(in crate::history) type PositionKey = (u32, u32, u32, u64);

/// The time bucket of a recorded second.
pub(in crate::history) const fn bucket_of(recorded_at: u32) -> u32 {
    recorded_at / BUCKET_SECONDS
}

pub(in crate::history) fn key_of(record: &PositionRecord) -> PositionKey {
    let position = &record.position;
    (
        bucket_of(position.recorded_at),
        position.device.number(),
        position.recorded_at,
        record.frame_hash,
    )
}

pub(in crate::history) fn key_values(key: PositionKey) -> [Value<'static>; 4] {
    [key.0.into(), key.1.into(), key.2.into(), Value::Hash(key.3)]
}

/// The values of one row, in the order of `POSITION_COLUMNS`.
pub(in crate::history) fn position_values(record: &PositionRecord) -> [Value<'_>; 14] {
    let position = &record.position;
    let [bucket, device, recorded_at, frame_hash] = key_values(key_of(record));
    [
        bucket,
        device,
        recorded_at,
        frame_hash,
        record.received_at_ms.into(),
        position.direction_cdeg.into(),
        position.odometer_m.into(),
        position.hour_meter_min.into(),
        position.composition.0.into(),
        position.extension.into(),
        position.speed_kmh.into(),
        position.latitude_udeg.into(),
        position.longitude_udeg.into(),
        record.packed.as_ref().map(PackedFields::as_bytes).into(),
    ]
}

/// Whether a row is told whole by `BARE_COLUMNS`.
pub(in crate::history) const fn is_bare(record: &PositionRecord) -> bool {
    record.position.extension.is_none() && record.packed.is_none()
}

/// Whether the journal can hold a row. Raw bytes alone would make most of it.
pub(in crate::history) fn fits_journal(record: &PositionRecord) -> bool {
    /// As wide as the column.
    const MAX_PACKED: usize = 255;
    let fits = |packed: &PackedFields| packed.has_fields() && packed.as_bytes().len() <= MAX_PACKED;
    record.position.extension.is_none() && record.packed.as_ref().is_none_or(fits)
}

/// The values of a bare row, in the order of `BARE_COLUMNS`.
pub(in crate::history) fn bare_position_values(record: &PositionRecord) -> [Value<'_>; 12] {
    let all = position_values(record);
    // All but the tenth and the last.
    std::array::from_fn(|at| if at < 9 { all[at] } else { all[at + 1] })
}

/// A row of `SELECT_POSITIONS`.
pub(in crate::history) fn position_of(row: &impl Fields) -> Result<PositionRecord, Fault> {
    Ok(PositionRecord {
        position: Position {
            device: DeviceId::new(row.need(1)?),
            recorded_at: row.need(2)?,
            direction_cdeg: row.need(5)?,
            odometer_m: row.need(6)?,
            hour_meter_min: row.need(7)?,
            composition: Composition(row.need(8)?),
            extension: row.maybe(9)?,
            speed_kmh: row.need(10)?,
            latitude_udeg: row.need_signed(11)?,
            longitude_udeg: row.need_signed(12)?,
        },
        frame_hash: row.hash(3)?,
        received_at_ms: row.need(4)?,
        packed: row.bytes(13)?.map(|bytes| PackedFields::from_stored(bytes.into())),
    })
}

/// Columns of `dead_letters` in the order in which rows are bound.
pub(in crate::history) const LETTER_COLUMNS: &[&str] = &[
    "received_at_ms",
    "topic",
    "byte_offset",
    "reason",
    "device",
    "recorded_at",
    "bytes",
    "bytes_hash",
    "bytes_group",
    "worker",
    "run",
    "sequence",
    "item",
];

/// What a SELECT of letters begins with; the number of bytes wanted is bound first.
pub(in crate::history) const SELECT_LETTERS: &str = "SELECT id, received_at_ms, topic, \
    byte_offset, reason, device, recorded_at, LENGTH(bytes), SUBSTR(bytes, 1, ?), worker \
    FROM dead_letters";

/// What a letter's row needs besides the letter.
pub(in crate::history) struct LetterRow<'a> {
    pub(in crate::history) letter: &'a DeadLetter,
    pub(in crate::history) key: &'a BatchKey,
    /// Which of the batch's records.
    pub(in crate::history) item: u32,
    pub(in crate::history) hash: [u8; 32],
    pub(in crate::history) recorded_at: Option<u32>,
}

impl<'a> LetterRow<'a> {
    pub(in crate::history) fn new(letter: &'a DeadLetter, key: &'a BatchKey, item: u32) -> Self {
        let (hash, recorded_at) = (bytes_hash(&letter.bytes), recorded_second(&letter.bytes));
        Self { letter, key, item, hash, recorded_at }
    }

    /// In the order of `LETTER_COLUMNS`.
    pub(in crate::history) fn values(&self) -> [Value<'_>; 13] {
        [
            self.letter.received_at_ms.into(),
            self.letter.topic.as_str().into(),
            self.letter.offset.into(),
            self.letter.reason.code().into(),
            self.letter.device.into(),
            self.recorded_at.into(),
            self.letter.bytes.as_slice().into(),
            Value::Bytes(&self.hash),
            bytes_group(&self.hash).into(),
            self.key.worker.as_str().into(),
            Value::Hash(self.key.run),
            Value::Hash(self.key.sequence),
            self.item.into(),
        ]
    }
}

/// A row of `SELECT_LETTERS`.
pub(in crate::history) fn letter_of(row: &impl Fields) -> Result<StoredLetter, Fault> {
    Ok(StoredLetter {
        id: row.need(0)?,
        received_at_ms: row.need(1)?,
        topic: row.text(2)?,
        offset: row.need(3)?,
        reason: row.text(4)?,
        device: row.device(5)?,
        recorded_at: row.maybe(6)?,
        length: row.need(7)?,
        bytes: row.bytes(8)?.unwrap_or_default(),
        worker: row.text(9)?,
    })
}

/// What finds a letter by its bytes: SHA-256.
pub(in crate::history) fn bytes_hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Which of 16 groups a hash is in: its first four bits. The index of hashes is
/// led by the group, then by the letter's number, so that new letters are added at
/// 16 places whatever the size of the table, and a look-up reads a sixteenth of
/// the hashes (docs/decisions/0004-clustered-key.md).
pub(in crate::history) const fn bytes_group(hash: &[u8; 32]) -> u8 {
    hash[0] >> 4
}

/// The recorded second, when the bytes are one whole frame with a record (a frame
/// rejected by policy or by the database rather than by the decoder).
fn recorded_second(bytes: &[u8]) -> Option<u32> {
    let record = PROTOCOLS.iter().find_map(|protocol| protocol.record(bytes).ok());
    let recorded_at_ms = record?.0.recorded_at_ms?;
    u32::try_from(recorded_at_ms / 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::engine::sql::{BARE_COLUMNS, POSITION_COLUMNS};

    const FOUNDING: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";

    #[test]
    fn as_many_values_as_columns() {
        assert_eq!(POSITION_COLUMNS.len(), 14);
        let bare: Vec<&str> = POSITION_COLUMNS
            .iter()
            .copied()
            .filter(|column| !["extension", "raw"].contains(column))
            .collect();
        assert_eq!(BARE_COLUMNS, bare);
        assert_eq!(LETTER_COLUMNS.len(), 13);
    }

    #[test]
    fn a_rejected_whole_frame_keeps_its_second() {
        let frame = hex::decode(FOUNDING).unwrap();
        assert_eq!(recorded_second(&frame), Some(0x5EFC_F950));
        assert_eq!(recorded_second(&frame[1..]), None);
        assert_eq!(recorded_second(&[frame.clone(), frame].concat()), None);
        assert_eq!(recorded_second(&[]), None);
    }
}
