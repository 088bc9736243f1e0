//! Frames for tests.

use nemeses_protocol::{Composition, DeviceId, Position, encode_location, encode_ping, frame_hash};

/// The frame of the founding document, as text.
pub const FOUNDING_FRAME: &str =
    "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
/// Its device.
pub const FOUNDING_DEVICE: DeviceId = DeviceId::new(0x000A_3F73);

/// What identifies a row: device, recorded second, frame hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameKey {
    /// Device number.
    pub device: u32,
    /// Unix seconds.
    pub recorded_at: u32,
    /// See [`frame_hash`].
    pub frame_hash: u64,
}

/// A live frame with a fix, ignition on; `sequence` (its odometer) tells it
/// from others of the device and second, and gives it a place of its own.
pub fn live(device: DeviceId, recorded_at: u32, sequence: u32) -> Position {
    let step = i32::try_from(sequence % 1000).unwrap_or_default();
    Position {
        device,
        recorded_at,
        direction_cdeg: 9000,
        odometer_m: sequence,
        hour_meter_min: 60,
        composition: Composition(Composition::GPS_FIX | Composition::IGNITION),
        extension: None,
        speed_kmh: 50,
        latitude_udeg: -19_932_833 - step,
        longitude_udeg: -43_938_493 + step,
    }
}

/// The same frame as the device sends it from its memory.
pub fn historical(position: Position) -> Position {
    let composition = Composition(position.composition.0 | Composition::HISTORICAL);
    Position { composition, ..position }
}

/// The frame's bytes.
pub fn bytes(position: &Position) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(35);
    encode_location(position, &mut bytes);
    bytes
}

/// The bytes of several frames end to end, as one message.
pub fn message(positions: &[Position]) -> Vec<u8> {
    positions.iter().flat_map(bytes).collect()
}

/// A ping.
pub fn ping(device: DeviceId) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_ping(device, b"PING", &mut bytes);
    bytes
}

/// What identifies the frame's row.
pub fn key(position: &Position) -> FrameKey {
    let (device, recorded_at) = (position.device.number(), position.recorded_at);
    FrameKey { device, recorded_at, frame_hash: frame_hash(&bytes(position)) }
}

/// The time, Unix seconds.
pub fn now_s() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok().and_then(|since| u32::try_from(since.as_secs()).ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_and_its_repetition_from_memory_have_one_key() {
        let position = live(FOUNDING_DEVICE, 1_600_000_000, 1);
        assert_ne!(bytes(&position), bytes(&historical(position)));
        assert_eq!(key(&position), key(&historical(position)));
        assert_ne!(key(&position), key(&live(FOUNDING_DEVICE, 1_600_000_000, 2)));
    }
}
