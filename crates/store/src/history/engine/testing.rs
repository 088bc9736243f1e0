//! Rows for tests that look at keys only.

use nemeses_protocol::{Composition, DeviceId, Position, PositionRecord};

/// A row with this key, and zero in everything else.
pub(in crate::history) fn record(device: u32, recorded_at: u32, frame_hash: u64) -> PositionRecord {
    let position = Position {
        device: DeviceId::new(device),
        recorded_at,
        direction_cdeg: 0,
        odometer_m: 0,
        hour_meter_min: 0,
        composition: Composition(0),
        extension: None,
        speed_kmh: 0,
        latitude_udeg: 0,
        longitude_udeg: 0,
    };
    PositionRecord { position, frame_hash, received_at_ms: 0, packed: None }
}
