//! Refills a live store that has lost its memory from history, so that a restart
//! does not turn the fleet offline.
//!
//! Runs beside the exporter, the one station that has both stores. It asks every
//! few seconds rather than being told, since a loss (restart, failover, flush)
//! tells nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use nemeses_runtime::{Backoff, Clock, Outage};
use tokio_util::sync::CancellationToken;

use super::LiveStore;
use crate::StoreError;
use crate::history::{BUCKET_SECONDS, Positions};

/// How often to look whether the store has lost its memory.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After errors.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Well within the time after which a claim lapses (5 s).
const KEEP_CLAIM_EVERY: Duration = Duration::from_secs(1);
/// Frames that were on their way to history when the memory was lost are read
/// by a second pass, this long after the first.
const SETTLE: Duration = Duration::from_secs(3);
/// A frame heard within the TTL was recorded at most this much before it began:
/// devices' clocks and the way here.
const RECORDED_BEFORE_MS: u64 = 15 * 60 * 1000;

/// Looks after `live` until `stop`: whenever it has lost its memory, entries of
/// all devices heard within `ttl_ms` are read from `history` and merged into it.
pub async fn rebuild_loop(
    live: Arc<dyn LiveStore>,
    history: Arc<dyn Positions>,
    ttl_ms: u64,
    clock: Clock,
    stop: CancellationToken,
) {
    let rebuild = Rebuild { live, history, ttl_ms, clock, settle: SETTLE };
    stop.run_until_cancelled(rebuild.look_after()).await;
}

struct Rebuild {
    live: Arc<dyn LiveStore>,
    history: Arc<dyn Positions>,
    ttl_ms: u64,
    clock: Clock,
    settle: Duration,
}

impl Rebuild {
    async fn look_after(&self) {
        let (outage, mut backoff) = (Outage::new(), Backoff::new(RETRY.0, RETRY.1));
        let mut unsettled = false;
        loop {
            let wait = match self.rebuild_if_needed(&mut unsettled).await {
                Ok(()) => {
                    if let Some(lasted) = outage.ends() {
                        let seconds = lasted.as_secs();
                        tracing::info!("the live store is looked after again, after {seconds} s");
                    }
                    backoff.reset();
                    LOOK_EVERY
                }
                Err(error) => {
                    if outage.begins() {
                        tracing::warn!("the live store cannot be looked after, trying on: {error}");
                    }
                    backoff.wait()
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// `unsettled` tells that the second pass is still to come, also when it has failed.
    async fn rebuild_if_needed(&self, unsettled: &mut bool) -> Result<(), StoreError> {
        if self.live.needs_rebuild().await? && self.live.claim_rebuild().await? {
            self.rebuild().await?;
            *unsettled = true;
        }
        if *unsettled {
            tokio::time::sleep(self.settle).await;
            self.refill(false).await?;
            *unsettled = false;
        }
        Ok(())
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        let devices = self.refill(true).await?;
        self.live.mark_rebuilt().await?;
        let took_ms = started.elapsed().as_millis();
        tracing::info!("rebuilt the live store from history: {devices} devices in {took_ms} ms");
        Ok(())
    }

    /// Merges what history knows; how many entries that were.
    async fn refill(&self, claimed: bool) -> Result<usize, StoreError> {
        let (since_ms, recorded_from) = reach(self.clock.now_ms(), self.ttl_ms);
        let mut chunks = self.history.recent_entries(since_ms, recorded_from);
        let mut keep_claim = tokio::time::interval(KEEP_CLAIM_EVERY);
        let mut devices = 0;
        loop {
            tokio::select! {
                chunk = chunks.next() => match chunk.transpose()? {
                    None => return Ok(devices),
                    Some(chunk) => {
                        self.live.merge(&chunk, self.clock.now_ms()).await?;
                        devices += chunk.len();
                    }
                },
                _ = keep_claim.tick(), if claimed => self.keep_claim().await?,
            }
        }
    }

    async fn keep_claim(&self) -> Result<(), StoreError> {
        if self.live.keep_claim().await? {
            return Ok(());
        }
        Err(StoreError::Unavailable {
            store: "the live store",
            detail: "it lost its memory again while it was rebuilt, or another took over"
                .to_owned(),
        })
    }
}

/// From when on to read: Unix milliseconds of arrival, and the beginning of the
/// bucket of recorded time in which the search begins.
fn reach(now_ms: u64, ttl_ms: u64) -> (u64, u32) {
    let since_ms = now_ms.saturating_sub(ttl_ms);
    let recorded_from_s = since_ms.saturating_sub(RECORDED_BEFORE_MS) / 1000;
    let recorded_from = u32::try_from(recorded_from_s).unwrap_or(u32::MAX);
    (since_ms, recorded_from - recorded_from % BUCKET_SECONDS)
}

#[cfg(test)]
mod tests;
