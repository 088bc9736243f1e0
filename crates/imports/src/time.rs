//! Times as files have them.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Numbers from here on are milliseconds, smaller ones seconds, as in `docs/telemetry.md`.
const FIRST_MILLISECOND: f64 = 1e11;
/// The last millisecond of the year 9999.
const MAX_MS: f64 = 253_402_300_799_999.0;

/// How the times of a file are written.
#[derive(Clone, Debug)]
pub(crate) struct TimeReader {
    /// As `strptime` has it; `None` for RFC 3339, `2026-06-01 08:00:00` and Unix time.
    pub(crate) format: Option<String>,
    /// Of times that bear none.
    pub(crate) zone: TimeZone,
}

impl TimeReader {
    /// Unix milliseconds of a text.
    pub(crate) fn read(&self, text: &str) -> Result<u64, String> {
        let at = match &self.format {
            Some(format) => self.by_format(format, text),
            None => self.usual(text),
        };
        at.ok_or_else(|| self.refusal(text))
    }

    fn by_format(&self, format: &str, text: &str) -> Option<u64> {
        let parsed = strtime::parse(format, text).ok()?;
        if let Ok(at) = parsed.to_timestamp() {
            return milliseconds(at);
        }
        self.civil(parsed.to_datetime().ok()?)
    }

    fn usual(&self, text: &str) -> Option<u64> {
        if let Ok(number) = text.parse::<f64>() {
            return unix(number);
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return milliseconds(at);
        }
        // A time with an offset is no civil time, though the reader would take it for one.
        self.civil(text.parse::<DateTime>().ok()?)
    }

    fn civil(&self, time: DateTime) -> Option<u64> {
        let zoned: Zoned = time.to_zoned(self.zone.clone()).ok()?;
        milliseconds(zoned.timestamp())
    }

    fn refusal(&self, text: &str) -> String {
        match &self.format {
            Some(format) => format!("the time '{text}' is not of the form {format}"),
            None => format!(
                "the time '{text}' is none of 2026-06-01T08:00:00Z, 2026-06-01 08:00:00 and Unix time from 1970 to 9999"
            ),
        }
    }
}

fn milliseconds(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_millisecond()).ok()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
fn unix(number: f64) -> Option<u64> {
    let ms = if number < FIRST_MILLISECOND { number * 1000.0 } else { number };
    (0.0..=MAX_MS).contains(&ms).then(|| ms.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Option<&str>, zone: &str, text: &str) -> Option<u64> {
        let zone = TimeZone::get(zone).unwrap();
        TimeReader { format: format.map(str::to_owned), zone }.read(text).ok()
    }

    #[test]
    fn times_are_read_in_their_zone() {
        for (text, at) in [
            ("2026-06-01T08:00:00Z", Some(1_780_300_800_000)),
            ("2026-06-01T10:00:00.250+02:00", Some(1_780_300_800_250)),
            ("2026-06-01 10:00:00", Some(1_780_300_800_000)),
            ("1780300800", Some(1_780_300_800_000)),
            ("1780300800.25", Some(1_780_300_800_250)),
            ("1780300800250", Some(1_780_300_800_250)),
            ("-5", None),
            ("nan", None),
            ("yesterday", None),
            ("1969-01-01T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(read(None, "Europe/Berlin", text), at, "{text}");
        }
        let format = Some("%d.%m.%Y %H:%M:%S");
        assert_eq!(read(format, "Europe/Berlin", "01.06.2026 10:00:00"), Some(1_780_300_800_000));
        assert_eq!(read(format, "UTC", "06/01/2026"), None);
        let offset = Some("%Y-%m-%dT%H:%M:%S%z");
        assert_eq!(read(offset, "UTC", "2026-06-01T10:00:00+0200"), Some(1_780_300_800_000));
    }
}
