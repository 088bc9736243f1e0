//! Keeps the sums of days up: takes marks of slots that are over, adds up what
//! came behind the last row of each day, or the whole day where rows came late,
//! and keeps the sums. One process does it for all; a second one would only do
//! the same work twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nemeses_protocol::DeviceId;
use nemeses_reports::{RULES, Settings};
use nemeses_runtime::{Backoff, Clock, Outage};
use nemeses_store::StoreError;
use nemeses_store::history::{
    Daily, Database, DayMark, DaySums, Devices, DoneDay, LastRow, Positions, RangeQuery,
    SLOT_SECONDS,
};
use nemeses_store::live::Version;
use tokio_util::sync::CancellationToken;

use super::day::{Day, is_current, known_behind, walker_behind};
use super::start::Starts;
use super::stats::DailyStats;

const DAY_SECONDS: u32 = 86_400;
/// A slot's marks are taken so long after it: longer than a commit may outlast its
/// slot (60 s), a COMMIT may take (30 s) and clocks may differ (2 min) together.
const GRACE_S: u32 = 240;
/// Days added up between two looks at the lease, and kept in one transaction.
const CHUNK: u32 = 200;
/// Devices whose days are added up at the same time: enough that the database always has a
/// statement to work on, and half of its usual connections for others.
const AT_ONCE: usize = 4;
/// Rows committed a second with which the machine has no time to spare; with fewer, what is
/// left of it is ours.
const BUSY_ROWS_A_SECOND: f64 = 20_000.0;
/// Between looks when there is nothing to do.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// Between looks while another process does it.
const LOOK_FOR_LEASE: Duration = Duration::from_secs(30);
/// A lease outlives the longest chunk many times over.
const LEASE_MS: u64 = 180_000;
/// After errors.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
const LEASE: &str = "daily";

