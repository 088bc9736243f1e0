//! The one follower of the store's stream in an instance, and what its clients
//! share: the window of events, where every device stands, and the end of it all.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use nemeses_protocol::{DeviceId, DeviceNames};
use nemeses_runtime::{Backoff, Clock, Outage};
use nemeses_store::StoreError;
use nemeses_store::history::AlarmWatch;
use nemeses_store::live::{LiveEntry, LiveValues, Moved};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fleet::{Fleet, HeardChannels, Standing};
use super::holder::Holder;
use super::metrics::Counts;
use super::shares::{Full, Shares};
use super::window::{KEPT, Start, Window};
use crate::fleet;
use crate::output::newest_s;
use crate::stores::Stores;

/// What moves is fetched at most this often, so that many small merges cost one
/// read and one waking of the clients.
const BETWEEN_READS: Duration = Duration::from_millis(20);
/// How often silences are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// After errors of a store.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Devices asked for at once when the fleet is learnt.
const LEARNT_AT_ONCE: u32 = 1_000;

/// What the clients of an instance share.
pub(crate) struct Hub {
    fleet: Mutex<Fleet>,
    window: RwLock<Window>,
    /// The number that the next event gets, and how many gaps there were.
    news: watch::Sender<News>,
    shares: Mutex<Shares>,
    /// Whether the fleet was learnt from the stores.
    learnt: watch::Sender<bool>,
    /// Somebody came of whom history knows more.
    wants: Notify,
    pub(crate) clock: Clock,
    /// How devices are written.
    pub(crate) names: DeviceNames,
    pub(crate) closing: CancellationToken,
    /// Clients that a drain waits for.
    pub(crate) clients: TaskTracker,
    pub(crate) counts: Counts,
}

/// A client's place, until it is dropped.
pub(crate) struct Place {
    hub: Arc<Hub>,
    holder: Holder,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hub.counts.clients.dec();
        self.hub.shares().give_back(&self.holder);
    }
}

/// What clients wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) end: u64,
    pub(crate) gaps: u64,
}

impl Hub {
    pub(crate) fn new(
        ttl_ms: u64,
        clock: Clock,
        names: DeviceNames,
        most_clients: usize,
    ) -> anyhow::Result<Self> {
        let instance = getrandom::u32()?.max(1);
        Ok(Self {
            fleet: Mutex::new(Fleet::new(ttl_ms)),
            window: RwLock::new(Window::new(instance, KEPT)),
            news: watch::Sender::default(),
            shares: Mutex::new(Shares::new(most_clients)),
            learnt: watch::Sender::new(false),
            wants: Notify::new(),
            clock,
            names,
            closing: CancellationToken::new(),
            clients: TaskTracker::new(),
            counts: Counts::default(),
        })
    }

