//! When something was measured.

use crate::item::Item;

/// The last millisecond of the year 9999, the latest time that is accepted.
pub const MAX_TIME_MS: u64 = 253_402_300_799_999;

/// Numbers from here on are milliseconds, smaller ones seconds. As seconds it is the year
/// 5138, as milliseconds it is March 1973.
const FIRST_MILLISECOND: f64 = 1e11;

/// SenML: smaller times are relative to the arrival (RFC 8428, section 4.5.3).
const FIRST_ABSOLUTE: f64 = 268_435_456.0;

/// A moment to which readings belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Moment {
    /// Unix milliseconds.
    pub(crate) at_ms: u64,
    /// Whether it depends on when the payload arrived.
    pub(crate) timeless: bool,
    /// What the payload said, so that moments within one millisecond stay apart.
    exact: u64,
}

impl Moment {
    pub(crate) const fn arrival(received_at_ms: u64) -> Self {
        Self { at_ms: received_at_ms, timeless: true, exact: 0 }
    }

    const fn absolute(at_ms: u64, exact: u64) -> Self {
        Self { at_ms, timeless: false, exact }
    }

    /// The member `t`: a number (seconds, or milliseconds when it is large) or an RFC 3339
    /// text. `None` when it is neither or out of range.
    pub(crate) fn of_member(item: &Item<'_>) -> Option<Self> {
        let ms = match item {
            #[expect(clippy::cast_precision_loss, reason = "only compared")]
            Item::Integer(time) if (*time as f64) < FIRST_MILLISECOND => time.checked_mul(1000)?,
            Item::Integer(time) => *time,
            Item::Number(time) if *time < 0.0 => return None,
            Item::Number(time) if *time < FIRST_MILLISECOND => rounded(time * 1000.0)?,
            Item::Number(time) => rounded(*time)?,
            Item::Text(text) => {
                let time: jiff::Timestamp = text.parse().ok()?;
                i64::try_from(from_nanoseconds(time.as_nanosecond())?).ok()?
            }
            _ => return None,
        };
        Some(Self::absolute(in_range(ms)?, 0))
    }

    /// SenML's resolved time in seconds: relative to the arrival when it is small.
    pub(crate) fn of_senml(time: &Item<'_>, received_at_ms: u64) -> Option<Self> {
        let (ms, seconds) = match time {
            #[expect(clippy::cast_precision_loss, reason = "only compared")]
            Item::Integer(time) => (time.checked_mul(1000)?, *time as f64),
            Item::Number(time) => (rounded(time * 1000.0)?, *time),
            _ => return None,
        };
        let exact = seconds.to_bits();
        if seconds >= FIRST_ABSOLUTE {
            return Some(Self::absolute(in_range(ms)?, exact));
        }
        if seconds == 0.0 {
            return Some(Self::arrival(received_at_ms));
        }
        let at_ms = in_range(i64::try_from(received_at_ms).ok()?.checked_add(ms)?)?;
        Some(Self { at_ms, timeless: true, exact })
    }

    /// A time whose unit is known; `None` when it is no number of it, or out of range.
    pub(crate) fn of_number(item: &Item<'_>, nanoseconds: i128) -> Option<Self> {
        let whole = match item {
            Item::Integer(time) => i128::from(*time) * nanoseconds,
            Item::Text(text) => match text.parse::<i64>() {
                Ok(time) => i128::from(time) * nanoseconds,
                Err(_) => of_fraction(text.parse().ok()?, nanoseconds)?,
            },
            Item::Number(time) => of_fraction(*time, nanoseconds)?,
            _ => return None,
        };
        let ms = i64::try_from(from_nanoseconds(whole)?).ok()?;
        Some(Self::absolute(in_range(ms)?, 0))
    }

    /// A time as text: RFC 3339 with its zone, or date and time of day in the zone given.
    pub(crate) fn of_text(text: &str, zone: Option<&jiff::tz::TimeZone>) -> Option<Self> {
        let moment = text.parse::<jiff::Timestamp>().ok().or_else(|| {
            let local: jiff::civil::DateTime = text.parse().ok()?;
            zone?.to_timestamp(local).ok()
        })?;
        let ms = i64::try_from(from_nanoseconds(moment.as_nanosecond())?).ok()?;
        Some(Self::absolute(in_range(ms)?, 0))
    }