/// What the keeper is told of the process it runs in.
pub struct KeptIn {
    /// Names it among those that share the database.
    pub holder: String,
    /// Rows that it has committed since its start.
    pub committed_rows: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// Keeps the daily table up until `stop`.
pub async fn keep_daily(
    database: Database,
    process: KeptIn,
    stats: DailyStats,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut keeper = Keeper {
        history: database.history(),
        devices: database.devices(),
        daily: database.daily(),
        process,
        stats,
        clock,
        outdated: Some((DeviceId::new(0), 0)),
    };
    stop.run_until_cancelled(keeper.look_after()).await;
    // The next one need not wait for the end of the lease.
    if let Err(error) = keeper.daily.release(LEASE, &keeper.process.holder).await {
        tracing::debug!(%error, "the daily sums are not given up; their lease will lapse");
    }
}

struct Keeper {
    history: Arc<dyn Positions>,
    devices: Arc<dyn Devices>,
    daily: Arc<dyn Daily>,
    process: KeptIn,
    stats: DailyStats,
    clock: Clock,
    /// The last day seen whose sums other rules had made; `None` when all were.
    outdated: Option<(DeviceId, u32)>,
}

/// Marks by day.
type Days = BTreeMap<u32, Vec<DayMark>>;
/// Sums by day.
type Held = BTreeMap<u32, DaySums>;

impl Keeper {
    async fn look_after(&mut self) {
        let (outage, mut backoff) = (Outage::new(), Backoff::new(RETRY.0, RETRY.1));
        loop {
            let wait = match self.turn().await {
                Ok(wait) => {
                    if let Some(lasted) = outage.ends() {
                        let seconds = lasted.as_secs();
                        tracing::info!("the sums of days are kept up again, after {seconds} s");
                    }
                    backoff.reset();
                    wait
                }
                Err(error) => {
                    if outage.begins() {
                        tracing::warn!("the sums of days cannot be kept up, trying on: {error}");
                    }
                    backoff.wait()
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// One chunk, and how long to wait for the next.
    async fn turn(&mut self) -> Result<Duration, StoreError> {
        if self.stats.is_due() {
            self.stats.show(&self.daily.backlog().await?, self.clock.now_s());
        }
        let now_ms = self.clock.now_ms();
        if !self.daily.lease(LEASE, &self.process.holder, now_ms, now_ms + LEASE_MS).await? {
            return Ok(LOOK_FOR_LEASE);
        }
        let (started, before) = (Instant::now(), (self.process.committed_rows)());
        let slot = self.clock.now_s().saturating_sub(GRACE_S) / SLOT_SECONDS;
        let marks = self.daily.marks(slot, CHUNK).await?;
        let done =
            if marks.is_empty() { self.made_anew().await? } else { self.add_up(&marks).await? };
        if done.is_empty() {
            return Ok(LOOK_EVERY);
        }
        self.daily.keep(&done).await?;
        self.stats.added(done.len());
        let rows = (self.process.committed_rows)().saturating_sub(before);
        Ok(rest(started.elapsed(), rows))
    }

    /// The days of the marks.
    async fn add_up(&self, marks: &[DayMark]) -> Result<Vec<DoneDay>, StoreError> {
        let mut by_device: BTreeMap<DeviceId, Days> = BTreeMap::new();
        for mark in marks {
            by_device.entry(mark.device).or_default().entry(mark.day).or_default().push(*mark);
        }
        self.add_up_by_device(by_device).await
    }

    /// The next days whose sums other rules made. Where the rows are gone the sums stay
    /// as they are.
    async fn made_anew(&mut self) -> Result<Vec<DoneDay>, StoreError> {
        let Some(behind) = self.outdated else { return Ok(Vec::new()) };
        let held = self.daily.outdated(RULES, behind, CHUNK).await?;
        let mut by_device: BTreeMap<DeviceId, Days> = BTreeMap::new();
        let mut kept = Vec::new();
        let last = held.last().map(|(sums, _)| (DeviceId::new(sums.device), sums.day));
        for (sums, has_rows) in held {
            let (device, day) = (DeviceId::new(sums.device), sums.day);
            if has_rows {
                // As a mark of slot 0 would ask for, without one.
                by_device.entry(device).or_default().insert(day, Vec::new());
                continue;
            }
            let sums = Some(DaySums { rules: RULES, state: Vec::new(), ..sums });
            let (marks, newest, fix, next) = (Vec::new(), None, None, None);
            kept.push(DoneDay { marks, device, day, sums, newest, fix, next });
        }
        let mut done = self.add_up_by_device(by_device).await?;
        done.extend(kept);
        done.sort_unstable_by_key(|done| (done.device, done.day));
        self.outdated = last;
        Ok(done)
    }

    /// A device's days are added up in order, several devices at the same time.
    async fn add_up_by_device(
        &self,
        by_device: BTreeMap<DeviceId, Days>,
    ) -> Result<Vec<DoneDay>, StoreError> {
        let devices: Vec<DeviceId> = by_device.keys().copied().collect();
        let settings = &self.settings(&devices).await?;
        let mut held = self.held(&by_device).await?;
        let work = by_device.into_iter().map(|(device, days)| {
            let held = held.remove(&device).unwrap_or_default();
            (device, days, held)
        });
        let done: Vec<Vec<DoneDay>> = stream::iter(work)
            .map(|(device, days, held)| async move {
                let settings = settings.get(&device).copied().unwrap_or_default();
                self.days_of(device, settings, days, held).await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let mut done: Vec<DoneDay> = done.into_iter().flatten().collect();
        // Whoever keeps days meanwhile does it in the same order.
        done.sort_unstable_by_key(|done| (done.device, done.day));
        Ok(done)
    }

    /// The sums of these days, of those between them and of those next to them.
    async fn held(
        &self,
        by_device: &BTreeMap<DeviceId, Days>,
    ) -> Result<HashMap<DeviceId, Held>, StoreError> {
        let stretch = |(device, days): (&DeviceId, &Days)| {
            let (first, last) = (days.keys().next()?, days.keys().next_back()?);
            Some((*device, *first, *last))
        };
        let stretches: Vec<_> = by_device.iter().filter_map(stretch).collect();
        let mut held: HashMap<DeviceId, Held> = HashMap::new();
        for sums in self.daily.around(&stretches).await? {
            held.entry(DeviceId::new(sums.device)).or_default().insert(sums.day, sums);
        }
        Ok(held)
    }

    /// Each goes on where the one before ended. A day behind them that began with
    /// something else is marked.
    async fn days_of(
        &self,
        device: DeviceId,
        settings: Settings,
        days: Days,
        mut held: Held,
    ) -> Result<Vec<DoneDay>, StoreError> {
        let mut done: Vec<DoneDay> = Vec::with_capacity(days.len());
        for (&day, marks) in &days {
            // Without a mark it is made anew.
            let whole = marks.is_empty() || marks.iter().any(|mark| mark.slot == 0);
            let before = held.range(..day).next_back().map(|(_, sums)| sums);
            let resumed = held.get(&day).filter(|_| !whole);
            let mut one = self.one((device, day), settings, (before, resumed), marks).await?;
            let known = one.sums.as_ref().map(known_behind);
            let next = held.range(day.saturating_add(1)..).next();
            let next = next.filter(|(next, _)| !days.contains_key(next));
            let stale = next.filter(|(_, next)| is_current(next) && Some(next.began) != known);
            one.next = stale.map(|(next, _)| *next);
            match &one.sums {
                Some(sums) => held.insert(day, sums.clone()),
                None => held.remove(&day),
            };
            done.push(one);
        }
        Ok(done)
    }

    /// A day, with the sums of the last one `before` it and those that it has.
    async fn one(
        &self,
        (device, day): (DeviceId, u32),
        settings: Settings,
        (before, held): (Option<&DaySums>, Option<&DaySums>),
        marks: &[DayMark],
    ) -> Result<DoneDay, StoreError> {
        let before = before.filter(|before| is_current(before));
        let held = match held {
            Some(held) if self.is_behind((device, day), held, before).await? => Some(held),
            _ => None,
        };
        let resumed = held.and_then(|held| {
            let after = (held.last_at, held.last_hash);
            Some((Day::resume(settings, held)?, Some(after)))
        });
        let (mut sum, after) = match resumed {
            Some(resumed) => resumed,
            None => (self.begin(device, day, settings, before).await?, None),
        };
        let from = day.saturating_mul(DAY_SECONDS);
        let to = from.saturating_add(DAY_SECONDS - 1);
        let query = RangeQuery { device, from, to, descending: false, after, limit: None };
        let mut rows = self.history.positions(query);
        let (mut newest, mut fix) = (None, None);
        while let Some(row) = rows.try_next().await? {
            sum.push(&row);
            let last = Version::may_be_newest(&row).then(|| LastRow::of(&row));
            newest = newest.max(last);
            if row.position.composition.gps_fix() {
                fix = fix.max(last);
            }
        }
        let (sums, marks) = (sum.sums(device.number(), day), marks.to_vec());
        Ok(DoneDay { marks, device, day, sums, newest, fix, next: None })
    }

    /// A day from its first row on, with what is known behind the day before.
    async fn begin(
        &self,
        device: DeviceId,
        day: u32,
        settings: Settings,
        before: Option<&DaySums>,
    ) -> Result<Day, StoreError> {
        if let Some(walker) = before.and_then(|before| walker_behind(settings, before)) {
            return Ok(Day::begin(walker));
        }
        let (history, daily) = (self.history.as_ref(), self.daily.as_ref());
        let starts = Starts { history, daily, device, settings };
        Ok(Day::begin(starts.look_back(day.saturating_mul(DAY_SECONDS)).await?))
    }

    /// Whether all that came since lies behind the last row added up, and the day
    /// before still ends with what this one began with.
    async fn is_behind(
        &self,
        (device, day): (DeviceId, u32),
        held: &DaySums,
        before: Option<&DaySums>,
    ) -> Result<bool, StoreError> {
        let last = (held.last_at, held.last_hash);
        let same = before.is_none_or(|before| known_behind(before) == held.began);
        Ok(same
            && held.rules == RULES
            && self.daily.rows_up_to(device, day, last).await? == held.row_count)
    }

    /// The settings of the devices that have some of their own.
    async fn settings(
        &self,
        devices: &[DeviceId],
    ) -> Result<HashMap<DeviceId, Settings>, StoreError> {
        let known = self.devices.known_among(devices).await?;
        let own = known.into_iter().filter_map(|known| {
            let motion_kmh = known.profile?.motion_kmh?;
            Some((known.device, Settings { motion_kmh, ..Settings::default() }))
        });
        Ok(own.collect())
    }
}

/// How long to leave the machine to others after a chunk that took so long, while so many
/// rows were committed: not at all when there were none, as long as it took when the line
/// is busy.
fn rest(took: Duration, rows: u64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "a share of a wait")]
    let rate = rows as f64 / took.as_secs_f64().max(0.001);
    took.mul_f64((rate / BUSY_ROWS_A_SECOND).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_time_is_the_lines_when_it_is_busy_and_none_when_it_is_not() {
        let second = Duration::from_secs(1);
        assert_eq!(rest(second, 0), Duration::ZERO);
        assert_eq!(rest(second, 5_000), second / 4);
        assert_eq!(rest(second, 20_000), second);
        assert_eq!(rest(second, 200_000), second);
        assert_eq!(rest(Duration::ZERO, 1), Duration::ZERO);
    }
}
