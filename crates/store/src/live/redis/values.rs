//! The newest values of a device's channels as a hash, and what is sent to write them. Pure but
//! for the commands; `values.lua` reads the same layout, so a change here is a change there and
//! a new version.
//!
//! A field a channel: its name, and behind a 0 the unit if one came with the value. Its value,
//! big endian: version (1), flags (1, the lowest bit for a text that was cut), recorded at (6),
//! hash (8), arrival (6), then what it says as records have it. The field without a name holds
//! in digits when the last record arrived. A field of a later version is left alone until the
//! key expires, as live values are (docs/decisions/0047-protocols.md).

use nemeses_protocol::{DeviceId, Value};
use redis::Cmd;

use super::value::LATEST_MS;
use super::{EntryKind, IDS_A_MS, KEPT, KEYS_A_CALL, key, reader};
use crate::live::{LiveEntry, LiveValue, LiveValues, MAX_LIVE_CHANNELS};

/// What joins values; behind `tell.lua`.
pub(super) const MERGE_VALUES: &str = concat!(include_str!("tell.lua"), include_str!("values.lua"));

const VERSION: u8 = 1;
const CUT: u8 = 1;
/// Between name and unit, in neither of which it can be.
const UNIT_BEHIND: u8 = 0;
/// Bytes of values in one script call, and one device more; the server is busy with as many
/// for some milliseconds.
const BYTES_A_CALL: usize = 256 << 10;

/// What a device's values are, when the key's fields were read.
pub(super) fn decode(fields: &[(Vec<u8>, Vec<u8>)]) -> Option<LiveValues> {
    let seen = fields.iter().find(|(field, _)| field.is_empty())?;
    let seen_at_ms = std::str::from_utf8(&seen.1).ok()?.parse().ok()?;
    let values: Vec<LiveValue> =
        fields.iter().filter_map(|(field, value)| decode_value(field, value)).collect();
    (!values.is_empty()).then(|| LiveValues::new(seen_at_ms, values))
}

fn decode_value(field: &[u8], value: &[u8]) -> Option<LiveValue> {
    let mut parts = field.splitn(2, |byte| *byte == UNIT_BEHIND);
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Box::<str>::from);
    let channel = parts.next().and_then(text).filter(|name| !name.is_empty())?;
    let unit = match parts.next() {
        Some(unit) => Some(text(unit)?),
        None => None,
    };
    let (&[version, flags], rest) = value.split_first_chunk()?;
    let (recorded, rest) = rest.split_first_chunk::<6>()?;
    let (hash, rest) = rest.split_first_chunk()?;
    let (received, mut rest) = rest.split_first_chunk::<6>()?;
    let time = |bytes: &[u8; 6]| bytes.iter().fold(0, |time, byte| time << 8 | u64::from(*byte));
    let said = Value::read(&mut rest).filter(|_| version == VERSION && rest.is_empty())?;
    Some(LiveValue {
        channel,
        unit,
        value: said,
        cut: flags & CUT != 0,
        recorded_at_ms: time(recorded),
        received_at_ms: time(received),
        content_hash: u64::from_be_bytes(*hash),
    })
}

fn field(value: &LiveValue) -> Vec<u8> {
    let mut field = value.channel.as_bytes().to_vec();
    if let Some(unit) = &value.unit {
        field.push(UNIT_BEHIND);
        field.extend_from_slice(unit.as_bytes());
    }
    field
}

fn encode(value: &LiveValue) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    out.extend([VERSION, if value.cut { CUT } else { 0 }]);
    out.extend_from_slice(&value.recorded_at_ms.min(LATEST_MS).to_be_bytes()[2..]);
    out.extend(value.content_hash.to_be_bytes());
    out.extend_from_slice(&value.received_at_ms.min(LATEST_MS).to_be_bytes()[2..]);
    value.value.write(&mut out);
    out
}

/// A device and its values.
pub(super) type Valued<'e> = (DeviceId, &'e LiveValues);

/// The values of entries that live, as many together as a script call takes.
pub(super) fn calls<'e>(
    entries: impl IntoIterator<Item = &'e LiveEntry>,
    now_ms: u64,
    ttl_ms: u64,
) -> Vec<Vec<Valued<'e>>> {
    let mut calls: Vec<Vec<Valued<'e>>> = Vec::new();
    let mut bytes = BYTES_A_CALL;
    for entry in entries {
        let Some(values) = &entry.values else { continue };
        if !values.lives_at(now_ms, ttl_ms) {
            continue;
        }
        match calls.last_mut() {
            Some(call) if bytes < BYTES_A_CALL && call.len() < KEYS_A_CALL => {
                call.push((entry.device, values));
            }
            _ => {
                bytes = 0;
                calls.push(vec![(entry.device, values)]);
            }
        }
        bytes += values.bytes();
    }
    calls
}

/// Appends what the script is given for a call; with the stream's keys unless it is elsewhere.
pub(super) fn arguments(
    command: &mut Cmd,
    call: &[Valued<'_>],
    now_ms: u64,
    ttl_ms: u64,
    with_stream: bool,
) {
    let now_ms = now_ms.min(LATEST_MS);
    if with_stream {
        command.arg(call.len() + reader::KEYS.len()).arg(&reader::KEYS);
    } else {
        command.arg(call.len());
    }
    for (device, _) in call {
        command.arg(key(EntryKind::Values, *device));
    }
    command.arg(now_ms).arg(ttl_ms).arg(MAX_LIVE_CHANNELS);
    if with_stream {
        command.arg(KEPT).arg(now_ms.saturating_mul(IDS_A_MS));
    } else {
        command.arg("").arg("");
    }
    for (device, values) in call {
        command.arg(&device.number().to_be_bytes()).arg(values.seen_at_ms.min(LATEST_MS));
        command.arg(values.values().len());
        for value in values.values() {
            command.arg(field(value)).arg(encode(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::live::strategies::values;

    fn fields(values: &LiveValues) -> Vec<(Vec<u8>, Vec<u8>)> {
        let seen = (Vec::new(), values.seen_at_ms.to_string().into_bytes());
        let each = values.values().iter().map(|value| (field(value), encode(value)));
        each.chain([seen]).collect()
    }

    proptest! {
        #[test]
        fn decode_after_encode_is_the_identity(values in values()) {
            let expected = (!values.values().is_empty()).then(|| values.clone());
            prop_assert_eq!(decode(&fields(&values)), expected);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(field: Vec<u8>, mut value: Vec<u8>) {
            let _ = decode_value(&field, &value);
            if let Some(first) = value.first_mut() {
                *first = VERSION;
            }
            if let Some(read) = decode_value(&field, &value) {
                prop_assert_eq!(decode_value(&super::field(&read), &encode(&read)), Some(read));
            }
        }
    }

    #[test]
    fn a_field_of_a_later_version_is_not_shown() {
        let mut later = fields(&LiveValues::new(5, vec![]));
        later.push((b"t".to_vec(), [&[2][..], &[0; 30]].concat()));
        assert_eq!(decode(&later), None);
    }
}
