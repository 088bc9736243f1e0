//! Sends kept commands by some way, and notes in the database what becomes of them. What it
//! claims nobody else sends; the claim is renewed while the process lives.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nemeses_protocol::DeviceId;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::{Clock, Outage, Registry};
use nemeses_store::StoreError;
use nemeses_store::history::{ClaimedCommand, CommandStep, Commands};
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Desk;

/// Between two looks at what waits: by them a node hears of commands that another process
/// took while Redis is down or not there, and of those whose node was killed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a claim holds that is not renewed: a command that was on its way when its node
/// was killed goes out again after this.
const CLAIM_MS: u64 = 30_000;
/// Devices looked at at once; the next look goes on behind them.
const DEVICES_AT_ONCE: u32 = 500;
/// A way that did not work is tried again after this.
const RETRY_MS: u64 = 5_000;
/// Between two removals of old commands.
const FORGET_EVERY_MS: u64 = 3_600_000;
/// Commands stay as a record for so long after they were asked for.
const REMEMBERED_MS: u64 = 90 * 24 * 3_600_000;
/// What became of commands is noted at the stop within this; else their claims end by
/// themselves, and what was acknowledged in the last moment goes out once more.
const LAST_NOTE: Duration = Duration::from_secs(2);

/// A way to devices.
#[async_trait]
pub(super) trait Way: Send + Sync {
    /// Whether it may lead to this device now. Cheap.
    fn leads_to(&self, device: DeviceId) -> bool;

    /// Sends a command; what became of it, or `None` when that is reported to the desk.
    ///
    /// # Errors
    /// The way itself does not work now.
    async fn send(&self, command: &ClaimedCommand) -> anyhow::Result<Option<CommandStep>>;
}

/// How commands do.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandFigures {
    open: Gauge,
    steps: Family<[(&'static str, &'static str); 1], Counter>,
}

/// Sends what waits.
pub(super) struct Courier<W> {
    store: Arc<dyn Commands>,
    pub(super) way: W,
    pub(super) desk: Arc<Desk>,
    holder: String,
    noting: Mutex<()>,
    /// Of the way.
    outage: Outage,
    clock: Clock,
    figures: CommandFigures,
}

/// Where a look goes on.
#[derive(Default)]
struct Place {
    behind: Option<DeviceId>,
    forgot_at_ms: u64,
}

impl CommandFigures {
    /// Figures that are there from the start.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let figures = Self::default();
        let shown = registry.sub_registry_with_prefix("nemeses_commands");
        shown.register("open", "Commands that wait for a device", figures.open.clone());
        shown.register("steps", "Steps of commands in this process", figures.steps.clone());
        for step in ["sent", "answered", "failed", "expired", "released"] {
            figures.count(step, 0);
        }
        figures
    }

    fn count(&self, step: &'static str, count: u64) {
        self.steps.get_or_create(&[("step", step)]).inc_by(count);
    }
}

impl<W: Way> Courier<W> {
    pub(super) fn new(
        store: Arc<dyn Commands>,
        way: W,
        desk: Arc<Desk>,
        clock: Clock,
        figures: CommandFigures,
    ) -> Self {
        // The process's number and the moment: two that share a database differ.
        let holder = format!("{}-{}", std::process::id(), clock.now_ms());
        let (noting, outage) = (Mutex::new(()), Outage::new());
        Self { store, way, desk, holder, noting, outage, clock, figures }
    }

