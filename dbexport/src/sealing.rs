//! Seals readings that are old enough: rows become blocks of columns, some thousand rows at a
//! time, in the order of their key (docs/decisions/0068-sealed-chunks.md). One process does it for
//! all, by a lease that only spares work: a step that meets another one starts over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nemeses_runtime::Clock;
use nemeses_store::StoreError;
use nemeses_store::history::{Daily, SEALING_LEASE, SealFrom, SealedTotals, Sealing};
use tokio_util::sync::CancellationToken;

/// How long a lease lasts at least and at most: another process takes over so long after one was
/// killed. In between ten runs.
const LEASE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// The limit moves by a day at most, so that a block that is not full is rewritten once a day.
const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);
/// Between two runs at most: late rows wait so long.
const HOUR: Duration = Duration::from_secs(3600);
/// Between two steps at least, and at most; in between as long as the step took, so that
/// commits have half of the time to themselves.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(5)];
/// What takes longer is logged as it goes, so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(60);

/// What one run sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Rows that are in blocks now.
    pub records: u64,
    /// Their values.
    pub values: u64,
    /// Blocks that were written.
    pub blocks: u64,
    /// Another process seals.
    pub busy: bool,
}

/// Who seals.
pub struct Sealer {
    sealing: Arc<dyn Sealing>,
    leases: Arc<dyn Daily>,
    after: Duration,
    holder: String,
    clock: Clock,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Rows recorded before this moment are sealed (Unix milliseconds).
fn limit_ms(now_ms: u64, after: Duration) -> u64 {
    let step_ms = ms(after.clamp(SECOND, DAY));
    now_ms.saturating_sub(ms(after)) / step_ms * step_ms
}

impl Sealer {
    /// Seals what was recorded longer than `after` ago; `name` is this process's own.
    pub fn new(
        (sealing, leases): (Arc<dyn Sealing>, Arc<dyn Daily>),
        after: Duration,
        name: &str,
        clock: Clock,
    ) -> Self {
        let holder = format!("{name}-{:08x}", rand::random::<u32>());
        Self { sealing, leases, after, holder, clock }
    }

    /// Seals all that is due, unless another process does.
    ///
    /// # Errors
    /// What the database reports; what was sealed until then is.
    pub async fn run_once(&self, stop: &CancellationToken) -> Result<Sealed, StoreError> {
        let mut sealed = Sealed::default();
        if !self.lease().await? {
            return Ok(Sealed { busy: true, ..sealed });
        }
        let outcome = self.steps(stop, &mut sealed).await;
        if let Err(error) = self.leases.release(SEALING_LEASE, &self.holder).await {
            tracing::debug!(%error, "the lease on sealing is not given up; it will lapse");
        }
        outcome.map(|()| sealed)
    }

    async fn steps(&self, stop: &CancellationToken, sealed: &mut Sealed) -> Result<(), StoreError> {
        let before_ms = limit_ms(self.clock.now_ms(), self.after);
        let (mut renewed, mut told) = (Instant::now(), Instant::now());
        let mut next = Some(SealFrom::default());
        while let Some(from) = next.filter(|_| !stop.is_cancelled()) {
            if renewed.elapsed() >= self.lasts() / 3 {
                renewed = Instant::now();
                if !self.lease().await? {
                    break;
                }
            }
            let begun = Instant::now();
            let done = self.sealing.seal(before_ms, from).await?;
            sealed.records += done.records;
            sealed.values += done.values;
            sealed.blocks += done.blocks;
            next = done.next;
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                tracing::info!(
                    records = sealed.records,
                    values = sealed.values,
                    "sealing readings"
                );
            }
            let pause = tokio::time::sleep(begun.elapsed().clamp(PAUSES[0], PAUSES[1]));
            stop.run_until_cancelled(pause).await;
        }
        Ok(())
    }

    async fn lease(&self) -> Result<bool, StoreError> {
        let now_ms = self.clock.now_ms();
        let until_ms = now_ms.saturating_add(ms(self.lasts()));
        self.leases.lease(SEALING_LEASE, &self.holder, now_ms, until_ms).await
    }

    /// Between two runs.
    fn every(&self) -> Duration {
        self.after.clamp(SECOND, HOUR)
    }

    /// How long a lease lasts.
    fn lasts(&self) -> Duration {
        (10 * self.every()).clamp(LEASE[0], LEASE[1])
    }

    /// Runs once an hour, or as often as `after` says, until the stop, and tells of each run how
    /// long it took, and what is sealed by now if it sealed any.
    pub async fn run_schedule(
        self,
        stop: CancellationToken,
        told: impl Fn(&Result<Sealed, StoreError>, Duration, Option<SealedTotals>),
    ) {
        let every = self.every();
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            let begun = Instant::now();
            let outcome = self.run_once(&stop).await;
            let took = begun.elapsed();
            // The process that seals knows of the change; nobody else reads a row a block.
            let totals = match &outcome {
                Ok(Sealed { records: 1.., .. }) => self.sealing.sealed().await.ok(),
                _ => None,
            };
            told(&outcome, took, totals);
            match outcome {
                Ok(Sealed { records: 0, .. }) => {}
                Ok(Sealed { records, values, blocks, .. }) => {
                    tracing::info!(records, values, blocks, "readings are sealed");
                }
                Err(error) => tracing::warn!(
                    %error,
                    next_try_in_s = every.as_secs(),
                    "readings stay rows until the next try"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_moves_by_days_or_sooner_for_short_periods() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let noon = 20_000 * 86_400_000 + 43_200_000;
        assert_eq!(limit_ms(noon, days(7)), 19_993 * 86_400_000);
        assert_eq!(limit_ms(noon, days(1)), 19_999 * 86_400_000);
        assert_eq!(limit_ms(noon + 1_999, Duration::from_secs(1)), noon);
        assert_eq!(limit_ms(0, days(1)), 0);
    }
}
