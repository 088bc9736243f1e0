//! What is in a frame, by its type.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{ADDRESS, Gt06Frame, LOGIN, TIME};
use crate::calendar::unix_seconds;
use crate::cursor::{Cursor, bcd, hex};
use crate::protocol::{Field, FieldValue};
use crate::telling::Telling;
use crate::vocabulary as words;
use crate::{DecodeError, OptionalField, Value};

/// Date, satellites, latitude, longitude, speed and flags.
const PLACE_BYTES: usize = 18;
/// Degrees are told in so many parts.
const PARTS: f64 = 1_800_000.0;

pub(super) const fn kind(kind: u8) -> &'static str {
    match kind {
        LOGIN => "login",
        TIME => "time question",
        ADDRESS => "address question",
        kind if is_status(kind) => "status",
        kind if is_alarm(kind) => "alarm",
        kind if is_location(kind) => "location",
        0x15 | 0x21 => "command answer",
        0x94 => "information",
        _ => "other",
    }
}

const fn is_location(kind: u8) -> bool {
    matches!(kind, 0x10 | 0x12 | 0x22 | 0x2D | 0x31 | 0x37 | 0x38 | 0xA0) || is_alarm(kind)
}

const fn is_alarm(kind: u8) -> bool {
    matches!(kind, 0x16 | 0x26 | 0x27 | 0x32 | 0xA4)
}

/// Whether a frame says how the device is; it is answered at once.
pub(super) const fn is_status(kind: u8) -> bool {
    matches!(kind, 0x13 | 0x23 | 0x36)
}

/// Whether the cells have a wider number.
const fn is_4g(kind: u8) -> bool {
    matches!(kind, 0xA0 | 0xA4)
}

/// # Errors
/// What the telling cannot be made of.
pub(super) fn check(frame: &Gt06Frame<'_>) -> Result<(), DecodeError> {
    if !is_location(frame.kind) {
        return Ok(());
    }
    let place = frame.content.get(..PLACE_BYTES).ok_or(DecodeError::Truncated)?;
    recorded_s(place).map(|_| ()).ok_or(DecodeError::BadDate)
}

/// Year, month, day, hour, minute and second.
fn recorded_s(date: &[u8]) -> Option<u32> {
    let [year, month, day, hour, minute, second] = *date.first_chunk()?;
    let date = [2000 + u32::from(year), month.into(), day.into()];
    unix_seconds(date, [hour.into(), minute.into(), second.into()])
}

/// A time as the device is told it.
pub(super) fn six_bytes(now_ms: u64) -> [u8; 6] {
    let seconds = now_ms / 1000;
    let (mut days, of_day) = (seconds / 86_400, seconds % 86_400);
    // As in the calendar, years begin in March.
    days += 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    let year = era * 400 + year_of_era + year;
    let byte = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
    [
        byte(year.saturating_sub(2000)),
        byte(month),
        byte(day),
        byte(of_day / 3600),
        byte(of_day / 60 % 60),
        byte(of_day % 60),
    ]
}

/// The bytes by which a record is told from others.
pub(super) fn covered(record: &[u8]) -> Cow<'_, [u8]> {
    let end = record.len().saturating_sub(6);
    let bytes = &record[..end];
    let [0x78, 0x78, _, 0x22, ..] = bytes else { return Cow::Borrowed(bytes) };
    // Live or from memory, behind place, cell, ignition and mode.
    let mut bytes = bytes.to_vec();
    let cell = bytes.get(4 + PLACE_BYTES..).and_then(|cell| cell_bytes(cell, false));
    if let Some(byte) = cell.and_then(|cell| bytes.get_mut(4 + PLACE_BYTES + cell + 2)) {
        *byte = 0;
    }
    Cow::Owned(bytes)
}

/// How many bytes a cell has: country, network, area and cell.
fn cell_bytes(bytes: &[u8], is_4g: bool) -> Option<usize> {
    let country = Cursor(bytes).u16()?;
    let network = if country & 0x8000 == 0 { 1 } else { 2 };
    Some(2 + network + if is_4g { 12 } else { 5 })
}

