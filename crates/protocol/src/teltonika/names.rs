//! What the IO elements of FMB, FMC and FMM devices are called in the words of all
//! protocols. Other families give some ids another meaning, so the raw `io.ID` is kept
//! beside each. Ids whose values are error codes as well (BLE sensors 25 to 28) are only kept
//! raw.

use alloc::format;

use crate::cursor::{signed, unsigned};
use crate::telling::{Telling, text_or_hex};
use crate::vocabulary as words;
use crate::{OptionalField, Value, vocabulary::Word};

/// How a value is read.
#[derive(Clone, Copy)]
enum As {
    /// On unless 0.
    Flag,
    /// An alarm when it is not 0; its end is not told.
    Alarm,
    /// Divided by so much.
    Unsigned(u32),
    /// The same of a signed number.
    Signed(u32),
    /// Multiplied by so much.
    Times(u32),
    Text,
    /// A key's number, the lowest byte first.
    Key,
}

/// An id, the word, its number where there are several, and how it is read.
type Row = (u16, &'static Word, Option<u32>, As);

static ROWS: [Row; 43] = [
    (1, &words::INPUT, Some(1), As::Flag),
    (2, &words::INPUT, Some(2), As::Flag),
    (3, &words::INPUT, Some(3), As::Flag),
    (4, &words::INPUT, Some(4), As::Flag),
    (9, &words::ANALOG, Some(1), As::Unsigned(1000)),
    (10, &words::ANALOG, Some(2), As::Unsigned(1000)),
    (12, &words::FUEL_USED, None, As::Unsigned(1000)),
    (13, &words::FUEL_RATE, None, As::Unsigned(100)),
    (21, &words::NETWORK_SIGNAL, None, As::Times(20)),
    (31, &words::ENGINE_LOAD, None, As::Unsigned(1)),
    (32, &words::COOLANT_TEMPERATURE, None, As::Signed(1)),
    (36, &words::ENGINE_SPEED, None, As::Unsigned(1)),
    (48, &words::FUEL_LEVEL, None, As::Unsigned(1)),
    (66, &words::POWER_VOLTAGE, None, As::Unsigned(1000)),
    (67, &words::BATTERY_VOLTAGE, None, As::Unsigned(1000)),
    (68, &words::BATTERY_CURRENT, None, As::Signed(1000)),
    (72, &words::TEMPERATURE, Some(1), As::Signed(10)),
    (73, &words::TEMPERATURE, Some(2), As::Signed(10)),
    (74, &words::TEMPERATURE, Some(3), As::Signed(10)),
    (75, &words::TEMPERATURE, Some(4), As::Signed(10)),
    (78, &words::DRIVER, None, As::Key),
    (89, &words::FUEL_LEVEL, None, As::Unsigned(1)),
    (113, &words::BATTERY_LEVEL, None, As::Unsigned(1)),
    (116, &words::BATTERY_CHARGING, None, As::Flag),
    (179, &words::OUTPUT, Some(1), As::Flag),
    (180, &words::OUTPUT, Some(2), As::Flag),
    (199, &words::TRIP_DISTANCE, None, As::Unsigned(1)),
    (236, &words::ALARM_SOS, None, As::Alarm),
    (239, &words::IGNITION, None, As::Flag),
    (240, &words::MOTION, None, As::Flag),
    (246, &words::ALARM_TOW, None, As::Alarm),
    (247, &words::ALARM_CRASH, None, As::Alarm),
    (249, &words::ALARM_JAMMING, None, As::Alarm),
    (251, &words::ALARM_IDLING, None, As::Alarm),
    (252, &words::ALARM_POWER_CUT, None, As::Alarm),
    (255, &words::ALARM_OVERSPEED, None, As::Alarm),
    (256, &words::VIN, None, As::Text),
    (281, &words::TROUBLE_CODES, None, As::Text),
    (325, &words::VIN, None, As::Text),
    (10800, &words::TEMPERATURE, Some(21), As::Signed(100)),
    (10801, &words::TEMPERATURE, Some(22), As::Signed(100)),
    (10802, &words::TEMPERATURE, Some(23), As::Signed(100)),
    (10803, &words::TEMPERATURE, Some(24), As::Signed(100)),
];

/// Says an element in the words of all protocols, where it has one.
pub(super) fn name(id: u16, value: &[u8], telling: &mut Telling) {
    match (id, unsigned(value)) {
        (16, metres) => telling.odometer(i64::try_from(metres).unwrap_or(i64::MAX)),
        (449, seconds) => {
            telling.engine_minutes(u32::try_from(seconds / 60).unwrap_or(u32::MAX));
        }
        (182, tenths) => {
            let hundredths = i64::try_from(tenths).unwrap_or(i64::MAX).saturating_mul(10);
            telling.optional(OptionalField::Hdop, hundredths);
        }
        (253, 1) => telling.flag(&words::ALARM_ACCELERATION, true),
        (253, 2) => telling.flag(&words::ALARM_BRAKING, true),
        (253, 3) => telling.flag(&words::ALARM_CORNERING, true),
        _ => {}
    }
    let Some((_, word, number, how)) = ROWS.iter().find(|(row, ..)| *row == id) else { return };
    let Some(value) = read(value, *how) else { return };
    match (number, value) {
        (Some(number), value) => telling.numbered(word, *number, value),
        (None, Value::Flag(on)) => telling.flag(word, on),
        (None, Value::Number(number)) => telling.number(word, number),
        (None, Value::Text(text)) => telling.text(word, &text),
        (None, value @ Value::Integer(_)) => telling.put(word, value),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a measured value has fewer digits")]
fn read(value: &[u8], how: As) -> Option<Value> {
    let divided = |number: f64, by: u32| Value::Number(number / f64::from(by));
    Some(match how {
        As::Flag => Value::Flag(unsigned(value) != 0),
        As::Alarm => (unsigned(value) != 0).then_some(Value::Flag(true))?,
        As::Unsigned(1) => i64::try_from(unsigned(value)).map(Value::Integer).ok()?,
        As::Unsigned(by) => divided(unsigned(value) as f64, by),
        As::Signed(1) => Value::Integer(signed(value)),
        As::Signed(by) => divided(signed(value) as f64, by),
        As::Times(by) => {
            Value::Integer(i64::try_from(unsigned(value)).ok()?.checked_mul(by.into())?)
        }
        As::Text => Value::Text(text_or_hex(value).into()),
        As::Key => {
            if unsigned(value) == 0 {
                return None;
            }
            let digits = value.iter().rev().map(|byte| format!("{byte:02X}"));
            Value::Text(digits.collect::<alloc::string::String>().into())
        }
    })
}