    /// A time of line protocol.
    pub(crate) fn of_line(text: &str, nanoseconds: i128) -> Option<Self> {
        let time: i64 = text.parse().ok()?;
        let ms = from_nanoseconds(i128::from(time) * nanoseconds)?;
        Some(Self::absolute(in_range(i64::try_from(ms).ok()?)?, time.cast_unsigned()))
    }
}

fn in_range(ms: i64) -> Option<u64> {
    u64::try_from(ms).ok().filter(|ms| *ms <= MAX_TIME_MS)
}

/// To the nearest millisecond; `None` far out of range.
fn rounded(ms: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "within 2^53")]
    (ms.abs() < 9e15).then(|| ms.round() as i64)
}

/// Units with a fraction in nanoseconds, to the nearest microsecond; `None` far out of range.
fn of_fraction(time: f64, nanoseconds: i128) -> Option<i128> {
    #[expect(clippy::cast_precision_loss, reason = "a power of ten of ten digits at most")]
    let microseconds = time * (nanoseconds as f64) / 1000.0;
    #[expect(clippy::cast_possible_truncation, reason = "within the bound")]
    (microseconds.abs() < 1e18).then(|| i128::from(microseconds.round() as i64) * 1000)
}

/// Rounded as well; `None` before 1970.
fn from_nanoseconds(nanoseconds: i128) -> Option<i128> {
    (nanoseconds >= 0).then(|| (nanoseconds + 500_000) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(item: &Item<'_>) -> Option<u64> {
        Moment::of_member(item).map(|moment| moment.at_ms)
    }

    #[test]
    fn numbers_are_seconds_or_milliseconds() {
        for (item, ms) in [
            (Item::Integer(0), Some(0)),
            (Item::Integer(1_700_000_000), Some(1_700_000_000_000)),
            (Item::Integer(99_999_999_999), Some(99_999_999_999_000)),
            (Item::Integer(100_000_000_000), Some(100_000_000_000)),
            (Item::Integer(1_700_000_000_123), Some(1_700_000_000_123)),
            (Item::Integer(253_402_300_799_999), Some(MAX_TIME_MS)),
            (Item::Integer(253_402_300_800_000), None),
            (Item::Integer(-1), None),
            (Item::Integer(i64::MAX), None),
            (Item::Integer(i64::MIN), None),
            (Item::Number(1_700_000_000.123), Some(1_700_000_000_123)),
            (Item::Number(1_700_000_000.123_6), Some(1_700_000_000_124)),
            (Item::Number(1.7e12), Some(1_700_000_000_000)),
            (Item::Number(-0.000_1), None),
            (Item::Number(f64::INFINITY), None),
            (Item::Number(f64::NAN), None),
            (Item::Flag(true), None),
        ] {
            assert_eq!(member(&item), ms, "{item:?}");
        }
    }

    #[test]
    fn texts_have_a_zone() {
        for (text, ms) in [
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000)),
            ("2023-11-14T19:13:20.123-03:00", Some(1_700_000_000_123)),
            ("2023-11-14 22:13:20.1236+00:00", Some(1_700_000_000_124)),
            ("2023-11-14T22:13:20", None),
            ("1969-12-31T23:59:59.999999Z", None),
            ("1700000000", None),
            ("", None),
        ] {
            assert_eq!(member(&Item::Text(text.into())), ms, "{text}");
        }
    }

    #[test]
    fn small_times_of_senml_are_relative() {
        let now = 1_700_000_000_000;
        for (item, at_ms, timeless) in [
            (Item::Integer(0), now, true),
            (Item::Number(-0.0), now, true),
            (Item::Integer(-5), now - 5_000, true),
            (Item::Number(0.5), now + 500, true),
            (Item::Integer(268_435_455), now + 268_435_455_000, true),
            (Item::Integer(268_435_456), 268_435_456_000, false),
            (Item::Number(1.276_020_076_001e9), 1_276_020_076_001, false),
        ] {
            let moment = Moment::of_senml(&item, now).expect("a time");
            assert_eq!((moment.at_ms, moment.timeless), (at_ms, timeless), "{item:?}");
        }
        assert_eq!(Moment::of_senml(&Item::Integer(-5), 4_999), None);
        assert_eq!(Moment::of_senml(&Item::Number(1e300), now), None);
        assert_eq!(Moment::of_senml(&Item::Integer(-1), u64::MAX), None);
    }
}
