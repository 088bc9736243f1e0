//! Rows as COM_STMT_BULK_EXECUTE takes them: one statement of one row, executed for
//! many, each value in its column's own width. There is a statement for positions and one
//! for readings.

use nemeses_protocol::PositionRecord;

use crate::history::engine::{POSITION_COLUMNS, READINGS_COLUMNS, ReadingsRow, bucket_of};

const EXECUTE: u8 = 0xfa;
/// The types of the columns come first.
const WITH_TYPES: u16 = 128;
/// Before each value: it is there, or it is NULL and nothing follows.
const HERE: u8 = 0;
const NULL: u8 = 1;

const TINY: [u8; 2] = [1, 0x80];
const SHORT: [u8; 2] = [2, 0x80];
const LONG: [u8; 2] = [3, 0x80];
const SIGNED_LONG: [u8; 2] = [3, 0];
const LONG_LONG: [u8; 2] = [8, 0x80];
const BYTES: [u8; 2] = [252, 0x80];

/// Type and sign of each of [`POSITION_COLUMNS`], as in `schema.sql`.
const TYPES: [[u8; 2]; POSITION_COLUMNS.len()] = [
    LONG,
    LONG,
    LONG,
    LONG_LONG,
    LONG_LONG,
    SHORT,
    LONG,
    LONG,
    SHORT,
    SHORT,
    TINY,
    SIGNED_LONG,
    SIGNED_LONG,
    BYTES,
];
/// 7 values of 4 bytes, 2 of 8, 2 of 2, one of 1, a byte before each, and one for each of two
/// NULLs: 1000 rows are 63 KB. With an extension and all of the last column a row has 322.
const ROW_BYTES: usize = 63;
/// Rows of one packet at most: 660 KB, less than the smallest packet that servers in use
/// refuse. A batch of the line has 1000.
pub(super) const MAX_ROWS: usize = 2048;

/// Type and sign of each of [`READINGS_COLUMNS`].
const READINGS_TYPES: [[u8; 2]; READINGS_COLUMNS.len()] =
    [LONG, LONG, LONG_LONG, LONG_LONG, LONG_LONG, TINY, SHORT, BYTES];

/// The statement for one position.
pub(super) fn statement() -> String {
    insert("positions", POSITION_COLUMNS)
}

/// The statement for one record of readings.
pub(super) fn readings_statement() -> String {
    insert("readings", READINGS_COLUMNS)
}

fn insert(table: &str, columns: &[&str]) -> String {
    let places = vec!["?"; columns.len()].join(",");
    format!("INSERT INTO {table} ({}) VALUES ({places})", columns.join(","))
}

/// Appends the payload that executes the statement for all rows.
pub(super) fn execute(out: &mut Vec<u8>, statement: u32, rows: &[&PositionRecord]) {
    out.reserve(ROW_BYTES * (rows.len() + 1));
    begin(out, statement, &TYPES);
    for row in rows {
        push_row(out, row);
    }
}

/// The same for readings.
pub(super) fn execute_readings(out: &mut Vec<u8>, statement: u32, rows: &[&ReadingsRow]) {
    begin(out, statement, &READINGS_TYPES);
    for row in rows {
        push(out, bucket_of(row.recorded_at()).to_le_bytes());
        push(out, row.device.number().to_le_bytes());
        push(out, row.recorded_at_ms.to_le_bytes());
        push(out, row.content_hash.to_le_bytes());
        push(out, row.received_at_ms.to_le_bytes());
        push(out, [u8::from(row.timeless)]);
        push(out, row.value_count.to_le_bytes());
        push_bytes(out, &row.packed);
    }
}

fn begin(out: &mut Vec<u8>, statement: u32, types: &[[u8; 2]]) {
    out.push(EXECUTE);
    out.extend(statement.to_le_bytes());
    out.extend(WITH_TYPES.to_le_bytes());
    out.extend(types.as_flattened());
}