fn cell(cursor: &mut Cursor<'_>, is_4g: bool, telling: &mut Telling) -> Option<()> {
    let mut copy = *cursor;
    let country = copy.u16()?;
    let network = if country & 0x8000 == 0 { u16::from(copy.u8()?) } else { copy.u16()? };
    let (area, cell) = if is_4g {
        (copy.u32()?, copy.u64()?)
    } else {
        let area = u32::from(copy.u16()?);
        let [high, middle, low] = copy.array()?;
        (area, u64::from(u32::from_be_bytes([0, high, middle, low])))
    };
    *cursor = copy;
    let country = country & 0x7FFF;
    if country != 0 {
        telling.text(&words::NETWORK_CELL, &format!("{country}-{network}-{area}-{cell}"));
    }
    Some(())
}

/// What a frame says.
pub(super) fn telling(frame: &Gt06Frame<'_>) -> Telling {
    let mut cursor = Cursor(frame.content);
    let mut telling = match cursor.0.get(..PLACE_BYTES) {
        Some(bytes) if is_location(frame.kind) => {
            let at_s = recorded_s(bytes).unwrap_or_default();
            let at_s = i64::from(at_s) - i64::from(frame.ahead_s);
            let mut telling = Telling::at(u64::try_from(at_s).unwrap_or_default() * 1000);
            let _checked = place(&mut cursor, &mut telling);
            telling
        }
        _ => Telling::arrived(),
    };
    let behind = if is_location(frame.kind) {
        behind_place(frame, &mut cursor, &mut telling)
    } else {
        by_itself(frame, &mut cursor, &mut telling)
    };
    if behind.is_none() || !cursor.0.is_empty() {
        let rest = hex(cursor.0);
        telling.own(format!("gt06.{:02x}", frame.kind), Value::Text(rest.into()));
    }
    telling
}

fn place(cursor: &mut Cursor<'_>, telling: &mut Telling) -> Option<()> {
    cursor.take(6)?;
    let satellites = cursor.u8()? & 0x0F;
    let (latitude, longitude) = (cursor.u32()?, cursor.u32()?);
    let speed = cursor.u8()?;
    let flags = cursor.u16()?;
    let signed = |magnitude: u32, negative: bool| {
        let degrees = f64::from(magnitude) / PARTS;
        if negative { -degrees } else { degrees }
    };
    if (latitude, longitude) != (0, 0) {
        let (north, west) = (flags & 0x0400 != 0, flags & 0x0800 != 0);
        telling.place(signed(latitude, !north), signed(longitude, west));
    }
    telling.said.gps_fix = Some(flags & 0x1000 != 0);
    telling.direction((flags & 0x03FF).into());
    telling.speed(speed.into());
    telling.optional(OptionalField::Satellites, satellites.into());
    if flags & 0x4000 != 0 {
        telling.flag(&words::IGNITION, flags & 0x8000 != 0);
    }
    Some(())
}

fn behind_place(
    frame: &Gt06Frame<'_>,
    cursor: &mut Cursor<'_>,
    telling: &mut Telling,
) -> Option<()> {
    if cursor.0.is_empty() {
        return Some(());
    }
    if is_alarm(frame.kind) {
        // Some write the length of the cell in front of it.
        let with_length = matches!(frame.kind, 0x16 | 0x26 | 0x27)
            && cursor.0.first().is_some_and(|length| matches!(length, 8 | 9));
        cursor.take(usize::from(with_length))?;
    }
    cell(cursor, is_4g(frame.kind), telling)?;
    if is_alarm(frame.kind) {
        let [status, voltage, signal, .., alarm, _language] = *cursor.0 else { return None };
        self::status(status, telling);
        levels(voltage, signal, telling);
        self::alarm(alarm, telling);
        // A few have a byte more between them, which is kept with its neighbours.
        let all_is_known = cursor.0.len() == 5;
        cursor.take(if all_is_known { 5 } else { 0 })?;
    } else if matches!(frame.kind, 0x22 | 0x2D | 0x37 | 0xA0) {
        let [ignition, mode, from_memory, ..] = *cursor.0 else { return None };
        if ignition > 1 || from_memory > 1 {
            return None;
        }
        cursor.take(3)?;
        telling.flag(&words::IGNITION, ignition == 1);
        telling.own("upload.mode".into(), Value::Integer(mode.into()));
        telling.said.historical = from_memory == 1;
        if cursor.0.len() == 4 {
            let metres = cursor.u32()?;
            telling.odometer(metres.into());
        }
    }
    Some(())
}

