//! Sealing: rows of readings that are old enough become blocks of columns
//! (docs/decisions/0068-sealed-chunks.md).

use async_trait::async_trait;

use crate::StoreError;

/// The lease of whoever seals.
pub const SEALING_LEASE: &str = "sealing";

/// Where a run of sealing goes on: rows are sealed in the order of their key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealFrom {
    /// The bucket of recorded time.
    pub bucket: u32,
    /// The device's number.
    pub device: u32,
    /// Of this device only rows from here on, Unix milliseconds.
    pub from_ms: u64,
}

/// What a step sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealStep {
    /// Rows that are in blocks now.
    pub records: u64,
    /// Their values.
    pub values: u64,
    /// Blocks written, those that were there before and are written anew included.
    pub blocks: u64,
    /// Where the next step begins; `None` when nothing is left before the limit.
    pub next: Option<SealFrom>,
}

/// What is sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealedTotals {
    /// Blocks.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
    /// Values in these.
    pub values: u64,
    /// Bytes of keys, arrivals and chunks.
    pub bytes: u64,
    /// Everything sealed was recorded before this, Unix milliseconds; 0 while nothing was sealed.
    pub sealed_to_ms: u64,
}

/// Sealing, for the one process that has the lease.
#[async_trait]
pub trait Sealing: Send + Sync {
    /// Seals some rows of one device that were recorded before `before_ms`, in one transaction,
    /// and returns where to go on.
    async fn seal(&self, before_ms: u64, from: SealFrom) -> Result<SealStep, StoreError>;

    /// What is sealed. Reads a row a block.
    async fn sealed(&self) -> Result<SealedTotals, StoreError>;
}
