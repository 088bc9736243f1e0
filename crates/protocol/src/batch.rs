//! The `/DB` message: a versioned protobuf batch of records.
//!
//! `docs/db-message.proto` describes it for other languages. Reading is strict:
//! what this version cannot store is an error and never dropped in silence, so a
//! new kind of record or of reason comes with a new version.

mod from_wire;
mod to_wire;
mod wire;

use alloc::vec::Vec;

use crate::{BatchKey, Canary, MAX_BATCH_CANARIES, OptionalField, Record, Tally, TraceContext};

/// The first version with readings.
const READINGS_SINCE: u32 = 3;
/// The latest version that this code reads. It writes the lowest one that says what
/// is in the message, so that an exporter of before takes what it can store.
pub const DB_MESSAGE_VERSION: u32 = latest_version();
/// 2 brought reasons, 3 optional fields, readings and their reasons; later ones bring
/// optional fields.
const fn latest_version() -> u32 {
    let (mut latest, mut at) = (READINGS_SINCE, 0);
    while at < OptionalField::ALL.len() {
        let since = OptionalField::ALL[at].spec().since;
        if since > latest {
            latest = since;
        }
        at += 1;
    }
    latest
}

/// A batch holds at most this many records, and as many tallies.
pub const MAX_BATCH_ROWS: usize = 1000;
/// An encoded batch is at most this large, so that it fits the packet limits of
/// the broker and of both clients.
pub const MAX_BATCH_BYTES: usize = 256 * 1024;

/// A decoded `/DB` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchMessage {
    /// Names the batch for ever.
    pub key: BatchKey,
    /// Pings by minute of arrival.
    pub tallies: Vec<Tally>,
    /// What to keep.
    pub records: Vec<Record>,
    /// Which of the records are followed; none as a rule. Nothing depends on them.
    pub traces: Vec<BatchTrace>,
    /// What to tell the senders of when the batch is committed. They are no records
    /// and are counted nowhere.
    pub canaries: Vec<Canary>,
}

/// A record whose way is traced, and the span that handed it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchTrace {
    /// Place in [`BatchMessage::records`] of the first record of the message that is
    /// followed.
    pub record: u32,
    /// What the next station's spans hang below.
    pub context: TraceContext,
}

impl BatchTrace {
    /// An upper bound of what a trace adds to [`BatchMessage::encoded_len`]: key,
    /// length, key and number of at most 4 bytes, key, length and a `traceparent`.
    pub const ENCODED_LEN_ESTIMATE: usize = 2 + 4 + 2 + 55;
}

/// Why bytes are not a `/DB` message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchMessageError {
    /// Not protobuf, or a field is missing or out of range.
    #[error("not a /DB batch: {0}")]
    Malformed(&'static str),
    /// Written by a later version.
    #[error("a /DB batch of version {0}, this program reads up to {DB_MESSAGE_VERSION}")]
    Version(u32),
}

impl BatchMessage {
    /// The protobuf bytes. Keeping the bounds is the caller's: see
    /// [`Record::encoded_len_estimate`].
    pub fn encode(&self) -> Vec<u8> {
        to_wire::encode(self)
    }

    /// How long [`Self::encode`]'s answer is.
    pub fn encoded_len(&self) -> usize {
        to_wire::encoded_len(self)
    }

    /// Reads one message of at most [`MAX_BATCH_BYTES`], [`MAX_BATCH_ROWS`] records
    /// and as many tallies; the bounds are checked before memory is taken.
    ///
    /// # Errors
    /// `Version` for a later version, whatever else it holds; `Malformed` for
    /// everything that this version cannot store: a field missing or out of its
    /// type's range, an unknown kind of record, an unknown reason. Latitude and
    /// longitude are not checked, since the decoder of the frame did.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchMessageError> {
        from_wire::decode(bytes)
    }
}

impl Record {
    /// An upper bound of what the record adds to [`BatchMessage::encoded_len`], for
    /// filling a batch to [`MAX_BATCH_BYTES`] without encoding it. At most
    /// [`MAX_BATCH_BYTES`] less [`BatchMessage::BASE_LEN_ESTIMATE`] for any position,
    /// and for any dead letter and any readings within their bounds, so that each fits a batch.
    pub fn encoded_len_estimate(&self) -> usize {
        to_wire::record_len_estimate(self)
    }
}

impl BatchMessage {
    /// An upper bound of a batch's encoded length without records, with up to
    /// [`MAX_BATCH_ROWS`] tallies and [`MAX_BATCH_CANARIES`] canaries: version, name, run
    /// and sequence in 96 bytes, 14 for a tally, and 96 for a canary.
    pub const BASE_LEN_ESTIMATE: usize = 96 + 14 * MAX_BATCH_ROWS + 96 * MAX_BATCH_CANARIES;
}

#[cfg(test)]
mod tests;
