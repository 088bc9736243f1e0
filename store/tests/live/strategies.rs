//! Random live entries in which ties, repeats and awkward numbers are common;
//! shared by the unit tests and the tests against a real Redis.

use nemeses_protocol::{Composition, DeviceId, Position};
use proptest::prelude::*;

use super::{LiveEntry, LiveFrame};

/// The time around which everything arrives.
pub(crate) const NOW_MS: u64 = 1_600_000_000_000;

/// What a frame holds follows from its version, as with real hashes.
pub(crate) fn frames(device: DeviceId) -> impl Strategy<Value = LiveFrame> {
    let seconds = prop_oneof![0..4_u32, Just(u32::MAX - 1), Just(u32::MAX)];
    let hashes = prop_oneof![
        0..3_u64,
        // Neighbours that are one number as a double, and the sign bit of each half.
        Just((1 << 53) + 1),
        Just(1 << 53),
        Just(u64::MAX),
        Just(u64::MAX - 1),
        Just(0x7FFF_FFFF),
        Just(0x8000_0000),
        Just(0x7FFF_FFFF_FFFF_FFFF),
        Just(0x8000_0000_0000_0000),
        any::<u64>(),
    ];
    (seconds, hashes, 0..5_u64).prop_map(move |(recorded_at, frame_hash, arrival)| {
        let position = position(device, recorded_at, frame_hash);
        LiveFrame { position, frame_hash, received_at_ms: NOW_MS + arrival }
    })
}

fn position(device: DeviceId, recorded_at: u32, frame_hash: u64) -> Position {
    let mixed = frame_hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(recorded_at);
    let word = |shift: u32| u32::try_from(mixed >> shift & 0xFFFF_FFFF).unwrap_or(0);
    let short = |value: u32| u16::try_from(value >> 16).unwrap_or(0);
    let (high, low) = (word(32), word(0));
    Position {
        device,
        recorded_at,
        direction_cdeg: short(high),
        odometer_m: high,
        hour_meter_min: low,
        composition: Composition(short(low)),
        extension: (low & 1 == 1).then_some(short(high ^ low)),
        speed_kmh: u8::try_from(low & 0xFF).unwrap_or(0),
        latitude_udeg: high.rotate_left(8).cast_signed(),
        longitude_udeg: low.rotate_left(8).cast_signed(),
    }
}

/// Entries with none, one or both frames, often the same one twice.
pub(crate) fn entries(device: DeviceId) -> impl Strategy<Value = LiveEntry> {
    let newest = proptest::option::of(frames(device));
    let fix = proptest::option::of(frames(device));
    (0..5_u64, newest, fix, any::<bool>()).prop_map(move |(seen, newest, fix, same)| {
        let fix = if same { newest.clone() } else { fix };
        LiveEntry { device, seen_at_ms: NOW_MS + seen, newest, fix }
    })
}
