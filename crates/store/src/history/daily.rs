//! Sums of a device's day (UTC), kept beside the rows so that a month of a fleet
//! is answered without reading them.
//!
//! The commit notes in its own transaction which days it changed (a mark, once a
//! device, day and slot of ten minutes). Whoever keeps the sums takes marks of
//! slots that are over, adds up, and deletes the marks in the transaction that
//! keeps the sums; so nothing is forgotten by a crash, and a day that is marked
//! and not added up yet is known to be so.

use std::cmp::{Ordering, Reverse};

use async_trait::async_trait;
use nemeses_protocol::{DeviceId, PositionRecord};

use crate::StoreError;
use crate::live::Version;

/// Seconds of arrival in a slot.
pub const SLOT_SECONDS: u32 = 600;

/// A day whose rows changed in a slot. Slot 0 asks for the whole day anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayMark {
    /// Whose.
    pub device: DeviceId,
    /// Which day (recorded second / 86 400).
    pub day: u32,
    /// When they arrived (Unix seconds / 600).
    pub slot: u32,
}

/// The sums of a day, with what it takes to go on behind its last row.
///
/// `state` and `began` are the reader's own: what it knew of the device behind the
/// day's last row, and a hash of what it knew before its first. `rules` is the
/// version of the rules that made the sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table daily, described in schema.sql")]
pub struct DaySums {
    pub device: u32,
    pub day: u32,
    pub row_count: u64,
    pub rules: u32,
    pub began: u64,
    pub state: Vec<u8>,
    pub first_at: u32,
    pub first_odometer_m: u32,
    pub first_hour_min: u32,
    pub last_at: u32,
    pub last_hash: u64,
    pub last_odometer_m: u32,
    pub last_hour_min: u32,
    pub last_speed_kmh: Option<u32>,
    pub last_ignition: bool,
    pub place_at: Option<u32>,
    pub place_latitude_udeg: i32,
    pub place_longitude_udeg: i32,
    pub odometer_sum_m: u64,
    pub gps_sum_m: u64,
    pub moving_s: u64,
    pub idle_s: u64,
    pub engine_s: u64,
    pub silent_s: u64,
    pub engine_legs: u64,
    pub max_speed_kmh: Option<u32>,
}

/// The sums of some devices over some days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetTotals {
    /// How many of the devices have sums.
    pub devices: u64,
    /// The days that have sums, in order.
    pub days: Vec<DayTotal>,
}

/// The sums of some devices on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayTotal {
    /// Which day (recorded second / 86 400).
    pub day: u32,
    /// How many of the devices have sums of it.
    pub devices: u64,
    /// Rows.
    pub row_count: u64,
    /// Metres, by odometer and by GPS.
    pub distance_m: u64,
    /// Seconds in motion.
    pub moving_s: u64,
    /// Seconds of standing with the engine on.
    pub idle_s: u64,
    /// Seconds with the engine on.
    pub engine_s: u64,
    /// Seconds that nobody observed.
    pub silent_s: u64,
    /// The highest speed.
    pub max_speed_kmh: Option<u32>,
    /// Of how many devices other rules made the sums.
    pub outdated: u64,
}

impl DayTotal {
    /// Adds the sums of other devices on the same day.
    pub fn add(&mut self, other: &Self) {
        self.devices += other.devices;
        self.row_count += other.row_count;
        self.distance_m += other.distance_m;
        self.moving_s += other.moving_s;
        self.idle_s += other.idle_s;
        self.engine_s += other.engine_s;
        self.silent_s += other.silent_s;
        self.max_speed_kmh = self.max_speed_kmh.max(other.max_speed_kmh);
        self.outdated += other.outdated;
    }
}

/// What names a row of a device and orders it among those that may be the newest, as live
/// entries are ordered ([`Version`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastRow {
    /// Unix seconds, by the device's clock.
    pub recorded_at: u32,
    /// Tells frames of one second apart.
    pub frame_hash: u64,
    /// When it arrived, Unix milliseconds.
    pub received_at_ms: u64,
}

impl LastRow {
    /// Of a row.
    pub fn of(record: &PositionRecord) -> Self {
        Self {
            recorded_at: record.position.recorded_at,
            frame_hash: record.frame_hash,
            received_at_ms: record.received_at_ms,
        }
    }

