//! What the tests share.
#![allow(
    dead_code,
    clippy::format_push_string,
    clippy::unwrap_used,
    reason = "test programs use parts of it, in no hurry"
)]

use std::fmt::Write as _;

use nemeses_protocol::{
    DeviceId, MAX_READINGS, MAX_READINGS_BYTES, MAX_TEXT_VALUE, PackedFields, PositionPart,
    Reading, Value, in_order, is_channel_name, is_unit, readings_json, write_readings,
};
use nemeses_telemetry::{Decoded, MAX_NAME, MAX_REJECTED, MAX_TIME_MS, Measured};

pub(crate) const NOW: u64 = 1_700_000_000_000;

/// A record as `docs/telemetry.md` writes it.
pub(crate) fn written(record: &Measured) -> String {
    let arrival = record.timeless && record.recorded_at_ms == NOW;
    let mut out = if arrival { "now".to_owned() } else { record.recorded_at_ms.to_string() };
    if let Some(name) = &record.name {
        let _ = write!(out, " {name}");
    }
    if let Some(said) = &record.position {
        let (position, optional) = said.at(DeviceId::NONE, record.recorded_at_ms).unwrap();
        let part = PositionPart { position, packed: PackedFields::new(&optional, None) };
        let json = readings_json(None, Some(&part), &[]);
        let json = json.strip_prefix("{\"position\":").unwrap();
        let _ = write!(out, "\nposition {}", json.strip_suffix(",\"values\":{}}").unwrap());
    }
    for Reading { channel, unit, value } in &record.readings {
        let value = match value {
            Value::Flag(flag) => flag.to_string(),
            Value::Integer(integer) => integer.to_string(),
            Value::Number(number) => format!("{number:?}"),
            Value::Text(text) => format!("{text:?}"),
        };
        let _ = write!(out, "\n{channel} = {value}");
        if let Some(unit) = unit {
            let _ = write!(out, " {unit}");
        }
    }
    out
}

pub(crate) fn records(decoded: &Decoded) -> Vec<String> {
    decoded.records.iter().map(written).collect()
}

/// The reasons' codes with the bytes as text.
pub(crate) fn rejected(decoded: &Decoded) -> Vec<(&'static str, String)> {
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    decoded.rejected.iter().map(|part_of| (part_of.reason.code(), part(&part_of.bytes))).collect()
}

/// What holds of every outcome.
pub(crate) fn check(payload: &[u8], decoded: &Decoded) {
    assert!(decoded.rejected.len() <= MAX_REJECTED);
    for rejected in &decoded.rejected {
        assert!(payload[rejected.offset..].starts_with(&rejected.bytes));
        assert!(!rejected.detail.is_empty() && rejected.detail.len() < 1000);
    }
    for Measured { name, recorded_at_ms, position, readings, .. } in &decoded.records {
        assert!(name.as_ref().is_none_or(|name| (1..=MAX_NAME).contains(&name.len())));
        assert!(*recorded_at_ms <= MAX_TIME_MS);
        assert!(readings.len() <= MAX_READINGS);
        assert!(!readings.is_empty() || position.is_some());
        assert!(write_readings(readings).len() <= MAX_READINGS_BYTES);
        assert_eq!(*readings, in_order(readings.clone()));
        for Reading { channel, unit, value } in readings {
            assert!(is_channel_name(channel) && unit.as_deref().is_none_or(is_unit));
            match value {
                Value::Number(number) => assert!(number.is_finite()),
                Value::Text(text) => assert!(text.len() <= MAX_TEXT_VALUE),
                Value::Flag(_) | Value::Integer(_) => {}
            }
        }
    }
}
