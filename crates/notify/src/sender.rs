//! Sends what is due: claims a receiver, sends what waits for it, notes what became of it, and gives it back.
//!
//! A message is sent before that is noted. Who is killed in between sends it again under the same id; nobody ever sends
//! another one under it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nemeses_runtime::{Backoff, Clock, Outage, Registry, Stop};
use nemeses_store::StoreError;
use nemeses_store::history::{
    Claimed, Database, Outbox, Outcome, ReceiverHealth, Receivers, StoredReceiver,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::delivery::Delivery;
use crate::outlets::Outlets;
use crate::plan::{GATHER_MS, MANY, Plan, Planned, Situation, flaps_until_ms, plan};
use crate::schedule::{Answer, wait_ms};
use crate::stats::Stats;
use crate::target::{Kind, Target};

/// Receivers to which messages are sent at the same time.
const AT_ONCE: usize = 16;
/// For how long a receiver is claimed: after a kill, others wait so long.
const CLAIM_MS: u64 = 90_000;
/// After so long, no further message is begun under a claim: one takes 20 s at most.
const WORK_MS: u64 = 45_000;
/// Notifications of one claim.
const DUE_AT_ONCE: u32 = 1_000;
/// Between looks for notifications of other processes, and for those that become due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Openings that are looked at to see whether an alarm flaps: of so many alarms, so many, as old as this. What is more
/// becomes one message anyhow.
const FLAPS_LOOKED_AT: usize = 20;
const FLAPS_READ: u32 = 100;
const FLAPS_SINCE_MS: u64 = 6 * 3_600_000;
/// How long notifications are kept after they are done, and how many are removed at once.
const KEPT_MS: u64 = 90 * 86_400_000;
const FORGOTTEN_AT_ONCE: u32 = 1_000;
/// Between looks for those.
const FORGET_EVERY_MS: u64 = 600_000;
/// After errors of the database.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Who sends.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names the process among those that share the database.
    pub name: String,
    /// Whether there can be no other: then what a killed process had claimed is free at once.
    pub alone: bool,
}

/// Sends notifications.
pub struct Sender {
    holder: String,
    alone: bool,
    outbox: Arc<dyn Outbox>,
    receivers: Arc<dyn Receivers>,
    wake: Arc<Notify>,
    outlets: Arc<Outlets>,
    clock: Clock,
    stats: Stats,
}

/// When messages were sent to each receiver, lately.
type Lately = BTreeMap<u64, VecDeque<u64>>;

/// What became of the work on a receiver.
struct Worked {
    receiver: u64,
    sent_at_ms: Vec<u64>,
    result: Result<(), StoreError>,
}

impl Sender {
    /// A sender on a database.
    pub fn new(
        config: &Config,
        database: &Database,
        outlets: Arc<Outlets>,
        clock: Clock,
        registry: &mut Registry,
    ) -> Self {
        Self {
            // Nobody used this name before.
            holder: format!("{}-{:016x}", config.name, rand::random::<u64>()),
            alone: config.alone,
            outbox: database.outbox(),
            receivers: database.receivers(),
            wake: database.outbox_wake(),
            outlets,
            clock,
            stats: Stats::register(registry),
        }
    }