fn by_itself(frame: &Gt06Frame<'_>, cursor: &mut Cursor<'_>, telling: &mut Telling) -> Option<()> {
    match frame.kind {
        0x13 | 0x23 => {
            let [status, voltage, signal, ..] = *cursor.0 else { return None };
            cursor.take(3)?;
            self::status(status, telling);
            levels(voltage, signal, telling);
            if let [alarm, _] = *cursor.0 {
                self::alarm(alarm, telling);
                cursor.take(2)?;
            }
        }
        0x15 | 0x21 => {
            let text = cursor.take(cursor.0.len())?;
            let printed = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
            // In front of the text are its length and the server's own number.
            let begin = text.iter().position(printed).unwrap_or(text.len());
            let text = text.get(begin..).unwrap_or_default();
            telling.own("command.answer".into(), Value::Text(String::from_utf8_lossy(text).into()));
        }
        0x94 => information(cursor, telling)?,
        _ => {}
    }
    Some(())
}

/// The number of the command that a frame answers, and its text: in frame 15 between a length and
/// a language, in frame 21 behind the mark of its letters (1 is ASCII).
pub(super) fn answer(frame: &Gt06Frame<'_>) -> Option<(u32, Vec<u8>)> {
    let mut cursor = Cursor(frame.content);
    match frame.kind {
        0x15 => {
            let length = usize::from(cursor.u8()?);
            let number = cursor.u32()?;
            let text = cursor.0.get(..length.checked_sub(super::NUMBER_BYTES)?)?;
            Some((number, text.to_vec()))
        }
        0x21 => {
            let number = cursor.u32()?;
            let _letters = cursor.u8()?;
            Some((number, cursor.0.to_vec()))
        }
        _ => None,
    }
}

fn information(cursor: &mut Cursor<'_>, telling: &mut Telling) -> Option<()> {
    let mut copy = *cursor;
    match copy.u8()? {
        0x00 => {
            let hundredths = copy.u16()?;
            telling.number(&words::POWER_VOLTAGE, f64::from(hundredths) / 100.0);
        }
        0x04 => {
            let text = String::from_utf8_lossy(copy.take(copy.0.len())?);
            telling.own("status.text".into(), Value::Text((*text).into()));
        }
        0x05 => {
            if copy.0.len() > 6 {
                copy.take(6)?;
            }
            let flags = copy.u8()?;
            telling.own("door".into(), Value::Flag(flags & 1 != 0));
            telling.numbered(&words::INPUT, 1, Value::Flag(flags & 4 != 0));
        }
        0x0A => {
            for (name, length) in [("sim.imei", 8), ("sim.imsi", 8), ("sim.iccid", 10)] {
                let digits = hex(copy.take(length)?);
                let digits = digits.trim_matches(|digit| "F0".contains(digit));
                telling.own(name.into(), Value::Text(digits.into()));
            }
        }
        0x1B => {
            let number = hex(copy.take(copy.0.len())?);
            telling.text(&words::DRIVER, &number);
        }
        0x1E => {
            telling.number(&words::TEMPERATURE, f64::from(copy.i32()?) / 10.0);
            telling.number(&words::HUMIDITY, f64::from(copy.i32()?) / 10.0);
        }
        _ => return Some(()),
    }
    *cursor = copy;
    Some(())
}

fn status(status: u8, telling: &mut Telling) {
    telling.flag(&words::IGNITION, status & 0x02 != 0);
    telling.flag(&words::BATTERY_CHARGING, status & 0x04 != 0);
    telling.own("armed".into(), Value::Flag(status & 0x01 != 0));
    telling.own("fuel_cut".into(), Value::Flag(status & 0x80 != 0));
    let word = match status >> 3 & 7 {
        1 => &words::ALARM_VIBRATION,
        2 => &words::ALARM_POWER_CUT,
        3 => &words::ALARM_LOW_BATTERY,
        4 => &words::ALARM_SOS,
        _ => return,
    };
    telling.flag(word, true);
}

