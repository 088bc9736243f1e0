//! One line. What stands where depends on the model and its firmware, so the places are found
//! by their shape (a longitude, a latitude and 14 digits), and what all models have is read
//! from both ends. The whole line is kept beside.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::vec::Vec;

use crate::calendar::fourteen_digits;
use crate::leaves::finite;
use crate::telling::Telling;
use crate::vocabulary as words;
use crate::{DecodeError, OptionalField, Value};

/// A line, divided.
#[derive(Clone, Debug)]
pub(super) struct Report<'a> {
    /// With the mark at its end.
    line: &'a [u8],
    /// Each with its place in the line.
    pub(super) fields: Vec<(usize, &'a str)>,
    /// `GTFRI` and such.
    word: &'a str,
    pub(super) version: &'a str,
    pub(super) id: &'a str,
    /// What is acknowledged.
    pub(super) count: &'a str,
    pub(super) is_answer: bool,
    historical: bool,
}

/// Where a place stands: the number of the field with its longitude.
type Place = usize;

impl<'a> Report<'a> {
    pub(super) fn read(line: &'a [u8]) -> Result<Self, DecodeError> {
        let text = line.split_last().map(|(_, text)| text).unwrap_or_default();
        let text = core::str::from_utf8(text).map_err(|_| DecodeError::BadField)?;
        let mut place = 0;
        let fields: Vec<_> = text
            .split(',')
            .map(|field| {
                let at = place;
                place += field.len() + 1;
                (at, field)
            })
            .collect();
        let [(_, head), (_, version), (_, id), .., (_, count)] = fields[..] else {
            return Err(DecodeError::BadCount);
        };
        let (head, word) = head.split_once(':').ok_or(DecodeError::BadHeader)?;
        if count.len() != 4 || !count.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(DecodeError::BadField);
        }
        let version_is_good = (1..=16).contains(&version.len())
            && version.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !version_is_good || word.len() > 8 || word.is_empty() {
            return Err(DecodeError::BadField);
        }
        let (is_answer, historical) = (head == "+ACK", head == "+BUFF");
        let report = Self { line, fields, word, version, id, count, is_answer, historical };
        if report.identity_kind().is_empty() { Err(DecodeError::NoIdentity) } else { Ok(report) }
    }

    /// 15 digits are an IMEI, 14 hex digits an MEID; empty when it is neither.
    pub(super) fn identity_kind(&self) -> &'static str {
        let digits = self.id.bytes().all(|byte| byte.is_ascii_digit());
        let hex = self.id.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self.id.len() {
            15 if digits => "imei",
            14 if hex => "id",
            _ => "",
        }
    }

    pub(super) fn is_heartbeat(&self) -> bool {
        self.is_answer && self.word == "GTHBD"
    }

    /// Of an answer to a command: its word, its serial number and the line. The serial number
    /// stands before the send time and the count number.
    pub(super) fn answer(&self) -> Option<(&'a str, &'a str, Vec<u8>)> {
        let is_answer = self.is_answer && !self.is_heartbeat();
        is_answer.then(|| (self.word, self.before_end(3), self.line.to_vec()))
    }

    fn field(&self, at: usize) -> &'a str {
        self.fields.get(at).map(|(_, field)| *field).unwrap_or_default()
    }

    /// So many fields before the end; 1 is the count number.
    fn before_end(&self, back: usize) -> &'a str {
        self.fields.len().checked_sub(back).map(|at| self.field(at)).unwrap_or_default()
    }

    fn places(&self) -> Vec<Place> {
        // Four fields of a place are in front of the longitude, and head, version and id.
        (7..self.fields.len().saturating_sub(3)).filter(|at| self.is_place(*at)).collect()
    }

    fn is_place(&self, at: usize) -> bool {
        let degrees = |text: &str| text.contains('.') && finite(text).is_some();
        degrees(self.field(at))
            && degrees(self.field(at + 1))
            && fourteen_digits(self.field(at + 2)).is_some()
    }

    /// Where a record begins and ends in the line, and what it says. Of several places each
    /// is a record, and what else the line says belongs to the last.
    pub(super) fn tellings(&self) -> Vec<(usize, &'a [u8], Telling)> {
        if self.is_heartbeat() {
            return Vec::new();
        }
        let places = self.places();
        let sent_s = fourteen_digits(self.before_end(2));
        let Some((last, before)) = places.split_last() else {
            let mut telling = timed(sent_s);
            self.say(&mut telling);
            return Vec::from([(0, self.line, telling)]);
        };
        let mut out = Vec::with_capacity(places.len());
        let mut begin = 0;
        for place in before {
            let mut telling = self.at_place(*place, None);
            self.locate(*place, &mut telling);
            let end = self.fields.get(place + 3).map_or(self.line.len(), |(at, _)| *at);
            out.push((begin, &self.line[begin..end], telling));
            begin = end;
        }
        let mut telling = self.at_place(*last, sent_s);
        self.locate(*last, &mut telling);
        self.say(&mut telling);
        out.push((begin, &self.line[begin..], telling));
        out
    }

    /// The fix's time; when it repeats an old fix, when the line was made.
    fn at_place(&self, place: Place, sent_s: Option<u32>) -> Telling {
        let fix_s = fourteen_digits(self.field(place + 2));
        let latest = if self.has_fix(place) { fix_s } else { sent_s.max(fix_s) };
        timed(latest)
    }

    fn has_fix(&self, place: Place) -> bool {
        finite(self.field(place - 4)).is_some_and(|accuracy| accuracy > 0.0)
    }

    fn locate(&self, place: Place, telling: &mut Telling) {
        let number = |at: usize| finite(self.field(at));
        telling.said.historical = self.historical;
        telling.said.gps_fix = Some(self.has_fix(place));
        if let (Some(longitude), Some(latitude)) = (number(place), number(place + 1)) {
            telling.place(latitude, longitude);
        }
        if let Some(speed) = number(place - 3) {
            telling.speed(speed);
        }
        if let Some(direction) = number(place - 2) {
            telling.direction(direction);
        }
        if let Some(altitude) = number(place - 1) {
            telling.optional_scaled(OptionalField::Altitude, altitude, 10.0);
        }
        if let Some(hdop) = number(place - 4) {
            telling.optional_scaled(OptionalField::Hdop, hdop, 100.0);
        }
        self.cell(place + 3, telling);
    }

    fn cell(&self, at: usize, telling: &mut Telling) {
        let decimal = |at: usize| self.field(at).parse::<u16>().ok();
        let hex = |at: usize| u64::from_str_radix(self.field(at), 16).ok();
        if let (Some(country), Some(network)) = (decimal(at), decimal(at + 1))
            && let (Some(area), Some(cell)) = (hex(at + 2), hex(at + 3))
        {
            telling.text(&words::NETWORK_CELL, &format!("{country}-{network}-{area}-{cell}"));
        }
    }

    /// What the line says beside its places.
    fn say(&self, telling: &mut Telling) {
        telling.said.historical = self.historical;
        let name = if self.is_answer { "command.answer" } else { "queclink" };
        let line = core::str::from_utf8(self.line).unwrap_or_default();
        let line = line.trim_end_matches(['$', '\0']);
        telling.own(name.into(), Value::Text(line.into()));
        telling.text(&words::EVENT, self.word);
        let flag = match self.word {
            "GTIGN" => Some((&words::IGNITION, true)),
            "GTIGF" => Some((&words::IGNITION, false)),
            "GTEPN" | "GTMPN" => Some((&words::POWER_CONNECTED, true)),
            "GTEPF" | "GTMPF" => {
                telling.flag(&words::POWER_CONNECTED, false);
                Some((&words::ALARM_POWER_CUT, true))
            }
            "GTSOS" => Some((&words::ALARM_SOS, true)),
            "GTTOW" => Some((&words::ALARM_TOW, true)),
            "GTBPL" => Some((&words::ALARM_LOW_BATTERY, true)),
            "GTSPD" => Some((&words::ALARM_OVERSPEED, true)),
            "GTCRA" => Some((&words::ALARM_CRASH, true)),
            "GTJDR" | "GTJDS" => Some((&words::ALARM_JAMMING, true)),
            "GTIDN" => Some((&words::ALARM_IDLING, true)),
            _ => None,
        };
        if let Some((word, on)) = flag {
            telling.flag(word, on);
        }
        if self.word == "GTIDA" {
            telling.text(&words::DRIVER, self.field(5));
        }
        if self.word == "GTFRI" {
            self.fixed_report(telling);
        }
    }

    /// The end of a report of fixed intervals: mileage, hours, three voltages, the battery's
    /// level, the state, three reserved fields. Some models have the battery's level alone.
    fn fixed_report(&self, telling: &mut Telling) {
        if let Some(millivolts) = finite(self.field(4)).filter(|volts| *volts > 100.0) {
            telling.number(&words::POWER_VOLTAGE, millivolts / 1000.0);
        }
        let reserved = [3, 4, 5].iter().all(|back| self.before_end(*back).is_empty());
        let level = if reserved { self.before_end(7) } else { self.before_end(3) };
        if let Ok(level @ 0..=100) = level.parse::<i64>() {
            telling.put(&words::BATTERY_LEVEL, Value::Integer(level));
        }
        if !reserved {
            return;
        }
        if let Some(km) = finite(self.before_end(12)).filter(|km| (0.0..4e6).contains(km)) {
            let metres = crate::calendar::scaled(km, 1000.0).unwrap_or_default();
            telling.odometer(metres);
        }
        if let Some(minutes) = minutes(self.before_end(11)) {
            telling.engine_minutes(minutes);
        }
        self.state(telling);
    }

    /// 11 off and at rest, 12 off and moving, 21 on and at rest, 22 on and moving; 41 and 42
    /// by the sensor alone; 16 towed.
    fn state(&self, telling: &mut Telling) {
        let state = self.before_end(6);
        if state.is_empty() {
            return;
        }
        telling.own("state".into(), Value::Text(state.to_owned().into()));
        let (ignition, motion) = match state.get(..2) {
            Some("11") => (Some(false), Some(false)),
            Some("12") => (Some(false), Some(true)),
            Some("16") => {
                telling.flag(&words::ALARM_TOW, true);
                (Some(false), Some(true))
            }
            Some("21") => (Some(true), Some(false)),
            Some("22") => (Some(true), Some(true)),
            Some("41") => (None, Some(false)),
            Some("42") => (None, Some(true)),
            _ => (None, None),
        };
        for (word, on) in [(&words::IGNITION, ignition), (&words::MOTION, motion)] {
            if let Some(on) = on {
                telling.flag(word, on);
            }
        }
    }
}

fn timed(at_s: Option<u32>) -> Telling {
    match at_s {
        Some(at_s) => Telling::at(u64::from(at_s) * 1000),
        None => Telling::arrived(),
    }
}

/// `HHHHH:MM:SS` in minutes.
fn minutes(text: &str) -> Option<u32> {
    let mut parts = text.split(':');
    let (hours, minutes): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    hours.checked_mul(60)?.checked_add(minutes)
}

/// The bytes by which a record is told from others.
pub(super) fn covered(record: &[u8]) -> &[u8] {
    let front = [&b"+RESP:"[..], b"+BUFF:"].into_iter().find_map(|head| record.strip_prefix(head));
    let record = front.unwrap_or(record);
    let Some((b'$' | 0, text)) = record.split_last() else { return record };
    // The count number, and in front of it when the line was sent.
    let mut ends = text.iter().enumerate().rev().filter(|(_, byte)| **byte == b',');
    match (ends.next(), ends.next()) {
        (Some(_), Some((sent, _))) => &text[..sent],
        _ => text,
    }
}
