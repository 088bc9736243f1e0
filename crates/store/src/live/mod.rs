//! The live store: the newest state of each device, expiring when the device
//! falls silent.
//!
//! An entry has three parts, each of which only ever moves forward: when the
//! device was last heard, its newest live frame, and its newest live frame with
//! a fix. Beside it stand the newest values of its channels (`values.rs`). Merging is a join (commutative, associative, idempotent), so any
//! order of arrival and any number of writers end in the same entry. Newest is by
//! recorded time, but nothing counts as later than its arrival ([`Version`]).
//!
//! `entry.rs` holds what the stores must agree on, `memory.rs` and `redis/` keep
//! entries, `writer.rs` stands between them and the line so that a slow store
//! never stops it, `rebuild.rs` refills a store that lost its memory, and
//! `stream.rs` tells in order what moved, for those who show it live, and
//! `workers.rs` is the register of the processes that are there.

mod entry;
mod memory;
mod once;
mod open;
mod rebuild;
mod redis;
#[cfg(test)]
#[path = "../../tests/live/strategies.rs"]
mod strategies;
mod stream;
mod unnumbered;
mod values;
mod workers;
mod writer;

use async_trait::async_trait;
use nemeses_protocol::{DeviceId, Identity};
use nemeses_runtime::Worker;

pub use entry::{Frames, LiveEntry, LiveFrame, Origin, Version};
pub use memory::MemoryLive;
pub use open::{open, open_with};
pub use rebuild::rebuild_loop;
pub(crate) use redis::Source;
pub use redis::{RedisLive, RedisOptions};
pub use stream::Moved;
pub(crate) use values::bounded;
pub use values::{LiveValue, LiveValues, MAX_LIVE_CHANNELS, MAX_LIVE_TEXT, ValueVersion};
pub use workers::{ANNOUNCE_EVERY, Alive, FORGOTTEN_AFTER_MS};
pub use writer::{Flushed, LiveWriter, LiveWriterStats};

use crate::StoreError;
use crate::known::KnownList;

/// A live store as a doctor found it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveInspection {
    /// Product and version, for a person.
    pub product: String,
    /// Its clock, Unix milliseconds, if it has one of its own.
    pub now_ms: Option<u64>,
    /// Memory in use, if it is known.
    pub used_bytes: Option<u64>,
    /// What this login may not do and stations must, in the store's words.
    pub refused: Option<String>,
    /// What is weak and what to do, in words.
    pub weaknesses: Vec<String>,
}

/// What the live store has of the list of known devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirrored {
    /// Nothing: nobody keeps it here, or not any more.
    Missing,
    /// The version that the reader has.
    Same,
    /// Another one.
    List {
        /// What to ask with the next time.
        version: u64,
        /// The list.
        list: KnownList,
    },
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

    /// The newest values of the devices' channels, in the devices' order, as long as they live:
    /// until `seen_at_ms + ttl_ms` of the values. A store that holds none has none.
    async fn values(&self, devices: &[DeviceId]) -> Result<Vec<Option<LiveValues>>, StoreError> {
        Ok(vec![None; devices.len()])
    }

    /// How long an entry lives after it was seen.
    fn ttl_ms(&self) -> u64;

    /// What moved entries forward behind the id, oldest first and bounded; an id
    /// that is not of this stream, as 0, gets all that is kept. Waits a few
    /// seconds for something to come, then says that nothing did. When the first
    /// id is not the next one, those between were lost to this reader.
    /// A store without a stream says that nothing did, always.
    async fn moved_after(&self, _id: u64) -> Result<Vec<Moved>, StoreError> {
        tokio::time::sleep(stream::WAIT).await;
        Ok(Vec::new())
    }

    /// Where the stream of what moved begins, if that is known: an id below it is of
    /// another stream, which was lost with the store's memory.
    async fn stream_origin(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Whether nobody asked this for the word within the time, on any instance
    /// that shares the store: what makes a ticket good once.
    async fn first_use(&self, _word: &str, _within_ms: u64) -> Result<bool, StoreError> {
        Err(StoreError::Unavailable {
            store: "the live store",
            detail: "this one cannot tell a word's first use".to_owned(),
        })
    }

    /// Says that a worker is there and how it does; forgotten after
    /// [`FORGOTTEN_AFTER_MS`]. A store without a register does nothing.
    async fn announce(&self, _worker: &Worker) -> Result<(), StoreError> {
        Ok(())
    }

    /// Says that a worker ended as it should.
    async fn withdraw(&self, _name: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// The workers that are alive, in order of their names.
    async fn workers(&self) -> Result<Vec<Alive>, StoreError> {
        Ok(Vec::new())
    }

    /// The list of known devices, if it is another than the version in hand; says
    /// as well that a reader wants it, which holds for a minute. For those without a
    /// database; a store without other readers has none.
    async fn known_devices(&self, _have: Option<u64>) -> Result<Mirrored, StoreError> {
        Ok(Mirrored::Missing)
    }

    /// Whether somebody asked for the list within the last minute.
    async fn known_wanted(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Keeps the list for those who want it; call it every few seconds, or it lapses.
    async fn keep_known(&self, _list: &KnownList) -> Result<(), StoreError> {
        Ok(())
    }

    /// Devices with names behind a number, in order, some at once, and how many are kept
    /// here; says as well that a reader wants them, which holds for a minute. For those
    /// without a database; a store without other readers has none.
    async fn names_after(
        &self,
        _after: Option<DeviceId>,
    ) -> Result<(Vec<(DeviceId, Identity)>, usize), StoreError> {
        Ok((Vec::new(), 0))
    }

    /// How many names are kept here, if somebody asked for them within the last minute;
    /// those stay for another minute.
    async fn names_wanted(&self) -> Result<Option<usize>, StoreError> {
        Ok(None)
    }

    /// Keeps some names for those who want them.
    async fn keep_names(&self, _named: &[(DeviceId, Identity)]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Which product this is, its clock, and what of it is weak or refused.
    async fn inspect(&self) -> Result<LiveInspection, StoreError> {
        Ok(LiveInspection { product: "this process's memory".to_owned(), ..Default::default() })
    }

    /// Whether the store takes what is written now.
    async fn check_writes(&self) -> Result<(), StoreError> {
        Ok(())
    }

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
