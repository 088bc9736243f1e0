//! Readings as JSON, in the form in which a device may send them.

use alloc::string::String;
use core::fmt::Write as _;

use super::{Reading, Value};
use crate::{OptionalField, PositionPart, Whereabouts};

/// `{"t":1593637200000,"values":{"temperature":21.5}}`, with `units` where any came along;
/// without the time when there is none, and with `position` when there is one. A number that
/// JSON cannot say becomes `null`.
pub fn readings_json(
    time_ms: Option<u64>,
    position: Option<&PositionPart>,
    readings: &[Reading],
) -> String {
    let mut out = String::from("{");
    if let Some(time_ms) = time_ms {
        let _infallible = write!(out, "\"t\":{time_ms},");
    }
    if let Some(part) = position {
        out.push_str("\"position\":");
        place(&mut out, part);
        out.push(',');
    }
    out.push_str("\"values\":");
    object(&mut out, readings, |out, reading| value(out, &reading.value));
    if readings.iter().any(|reading| reading.unit.is_some()) {
        out.push_str(",\"units\":");
        let with_unit = readings.iter().filter(|reading| reading.unit.is_some());
        object(&mut out, with_unit, |out, reading| {
            text(out, reading.unit.as_deref().unwrap_or_default());
        });
    }
    out.push('}');
    out
}

fn place(out: &mut String, part: &PositionPart) {
    let fields = part.optional();
    let said = Whereabouts::of(&part.position, &fields);
    let optional = |field| fields.get(field).map(i64::from);
    for (lead, value, decimals) in [
        ("{\"lat\":", Some(said.latitude_udeg.into()), 6),
        (",\"lon\":", Some(said.longitude_udeg.into()), 6),
        (",\"alt\":", optional(OptionalField::Altitude), 1),
        (",\"speed\":", said.speed_dkmh.map(i64::from), 1),
        (",\"heading\":", said.direction_cdeg.map(i64::from), 2),
        (",\"sats\":", optional(OptionalField::Satellites), 0),
        (",\"hdop\":", optional(OptionalField::Hdop), 2),
        (",\"accuracy\":", optional(OptionalField::Accuracy), 1),
        (",\"odometer\":", said.odometer_m.map(i64::from), 0),
    ] {
        if let Some(value) = value {
            out.push_str(lead);
            decimal(out, value, decimals);
        }
    }
    for (name, flag) in [("ignition", said.ignition), ("fix", said.gps_fix)] {
        if let Some(flag) = flag {
            let _infallible = write!(out, ",\"{name}\":{flag}");
        }
    }
    out.push('}');
}

/// A whole number divided by a power of ten, exactly.
fn decimal(out: &mut String, value: i64, decimals: u32) {
    let power = 10_u64.pow(decimals);
    let (whole, part) = (value.unsigned_abs() / power, value.unsigned_abs() % power);
    let sign = if value < 0 { "-" } else { "" };
    let _infallible = write!(out, "{sign}{whole}");
    if part > 0 {
        let width = decimals as usize;
        let digits = alloc::format!("{part:0width$}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

fn object<'r>(
    out: &mut String,
    readings: impl IntoIterator<Item = &'r Reading>,
    member: impl Fn(&mut String, &Reading),
) {
    out.push('{');
    for (index, reading) in readings.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        text(out, &reading.channel);
        out.push(':');
        member(out, reading);
    }
    out.push('}');
}

fn value(out: &mut String, value: &Value) {
    let _infallible = match value {
        Value::Flag(flag) => write!(out, "{flag}"),
        Value::Integer(number) => write!(out, "{number}"),
        // With a point or an exponent, so that it is read as a number of the same kind.
        Value::Number(number) if number.is_finite() => write!(out, "{number:?}"),
        Value::Number(_) => write!(out, "null"),
        Value::Text(characters) => {
            text(out, characters);
            Ok(())
        }
    };
}

fn text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '\0'..='\u{1f}' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value() {
        let reading = |channel: &str, unit: Option<&str>, value| Reading {
            channel: channel.into(),
            unit: unit.map(Into::into),
            value,
        };
        let readings = [
            reading("a \"b\"", None, Value::Text("x\\y\n".into())),
            reading("door", None, Value::Flag(true)),
            reading("n", Some("Cel"), Value::Number(21.0)),
            reading("total", None, Value::Integer(-3)),
            reading("weird", None, Value::Number(f64::NAN)),
        ];
        assert_eq!(
            readings_json(Some(5), None, &readings),
            r#"{"t":5,"values":{"a \"b\"":"x\\y\u000a","door":true,"n":21.0,"total":-3,"weird":null},"units":{"n":"Cel"}}"#
        );
        assert_eq!(readings_json(None, None, &readings[1..2]), r#"{"values":{"door":true}}"#);
    }
}