/// Six levels of voltage, four of reception. What is more is told in other units by newer
/// devices.
fn levels(voltage: u8, signal: u8, telling: &mut Telling) {
    if voltage <= 6 {
        let percent = (u32::from(voltage) * 100 + 3) / 6;
        telling.put(&words::BATTERY_LEVEL, Value::Integer(percent.into()));
    } else if voltage <= 100 {
        telling.put(&words::BATTERY_LEVEL, Value::Integer(voltage.into()));
    }
    if signal <= 4 {
        telling.put(&words::NETWORK_SIGNAL, Value::Integer(i64::from(signal) * 25));
    }
}

fn alarm(alarm: u8, telling: &mut Telling) {
    let word = match alarm {
        0x01 => &words::ALARM_SOS,
        0x02 => &words::ALARM_POWER_CUT,
        0x03 => &words::ALARM_VIBRATION,
        0x04 => &words::ALARM_GEOFENCE_ENTER,
        0x05 => &words::ALARM_GEOFENCE_EXIT,
        0x06 => &words::ALARM_OVERSPEED,
        0x09 => &words::ALARM_TOW,
        0x0E | 0x0F | 0x19 => &words::ALARM_LOW_BATTERY,
        0x13 | 0x18 | 0x25 => &words::ALARM_TAMPER,
        0x14 => &words::ALARM_DOOR,
        0x23 => &words::ALARM_FALL,
        0x26 | 0x29 => &words::ALARM_ACCELERATION,
        0x27 | 0x28 | 0x30 => &words::ALARM_BRAKING,
        0x2A | 0x2B | 0x2E => &words::ALARM_CORNERING,
        0x2C => &words::ALARM_CRASH,
        _ => {
            if alarm != 0 {
                telling.put(&words::EVENT, Value::Integer(alarm.into()));
            }
            return;
        }
    };
    telling.flag(word, true);
    telling.put(&words::EVENT, Value::Integer(alarm.into()));
}

/// The content's bytes field by field.
pub(super) fn fields(frame: &Gt06Frame<'_>) -> Vec<Field> {
    let text = |length, name, value| Field { length, name, value: FieldValue::Text(value) };
    let content = frame.content;
    if frame.kind == LOGIN && content.len() >= 8 {
        let imei = bcd(&content[..8]).unwrap_or_default();
        let mut fields = Vec::from([text(8, "imei", imei)]);
        if content.len() > 8 {
            fields.push(text(content.len() - 8, "type and zone", String::new()));
        }
        return fields;
    }
    let mut cursor = Cursor(content);
    let mut fields = Vec::new();
    if is_location(frame.kind) {
        let at_s = recorded_s(content).unwrap_or_default();
        fields.push(Field { length: 6, name: "recorded at", value: FieldValue::Moment(at_s) });
        let degrees = |parts: Option<u32>| {
            parts.map(|parts| format!("{:.6} degrees", f64::from(parts) / PARTS))
        };
        cursor.take(6);
        let satellites = cursor.u8().unwrap_or_default();
        fields.push(text(1, "satellites", format!("{}", satellites & 0x0F)));
        fields.push(text(4, "latitude", degrees(cursor.u32()).unwrap_or_default()));
        fields.push(text(4, "longitude", degrees(cursor.u32()).unwrap_or_default()));
        fields.push(text(1, "speed", format!("{} km/h", cursor.u8().unwrap_or_default())));
        let flags = cursor.u16().unwrap_or_default();
        fields.push(text(2, "flags", format!("{} degrees, {flags:04X}", flags & 0x03FF)));
    }
    if !cursor.0.is_empty() {
        fields.push(text(cursor.0.len(), "content", String::new()));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_it_is_read() {
        for at_s in [946_684_800_u32, 951_782_400, 1_445_350_871, 1_796_169_600, 4_102_444_799] {
            let bytes = six_bytes(u64::from(at_s) * 1000 + 999);
            assert_eq!(recorded_s(&bytes), Some(at_s), "{bytes:?}");
        }
    }
}