    /// What orders it.
    pub fn version(&self) -> Version {
        Version::new(self.recorded_at, self.received_at_ms, self.frame_hash)
    }
}

impl Ord for LastRow {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = |row: &Self| (row.version(), Reverse(row.received_at_ms));
        order(self).cmp(&order(other))
    }
}

impl PartialOrd for LastRow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A day that was added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoneDay {
    /// What was asked for.
    pub marks: Vec<DayMark>,
    /// Whose.
    pub device: DeviceId,
    /// Which day.
    pub day: u32,
    /// `None` when the day has no rows.
    pub sums: Option<DaySums>,
    /// The newest of the rows that were read for it.
    pub newest: Option<LastRow>,
    /// The newest of them with a GPS fix.
    pub fix: Option<LastRow>,
    /// A later day that has to be added up anew behind this one: it is marked in the
    /// same transaction.
    pub next: Option<u32>,
}

/// How far the sums of days are behind the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Marks that wait, of slots that are not over too; not counted beyond
    /// [`COUNTED_MARKS`].
    pub marks: u64,
    /// The oldest slot of arrival that has one.
    pub oldest_slot: Option<u32>,
}

/// Marks are counted up to so many: 10 ms.
pub const COUNTED_MARKS: u64 = 100_000;

impl Backlog {
    /// Seconds before now up to which all that arrived is in the sums.
    pub fn lag_s(&self, now_s: u32) -> u32 {
        let since = |slot: u32| now_s.saturating_sub(slot.saturating_mul(SLOT_SECONDS));
        self.oldest_slot.map_or(0, since)
    }
}

/// The sums of days.
#[async_trait]
pub trait Daily: Send + Sync {
    /// Takes or keeps work that one process does for all, until `until_ms`;
    /// `false` while another has it.
    async fn lease(
        &self,
        name: &str,
        holder: &str,
        now_ms: u64,
        until_ms: u64,
    ) -> Result<bool, StoreError>;

    /// Gives work up that this holder has, so that another need not wait for its end.
    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError>;

    /// Up to `limit` marks of slots before `slot`, the newest slots first, and those of
    /// slot 0 last, by device and day.
    async fn marks(&self, slot: u32, limit: u32) -> Result<Vec<DayMark>, StoreError>;

    /// The sums of devices from the last day before a first one to the first day behind a
    /// last one, in no order. A device is named once.
    async fn around(&self, days: &[(DeviceId, u32, u32)]) -> Result<Vec<DaySums>, StoreError>;

    /// The sums of the last day before a day.
    async fn day_before(&self, device: DeviceId, day: u32) -> Result<Option<DaySums>, StoreError>;

    /// The first day of a device that is marked.
    async fn first_marked(&self, device: DeviceId) -> Result<Option<u32>, StoreError>;

    /// Up to `limit` days behind a day of a device whose sums other rules made, by
    /// device and day, and whether they still have rows.
    async fn outdated(
        &self,
        rules: u32,
        behind: (DeviceId, u32),
        limit: u32,
    ) -> Result<Vec<(DaySums, bool)>, StoreError>;

    /// How many rows of a day there are up to a row, itself included.
    async fn rows_up_to(
        &self,
        device: DeviceId,
        day: u32,
        last: (u32, u64),
    ) -> Result<u64, StoreError>;

    /// Keeps sums and deletes their marks, in one transaction. A day of whose marks one
    /// is gone is left out: another process adds it up.
    async fn keep(&self, done: &[DoneDay]) -> Result<(), StoreError>;

    /// The sums of devices from day to day, both included, by device and day.
    async fn sums(
        &self,
        devices: &[DeviceId],
        from_day: u32,
        to_day: u32,
    ) -> Result<Vec<DaySums>, StoreError>;

    /// The sums of devices, added up by the database, which reads them all and hands out a row
    /// a day for many of them. `rules` are those that sums are made by now. A device is named
    /// once.
    async fn totals(
        &self,
        devices: &[DeviceId],
        from_day: u32,
        to_day: u32,
        rules: u32,
    ) -> Result<FleetTotals, StoreError>;

    /// How many days from day to day are marked, of all devices or of some; with `rules`,
    /// only those whose sums other rules made.
    async fn pending(
        &self,
        among: Option<&[DeviceId]>,
        from_day: u32,
        to_day: u32,
        rules: Option<u32>,
    ) -> Result<u64, StoreError>;

    /// How much is not in the sums yet.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
}
