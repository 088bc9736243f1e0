//! A live entry as bytes, the value of one key. Pure; `merge.lua` reads the
//! same layout, so a change here is a change there and a new version.
//!
//! Big endian: version (1), parts (1), seen_at_ms (6), then a block of 42 bytes
//! for the newest frame and one for the fix, or one for both where they are the
//! same frame, as they nearly always are. 50 bytes in the common case. The
//! device is not in the value, since the key names it. Historical frames have a key of
//! their own, with the same layout: nodes of a version that does not know them write and
//! read the live one as before.

use nemeses_protocol::{Composition, DeviceId, Position};

use crate::live::{Frames, LiveEntry, LiveFrame};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 8;
const BLOCK_BYTES: usize = 42;

/// Bits of the second byte.
const NEWEST: u8 = 1;
const FIX: u8 = 2;
/// With both others: one block stands for newest and fix.
const SAME: u8 = 4;

/// 48 bits of milliseconds reach the year 10 889, and a double, which is all
/// the script has, holds them exactly. Later times are written as this one.
pub(super) const LATEST_MS: u64 = (1 << 48) - 1;

/// What of the entries came from memory, as entries of their own.
pub(super) fn historical_of(entries: &[LiveEntry]) -> Vec<LiveEntry> {
    let apart = |entry: &LiveEntry| {
        let Frames { newest, fix } = entry.historical.as_deref()?.clone();
        Some(LiveEntry { newest, fix, ..LiveEntry::seen(entry.device, entry.seen_at_ms) })
    };
    entries.iter().filter_map(apart).collect()
}

/// An entry without live frames, that has those of an entry apart from memory.
pub(super) fn as_historical(apart: LiveEntry) -> LiveEntry {
    LiveEntry::from_memory(apart.device, Frames { newest: apart.newest, fix: apart.fix })
}

/// Appends the entry's value.
fn push(value: &mut Vec<u8>, entry: &LiveEntry) {
    let same = entry.newest.is_some() && entry.newest == entry.fix;
    let newest = entry.newest.as_ref();
    let fix = entry.fix.as_ref().filter(|_| !same);
    let parts = if same {
        NEWEST | FIX | SAME
    } else {
        newest.map_or(0, |_| NEWEST) | fix.map_or(0, |_| FIX)
    };
    value.extend([VERSION, parts]);
    push_time(value, entry.seen_at_ms);
    for frame in newest.into_iter().chain(fix) {
        push_block(value, frame);
    }
}

/// What is offered and what the stream is told of entries that are kept as they are, end
/// to end: the device, the value's length, the value.
pub(super) fn records<'e>(entries: impl ExactSizeIterator<Item = &'e LiveEntry>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * (5 + HEADER_BYTES + BLOCK_BYTES));
    for entry in entries {
        bytes.extend(entry.device.number().to_be_bytes());
        let length_at = bytes.len();
        bytes.push(0);
        push(&mut bytes, entry);
        // Two blocks and a header at most, see above.
        bytes[length_at] = u8::try_from(bytes.len() - length_at - 1).unwrap_or(u8::MAX);
    }
    bytes
}

fn push_time(value: &mut Vec<u8>, time_ms: u64) {
    value.extend_from_slice(&time_ms.min(LATEST_MS).to_be_bytes()[2..]);
}

/// What decides between two blocks comes first: recorded at, hash, arrival.
fn push_block(value: &mut Vec<u8>, frame: &LiveFrame) {
    let position = &frame.position;
    value.extend(position.recorded_at.to_be_bytes());
    value.extend(frame.frame_hash.to_be_bytes());
    push_time(value, frame.received_at_ms);
    value.extend(position.direction_cdeg.to_be_bytes());
    value.extend(position.odometer_m.to_be_bytes());
    value.extend(position.hour_meter_min.to_be_bytes());
    value.extend(position.composition.0.to_be_bytes());
    value.push(u8::from(position.extension.is_some()));
    value.extend(position.extension.unwrap_or(0).to_be_bytes());
    value.push(position.speed_kmh);
    value.extend(position.latitude_udeg.to_be_bytes());
    value.extend(position.longitude_udeg.to_be_bytes());
}

