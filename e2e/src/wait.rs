//! Waiting for a condition under a deadline, instead of sleeping and hoping.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Looks at `condition` until it gives a value, and returns it.
///
/// # Errors
/// The deadline passed; the message holds `what` and the condition's last complaint.
pub async fn wait_for<T>(
    within: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        // A condition that hangs is a condition that does not hold.
        let left = within.saturating_sub(began.elapsed()).max(POLL);
        let complaint = match tokio::time::timeout(left, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(complaint)) => complaint,
            Err(_) => anyhow::anyhow!("no answer"),
        };
        if began.elapsed() >= within {
            return Err(complaint.context(format!("not within {within:?}: {what}")));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until `condition` is true.
///
/// # Errors
/// The deadline passed.
pub async fn wait_until(
    within: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    wait_for(within, what, async || {
        anyhow::ensure!(condition().await, "still false");
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_the_first_value() {
        let mut looks = 0;
        let value = wait_for(Duration::from_secs(5), "third look", async || {
            looks += 1;
            anyhow::ensure!(looks == 3, "look {looks}");
            Ok(looks)
        })
        .await
        .unwrap();
        assert_eq!(value, 3);
    }

    #[tokio::test]
    async fn says_what_was_waited_for_and_why_it_failed() {
        let error =
            wait_until(Duration::from_millis(30), "rain", async || false).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("rain") && text.contains("still false"), "{text}");
    }

    #[tokio::test]
    async fn a_hanging_condition_ends_too() {
        let error =
            wait_until(Duration::from_millis(30), "news", std::future::pending).await.unwrap_err();
        assert!(format!("{error:#}").contains("no answer"));
    }
}
