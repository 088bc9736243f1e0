//! When to try again, and what an answer means. Pure.

use std::time::Duration;

/// Before each attempt, in seconds: the schedule that the specification of standard webhooks recommends, about
/// three days in all.
const WAITS_S: [u64; 10] = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Nobody may ask for more patience.
const MOST_WAIT_S: u64 = 86_400;

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The target accepted it.
    Accepted,
    /// The target says that it is there no more.
    Gone(String),
    /// The target is there and does not want this message.
    Refused(String),
    /// The target is not there, or wants nothing now; it may say until when.
    Unwell(String, Option<Duration>),
}

/// What the status of an HTTP answer means.
pub(crate) fn answer(status: u16, retry_after: Option<Duration>, said: &str) -> Answer {
    let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
    let blank = if said.is_empty() { "" } else { ": " };
    let why = format!("it answered {status}{blank}{said}");
    match status {
        200..=299 => Answer::Accepted,
        410 => Answer::Gone(why),
        // About this message; any other answer would be the same for the next one.
        400 | 413 | 422 => Answer::Refused(why),
        300..=399 => Answer::Unwell(format!("{why} (redirects are not followed)"), None),
        _ => Answer::Unwell(why, retry_after),
    }
}

/// How long to wait after so many attempts that failed; `None` after the last. `random` is between 0 and 1, and
/// moves it by a tenth, so that many receivers of one host do not come back together.
pub(crate) fn wait_ms(failed: u32, asked: Option<Duration>, random: f64) -> Option<u64> {
    let wait_s = *WAITS_S.get(usize::try_from(failed).ok()?)?;
    let asked_s = asked.map_or(0, |asked| asked.as_secs().min(MOST_WAIT_S));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "at most a day in milliseconds, and not below 0"
    )]
    let moved = (wait_s as f64 * 1000.0 * (0.9 + 0.2 * random.clamp(0.0, 1.0))) as u64;
    Some(moved.max(asked_s * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_for_three_days() {
        assert_eq!((wait_ms(1, None, 0.5), wait_ms(2, None, 0.0)), (Some(5_000), Some(270_000)));
        assert_eq!(wait_ms(9, None, 1.0), Some(95_040_000));
        assert_eq!(wait_ms(10, None, 0.5), None);
        let all: u64 = (1..10).filter_map(|failed| wait_ms(failed, None, 0.5)).sum();
        assert_eq!(all, 272_105_000, "3.1 days");
        assert_eq!(wait_ms(1, Some(Duration::from_secs(60)), 0.5), Some(60_000));
        assert_eq!(wait_ms(1, Some(Duration::MAX), 0.5), Some(86_400_000));
    }

    #[test]
    fn answers() {
        assert_eq!(answer(204, None, ""), Answer::Accepted);
        assert!(matches!(answer(410, None, ""), Answer::Gone(_)));
        assert!(matches!(answer(413, None, ""), Answer::Refused(_)));
        for status in [301, 401, 404, 408, 429, 500, 503] {
            assert!(matches!(answer(status, None, ""), Answer::Unwell(..)), "{status}");
        }
        let said = Answer::Refused("it answered 400: no".to_owned());
        assert_eq!(answer(400, None, "n\r\no"), said);
    }
}
