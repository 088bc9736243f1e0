//! A batch in the journal as bytes: its parts' keys, then its rows, each of the
//! same length unless some have optional fields. Pure.

use nemeses_protocol::{BatchKey, PackedFields, PositionRecord};

use super::super::super::engine::{Fault, Kind};
use super::super::super::row_bytes::{self, length, put_length, put_row, take, take_row};
use super::group::Row;

/// The form of what follows; a later one gets another number.
const FORM: u8 = 1;
/// The same, and behind each row what is packed of it, its length (2 bytes) before it:
/// as much as [`fits_journal`] lets in.
const FORM_WITH_PACKED: u8 = 2;
/// Bytes of a row without that: its part, and the row.
const ROW_BYTES: usize = 4 + row_bytes::ROW_BYTES;

/// The bytes of a batch; rows tell which part they are of.
pub(super) fn encode(parts: &[&BatchKey], rows: &[(u32, &PositionRecord)]) -> Vec<u8> {
    let names: usize = parts.iter().map(|key| key.worker.len() + 20).sum();
    let packed: usize = rows.iter().map(|(_, record)| packed_of(record).len()).sum();
    let mut bytes = Vec::with_capacity(9 + names + rows.len() * (ROW_BYTES + 2) + packed);
    bytes.push(if packed == 0 { FORM } else { FORM_WITH_PACKED });
    put_length(&mut bytes, parts.len());
    for key in parts {
        put_length(&mut bytes, key.worker.len());
        bytes.extend_from_slice(key.worker.as_bytes());
        bytes.extend_from_slice(&key.run.to_le_bytes());
        bytes.extend_from_slice(&key.sequence.to_le_bytes());
    }
    put_length(&mut bytes, rows.len());
    for (part, record) in rows {
        bytes.extend_from_slice(&part.to_le_bytes());
        put_row(&mut bytes, record);
        if packed > 0 {
            let own = packed_of(record);
            bytes.extend_from_slice(&u16::try_from(own.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend_from_slice(own);
        }
    }
    bytes
}

fn packed_of(record: &PositionRecord) -> &[u8] {
    record.packed.as_ref().map_or(&[], PackedFields::as_bytes)
}

/// Reads what [`encode`] wrote; a row's part counts from `first_part` on.
pub(super) fn decode(bytes: &[u8], first_part: u32) -> Result<(Vec<BatchKey>, Vec<Row>), Fault> {
    read(bytes, first_part)
        .ok_or_else(|| Fault::new(Kind::Schema, "a batch in the journal cannot be read"))
}

fn read(mut bytes: &[u8], first_part: u32) -> Option<(Vec<BatchKey>, Vec<Row>)> {
    let bytes = &mut bytes;
    let with_packed = match take::<1>(bytes)? {
        [FORM] => false,
        [FORM_WITH_PACKED] => true,
        _ => return None,
    };
    let mut parts = Vec::new();
    for _ in 0..length(bytes)? {
        let name = length(bytes)?;
        let worker = str::from_utf8(bytes.split_off(..name)?).ok()?.to_owned();
        let run = u64::from_le_bytes(take(bytes)?);
        parts.push(BatchKey { worker, run, sequence: u64::from_le_bytes(take(bytes)?) });
    }
    let count = length(bytes)?;
    let least = count.checked_mul(ROW_BYTES)?;
    if bytes.len() < least || (bytes.len() > least && !with_packed) {
        return None;
    }
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let part = u32::from_le_bytes(take(bytes)?);
        parts.get(usize::try_from(part).ok()?)?;
        let mut record = take_row(bytes)?;
        if with_packed {
            let length = u16::from_le_bytes(take(bytes)?);
            let packed = bytes.split_off(..usize::from(length))?;
            record.packed = (length > 0).then(|| PackedFields::from_stored(packed.into()));
        }
        rows.push(Row { part: first_part.checked_add(part)?, record });
    }
    bytes.is_empty().then_some((parts, rows))
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Composition, DeviceId, Position};
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn any_record()(
            (device, recorded_at, frame_hash) in any::<(u32, u32, u64)>(),
            received_at_ms in any::<u64>(),
            (direction_cdeg, odometer_m, hour_meter_min) in any::<(u16, u32, u32)>(),
            (composition, speed_kmh) in any::<(u16, u8)>(),
            (latitude_udeg, longitude_udeg) in any::<(i32, i32)>(),
            packed in prop::option::weighted(0.1, prop::collection::vec(any::<u8>(), 1..300)),
        ) -> PositionRecord {
            let position = Position {
                device: DeviceId::new(device),
                recorded_at,
                direction_cdeg,
                odometer_m,
                hour_meter_min,
                composition: Composition(composition),
                extension: None,
                speed_kmh,
                latitude_udeg,
                longitude_udeg,
            };
            let packed = packed.map(|bytes| PackedFields::from_stored(bytes.into()));
            PositionRecord { position, frame_hash, received_at_ms, packed }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(
            keys in prop::collection::vec(("[a-zé]{0,9}", any::<u64>(), any::<u64>()), 1..4),
            records in prop::collection::vec((any_record(), 0_u32..9), 0..20),
            first in 0_u32..100,
        ) {
            let keys: Vec<BatchKey> = keys
                .into_iter()
                .map(|(worker, run, sequence)| BatchKey { worker, run, sequence })
                .collect();
            let count = u32::try_from(keys.len()).unwrap();
            let rows: Vec<_> =
                records.iter().map(|(record, part)| (part % count, record)).collect();
            let bytes = encode(&keys.iter().collect::<Vec<_>>(), &rows);
            let (parts, read) = decode(&bytes, first).unwrap();
            prop_assert_eq!(parts, keys);
            let expected: Vec<Row> = rows
                .iter()
                .map(|(part, record)| Row { part: first + part, record: (*record).clone() })
                .collect();
            prop_assert_eq!(read, expected);
            for end in 0..bytes.len() {
                prop_assert!(decode(&bytes[..end], 0).is_err());
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            for form in [FORM, FORM_WITH_PACKED] {
                let _ = decode(&[&[form][..], &bytes].concat(), 0);
            }
        }
    }
}
