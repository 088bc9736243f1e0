//! Records and batches to commit.

use nemeses_protocol::{
    BatchKey, Composition, DeadLetter, DecodeError, DeviceId, Position, PositionRecord, Reason,
    Record, Tally,
};
use nemeses_store::history::Part;

/// A day and an hour to be recorded in: 2020-07-01T21:00:00Z.
pub(crate) const BASE: u32 = 0x5EFC_F950;
/// The same in milliseconds: when frames arrive.
pub(crate) const BASE_MS: u64 = BASE as u64 * 1000;

/// A live frame with a fix.
pub(crate) fn record(device: u32, recorded_at: u32, frame_hash: u64) -> PositionRecord {
    PositionRecord {
        position: Position {
            device: DeviceId::new(device),
            recorded_at,
            direction_cdeg: 5487,
            odometer_m: 25_000_000,
            hour_meter_min: 36_000,
            composition: Composition(
                Composition::GPS_FIX
                    | Composition::IGNITION
                    | Composition::LATITUDE_NEGATIVE
                    | Composition::LONGITUDE_NEGATIVE,
            ),
            extension: None,
            speed_kmh: 60,
            latitude_udeg: -19_932_833,
            longitude_udeg: -43_938_493,
        },
        frame_hash,
        received_at_ms: u64::from(recorded_at) * 1000 + 250,
        packed: None,
    }
}

pub(crate) fn frame(device: u32, recorded_at: u32, frame_hash: u64) -> Record {
    Record::Position(record(device, recorded_at, frame_hash))
}

/// A dead letter of 3 bytes.
pub(crate) fn letter(device: Option<u32>, received_at_ms: u64, bytes: &[u8]) -> DeadLetter {
    DeadLetter {
        topic: "/messenger".into(),
        offset: 4,
        reason: Reason::Decode(DecodeError::BadHeader),
        device: device.map(DeviceId::new),
        received_at_ms,
        bytes: bytes.to_vec(),
    }
}

pub(crate) fn key(worker: &str, sequence: u64) -> BatchKey {
    BatchKey { worker: worker.into(), run: u64::MAX - 3, sequence }
}

pub(crate) fn part(worker: &str, sequence: u64, records: Vec<Record>) -> Part {
    Part { key: key(worker, sequence), tallies: Vec::new(), records }
}

pub(crate) fn pings(minute: u32, pings: u32) -> Tally {
    Tally { minute, pings }
}
