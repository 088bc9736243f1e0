//! Keeps the sums of days up: takes marks of slots that are over, adds up what
//! came behind the last row of each day, or the whole day where rows came late,
//! and keeps the sums. One process does it for all; a second one would only do
//! the same work twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use nemeses_protocol::DeviceId;
use nemeses_runtime::{Backoff, Clock, Outage};
use nemeses_store::StoreError;
use nemeses_store::history::{
    Daily, Database, DayMark, DaySums, Devices, DoneDay, History, RangeQuery, SLOT_SECONDS,
};
use tokio_util::sync::CancellationToken;

use super::day::Day;
use crate::reports::Settings;

const DAY_SECONDS: u32 = 86_400;
/// A slot's marks are taken so long after it: longer than a commit may outlast its
/// slot (60 s), a COMMIT may take (30 s) and clocks may differ (2 min) together.
const GRACE_S: u32 = 240;
/// Days added up at once and kept in one transaction.
const CHUNK: u32 = 100;
/// Between looks when there is nothing to do.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// Between looks while another process does it.
const LOOK_FOR_LEASE: Duration = Duration::from_secs(30);
/// A lease outlives the longest chunk many times over.
const LEASE_MS: u64 = 180_000;
/// After errors.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
const LEASE: &str = "daily";

/// Keeps the daily table up until `stop`. `holder` names this process among
/// those that share the database.
pub async fn keep_daily(database: Database, holder: String, clock: Clock, stop: CancellationToken) {
    let keeper = Keeper {
        history: database.history(),
        devices: database.devices(),
        daily: database.daily(),
        holder,
        clock,
    };
    stop.run_until_cancelled(keeper.look_after()).await;
    // The next one need not wait for the end of the lease.
    if let Err(error) = keeper.daily.release(LEASE, &keeper.holder).await {
        tracing::debug!(%error, "the daily sums are not given up; their lease will lapse");
    }
}

struct Keeper {
    history: Arc<dyn History>,
    devices: Arc<dyn Devices>,
    daily: Arc<dyn Daily>,
    holder: String,
    clock: Clock,
}

impl Keeper {
    async fn look_after(&self) {
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

    /// One chunk, and how long to wait for the next: as long as this one took, so
    /// that half of the time is for others.
    async fn turn(&self) -> Result<Duration, StoreError> {
        let now_ms = self.clock.now_ms();
        if !self.daily.lease(LEASE, &self.holder, now_ms, now_ms + LEASE_MS).await? {
            return Ok(LOOK_FOR_LEASE);
        }
        let started = Instant::now();
        let slot = self.clock.now_s().saturating_sub(GRACE_S) / SLOT_SECONDS;
        let marks = self.daily.marks(slot, CHUNK).await?;
        if marks.is_empty() {
            return Ok(LOOK_EVERY);
        }
        let done = self.add_up(&marks).await?;
        self.daily.keep(&done).await?;
        Ok(started.elapsed())
    }

    /// The days of the marks, in order, and those behind them whose first leg
    /// begins elsewhere now.
    async fn add_up(&self, marks: &[DayMark]) -> Result<Vec<DoneDay>, StoreError> {
        let mut days: BTreeMap<(DeviceId, u32), Vec<DayMark>> = BTreeMap::new();
        for mark in marks {
            days.entry((mark.device, mark.day)).or_default().push(*mark);
        }
        let mut done: BTreeMap<(DeviceId, u32), DoneDay> = BTreeMap::new();
        for (&(device, day), marks) in &days {
            let whole = marks.iter().any(|mark| mark.slot == 0);
            let one = self.one(device, day, whole, marks.clone()).await?;
            let last = one.sums.as_ref().map(|sums| (sums.last_at, sums.last_hash));
            done.insert((device, day), one);
            let Some(next) = self.daily.next_day(device, day).await? else { continue };
            let key = (device, next.day);
            if next.before != last && !days.contains_key(&key) {
                done.insert(key, self.one(device, next.day, true, Vec::new()).await?);
            }
        }
        Ok(done.into_values().collect())
    }

    async fn one(
        &self,
        device: DeviceId,
        day: u32,
        whole: bool,
        marks: Vec<DayMark>,
    ) -> Result<DoneDay, StoreError> {
        let settings = self.settings(device).await?;
        let held = if whole { None } else { self.daily.day(device, day).await? };
        let (mut sum, after) = match held {
            Some(held) if self.is_behind(device, day, &held).await? => {
                (Day::resume(settings, &held), Some((held.last_at, held.last_hash)))
            }
            _ => {
                let before = self.row_before(device, day).await?;
                (Day::begin(settings, before.as_ref()), None)
            }
        };
        let from = day.saturating_mul(DAY_SECONDS);
        let to = from.saturating_add(DAY_SECONDS - 1);
        let query = RangeQuery { device, from, to, descending: false, after, limit: None };
        let mut rows = self.history.positions(query);
        while let Some(row) = rows.try_next().await? {
            sum.push(&row);
        }
        let sums = sum.sums(device.number(), day);
        Ok(DoneDay { marks, device, day, sums, fix: sum.fix() })
    }

    /// Whether all that came since lies behind the last row added up, and the day
    /// before still ends where this one's first leg begins.
    async fn is_behind(
        &self,
        device: DeviceId,
        day: u32,
        held: &DaySums,
    ) -> Result<bool, StoreError> {
        let last = (held.last_at, held.last_hash);
        if self.daily.rows_up_to(device, day, last).await? != held.row_count {
            return Ok(false);
        }
        let before = self.row_before(device, day).await?;
        Ok(before.map(|row| (row.position.recorded_at, row.frame_hash)) == held.before)
    }

    async fn row_before(
        &self,
        device: DeviceId,
        day: u32,
    ) -> Result<Option<nemeses_protocol::PositionRecord>, StoreError> {
        let Some(to) = day.saturating_mul(DAY_SECONDS).checked_sub(1) else { return Ok(None) };
        self.history.last_position(device, to, false).await
    }

    async fn settings(&self, device: DeviceId) -> Result<Settings, StoreError> {
        let profile = self.devices.find(device).await?;
        let usual = Settings::default();
        let motion_kmh = profile.and_then(|profile| profile.motion_kmh);
        Ok(Settings { motion_kmh: motion_kmh.unwrap_or(usual.motion_kmh), ..usual })
    }
}