/// In the order of [`POSITION_COLUMNS`].
fn push_row(out: &mut Vec<u8>, record: &PositionRecord) {
    let position = &record.position;
    push(out, bucket_of(position.recorded_at).to_le_bytes());
    push(out, position.device.number().to_le_bytes());
    push(out, position.recorded_at.to_le_bytes());
    push(out, record.frame_hash.to_le_bytes());
    push(out, record.received_at_ms.to_le_bytes());
    push(out, position.direction_cdeg.to_le_bytes());
    push(out, position.odometer_m.to_le_bytes());
    push(out, position.hour_meter_min.to_le_bytes());
    push(out, position.composition.0.to_le_bytes());
    match position.extension {
        Some(extension) => push(out, extension.to_le_bytes()),
        None => out.push(NULL),
    }
    push(out, position.speed_kmh.to_le_bytes());
    push(out, position.latitude_udeg.to_le_bytes());
    push(out, position.longitude_udeg.to_le_bytes());
    match &record.packed {
        Some(packed) => push_bytes(out, packed.as_bytes()),
        None => out.push(NULL),
    }
}

/// Their length in one byte, in three behind a mark when that is too little. No record has
/// more than three say.
fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    const SHORT_LENGTHS: usize = 0xfb;
    const THREE_BYTES: u8 = 0xfd;
    out.push(HERE);
    match u8::try_from(bytes.len()) {
        Ok(length) if bytes.len() < SHORT_LENGTHS => out.push(length),
        _ => {
            out.push(THREE_BYTES);
            out.extend_from_slice(&bytes.len().to_le_bytes()[..3]);
        }
    }
    out.extend_from_slice(bytes);
}

fn push<const BYTES: usize>(out: &mut Vec<u8>, value: [u8; BYTES]) {
    out.push(HERE);
    out.extend_from_slice(&value);
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Composition, DeviceId, PackedFields, Position};

    use super::*;

    #[test]
    fn a_row_is_as_long_as_its_types_say() {
        let width = |kind: &[u8; 2]| match kind[0] {
            1 => 1,
            2 => 2,
            3 => 4,
            _ => 8,
        };
        let bare = TYPES.iter().enumerate().filter(|(at, _)| ![9, 13].contains(at));
        assert_eq!(bare.map(|(_, kind)| 1 + width(kind)).sum::<usize>() + 2, ROW_BYTES);
        assert_eq!(statement().matches('?').count(), TYPES.len());
        let record = PositionRecord {
            position: Position {
                device: DeviceId::new(0x0102_0304),
                recorded_at: 300,
                direction_cdeg: 0x0506,
                odometer_m: 7,
                hour_meter_min: 8,
                composition: Composition(9),
                extension: None,
                speed_kmh: 10,
                latitude_udeg: -1,
                longitude_udeg: -2,
            },
            frame_hash: u64::MAX,
            received_at_ms: 11,
            packed: None,
        };
        let (mut none, mut two) = (Vec::new(), Vec::new());
        execute(&mut none, 5, &[]);
        execute(&mut two, 5, &[&record, &record]);
        assert_eq!(two.len() - none.len(), 2 * ROW_BYTES);
        assert_eq!(none[..7], [0xfa, 5, 0, 0, 0, 128, 0]);
        let row = &two[none.len() + ROW_BYTES..];
        assert_eq!(row[..15], [0, 1, 0, 0, 0, 0, 4, 3, 2, 1, 0, 0x2c, 1, 0, 0]);
        assert_eq!(row[52..], [0, 255, 255, 255, 255, 0, 254, 255, 255, 255, 1]);

        let position = Position { extension: Some(0x0c0d), ..record.position };
        let packed = Some(PackedFields::from_stored(Box::new([7; 64])));
        let mut whole = Vec::new();
        execute(&mut whole, 5, &[&PositionRecord { position, packed, ..record.clone() }]);
        let row = &whole[none.len()..];
        assert_eq!(row.len(), ROW_BYTES + 2 + 65);
        assert_eq!((&row[49..52], &row[64..68]), (&[0, 0x0d, 0x0c][..], &[0, 64, 7, 7][..]));
        assert_eq!(POSITION_COLUMNS[9], "extension");
    }
}