    /// Sends until `stop.all`; what is being sent then is waited for by who stops us.
    pub async fn run(self, stop: Stop) {
        let stop = stop.all;
        let (outage, mut backoff) = (Outage::new(), Backoff::new(RETRY.0, RETRY.1));
        let mut working = FuturesUnordered::new();
        let (mut busy, mut lately) = (BTreeSet::new(), Lately::new());
        let (mut is_free, mut forgot_ms) = (!self.alone, 0);
        while !stop.is_cancelled() {
            let looked = async {
                if !is_free {
                    self.outbox.release_all_receivers().await?;
                }
                let now_ms = self.clock.now_ms();
                if now_ms.saturating_sub(forgot_ms) > FORGET_EVERY_MS {
                    let before_ms = now_ms.saturating_sub(KEPT_MS);
                    self.outbox.forget_notifications(before_ms, FORGOTTEN_AT_ONCE).await?;
                    forgot_ms = now_ms;
                }
                self.outbox.due_receivers(now_ms).await
            };
            let looked = looked.await;
            let mut pause = LOOK_EVERY;
            match looked {
                Ok(due) => {
                    is_free = true;
                    if outage.ends().is_some() {
                        tracing::info!("notifications are sent again");
                    }
                    backoff.reset();
                    let room = AT_ONCE.saturating_sub(working.len());
                    let ours = due.into_iter().filter(|(id, kind)| {
                        !busy.contains(id)
                            && Kind::of(kind)
                                .is_none_or(|kind| self.outlets.available(kind).is_ok())
                    });
                    for (id, _) in ours.take(room).collect::<Vec<_>>() {
                        busy.insert(id);
                        let sent_lately = lately.get(&id).map_or(0, VecDeque::len);
                        working.push(self.work(id, sent_lately, stop.clone()));
                    }
                }
                Err(error) => {
                    report(&outage, &error);
                    pause = backoff.wait();
                }
            }
            self.stats.sending.set(i64::try_from(working.len()).unwrap_or(i64::MAX));
            tokio::select! {
                Some(worked) = working.next(), if !working.is_empty() => {
                    self.finish(worked, &mut busy, &mut lately, &outage);
                }
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        while working.next().await.is_some() {}
    }

    fn finish(
        &self,
        worked: Worked,
        busy: &mut BTreeSet<u64>,
        lately: &mut Lately,
        outage: &Outage,
    ) {
        busy.remove(&worked.receiver);
        if let Err(error) = &worked.result {
            report(outage, error);
        }
        lately.entry(worked.receiver).or_default().extend(worked.sent_at_ms);
        let since = self.clock.now_ms().saturating_sub(GATHER_MS);
        lately.retain(|_, times| {
            while times.front().is_some_and(|at| *at < since) || times.len() > MANY {
                times.pop_front();
            }
            !times.is_empty()
        });
    }

    async fn work(&self, receiver: u64, sent_lately: usize, stop: CancellationToken) -> Worked {
        let mut sent_at_ms = Vec::new();
        let result = self.work_on(receiver, sent_lately, &stop, &mut sent_at_ms).await;
        Worked { receiver, sent_at_ms, result }
    }

    async fn work_on(
        &self,
        receiver: u64,
        sent_lately: usize,
        stop: &CancellationToken,
        sent_at_ms: &mut Vec<u64>,
    ) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        let until_ms = now_ms + CLAIM_MS;
        let claimed =
            self.outbox.claim(receiver, &self.holder, now_ms, until_ms, DUE_AT_ONCE).await?;
        let Some(claimed) = claimed else { return Ok(()) };
        let done = self.send_all(&claimed, sent_lately, now_ms, stop, sent_at_ms).await;
        let released = self.outbox.release(receiver, &self.holder).await;
        done.and(released)
    }

    async fn send_all(
        &self,
        claimed: &Claimed,
        sent_lately: usize,
        began_ms: u64,
        stop: &CancellationToken,
        sent_at_ms: &mut Vec<u64>,
    ) -> Result<(), StoreError> {
        let stored = &claimed.receiver;
        let (target, delivery) = match read(stored) {
            Ok(read) => read,
            Err(why) => {
                let reason = format!("its settings cannot be read: {why}");
                return self.switch_off(stored, &reason).await;
            }
        };
        let flapping = self.flapping(claimed, began_ms).await?;
        let situation = Situation {
            receiver: stored,
            kind: target.kind(),
            delivery: &delivery,
            now_ms: began_ms,
            sent_last_hour: claimed.sent_last_hour,
            sent_lately,
            flapping: &flapping,
        };
        let Plan { at_once, messages } = plan(&situation, &claimed.due);
        if !at_once.is_empty() {
            self.note(stored.id, &at_once, None).await?;
        }
        let mut failures = stored.failures;
        for message in &messages {
            if stop.is_cancelled() || self.clock.now_ms().saturating_sub(began_ms) > WORK_MS {
                break;
            }
            if message.is_new_group {
                let key = &message.parcel.id;
                if !self.outbox.group(stored.id, &self.holder, &message.ids, key).await? {
                    break;
                }
            }
            let now_ms = self.clock.now_ms();
            let answer =
                self.outlets.deliver(stored.id, &target, &delivery, &message.parcel, now_ms).await;
            self.stats.attempt(target.kind(), &answer);
            if answer == Answer::Accepted {
                sent_at_ms.push(now_ms);
                self.measure(claimed, message);
            }
            if !self.settle(stored, message, answer, &mut failures).await? {
                break;
            }
        }
        Ok(())
    }

    /// Which of what is due flaps, and until when it is held back.
    async fn flapping(
        &self,
        claimed: &Claimed,
        now_ms: u64,
    ) -> Result<BTreeMap<u64, u64>, StoreError> {
        let mut flapping = BTreeMap::new();
        let opened = claimed
            .due
            .iter()
            .map(|(due, _)| due)
            .filter(|due| due.transition == "opened" && due.group.is_none());
        for due in opened.take(FLAPS_LOOKED_AT) {
            let Some((rule_and_device, _)) = due.alarm_key.rsplit_once('.') else { continue };
            let (alarms, since_ms) =
                (format!("{rule_and_device}."), now_ms.saturating_sub(FLAPS_SINCE_MS));
            let found = self.outbox.opened(claimed.receiver.id, &alarms, since_ms, FLAPS_READ);
            let mut times: Vec<u64> = found.await?.into_iter().map(|(at_ms, _)| at_ms).collect();
            times.retain(|at_ms| *at_ms <= due.created_at_ms);
            times.sort_unstable();
            if let Some(until_ms) = flaps_until_ms(&times) {
                flapping.insert(due.id, until_ms);
            }
        }
        Ok(flapping)
    }

    fn measure(&self, claimed: &Claimed, message: &Planned) {
        let now_ms = self.clock.now_ms();
        for (due, _) in claimed.due.iter().filter(|(due, _)| message.ids.contains(&due.id)) {
            let delay = Duration::from_millis(now_ms.saturating_sub(due.created_at_ms));
            self.stats.delay_seconds.observe(delay.as_secs_f64());
        }
    }

    /// Notes what an attempt came to; `false` when nothing more is to be sent now.
    async fn settle(
        &self,
        stored: &StoredReceiver,
        message: &Planned,
        answer: Answer,
        failures: &mut u32,
    ) -> Result<bool, StoreError> {
        let now_ms = self.clock.now_ms();
        let all = |outcome: Outcome| -> Vec<(u64, Outcome)> {
            message.ids.iter().map(|id| (*id, outcome.clone())).collect()
        };
        match answer {
            Answer::Accepted => {
                *failures = 0;
                let health = ReceiverHealth::default();
                self.note(stored.id, &all(Outcome::Delivered), Some(&health)).await
            }
            Answer::Gone(error) => {
                let failed = all(Outcome::Failed { error: error.clone() });
                self.note(stored.id, &failed, None).await?;
                self.switch_off(stored, &error).await.map(|()| false)
            }
            Answer::Refused(error) => {
                let outcome = match wait_ms(message.attempts + 1, None, rand::random()) {
                    Some(wait_ms) => Outcome::Again { at_ms: now_ms + wait_ms, error },
                    None => Outcome::Failed { error },
                };
                self.note(stored.id, &all(outcome), None).await
            }
            Answer::Unwell(error, asked) => {
                *failures += 1;
                let Some(wait_ms) = wait_ms(*failures, asked, rand::random()) else {
                    let failed = all(Outcome::Failed { error: error.clone() });
                    self.note(stored.id, &failed, None).await?;
                    let reason = format!("it did not answer for three days; last: {error}");
                    return self.switch_off(stored, &reason).await.map(|()| false);
                };
                let at_ms = now_ms + wait_ms;
                let health = ReceiverHealth {
                    failures: *failures,
                    paused_until_ms: at_ms,
                    last_error: Some(error.clone()),
                };
                let again = all(Outcome::Again { at_ms, error });
                self.note(stored.id, &again, Some(&health)).await.map(|_| false)
            }
        }
    }

    async fn note(
        &self,
        receiver: u64,
        outcomes: &[(u64, Outcome)],
        health: Option<&ReceiverHealth>,
    ) -> Result<bool, StoreError> {
        let now_ms = self.clock.now_ms();
        let noted = self.outbox.settle(receiver, &self.holder, now_ms, outcomes, health).await?;
        if noted {
            for (_, outcome) in outcomes {
                if let Outcome::Suppressed { reason } = outcome {
                    self.stats.suppressed(reason);
                }
            }
        }
        Ok(noted)
    }

    /// Gives a receiver up. Its owner sees it on the page, with the reason.
    async fn switch_off(&self, stored: &StoredReceiver, reason: &str) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        if self.receivers.disable_receiver(stored.id, reason, now_ms).await? {
            self.stats.disabled.inc();
            tracing::warn!(
                receiver = stored.id,
                reason,
                "a receiver of notifications is switched off"
            );
        }
        Ok(())
    }
}

fn read(stored: &StoredReceiver) -> Result<(Target, Delivery), String> {
    let target = Target::of_stored(&stored.receiver.target).map_err(|error| error.to_string())?;
    let delivery = serde_json::from_str(&stored.receiver.delivery);
    Ok((target, delivery.map_err(|error| error.to_string())?))
}

/// A database that is away is reported as a warning by those who commit.
fn report(outage: &Outage, error: &StoreError) {
    match (outage.begins(), error.is_transient()) {
        (false, _) => {}
        (true, true) => tracing::info!("notifications are not sent for now, trying on: {error}"),
        (true, false) => tracing::warn!("notifications cannot be sent, trying on: {error}"),
    }
}
