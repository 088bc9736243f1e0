//! Notes the newest rows of devices that have fallen quiet, off the commit's path: as long
//! as a device goes on sending, its live entry says where it is.

use std::sync::Arc;
use std::time::Duration;

use nemeses_runtime::{Backoff, Clock, Outage};
use nemeses_store::StoreError;
use nemeses_store::history::Commits;
use tokio_util::sync::CancellationToken;

/// A device is quiet after this part of the time for which its live entry answers, so that
/// its rows are noted well before that is over.
const PART_OF_TTL: u32 = 4;
const QUIET: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How often it is looked who has fallen quiet: this part of what is quiet.
const LOOKS: u32 = 5;
/// After errors.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Looks who has fallen quiet, until `stop`. What a process before this one could not note
/// is read first.
pub async fn note_quiet(
    history: Arc<dyn Commits>,
    live_ttl: Duration,
    clock: Clock,
    stop: CancellationToken,
) {
    let quiet = (live_ttl / PART_OF_TTL).clamp(QUIET.0, QUIET.1);
    stop.run_until_cancelled(look_after(history.as_ref(), quiet, &clock)).await;
}

async fn look_after(history: &dyn Commits, quiet: Duration, clock: &Clock) {
    let (outage, mut backoff) = (Outage::new(), Backoff::new(RETRY.0, RETRY.1));
    let quiet_ms = u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX);
    let mut recalled = false;
    loop {
        let noted = note(history, &mut recalled, clock.now_ms().saturating_sub(quiet_ms));
        let wait = match noted.await {
            Ok(()) => {
                if let Some(lasted) = outage.ends() {
                    let seconds = lasted.as_secs();
                    tracing::info!("the last rows of devices are noted again, after {seconds} s");
                }
                backoff.reset();
                quiet / LOOKS
            }
            Err(error) => {
                if outage.begins() {
                    tracing::warn!("the last rows of devices cannot be noted, trying on: {error}");
                }
                backoff.wait()
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn note(
    history: &dyn Commits,
    recalled: &mut bool,
    before_ms: u64,
) -> Result<(), StoreError> {
    if !*recalled {
        let rows = history.recall_last().await?;
        tracing::debug!(rows, "read what was committed last");
        *recalled = true;
    }
    history.note_last(before_ms).await.map(drop)
}
