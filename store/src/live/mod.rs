//! The live store: the newest state of each device, expiring when the device
//! falls silent.
//!
//! An entry has three parts, each of which only ever moves forward: when the
//! device was last heard, its newest live frame, and its newest live frame with
//! a fix. Merging is a join (commutative, associative, idempotent), so any
//! order of arrival and any number of writers end in the same entry. Equal
//! seconds are decided by the larger frame hash.
//!
//! `entry.rs` holds what the stores must agree on, `memory.rs` and `redis/` keep
//! entries, `writer.rs` stands between them and the line so that a slow store
//! never stops it, and `rebuild.rs` refills a store that lost its memory.

mod entry;
mod memory;
mod open;
mod rebuild;
mod redis;
#[cfg(test)]
#[path = "../../tests/live/strategies.rs"]
mod strategies;
mod writer;

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

pub use entry::{LiveEntry, LiveFrame};
pub use memory::MemoryLive;
pub use open::{open, open_with};
pub use rebuild::rebuild_loop;
pub use redis::{RedisLive, RedisOptions};
pub use writer::{Flushed, LiveWriter, LiveWriterStats};

use crate::StoreError;

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

    /// Takes the right to rebuild, which must be kept up ([`LiveStore::keep_claim`])
    /// and ends with [`LiveStore::mark_rebuilt`]; false while another has it.
    /// Only spares work: rebuilding twice does no harm.
    async fn claim_rebuild(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Keeps the claim from lapsing, call it every second. False when it is
    /// gone, perhaps with the store's memory: the rebuild must begin anew.
    async fn keep_claim(&self) -> Result<bool, StoreError> {
        Ok(true)
    }
}
