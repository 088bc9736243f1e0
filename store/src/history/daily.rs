//! Sums of a device's day (UTC), kept beside the rows so that a month of a fleet
//! is answered without reading them.
//!
//! The commit notes in its own transaction which days it changed (a mark, once a
//! device, day and slot of ten minutes). Whoever keeps the sums takes marks of
//! slots that are over, adds up, and deletes the marks in the transaction that
//! keeps the sums; so nothing is forgotten by a crash, and a day that is marked
//! and not added up yet is known to be so.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use crate::StoreError;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table daily, described in schema.sql")]
pub struct DaySums {
    pub device: u32,
    pub day: u32,
    pub row_count: u64,
    pub before: Option<(u32, u64)>,
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
    pub gps_sum_mm: u64,
    pub unmetered_sum_mm: u64,
    pub moving_s: u64,
    pub idle_s: u64,
    pub engine_s: u64,
    pub silent_s: u64,
    pub engine_legs: u64,
    pub max_speed_kmh: Option<u32>,
}

/// Recorded second and hash of a row with a GPS fix.
pub type LastFix = Option<(u32, u64)>;

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
    /// The day's newest row with a fix among those read.
    pub fix: LastFix,
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

    /// Up to `limit` marks of slots before `slot`, the newest slots first.
    async fn marks(&self, slot: u32, limit: u32) -> Result<Vec<DayMark>, StoreError>;

    /// The sums of a day.
    async fn day(&self, device: DeviceId, day: u32) -> Result<Option<DaySums>, StoreError>;

    /// The sums of the first day behind a day.
    async fn next_day(&self, device: DeviceId, day: u32) -> Result<Option<DaySums>, StoreError>;

    /// How many rows of a day there are up to a row, itself included.
    async fn rows_up_to(
        &self,
        device: DeviceId,
        day: u32,
        last: (u32, u64),
    ) -> Result<u64, StoreError>;

    /// Keeps sums and deletes their marks, in one transaction. A day whose marks
    /// are gone is left out: another has added it up.
    async fn keep(&self, done: &[DoneDay]) -> Result<(), StoreError>;

    /// The sums of devices from day to day, both included, by device and day.
    async fn sums(
        &self,
        devices: &[DeviceId],
        from_day: u32,
        to_day: u32,
    ) -> Result<Vec<DaySums>, StoreError>;

    /// Days from day to day that are marked, by device and day.
    async fn pending(&self, from_day: u32, to_day: u32)
    -> Result<Vec<(DeviceId, u32)>, StoreError>;

    /// The oldest slot of arrival that has a mark.
    async fn oldest_slot(&self) -> Result<Option<u32>, StoreError>;
}
