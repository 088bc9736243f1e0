//! The viewer's time zone: which local day a second belongs to, and how it is
//! written. Zones by name come from the database built into the program, so that
//! an answer does not depend on the machine.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};

use crate::number::push_time;

/// Longest name looked up; the longest there is has 32 characters.
const LONGEST_NAME: usize = 40;

/// A time zone.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// Universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// `UTC`, `Z`, an offset (`+02:00`), or a name of the IANA database
    /// (`Europe/Berlin`, in any case).
    pub fn parse(text: &str) -> Option<Self> {
        if matches!(text, "UTC" | "Z") {
            return Some(Self::utc());
        }
        // A `+` that was not percent-encoded arrives as a space.
        let text = if text.starts_with(' ') { text.replacen(' ', "+", 1) } else { text.to_owned() };
        if text.starts_with(['+', '-']) {
            let zone = TimeZone::fixed(offset(&text)?);
            return Some(Self { name: text, zone });
        }
        let plausible = text.len() <= LONGEST_NAME && text.is_ascii();
        let zone = plausible.then(|| TimeZoneDatabase::bundled().get(&text).ok()).flatten()?;
        let name = zone.iana_name()?.to_owned();
        Some(Self { name, zone })
    }

    /// As the database of zones spells it, or the offset as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The zone itself.
    pub fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// RFC 3339 with the zone's offset; `Z` in UTC.
    pub fn time(&self, second: u32) -> String {
        let time = timestamp(second);
        if self.zone == TimeZone::UTC {
            return time.to_string();
        }
        time.display_with_offset(self.zone.to_offset(time)).to_string()
    }

    /// The same of milliseconds; a whole second has no fraction.
    pub fn time_ms(&self, ms: i64) -> String {
        let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        let offset = self.zone.to_offset(time);
        let whole = time.subsec_nanosecond() == 0;
        match (self.zone == TimeZone::UTC, whole) {
            (true, true) => time.to_string(),
            (true, false) => format!("{time:.3}"),
            (false, true) => time.display_with_offset(offset).to_string(),
            (false, false) => format!("{:.3}", time.display_with_offset(offset)),
        }
    }

    /// Appends what [`Zone::time_ms`] says.
    pub fn push_time_ms(&self, out: &mut Vec<u8>, ms: i64) {
        if self.zone == TimeZone::UTC {
            if push_time(out, ms, None) {
                return;
            }
        } else if let Ok(time) = Timestamp::from_millisecond(ms) {
            let seconds = self.zone.to_offset(time).seconds();
            if seconds % 60 == 0 && push_time(out, ms, Some(seconds / 60)) {
                return;
            }
        }
        out.extend_from_slice(self.time_ms(ms).as_bytes());
    }

    /// `2020-07-01 18:00:00`, as spreadsheets recognise it: what a clock on the wall shows.
    pub fn clock(&self, ms: i64) -> String {
        let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        self.zone.to_datetime(time).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// What a clock on the wall shows, as if it were UTC: Unix milliseconds.
    pub fn wall_clock_ms(&self, ms: i64) -> i64 {
        let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        ms + i64::from(self.zone.to_offset(time).seconds()) * 1000
    }

    /// The local day and the first second that is no longer in it.
    pub fn day(&self, second: u32) -> (Date, u32) {
        let local = timestamp(second).to_zoned(self.zone.clone());
        let date = local.date();
        let next =
            date.checked_add(1.day()).ok().and_then(|next| next.to_zoned(self.zone.clone()).ok());
        let next = next.and_then(|next| u32::try_from(next.timestamp().as_second()).ok());
        (date, next.unwrap_or(u32::MAX).max(second.saturating_add(1)))
    }
}

/// `2020-07-01`, of days since 1970-01-01.
pub fn date(days: i32) -> String {
    let day = Date::constant(1970, 1, 1).checked_add(days.days());
    day.map_or_else(|_| days.to_string(), |day| day.to_string())
}

fn timestamp(second: u32) -> Timestamp {
    Timestamp::from_second(i64::from(second)).unwrap_or(Timestamp::MAX)
}

