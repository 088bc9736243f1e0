//! What is read of a history: rows of devices in order of time, and the newest of each.

use std::pin::Pin;

use async_trait::async_trait;
use futures_util::Stream;
use nemeses_protocol::{DeviceId, PositionRecord};

use super::devices::LastKnown;
use crate::StoreError;
use crate::live::LiveEntry;

/// Which rows of one device a report wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    /// Whose rows.
    pub device: DeviceId,
    /// First recorded second, inclusive.
    pub from: u32,
    /// Last recorded second, inclusive.
    pub to: u32,
    /// Newest first.
    pub descending: bool,
    /// Only rows behind this (recorded_at, frame_hash) in the chosen order.
    pub after: Option<(u32, u64)>,
    /// At most this many rows; `None` for all.
    pub limit: Option<u64>,
}

/// Rows in time order (recorded_at, then frame_hash), read as they are consumed.
pub type PositionStream<'a> =
    Pin<Box<dyn Stream<Item = Result<PositionRecord, StoreError>> + Send + 'a>>;

/// Reads stored frames. All methods may be called from many tasks.
#[async_trait]
pub trait Positions: Send + Sync {
    /// Rows of one device in time order.
    fn positions(&self, query: RangeQuery) -> PositionStream<'_>;

    /// The device's last row by recorded time (not after `not_after`), with a fix if `with_fix`.
    async fn last_position(
        &self,
        device: DeviceId,
        not_after: u32,
        with_fix: bool,
    ) -> Result<Option<PositionRecord>, StoreError>;

    /// The newest rows of devices as live entries are ordered ([`crate::live::Version`]),
    /// recorded not after `not_after`, in the devices' order: a few statements, and some
    /// more for each device of which it is not noted what came since ([`Commits::note_last`](super::Commits::note_last)).
    async fn last_known(
        &self,
        devices: &[DeviceId],
        not_after: u32,
    ) -> Result<Vec<LastKnown>, StoreError>;

    /// Whether any row, dead letter, login, profile or group of the device exists; a letter
    /// does not count whose reason is that the device is unknown.
    async fn knows_device(&self, device: DeviceId) -> Result<bool, StoreError>;

    /// Up to `limit` devices that have rows, in order of number, behind `after`.
    async fn devices_after(
        &self,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<DeviceId>, StoreError>;

    /// Live entries of all devices heard since `since_ms` (Unix milliseconds of
    /// arrival), rebuilt from rows recorded from `recorded_from` on. Calls
    /// `each` with bounded chunks.
    fn recent_entries(
        &self,
        since_ms: u64,
        recorded_from: u32,
    ) -> Pin<Box<dyn Stream<Item = Result<Vec<LiveEntry>, StoreError>> + Send + '_>>;
}
