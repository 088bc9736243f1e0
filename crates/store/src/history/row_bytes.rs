//! A row of positions as the journal and the marks for the rules write it. Pure. What is packed of a
//! row stands behind it, in the form of either.

use nemeses_protocol::{Composition, DeviceId, Position, PositionRecord};

/// Bytes of a row.
pub(in crate::history) const ROW_BYTES: usize = 45;

pub(in crate::history) fn put_row(bytes: &mut Vec<u8>, record: &PositionRecord) {
    let position = &record.position;
    bytes.extend_from_slice(&position.device.number().to_le_bytes());
    bytes.extend_from_slice(&position.recorded_at.to_le_bytes());
    bytes.extend_from_slice(&record.frame_hash.to_le_bytes());
    bytes.extend_from_slice(&record.received_at_ms.to_le_bytes());
    bytes.extend_from_slice(&position.direction_cdeg.to_le_bytes());
    bytes.extend_from_slice(&position.odometer_m.to_le_bytes());
    bytes.extend_from_slice(&position.hour_meter_min.to_le_bytes());
    bytes.extend_from_slice(&position.composition.0.to_le_bytes());
    bytes.push(position.speed_kmh);
    bytes.extend_from_slice(&position.latitude_udeg.to_le_bytes());
    bytes.extend_from_slice(&position.longitude_udeg.to_le_bytes());
}

/// Lengths end far below 2^32: a batch holds some thousand rows at most, a record's values 64 KiB.
pub(in crate::history) fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

pub(in crate::history) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

pub(in crate::history) fn length(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(take(bytes)?)).ok()
}

pub(in crate::history) fn take_row(bytes: &mut &[u8]) -> Option<PositionRecord> {
    let device = DeviceId::new(u32::from_le_bytes(take(bytes)?));
    let recorded_at = u32::from_le_bytes(take(bytes)?);
    let frame_hash = u64::from_le_bytes(take(bytes)?);
    let received_at_ms = u64::from_le_bytes(take(bytes)?);
    let position = Position {
        device,
        recorded_at,
        direction_cdeg: u16::from_le_bytes(take(bytes)?),
        odometer_m: u32::from_le_bytes(take(bytes)?),
        hour_meter_min: u32::from_le_bytes(take(bytes)?),
        composition: Composition(u16::from_le_bytes(take(bytes)?)),
        extension: None,
        speed_kmh: u8::from_le_bytes(take(bytes)?),
        latitude_udeg: i32::from_le_bytes(take(bytes)?),
        longitude_udeg: i32::from_le_bytes(take(bytes)?),
    };
    Some(PositionRecord { position, frame_hash, received_at_ms, packed: None })
}