/// `+02:00`, `-0330`: hours to 14 and minutes, as zones have them.
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = (text.as_bytes().first()?, text.get(1..)?.replacen(':', "", 1));
    let colon_fits = text.len() == 5 || text.as_bytes().get(3) == Some(&b':');
    if digits.len() != 4 || !colon_fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = digits[2..].parse().ok()?;
    let seconds = (hours * 60 + minutes) * 60;
    let valid = minutes < 60 && seconds <= 14 * 3600;
    let seconds = if *sign == b'-' { -seconds } else { seconds };
    valid.then(|| Offset::from_seconds(seconds).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENING: u32 = 1_593_637_200; // 2020-07-01T21:00:00Z

    fn zone(text: &str) -> Zone {
        Zone::parse(text).unwrap()
    }

    #[test]
    fn names_and_offsets() {
        for (text, name, time) in [
            ("UTC", "UTC", "2020-07-01T21:00:00Z"),
            ("Z", "UTC", "2020-07-01T21:00:00Z"),
            ("+02:00", "+02:00", "2020-07-01T23:00:00+02:00"),
            (" 02:00", "+02:00", "2020-07-01T23:00:00+02:00"),
            ("-0330", "-0330", "2020-07-01T17:30:00-03:30"),
            ("+14:00", "+14:00", "2020-07-02T11:00:00+14:00"),
            ("Europe/Berlin", "Europe/Berlin", "2020-07-01T23:00:00+02:00"),
            ("america/sao_paulo", "America/Sao_Paulo", "2020-07-01T18:00:00-03:00"),
            ("Asia/Kathmandu", "Asia/Kathmandu", "2020-07-02T02:45:00+05:45"),
        ] {
            assert_eq!(
                (zone(text).name(), zone(text).time(EVENING).as_str()),
                (name, time),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = "A/".repeat(10_000);
        for bad in [
            "",
            " ",
            "+",
            "+2",
            "+02",
            "+0200x",
            "+02:60",
            "+14:01",
            "+1:100",
            "+24:00",
            "+-1:00",
            "Berlin",
            "Europe/Nowhere",
            "../../etc/passwd",
            "/etc/localtime",
            "\u{0}",
            "+0٢:00",
            long.as_str(),
        ] {
            assert!(Zone::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn days_have_23_to_25_hours() {
        let berlin = zone("Europe/Berlin");
        for (second, day, hours) in [
            (EVENING, "2020-07-01", 24),
            (EVENING + 3600, "2020-07-02", 24),
            (1_585_440_000, "2020-03-29", 23),
            (1_603_584_000, "2020-10-25", 25),
        ] {
            let (date, end) = berlin.day(second);
            let (_, start) = berlin.day(second - 86_400);
            assert_eq!(date.to_string(), day);
            assert_eq!((end - start) / 3600, hours, "{day}");
        }
        assert_eq!(zone("+02:00").day(0), (jiff::civil::date(1970, 1, 1), 79_200));
        assert_eq!(Zone::utc().day(u32::MAX), (jiff::civil::date(2106, 2, 7), u32::MAX));
    }

    proptest! {
        #[test]
        fn a_day_ends_where_the_next_begins(second: u32, which in 0..4_usize) {
            let zone = zone(["UTC", "-11:30", "America/Sao_Paulo", "Australia/Lord_Howe"][which]);
            let (date, end) = zone.day(second);
            prop_assert!(end > second || end == u32::MAX);
            if end < u32::MAX {
                prop_assert!(zone.day(end).0 > date);
                prop_assert_eq!(zone.day(end - 1), (date, end));
            }
            let parsed: Timestamp = zone.time(second).parse().unwrap();
            prop_assert_eq!(parsed.as_second(), i64::from(second));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Zone::parse(&text);
        }
    }

    proptest! {
        #[test]
        fn times_are_appended_as_they_are_told(ms in -1_000_000_000_000_i64.., which in 0..4_usize) {
            let zone = zone(["UTC", "Europe/Berlin", "-03:30", "Africa/Monrovia"][which]);
            let mut out = Vec::new();
            zone.push_time_ms(&mut out, ms);
            prop_assert_eq!(String::from_utf8(out).unwrap(), zone.time_ms(ms));
        }

        #[test]
        fn times_of_our_days_are_appended_as_they_are_told(ms in 0..4_294_967_296_000_i64, which in 0..4_usize) {
            let zone = zone(["UTC", "Europe/Berlin", "-03:30", "Africa/Monrovia"][which]);
            let mut out = Vec::new();
            zone.push_time_ms(&mut out, ms);
            prop_assert_eq!(String::from_utf8(out).unwrap(), zone.time_ms(ms));
        }
    }
}
