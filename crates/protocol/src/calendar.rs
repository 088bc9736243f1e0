//! Dates and numbers as devices write them.

/// Date and time in UTC as Unix seconds; `None` when there is no such date, or when it is
/// before 1970 or after 2105.
pub(crate) fn unix_seconds(date: [u32; 3], time: [u32; 3]) -> Option<u32> {
    let [year, month, day] = date;
    let [hour, minute, second] = time;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    let possible = (1970..=2105).contains(&year)
        && (1..=days_of_month).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !possible {
        return None;
    }
    // Years that begin in March have the leap day at their end.
    let shifted = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year - 719_468;
    days.checked_mul(86_400)?.checked_add(hour * 3600 + minute * 60 + second)
}

/// `YYYYMMDDHHMMSS`.
pub(crate) fn fourteen_digits(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() == 14;
    let number = |from: usize, to: usize| text.get(from..to)?.parse().ok();
    if !digits {
        return None;
    }
    unix_seconds(
        [number(0, 4)?, number(4, 6)?, number(6, 8)?],
        [number(8, 10)?, number(10, 12)?, number(12, 14)?],
    )
}

/// `2021-07-21T08:06:34.444Z`, with any offset, with a space instead of the `T`, and UTC
/// where no zone stands; as Unix milliseconds.
pub(crate) fn iso_8601(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let marks = [(4, "-"), (7, "-"), (13, ":"), (16, ":")];
    if !marks.iter().all(|(at, mark)| text.get(*at..at + 1) == Some(mark)) {
        return None;
    }
    if !matches!(bytes.get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let seconds = unix_seconds(
        [number(0, 4)?, number(5, 7)?, number(8, 10)?],
        [number(11, 13)?, number(14, 16)?, number(17, 19)?],
    )?;
    let mut rest = text.get(19..)?;
    let mut ms = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        for (digit, worth) in fraction.bytes().take(digits).zip([100, 10, 1]) {
            ms += u64::from(digit - b'0') * worth;
        }
        rest = fraction.get(digits..)?;
    }
    let offset_s = match rest.as_bytes() {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, behind @ ..] => {
            let at = text.len() - rest.len();
            let minutes = match behind {
                [] => 0,
                [b':', _, _] => number(at + 4, at + 6)?,
                [_, _] => number(at + 3, at + 5)?,
                _ => return None,
            };
            let offset = i64::from(number(at + 1, at + 3)? * 3600 + minutes * 60);
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    u64::try_from((i64::from(seconds) - offset_s) * 1000).ok().map(|at_ms| at_ms + ms)
}

/// A finite number times a power of ten, as the nearest whole number; `None` beyond 2^53.
pub(crate) fn scaled(number: f64, power: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let scaled = number * power;
    let half = if scaled < 0.0 { -0.5 } else { 0.5 };
    #[expect(clippy::cast_possible_truncation, reason = "within 2^53")]
    (-EXACT..=EXACT).contains(&scaled).then_some((scaled + half) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = 0;
        for year in 1970..=2105 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(seconds) = unix_seconds([year, month, day], [0, 0, 0]) {
                        assert_eq!(seconds, expected, "{year}-{month}-{day}");
                        expected += 86_400;
                    }
                }
            }
        }
        assert_eq!(expected, 49_673 * 86_400, "136 years, 33 of them leap years");
    }

    #[test]
    fn what_is_no_date_is_none() {
        for (date, time) in [
            ([2023, 2, 29], [0, 0, 0]),
            ([2100, 2, 29], [0, 0, 0]),
            ([2024, 13, 1], [0, 0, 0]),
            ([2024, 0, 1], [0, 0, 0]),
            ([2024, 1, 0], [0, 0, 0]),
            ([2024, 1, 1], [24, 0, 0]),
            ([2024, 1, 1], [0, 60, 0]),
            ([2024, 1, 1], [0, 0, 60]),
            ([1969, 12, 31], [0, 0, 0]),
            ([2106, 1, 1], [0, 0, 0]),
        ] {
            assert_eq!(unix_seconds(date, time), None, "{date:?} {time:?}");
        }
        for text in ["2026051401045", "202605140104560", "2026051401045x", "20261301000000", ""] {
            assert_eq!(fourteen_digits(text), None, "{text}");
        }
        assert_eq!(fourteen_digits("20260514010456"), Some(1_778_720_696));
    }

    #[test]
    fn texts_with_and_without_a_zone() {
        for (text, expected) in [
            ("2021-07-21T08:06:34.444Z", Some(1_626_854_794_444)),
            ("2021-07-21T10:06:34.4449+02:00", Some(1_626_854_794_444)),
            ("2021-07-21T05:06:34-0300", Some(1_626_854_794_000)),
            ("2021-07-21T05:06:34-03", Some(1_626_854_794_000)),
            ("2021-07-21 08:06:34", Some(1_626_854_794_000)),
            ("2021-07-21T08:06:34.", None),
            ("2021-07-21T08:06:34 Z", None),
            ("2021-07-21", None),
            ("2021-07-21T+8:06:34Z", None),
            ("1970-01-01T00:00:00+01:00", None),
            ("ärger", None),
        ] {
            assert_eq!(iso_8601(text), expected, "{text}");
        }
    }
}
