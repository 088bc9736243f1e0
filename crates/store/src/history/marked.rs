//! What a mark for the rules holds: newly stored rows, packed (decision 0062). Pure.

use nemeses_protocol::{DeviceId, PackedFields, PositionRecord, Unpacked, unpack};

use super::row_bytes::{length, put_length, put_row, take, take_row};

/// The form of what follows; a later one gets another number.
const FORM: u8 = 1;
/// Kinds of rows.
const POSITION: u8 = 0;
const READINGS: u8 = 1;

/// A newly stored row.
#[derive(Clone, Debug, PartialEq)]
pub enum MarkedRow {
    /// Of positions. Raw bytes are left out.
    Position(PositionRecord),
    /// Of readings.
    Readings(MarkedReadings),
}

/// A newly stored row of readings.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkedReadings {
    /// Whose.
    pub device: DeviceId,
    /// When, by the device's clock, Unix milliseconds.
    pub recorded_at_ms: u64,
    /// When it arrived, by ours.
    pub received_at_ms: u64,
    /// Tells rows of one moment apart.
    pub content_hash: u64,
    /// Channels' numbers in their order, with the values.
    pub values: Unpacked,
}

impl MarkedRow {
    /// Whose it is.
    pub const fn device(&self) -> DeviceId {
        match self {
            Self::Position(record) => record.position.device,
            Self::Readings(readings) => readings.device,
        }
    }
}

/// The rows of a mark as they are written.
pub(super) struct Packer(Vec<u8>);

impl Packer {
    pub(super) fn new() -> Self {
        Self(vec![FORM])
    }

    pub(super) const fn bytes(&self) -> usize {
        self.0.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.0, vec![FORM])
    }

    pub(super) fn position(&mut self, record: &PositionRecord) {
        self.0.push(POSITION);
        put_row(&mut self.0, record);
        let fields = record.has_optional().then(|| PackedFields::new(&record.optional(), None));
        self.block(fields.flatten().as_ref().map_or(&[], PackedFields::as_bytes));
    }

    /// A row of readings, whose values are packed already.
    pub(super) fn readings(
        &mut self,
        device: DeviceId,
        recorded_at_ms: u64,
        received_at_ms: u64,
        content_hash: u64,
        packed: &[u8],
    ) {
        self.0.push(READINGS);
        self.put(&device.number().to_le_bytes());
        self.put(&recorded_at_ms.to_le_bytes());
        self.put(&received_at_ms.to_le_bytes());
        self.put(&content_hash.to_le_bytes());
        self.block(packed);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn block(&mut self, bytes: &[u8]) {
        put_length(&mut self.0, bytes.len());
        self.put(bytes);
    }
}

/// The rows of a mark; `None` when it is of a later version, or damaged.
pub(super) fn unpacked(bytes: &[u8]) -> Option<Vec<MarkedRow>> {
    let (form, mut rest) = bytes.split_first()?;
    if *form != FORM {
        return None;
    }
    let mut rows = Vec::new();
    while !rest.is_empty() {
        rows.push(row(&mut rest)?);
    }
    Some(rows)
}

fn row(bytes: &mut &[u8]) -> Option<MarkedRow> {
    match take::<1>(bytes)? {
        [POSITION] => position(bytes).map(MarkedRow::Position),
        [READINGS] => Some(MarkedRow::Readings(MarkedReadings {
            device: DeviceId::new(u32::from_le_bytes(take(bytes)?)),
            recorded_at_ms: u64::from_le_bytes(take(bytes)?),
            received_at_ms: u64::from_le_bytes(take(bytes)?),
            content_hash: u64::from_le_bytes(take(bytes)?),
            values: unpack(block(bytes)?)?,
        })),
        _ => None,
    }
}

fn position(bytes: &mut &[u8]) -> Option<PositionRecord> {
    let record = take_row(bytes)?;
    let packed = block(bytes)?;
    let packed = (!packed.is_empty()).then(|| PackedFields::from_stored(packed.into()));
    Some(PositionRecord { packed, ..record })
}

fn block<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = length(bytes)?;
    bytes.split_off(..length)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{OptionalField, OptionalFields, Value, pack};
    use proptest::prelude::*;

    use super::*;
    use crate::history::engine::testing::record;

    proptest! {
        #[test]
        fn rows_come_back_without_their_raw_bytes(
            (device, recorded_at, hash) in any::<(u32, u32, u64)>(),
            altitude in prop::option::of(-1_000_000_i32..10_000_000),
            raw in prop::option::of(prop::collection::vec(any::<u8>(), 35)),
            number: i64,
        ) {
            let mut fields = OptionalFields::NONE;
            if let Some(altitude) = altitude {
                fields.set(OptionalField::Altitude, altitude).unwrap();
            }
            let mut stored = record(device, recorded_at, hash);
            stored.packed = PackedFields::new(&fields, raw.as_deref());
            let packed = pack([(3, &Value::Integer(number))]);
            let mut packer = Packer::new();
            prop_assert!(packer.is_empty());
            packer.position(&stored);
            packer.readings(DeviceId::new(device), 1, 2, hash, &packed);
            let bytes = packer.take();
            stored.packed = PackedFields::new(&fields, None);
            let readings = MarkedReadings {
                device: DeviceId::new(device),
                recorded_at_ms: 1,
                received_at_ms: 2,
                content_hash: hash,
                values: vec![(3, Value::Integer(number))],
            };
            let expected = vec![MarkedRow::Position(stored), MarkedRow::Readings(readings)];
            prop_assert_eq!(unpacked(&bytes), Some(expected));
            prop_assert_eq!(unpacked(&bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = unpacked(&[&[FORM][..], &bytes].concat());
        }
    }
}
