//! How long a client waits, from the header `grpc-timeout`. Pure but for the wait.

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::Instant;

/// When a client stops waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) fn of(begun: std::time::Instant, asked: Option<Duration>) -> Self {
        Self(asked.and_then(|asked| Instant::from_std(begun).checked_add(asked)))
    }

    /// Runs this until then; `None` when it is over.
    pub(super) async fn within<T>(self, work: impl Future<Output = T>) -> Option<T> {
        match self.0 {
            Some(at) => tokio::time::timeout_at(at, work).await.ok(),
            None => Some(work.await),
        }
    }
}

/// The timeout of a call; a header that cannot be read is ignored.
pub(super) fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // The specification has at most 8 digits.
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn asked(text: &str) -> Option<Duration> {
        let value = HeaderValue::from_str(text).unwrap();
        asked_for(&HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), value)]))
    }

    #[test]
    fn timeouts_are_read() {
        assert_eq!(asked("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(asked("3M"), Some(Duration::from_secs(180)));
        assert_eq!(asked("1S"), Some(Duration::from_secs(1)));
        assert_eq!(asked("250m"), Some(Duration::from_millis(250)));
        assert_eq!(asked("99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert_eq!(asked("0u"), Some(Duration::ZERO));
        for bad in ["", "S", "1", "1s", "-1S", "123456789S", "1.5S", "1 S"] {
            assert_eq!(asked(bad), None, "{bad}");
        }
        assert_eq!(asked_for(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn nothing_goes_on_beyond_the_deadline() {
        let begun = std::time::Instant::now();
        let over = Deadline::of(begun, Some(Duration::ZERO));
        assert_eq!(over.within(std::future::pending::<()>()).await, None);
        assert_eq!(Deadline::of(begun, None).within(async { 7 }).await, Some(7));
    }
}