/// The entry of a value; `None` for one of an unknown version or length, which is no
/// error and is not overwritten (docs/decisions/0047-protocols.md).
pub(super) fn decode(device: DeviceId, value: &[u8]) -> Option<LiveEntry> {
    let mut rest = Reader(value);
    let [version, parts] = rest.take()?;
    let seen_at_ms = rest.time()?;
    let (newest, fix) = match (version, parts) {
        (VERSION, 0) => (None, None),
        (VERSION, NEWEST) => (Some(rest.block(device)?), None),
        (VERSION, FIX) => (None, Some(rest.block(device)?)),
        (VERSION, 3) => (Some(rest.block(device)?), Some(rest.block(device)?)),
        (VERSION, 7) => {
            let both = rest.block(device)?;
            (Some(both.clone()), Some(both))
        }
        _ => return None,
    };
    let seen = LiveEntry::seen(device, seen_at_ms);
    rest.0.is_empty().then_some(LiveEntry { newest, fix, ..seen })
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn time(&mut self) -> Option<u64> {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&self.take::<6>()?);
        Some(u64::from_be_bytes(bytes))
    }

    fn block(&mut self, device: DeviceId) -> Option<LiveFrame> {
        let recorded_at = u32::from_be_bytes(self.take()?);
        let frame_hash = u64::from_be_bytes(self.take()?);
        let received_at_ms = self.time()?;
        let direction_cdeg = u16::from_be_bytes(self.take()?);
        let odometer_m = u32::from_be_bytes(self.take()?);
        let hour_meter_min = u32::from_be_bytes(self.take()?);
        let composition = Composition(u16::from_be_bytes(self.take()?));
        let [extended] = self.take()?;
        let extension = u16::from_be_bytes(self.take()?);
        let [speed_kmh] = self.take()?;
        let position = Position {
            device,
            recorded_at,
            direction_cdeg,
            odometer_m,
            hour_meter_min,
            composition,
            extension: (extended != 0).then_some(extension),
            speed_kmh,
            latitude_udeg: i32::from_be_bytes(self.take()?),
            longitude_udeg: i32::from_be_bytes(self.take()?),
        };
        Some(LiveFrame { position, frame_hash, received_at_ms })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Random entries as a key holds them.
    pub(crate) fn entries(device: DeviceId) -> impl Strategy<Value = LiveEntry> {
        let live = |entry| LiveEntry { historical: None, values: None, ..entry };
        crate::live::strategies::entries(device).prop_map(live)
    }

    const DEVICE: DeviceId = DeviceId::new(0x0A_3F73);

    fn encode(entry: &LiveEntry) -> Vec<u8> {
        let mut value = Vec::new();
        push(&mut value, entry);
        value
    }

    proptest! {
        #[test]
        fn decode_after_encode_is_the_identity(entry in entries(DEVICE)) {
            prop_assert_eq!(decode(DEVICE, &encode(&entry)), Some(entry));
        }

        #[test]
        fn any_bytes_decode_to_themselves_or_to_nothing(
            value in proptest::collection::vec(any::<u8>(), 0..100), parts in 0..8_u8
        ) {
            let mut value = value;
            for (byte, known) in value.iter_mut().zip([VERSION, parts]) {
                *byte = known;
            }
            if let Some(entry) = decode(DEVICE, &value) {
                prop_assert_eq!(decode(DEVICE, &encode(&entry)), Some(entry));
            }
        }

        #[test]
        fn a_cut_or_longer_value_is_nothing(entry in entries(DEVICE), cut in 0..8_usize) {
            let value = encode(&entry);
            prop_assert_eq!(decode(DEVICE, &value[..value.len() - 1 - cut % value.len()]), None);
            prop_assert_eq!(decode(DEVICE, &[value, vec![0]].concat()), None);
        }
    }

    #[test]
    fn the_common_value_has_50_bytes() {
        let frame = LiveFrame {
            position: decode(DEVICE, &[&[1, 1][..], &[0; 48]].concat())
                .and_then(|entry| entry.newest)
                .unwrap()
                .position,
            frame_hash: 7,
            received_at_ms: 9,
        };
        let both = LiveEntry {
            newest: Some(frame.clone()),
            fix: Some(frame),
            ..LiveEntry::seen(DEVICE, u64::MAX)
        };
        assert_eq!(encode(&both).len(), 50);
        assert_eq!(decode(DEVICE, &encode(&both)).unwrap().seen_at_ms, LATEST_MS);
    }
}
