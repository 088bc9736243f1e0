//! Random live entries in which ties, repeats and awkward numbers are common;
//! shared by the unit tests and the tests against a real Redis.

use nemeses_protocol::{Composition, DeviceId, Position, Value};
use proptest::prelude::*;

use super::{Frames, LiveEntry, LiveFrame, LiveValue, LiveValues};

/// The time around which everything arrives.
pub(crate) const NOW_MS: u64 = 1_600_000_000_000;

/// Hashes of which some are equal, and awkward as doubles.
fn hashes() -> impl Strategy<Value = u64> {
    prop_oneof![
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
    ]
}

fn arrivals() -> impl Strategy<Value = u64> {
    prop_oneof![0..5_u64, 998..1_003_u64, Just(60_000)]
}

/// What a frame holds follows from its version, as with real hashes.
pub(crate) fn frames(device: DeviceId) -> impl Strategy<Value = LiveFrame> {
    // Long ago, about when it arrives (before, in that second and just after), at the
    // edge of what two clocks may differ by, and far ahead.
    let near = u32::try_from(NOW_MS / 1000).unwrap_or(0);
    let seconds = prop_oneof![
        0..4_u32,
        near - 2..near + 3,
        near + 59..near + 63,
        near + 43_200..near + 43_203,
        Just(u32::MAX - 1),
        Just(u32::MAX)
    ];
    (seconds, hashes(), arrivals()).prop_map(move |(recorded_at, frame_hash, arrival)| {
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

/// None, one or both frames, often the same one twice.
fn pairs(device: DeviceId) -> impl Strategy<Value = (Option<LiveFrame>, Option<LiveFrame>)> {
    let newest = proptest::option::of(frames(device));
    let fix = proptest::option::of(frames(device));
    (newest, fix, any::<bool>()).prop_map(|(newest, fix, same)| {
        let fix = if same { newest.clone() } else { fix };
        (newest, fix)
    })
}

/// What a value says follows from its channel and version. On the heap, as entries are: a few of
/// them would overflow a test's stack.
fn value() -> BoxedStrategy<LiveValue> {
    let times = prop_oneof![
        0..4_u64,
        NOW_MS - 2..NOW_MS + 3,
        NOW_MS + 59_998..NOW_MS + 60_003,
        NOW_MS + 43_200_000..NOW_MS + 43_200_003,
        // 48 bits are the most that is held.
        Just((1 << 48) - 1),
    ];
    let units = prop_oneof![3 => Just(None), 1 => Just(Some("Cel")), 1 => Just(Some("degF"))];
    let values = (0..5_u8, units, times, hashes(), arrivals()).prop_map(
        |(channel, unit, time, hash, arrival)| {
            let value = match (hash ^ time ^ u64::from(channel)) % 5 {
                0 => Value::Flag(hash & 8 == 0),
                1 => Value::Integer(hash.cast_signed()),
                2 => Value::Number(f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / 7.0),
                3 => Value::Number(21.5),
                _ => Value::Text(format!("{hash}\0\nä").into()),
            };
            LiveValue {
                channel: ["a", "b", "b c", "ä€", "c"][usize::from(channel)].into(),
                unit: unit.map(Into::into),
                cut: hash & 16 == 0,
                value,
                recorded_at_ms: time,
                received_at_ms: NOW_MS + arrival,
                content_hash: hash,
            }
        },
    );
    values.boxed()
}

/// Values of a few channels.
pub(crate) fn values() -> impl Strategy<Value = LiveValues> {
    let some = proptest::collection::vec(value(), 0..6);
    (0..5_u64, some).prop_map(|(seen, some)| LiveValues::new(NOW_MS + seen, some))
}

/// Entries with frames, values, both or neither.
pub(crate) fn entries(device: DeviceId) -> BoxedStrategy<LiveEntry> {
    let values = proptest::option::weighted(0.4, values().boxed());
    let entries = (frame_entries(device).boxed(), values).prop_map(|(entry, values)| {
        let values = values.filter(|values| !values.values().is_empty()).map(Box::new);
        let seen = values.as_ref().map_or(0, |values| values.seen_at_ms);
        LiveEntry { seen_at_ms: entry.seen_at_ms.max(seen), values, ..entry }
    });
    entries.boxed()
}

/// Entries with live frames, historical ones, both or neither.
pub(crate) fn frame_entries(device: DeviceId) -> impl Strategy<Value = LiveEntry> {
    let historical = proptest::option::weighted(0.3, pairs(device));
    (0..5_u64, pairs(device), historical).prop_map(move |(seen, (newest, fix), historical)| {
        let historical = historical
            .filter(|(newest, fix)| newest.is_some() || fix.is_some())
            .map(|(newest, fix)| Box::new(Frames { newest, fix }));
        LiveEntry { newest, fix, historical, ..LiveEntry::seen(device, NOW_MS + seen) }
    })
}