    /// Sends what waits, whenever somebody listens and every few seconds, until `stop`.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let (outage, mut place) = (Outage::new(), Place::default());
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let looking = tokio::select! {
                () = stop.cancelled() => break,
                () = self.desk.rang() => false,
                _ = looks.tick() => true,
            };
            let round =
                async { if looking { self.look(&mut place).await } else { self.serve().await } };
            match stop.run_until_cancelled(round).await {
                None => break,
                Some(Ok(())) => {
                    if outage.ends().is_some() {
                        tracing::info!("commands are read from the database again");
                    }
                }
                Some(Err(error)) if outage.begins() => {
                    tracing::warn!(%error, "commands wait until the database is back");
                }
                Some(Err(_)) => {}
            }
        }
        if !matches!(timeout(LAST_NOTE, self.note()).await, Ok(Ok(()))) {
            tracing::warn!("what became of the last commands could not be noted");
        }
    }

    /// Notes what became of commands.
    async fn note(&self) -> Result<(), StoreError> {
        // One at a time, since the steps stay on the desk until they are noted.
        let _noting = self.noting.lock().await;
        let steps = self.desk.steps_so_far();
        if !steps.is_empty() {
            self.store.note(&self.holder, &steps, self.clock.now_ms()).await?;
            self.desk.noted(steps.len());
            for (_, step) in &steps {
                self.figures.count(name(step), 1);
            }
        }
        Ok(())
    }

    /// Sends to those whom somebody listens for since it was looked at last.
    async fn serve(&self) -> Result<(), StoreError> {
        self.note().await?;
        self.send_to_reachable(self.desk.take_devices()).await
    }

    /// The regular look: renews, ends what is over, sends what others left.
    async fn look(&self, place: &mut Place) -> Result<(), StoreError> {
        self.note().await?;
        let now_ms = self.clock.now_ms();
        let open = self.store.open().await?;
        self.figures.open.set(i64::try_from(open.count).unwrap_or(i64::MAX));
        let mut devices = self.desk.take_devices();
        if open.count > 0 {
            self.store.renew(&self.holder, now_ms + CLAIM_MS).await?;
            if open.first_expires_at_ms.is_some_and(|first| first <= now_ms) {
                self.figures.count("expired", self.store.expire(now_ms).await?);
            }
            let waiting = self.store.waiting(place.behind, DEVICES_AT_ONCE, now_ms).await?;
            let is_page = u32::try_from(waiting.len()).is_ok_and(|len| len == DEVICES_AT_ONCE);
            place.behind = waiting.last().copied().filter(|_| is_page);
            devices.extend(waiting);
        }
        if now_ms.saturating_sub(place.forgot_at_ms) >= FORGET_EVERY_MS {
            place.forgot_at_ms = now_ms;
            while self.store.forget(now_ms.saturating_sub(REMEMBERED_MS)).await? > 0 {}
        }
        self.send_to_reachable(devices).await
    }

    async fn send_to_reachable(&self, devices: BTreeSet<DeviceId>) -> Result<(), StoreError> {
        let devices: Vec<_> =
            devices.into_iter().filter(|device| self.way.leads_to(*device)).collect();
        if !devices.is_empty() {
            self.send_to(&devices).await?;
        }
        Ok(())
    }

    /// Claims what waits for these devices and sends it; what became of each at once. What
    /// was acknowledged is noted before, so that it does not go out again.
    pub(super) async fn send_to(
        &self,
        devices: &[DeviceId],
    ) -> Result<Vec<(u64, Option<CommandStep>)>, StoreError> {
        self.note().await?;
        let now_ms = self.clock.now_ms();
        let claimed = self.store.claim(devices, &self.holder, now_ms, now_ms + CLAIM_MS).await?;
        let (mut sent, mut works) = (Vec::with_capacity(claimed.len()), true);
        for command in claimed {
            if !self.desk.begins(command.id) {
                // Its claim ended while the database was away; now it holds again.
                continue;
            }
            let step = if works { self.way.send(&command).await } else { Ok(Some(self.later())) };
            works = works && self.worked(&step, command.device);
            sent.push((command.id, step.unwrap_or_else(|_| Some(self.later()))));
        }
        let steps = sent.iter().filter_map(|(id, step)| Some((*id, step.clone()?))).collect();
        self.desk.steps(steps);
        Ok(sent)
    }

    /// Whether the way worked. An outage is logged when it begins and when it ends.
    fn worked(&self, sent: &anyhow::Result<Option<CommandStep>>, device: DeviceId) -> bool {
        match sent {
            Ok(_) if self.outage.ends().is_some() => tracing::info!("commands are sent again"),
            Err(error) if self.outage.begins() => {
                tracing::warn!(%error, %device, "commands cannot be sent; they are tried again until they can");
            }
            _ => {}
        }
        sent.is_ok()
    }

    fn later(&self) -> CommandStep {
        CommandStep::Released(self.clock.now_ms() + RETRY_MS)
    }
}

/// How long a command may still go out.
pub(super) fn time_left(clock: &Clock, command: &ClaimedCommand) -> Duration {
    Duration::from_millis(command.expires_at_ms.saturating_sub(clock.now_ms()))
}

const fn name(step: &CommandStep) -> &'static str {
    match step {
        CommandStep::Sent | CommandStep::SentForGood => "sent",
        CommandStep::Answered(_) => "answered",
        CommandStep::Failed(_) => "failed",
        CommandStep::Released(_) => "released",
    }
}
