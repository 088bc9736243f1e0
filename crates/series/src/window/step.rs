//! The step of windows, and its text.

use std::fmt;
use std::str::FromStr;

use crate::SeriesError;

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The smallest round step that gives as many windows as are wanted at most.
    Auto,
    /// The same number of milliseconds each, aligned to 1970 (UTC): `10s`, `5m`, `24h`.
    Fixed {
        /// Milliseconds, at least 1; at most 49 days.
        ms: u32,
    },
    /// So many units of the calendar of a time zone: `1d`, `1w`, `3mo`, `1y`. A day has 23 or 25
    /// hours where clocks change.
    Calendar {
        /// How many, at least 1.
        count: u32,
        /// Of what.
        unit: CalendarUnit,
    },
}

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CalendarUnit {
    /// From midnight to midnight; several are counted from 1 January 1970.
    Day,
    /// From Monday to Monday; several are counted from 5 January 1970.
    Week,
    /// From the first of a month; several are counted from January, so that `3mo` are quarters.
    Month,
    /// From 1 January; several are counted from the year 0.
    Year,
}

const SECOND: u32 = 1_000;
const MINUTE: u32 = 60 * SECOND;
const HOUR: u32 = 60 * MINUTE;

/// The units of fixed steps, the longest first.
const FIXED: [(&str, u32); 4] = [("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1)];

impl CalendarUnit {
    pub(super) const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    /// How a step names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "d",
            Self::Week => "w",
            Self::Month => "mo",
            Self::Year => "y",
        }
    }
}

impl Step {
    /// From what [`Step::Auto`] chooses, the shortest first.
    pub(super) const ROUND: [Self; 30] = [
        fixed(1),
        fixed(10),
        fixed(100),
        fixed(SECOND),
        fixed(2 * SECOND),
        fixed(5 * SECOND),
        fixed(10 * SECOND),
        fixed(15 * SECOND),
        fixed(30 * SECOND),
        fixed(MINUTE),
        fixed(2 * MINUTE),
        fixed(5 * MINUTE),
        fixed(10 * MINUTE),
        fixed(15 * MINUTE),
        fixed(30 * MINUTE),
        fixed(HOUR),
        fixed(2 * HOUR),
        fixed(3 * HOUR),
        fixed(6 * HOUR),
        fixed(12 * HOUR),
        calendar(1, CalendarUnit::Day),
        calendar(2, CalendarUnit::Day),
        calendar(1, CalendarUnit::Week),
        calendar(1, CalendarUnit::Month),
        calendar(3, CalendarUnit::Month),
        calendar(1, CalendarUnit::Year),
        calendar(2, CalendarUnit::Year),
        calendar(5, CalendarUnit::Year),
        calendar(10, CalendarUnit::Year),
        calendar(100, CalendarUnit::Year),
    ];
}

const fn fixed(ms: u32) -> Step {
    Step::Fixed { ms }
}

const fn calendar(count: u32, unit: CalendarUnit) -> Step {
    Step::Calendar { count, unit }
}

/// The step of a count and a unit; none if it is 0, too long, or the unit unknown.
fn step(count: u32, unit: &str) -> Option<Step> {
    if count == 0 {
        return None;
    }
    if let Some(unit) = CalendarUnit::ALL.into_iter().find(|known| known.as_str() == unit) {
        return Some(calendar(count, unit));
    }
    let (_, ms) = FIXED.into_iter().find(|(known, _)| *known == unit)?;
    Some(fixed(count.checked_mul(ms)?))
}

impl FromStr for Step {
    type Err = SeriesError;

    fn from_str(text: &str) -> Result<Self, SeriesError> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let count = count.parse().ok();
        count
            .and_then(|count| step(count, unit))
            .ok_or_else(|| SeriesError::BadStep(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Calendar { count, unit } => write!(f, "{count}{unit}"),
            Self::Fixed { ms } => {
                let whole = FIXED.into_iter().find(|(_, unit)| ms.is_multiple_of(*unit));
                let (name, unit) = whole.unwrap_or(("ms", 1));
                write!(f, "{}{name}", ms / unit)
            }
        }
    }
}

impl fmt::Display for CalendarUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
