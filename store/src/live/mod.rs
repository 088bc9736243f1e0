//! The live store: the newest state of each device, expiring when the device
//! falls silent.
//!
//! An entry has three parts, each of which only ever moves forward: when the
//! device was last heard, its newest live frame, and its newest live frame with
//! a fix. Merging is a join (commutative, associative, idempotent), so any
//! order of arrival and any number of writers end in the same entry. Equal
//! seconds are decided by the larger frame hash.

use async_trait::async_trait;
use nemeses_protocol::{DeviceId, PositionRecord};

use crate::StoreError;

/// A live frame with what orders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFrame {
    /// The decoded frame.
    pub position: nemeses_protocol::Position,
    /// Its hash, which decides between frames of one second.
    pub frame_hash: u64,
    /// When it arrived, Unix milliseconds.
    pub received_at_ms: u64,
}

impl LiveFrame {
    /// What "newer" compares: recorded time, then hash.
    pub fn version(&self) -> (u32, u64) {
        (self.position.recorded_at, self.frame_hash)
    }
}

/// What is known of a device now; also the unit of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveEntry {
    /// Which device.
    pub device: DeviceId,
    /// When any good frame of the device arrived last, Unix milliseconds. The
    /// TTL runs from here.
    pub seen_at_ms: u64,
    /// The newest live (not historical) frame.
    pub newest: Option<LiveFrame>,
    /// The newest live frame that had a GPS fix.
    pub fix: Option<LiveFrame>,
}

impl LiveEntry {
    /// What a ping says: the device is there.
    pub fn seen(device: DeviceId, seen_at_ms: u64) -> Self {
        Self { device, seen_at_ms, newest: None, fix: None }
    }

    /// What a location frame says. A historical frame only says that the device is there.
    pub fn from_record(record: &PositionRecord) -> Self {
        let position = record.position;
        let mut entry = Self::seen(position.device, record.received_at_ms);
        if !position.composition.historical() {
            let frame = LiveFrame {
                position,
                frame_hash: record.frame_hash,
                received_at_ms: record.received_at_ms,
            };
            if position.composition.gps_fix() {
                entry.fix = Some(frame.clone());
            }
            entry.newest = Some(frame);
        }
        entry
    }

    /// Joins another entry of the same device into this one.
    pub fn merge(&mut self, other: Self) {
        self.seen_at_ms = self.seen_at_ms.max(other.seen_at_ms);
        merge_frame(&mut self.newest, other.newest);
        merge_frame(&mut self.fix, other.fix);
    }
}

fn merge_frame(held: &mut Option<LiveFrame>, offered: Option<LiveFrame>) {
    let newer = match (&held, &offered) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(held), Some(offered)) => offered.version() > held.version(),
    };
    if newer {
        *held = offered;
    }
}

/// Where live entries are kept. Implementations merge atomically per device.
#[async_trait]
pub trait LiveStore: Send + Sync {
    /// Joins the entries into what is there. Each lives until
    /// `seen_at_ms + ttl_ms`; one that is past that already is not written.
    /// `now_ms` is the caller's clock, so that a store's own clock does not matter.
    async fn merge(&self, entries: &[LiveEntry], now_ms: u64) -> Result<(), StoreError>;

    /// The unexpired entries of the devices, in their order.
    async fn get(&self, devices: &[DeviceId]) -> Result<Vec<Option<LiveEntry>>, StoreError>;

    /// Whether the store answers now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Whether the store has lost its memory since [`LiveStore::mark_rebuilt`]
    /// was called last (also true when it never was).
    async fn needs_rebuild(&self) -> Result<bool, StoreError>;

    /// Notes that the entries were rebuilt from history.
    async fn mark_rebuilt(&self) -> Result<(), StoreError>;
}
