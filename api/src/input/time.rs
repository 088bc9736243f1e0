//! Times in parameters: RFC 3339, or whole Unix seconds. Frames carry whole
//! seconds in 32 bits, so a range is made of those: its first second is rounded
//! up, its last down.

use jiff::Timestamp;

use crate::problem::Problem;

/// Longer texts are not looked at.
const LONGEST_TIME: usize = 40;

const EXPECTED: &str = "Must be a time from 1970-01-01T00:00:00Z to 2106-02-07T06:28:15Z, \
    written as RFC 3339 (2020-07-01T21:00:00Z) or as Unix seconds (1593637200).";

/// The first second of a range that begins at this time.
pub(crate) fn first_second(name: &'static str, text: &str) -> Result<u32, Problem> {
    let (second, fraction) = parse(text).ok_or_else(|| Problem::parameter(name, EXPECTED))?;
    let up = if fraction { second.checked_add(1) } else { Some(second) };
    up.ok_or_else(|| Problem::parameter(name, EXPECTED))
}

/// The last second of a range that ends at this time.
pub(crate) fn last_second(name: &'static str, text: &str) -> Result<u32, Problem> {
    parse(text).map(|(second, _)| second).ok_or_else(|| Problem::parameter(name, EXPECTED))
}

/// A time that must be a whole second.
pub(crate) fn one_second(name: &'static str, text: &str) -> Result<u32, Problem> {
    match parse(text) {
        Some((second, false)) => Ok(second),
        Some(_) => Err(Problem::parameter(name, "Must be a whole second: frames carry no less.")),
        None => Err(Problem::parameter(name, EXPECTED)),
    }
}

/// The second and whether a fraction of one follows.
fn parse(text: &str) -> Option<(u32, bool)> {
    if text.len() > LONGEST_TIME {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(|second| (second, false));
    }
    // RFC 3339 has no such annotations; the library's format has.
    if text.contains('[') {
        return None;
    }
    let time: Timestamp = text.parse().or_else(|_| with_plus(text).parse()).ok()?;
    let second = u32::try_from(time.as_second()).ok()?;
    (time.subsec_nanosecond() >= 0).then_some((second, time.subsec_nanosecond() > 0))
}

/// A `+` that was not percent-encoded arrives as a space: `21:00:00 03:00`.
fn with_plus(text: &str) -> String {
    match text.rfind(' ') {
        Some(at) => format!("{}+{}", &text[..at], &text[at + 1..]),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENING: u32 = 1_593_637_200;

    #[test]
    fn both_spellings() {
        for text in [
            "1593637200",
            "2020-07-01T21:00:00Z",
            "2020-07-01T21:00:00.000Z",
            "2020-07-01t21:00:00z",
            "2020-07-01 21:00:00Z",
            "2020-07-01T18:00:00-03:00",
            "2020-07-01T23:00:00+02:00",
            "2020-07-01T23:00:00 02:00",
            "2020-07-01 23:00:00 02:00",
        ] {
            assert_eq!(first_second("from", text), Ok(EVENING), "{text}");
            assert_eq!(last_second("to", text), Ok(EVENING), "{text}");
            assert_eq!(one_second("at", text), Ok(EVENING), "{text}");
        }
    }

    #[test]
    fn fractions_shrink_a_range() {
        let text = "2020-07-01T21:00:00.5Z";
        assert_eq!(first_second("from", text), Ok(EVENING + 1));
        assert_eq!(last_second("to", text), Ok(EVENING));
        assert_eq!(one_second("at", text).unwrap_err().at_fault(), Some("at"));
    }

    #[test]
    fn the_ends_of_time() {
        assert_eq!(first_second("from", "1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(last_second("to", "2106-02-07T06:28:15Z"), Ok(u32::MAX));
        assert_eq!(last_second("to", "4294967295"), Ok(u32::MAX));
        for outside in
            ["1969-12-31T23:59:59Z", "1969-12-31T23:59:59.5Z", "2106-02-07T06:28:16Z", "4294967296"]
        {
            assert_eq!(last_second("to", outside).unwrap_err().at_fault(), Some("to"), "{outside}");
        }
        assert!(first_second("from", "2106-02-07T06:28:15.1Z").is_err());
    }

    #[test]
    fn anything_else_names_the_parameter() {
        let long = "9".repeat(100_000);
        for bad in [
            "",
            " ",
            "now",
            "-1",
            "+1",
            "1.5",
            "1e9",
            "2020-07-01",
            "21:00",
            "2020-07-01T21:00:00",
            "2020-13-01T00:00:00Z",
            "2020-02-30T00:00:00Z",
            "2020-07-01T25:00:00Z",
            "\u{0}",
            "2020-07-01T21:00:00Z[Europe/Paris]",
            "٢٠٢٠",
            long.as_str(),
        ] {
            if bad.is_empty() {
                continue; // counts as not given
            }
            assert_eq!(first_second("from", bad).unwrap_err().at_fault(), Some("from"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(second: u32) {
            let printed = crate::output::time_s(second);
            prop_assert_eq!(one_second("at", &printed), Ok(second));
            prop_assert_eq!(one_second("at", &second.to_string()), Ok(second));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = first_second("from", &text);
        }
    }
}
