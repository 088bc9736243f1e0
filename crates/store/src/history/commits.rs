//! What an exporter does to a history.

use async_trait::async_trait;
use nemeses_protocol::{BatchKey, Record, Tally};

use crate::StoreError;

/// What is committed together under one key: counted once, however often it is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The batch's name; in a node drawn by the exporter, else by the parser.
    pub key: BatchKey,
    /// Pings by minute of arrival.
    pub tallies: Vec<Tally>,
    /// The records.
    pub records: Vec<Record>,
}

/// What became of one [`Part`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The part's key was in the books already: nothing was written or counted.
    pub repeated: bool,
    /// Rows that are new in the table.
    pub stored: u64,
    /// Records whose row was there already, or twice in the batch.
    pub duplicates: u64,
    /// Dead letters written.
    pub dead_letters: u64,
    /// Pings counted.
    pub pings: u64,
    /// Values of channels that came, whatever became of them.
    pub values: u64,
}

/// Stores frames durably. All methods may be called from many tasks.
#[async_trait]
pub trait Commits: Send + Sync {
    /// Writes the parts, their books included, in one durable transaction. When
    /// this returns, the rows survive a power cut. Parts whose key is in the
    /// books already are left out and reported as repeated; so calling again
    /// with the same parts after a doubtful failure is safe.
    ///
    /// # Errors
    /// `Unavailable` when repeating may help, `Refused` when a row is
    /// unacceptable (find it with [`Commits::probe`]). Nothing is written then.
    async fn commit(&self, parts: &[Part], exporter: &str) -> Result<Vec<Committed>, StoreError>;

    /// Writes what [`Commits::commit`] writes, of a device that there is not, and takes it
    /// back: whether a commit can succeed.
    async fn rehearse(&self) -> Result<(), StoreError>;

    /// Tries to write the records and takes them back, to find one that is refused.
    async fn probe(&self, records: &[Record]) -> Result<(), StoreError>;

    /// Puts rows that are kept in a journal where they belong, so that who looks into
    /// the tables with other programs sees them. Reads do so by themselves.
    async fn settle(&self) -> Result<(), StoreError>;

    /// Notes which rows are the newest of the devices that this process committed last
    /// before a time (Unix milliseconds); how many devices.
    async fn note_last(&self, before_ms: u64) -> Result<usize, StoreError>;

    /// Reads what was committed in the last minutes before nothing was any more, which a
    /// process that was killed has not noted; how many rows.
    async fn recall_last(&self) -> Result<usize, StoreError>;
}
