//! Requests that bear a key of their sender's, so that one that is sent again is the same one.

use async_trait::async_trait;

use super::Totals;
use crate::StoreError;

/// How long a key is known at least.
pub const REQUEST_KEPT_MS: u64 = 24 * 3_600_000;

/// What of a run of batches is in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The first batch's number.
    pub sequence: u64,
    /// What became of it.
    pub totals: Totals,
}

/// Keys of requests. What a request stores is a batch whose key in the books follows from the
/// request's; so it is stored once, and what became of it is known as long as the books are.
#[async_trait]
pub trait Requests: Send + Sync {
    /// Notes that a request came at `now_ms` (Unix milliseconds), and returns when it came first.
    /// All that is made of the request takes that for its time of arrival, whichever process makes
    /// it, so that it is the same batch. `key` is the hash of its key and of whose it is.
    async fn first_arrival(&self, key: u64, now_ms: u64) -> Result<u64, StoreError>;

    /// The first batch of a worker's run in the books.
    async fn booked(&self, worker: &str, run: u64) -> Result<Option<Booked>, StoreError>;
}