    /// A place for one more client, unless all of its holder's are taken, or all.
    pub(crate) fn place(self: &Arc<Self>, holder: &Holder) -> Result<Place, Full> {
        self.shares().take(holder)?;
        self.counts.clients.inc();
        Ok(Place { hub: Arc::clone(self), holder: holder.clone() })
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    pub(crate) fn window(&self) -> RwLockReadGuard<'_, Window> {
        self.window.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a device is written.
    pub(crate) fn written(&self, device: DeviceId) -> String {
        self.names.identity(device).to_string()
    }

    /// Where everyone stands, and the place in the window that this is true for.
    pub(crate) async fn standing(&self) -> (Vec<Standing>, Start) {
        let mut learnt = self.learnt.subscribe();
        // Who comes in the first moments waits for the picture, but not for ever.
        let _ = tokio::time::timeout(RETRY.1, learnt.wait_for(|learnt| *learnt)).await;
        let fleet = self.fleet();
        let window = self.window();
        (fleet.standing(&window, self.clock.now_ms()), window.now())
    }

    /// What is known of devices that are heard, each handed to `take`; `None` before the
    /// fleet was learnt.
    pub(crate) fn look_up<T>(
        &self,
        devices: impl Iterator<Item = DeviceId>,
        mut take: impl FnMut(Option<&LiveEntry>) -> T,
    ) -> Option<Vec<T>> {
        let learnt = *self.learnt.borrow();
        let fleet = self.fleet();
        learnt.then(|| devices.map(|device| take(fleet.entry(device))).collect())
    }

    /// What a device's channels say, and where it is.
    pub(crate) fn values(
        &self,
        device: DeviceId,
    ) -> Option<(Arc<LiveValues>, Option<fleet::Place>)> {
        self.fleet().values(device)
    }

    /// What devices that pass report by name, as far as they are heard.
    pub(crate) fn channels(&self, passes: impl Fn(DeviceId) -> bool) -> HeardChannels {
        self.fleet().channels(passes)
    }

    /// The devices whose channels say something.
    pub(crate) fn with_values(&self) -> Vec<DeviceId> {
        self.fleet().with_values()
    }

    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what clients see, and wakes them; with `gap`, after something was missed.
    fn publish(&self, gap: bool, change: impl FnOnce(&mut Fleet, &mut Window)) {
        // In this order everywhere.
        let mut fleet = self.fleet();
        let mut window = self.window.write().unwrap_or_else(PoisonError::into_inner);
        let before = window.end();
        change(&mut fleet, &mut window);
        let end = window.end();
        drop(window);
        if !fleet.wanting(1).is_empty() {
            self.wants.notify_one();
        }
        drop(fleet);
        if end > before || gap {
            self.counts.events.inc_by(end - before);
            self.news.send_modify(|news| {
                news.end = end;
                news.gaps += u64::from(gap);
            });
        }
    }

    /// Follows the stores until `stop`, then tells the clients that it is over.
    pub(crate) async fn run(self: Arc<Self>, stores: Stores, stop: CancellationToken) {
        let following = async {
            let (follow, learn) = (self.follow(&stores), self.learn(&stores));
            let alarms = self.watch_alarms(&stores);
            tokio::join!(follow, self.sweep(), learn, self.recall(&stores), alarms)
        };
        stop.run_until_cancelled(following).await;
        self.closing.cancel();
        self.clients.close();
        self.clients.wait().await;
    }

    async fn follow(&self, stores: &Stores) {
        let (outage, mut backoff) = (Outage::new(), Backoff::new(RETRY.0, RETRY.1));
        let (mut after, mut origin) = (0, None);
        let mut valued = BTreeSet::new();
        if let Ok(Some(begun)) = stores.live.stream_origin().await {
            origin = Some(begun);
            self.publish(false, |_, window| window.begin_behind(begun, begun));
        }
        loop {
            match stores.live.moved_after(after).await {
                Ok(moved) => {
                    if begins_elsewhere(&moved, after) {
                        origin = stores.live.stream_origin().await.unwrap_or(origin);
                    }
                    if let Some(lasted) = outage.ends() {
                        tracing::info!(down_s = lasted.as_secs(), "the live stream goes on");
                    }
                    backoff.reset();
                    valued.extend(self.with_new_values(&moved, after));
                    learn_names(stores, &moved).await;
                    after = self.moved(moved, after, origin.unwrap_or_default());
                    self.read_values(stores, &mut valued).await;
                    tokio::time::sleep(BETWEEN_READS).await;
                }
                Err(error) => {
                    if outage.begins() {
                        tracing::warn!(%error, "the live stream stands still until the live store is back");
                    }
                    tokio::time::sleep(backoff.wait()).await;
                }
            }
        }
    }

    /// The devices whose values are to be read: those that moved, and after a gap all.
    fn with_new_values(&self, moved: &[Moved], after: u64) -> Vec<DeviceId> {
        let devices = moved.iter().filter(|moved| moved.values).map(|moved| moved.entry.device);
        if after != 0 && begins_elsewhere(moved, after) {
            return devices.chain(self.fleet().with_values()).collect();
        }
        devices.collect()
    }

    /// Reads and publishes values; devices that could not be read stay to be read.
    async fn read_values(&self, stores: &Stores, devices: &mut BTreeSet<DeviceId>) {
        while !devices.is_empty() {
            let some: Vec<DeviceId> =
                devices.iter().take(LEARNT_AT_ONCE as usize).copied().collect();
            let values = match stores.live.values(&some).await {
                Ok(values) => values,
                Err(error) => return tracing::debug!(%error, "values could not be read yet"),
            };
            for device in &some {
                devices.remove(device);
            }
            let read = some.into_iter().zip(values);
            let read = read.filter_map(|(device, values)| Some((device, values?)));
            let now_ms = self.clock.now_ms();
            self.publish(false, |fleet, window| fleet.valued(read, window, now_ms));
        }
    }

    /// Publishes what moved of the stream that begins at `origin`; up to where it was
    /// followed.
    fn moved(&self, moved: Vec<Moved>, after: u64, origin: u64) -> u64 {
        let (Some(first), Some(last)) = (moved.first(), moved.last()) else { return after };
        let (before, last) = (first.id.saturating_sub(1), last.id);
        let now_ms = self.clock.now_ms();
        let gap = after != 0 && before != after;
        if gap {
            self.counts.gaps.inc();
            tracing::warn!("a part of the live stream was missed; its clients are told");
        }
        self.publish(gap, |fleet, window| {
            if before != after {
                window.begin_behind(before, origin);
            }
            fleet.moved(moved, window, now_ms);
        });
        last
    }

    async fn sweep(&self) {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now_ms = self.clock.now_ms();
            self.publish(false, |fleet, window| fleet.sweep(window, now_ms));
        }
    }

