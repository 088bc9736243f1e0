//! Dead letters as they are kept: found, shown, taken up again, thrown away.
//! Whatever removes a letter books the removal in the same transaction, so that
//! the books stay right.

use async_trait::async_trait;
use nemeses_protocol::{BatchKey, DeadLetter, DeviceId, Reason, Record, Tally};

use super::{Committed, Part};
use crate::StoreError;

/// [`DeadLetters::list`] gives at most this many bytes of each letter; [`DeadLetters::get`] gives all.
pub const LISTED_BYTES: u32 = 256;
/// [`DeadLetters::list`] gives at most this many letters at once.
pub const MAX_LISTED_LETTERS: u32 = 1000;

/// A dead letter in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLetter {
    /// Number, drawn by the database, growing with the time of writing.
    pub id: u64,
    /// When it arrived, Unix milliseconds.
    pub received_at_ms: u64,
    /// The topic it was published on.
    pub topic: String,
    /// Where the stretch begins in the payload.
    pub offset: u32,
    /// The reason's stable code; one of a later version may be unknown here.
    pub reason: String,
    /// Whose, if known.
    pub device: Option<DeviceId>,
    /// Recorded second of the frame, when the letter is a whole location frame.
    pub recorded_at: Option<u32>,
    /// How long the stretch is.
    pub length: u64,
    /// The bytes, or their first [`LISTED_BYTES`] in a list.
    pub bytes: Vec<u8>,
    /// The worker whose batch brought it.
    pub worker: String,
}

impl StoredLetter {
    /// The letter as a parser made it; `None` if the reason is unknown to this version.
    pub fn letter(&self) -> Option<DeadLetter> {
        Some(DeadLetter {
            topic: self.topic.clone(),
            offset: self.offset,
            reason: Reason::from_code(&self.reason)?,
            device: self.device,
            received_at_ms: self.received_at_ms,
            bytes: self.bytes.clone(),
        })
    }
}

/// Which letters to list. The default is all of them, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Only this device's.
    pub device: Option<DeviceId>,
    /// Only of no device that has a number.
    pub nobodys: bool,
    /// Only with this reason code.
    pub reason: Option<String>,
    /// Only received at or after this, Unix milliseconds.
    pub from_ms: Option<u64>,
    /// Only received at or before this, Unix milliseconds.
    pub to_ms: Option<u64>,
    /// Only older (smaller) than this number: the cursor of the next page.
    pub before_id: Option<u64>,
    /// At most this many, 1 to [`MAX_LISTED_LETTERS`]; `None` for the most.
    pub limit: Option<u32>,
}

/// Which letters to throw away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// Received before this, Unix milliseconds.
    Before(u64),
    /// These numbers.
    Ids(Vec<u64>),
}

/// What became of a letter's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The letter.
    pub id: u64,
    /// What its bytes are.
    pub records: Vec<Record>,
    /// Pings among them.
    pub tallies: Vec<Tally>,
}

/// The dead letters.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// A page of letters, newest first.
    async fn list(&self, filter: &LetterFilter) -> Result<Vec<StoredLetter>, StoreError>;

    /// One letter, whole.
    async fn get(&self, id: u64) -> Result<Option<StoredLetter>, StoreError>;

    /// Throws letters away, books the removal, and says how many there were.
    async fn purge(&self, what: &Purge) -> Result<u64, StoreError>;

    /// Commits what became of a letter's bytes and removes the letter, in one
    /// transaction. `None`, and nothing written, when the letter is not there
    /// (any more); so calling again after a doubtful failure is safe.
    async fn resolve(
        &self,
        id: u64,
        part: &Part,
        exporter: &str,
    ) -> Result<Option<Committed>, StoreError>;

    /// Commits what became of letters and removes them, in one transaction under one
    /// key. Those that are not there (any more) are left out; so calling again after
    /// a doubtful failure is safe.
    async fn resolve_all(
        &self,
        key: &BatchKey,
        letters: &[Resolution],
        exporter: &str,
    ) -> Result<Committed, StoreError>;

    /// Up to `limit` devices with letters of a reason, in order of number, behind `after`.
    async fn devices_with(
        &self,
        reason: Reason,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<DeviceId>, StoreError>;
}