    /// Looks once a second what has become of alarms: another process may evaluate the rules.
    async fn watch_alarms(&self, stores: &Stores) {
        let mut watch = AlarmWatch::new(Arc::clone(&stores.alarms));
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match watch.look().await {
                Ok(news) if news.is_empty() => {}
                Ok(news) => {
                    let now_ms = self.clock.now_ms();
                    self.publish(false, |fleet, window| fleet.alarmed(news, window, now_ms));
                }
                // Requests report it; what happened meanwhile is found by a later look.
                Err(error) => tracing::debug!(%error, "alarms could not be looked at"),
            }
        }
    }

    /// Learns once what is alive already; tries until it knows.
    async fn learn(&self, stores: &Stores) {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        while let Err(error) = self.try_to_learn(stores).await {
            tracing::debug!(%error, "the fleet could not be learnt yet");
            tokio::time::sleep(backoff.wait()).await;
        }
        self.learnt.send_replace(true);
        std::future::pending::<()>().await;
    }

    async fn try_to_learn(&self, stores: &Stores) -> Result<(), StoreError> {
        let mut after: Option<DeviceId> = None;
        loop {
            let devices = stores.history.devices_after(after, LEARNT_AT_ONCE).await?;
            after = devices.last().copied();
            let entries = stores.live.get(&devices).await?;
            let values = stores.live.values(&devices).await?;
            self.learn_some(entries.into_iter().flatten(), devices.iter().zip(values));
            if devices.len() < LEARNT_AT_ONCE as usize {
                while self.recall_some(stores).await? {}
                let devices = self.fleet().len();
                tracing::debug!(devices, "the live stream knows who is there");
                return Ok(());
            }
        }
    }

    /// What the stream has brought meanwhile is as new.
    fn learn_some<'d>(
        &self,
        entries: impl Iterator<Item = LiveEntry>,
        values: impl Iterator<Item = (&'d DeviceId, Option<LiveValues>)>,
    ) {
        let now_ms = self.clock.now_ms();
        let mut fleet = self.fleet();
        fleet.learn(entries, now_ms);
        for (device, values) in values {
            if let Some(values) = values
                && fleet.values(*device).is_none()
            {
                fleet.hold_values(*device, values);
            }
        }
    }

    /// Asks history about those of whom the live store does not say all, as they come.
    async fn recall(&self, stores: &Stores) {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            match self.recall_some(stores).await {
                Ok(true) => backoff.reset(),
                Ok(false) => self.wants.notified().await,
                Err(error) => {
                    tracing::debug!(%error, "history does not say where silent devices were");
                    tokio::time::sleep(backoff.wait()).await;
                }
            }
        }
    }

    /// Asks about some; whether there were any.
    async fn recall_some(&self, stores: &Stores) -> Result<bool, StoreError> {
        let asked = self.fleet().wanting(LEARNT_AT_ONCE as usize);
        if asked.is_empty() {
            return Ok(false);
        }
        let not_after = newest_s(self.clock.now_s());
        let found = stores.history.last_known(&asked, not_after).await?;
        let now_ms = self.clock.now_ms();
        let mut fleet = self.fleet();
        for (device, past) in asked.into_iter().zip(&found) {
            fleet.recall(device, past, now_ms);
        }
        Ok(true)
    }
}

/// Reads the names of devices that another process has just made known, so that events
/// bear them. Without the database they bear numbers.
async fn learn_names(stores: &Stores, moved: &[Moved]) {
    if moved.iter().all(|moved| stores.named.is_settled(moved.entry.device)) {
        return;
    }
    if let Err(error) = stores.named.refresh(stores.identities.as_ref()).await {
        tracing::debug!(%error, "the names of devices could not be read");
    }
}

/// Whether entries came that do not follow on those before.
fn begins_elsewhere(moved: &[Moved], after: u64) -> bool {
    moved.first().is_some_and(|first| first.id.saturating_sub(1) != after)
}
