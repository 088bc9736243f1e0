//! The history: every frame once, the books that prove it, dead letters, and
//! the small tables of people and logins.
//!
//! Rows are clustered by (time bucket, device, recorded second, frame hash): the
//! pages being written are the devices times the rows of one bucket instead of
//! one page a device, which is what keeps the rate flat as the table grows. A
//! small table of the days each device has data for makes reads of one device
//! find their buckets.

pub mod accounts;
pub mod books;
pub mod commands;
pub mod daily;
pub mod dead_letters;
pub mod devices;
mod engine;
pub mod groups;
mod inspection;
pub mod logins;
mod mysql;
mod open;
pub mod retention;
mod secret;
pub mod sessions;
mod sqlite;
pub mod tokens;

use std::pin::Pin;

use async_trait::async_trait;
use futures_util::Stream;
use nemeses_protocol::{BatchKey, DeviceId, PositionRecord, Record, Tally};

use crate::StoreError;
use crate::live::LiveEntry;

pub use accounts::{Access, Added, FirstPlace, MAX_GRANTS, NewUser, Role, User, Users, email_key};
pub use books::{Books, BooksLine, Found, FoundRow, LookUp, Minutes, TableCounts, Totals};
pub use commands::{
    ClaimedCommand, Command, CommandState, CommandStep, Commands, MAX_COMMAND_BYTES,
    MAX_OPEN_COMMANDS, NewCommand, OpenCommands,
};
pub use daily::{
    Backlog, COUNTED_MARKS, Daily, DayMark, DaySums, DayTotal, DoneDay, FleetTotals, LastRow,
    SLOT_SECONDS,
};
pub use dead_letters::{
    DeadLetters, LISTED_BYTES, LetterFilter, MAX_LISTED_LETTERS, Purge, Resolution, StoredLetter,
};
pub use devices::{DEFAULT_RETENTION, Devices, KnownDevice, LastKnown, Profile, Rhythm};
pub use groups::{Group, Groups, MAX_GROUPS};
pub use inspection::Inspection;
pub use logins::{Login, LoginRole, Logins, MAX_LOGIN_NAME, valid_login_name};
pub use open::{Database, Options, StorageEngine, open};
pub use retention::{ClassCount, ClassLimit, ClassWeek, NotedClass, Retention, Step, Survey};
pub use secret::{PlainSecret, SecretHash};
pub use sessions::{
    Digest, MAX_SESSIONS, MAX_USER_AGENT, NewSession, Previous, Rotation, Session, Sessions,
};
pub use tokens::{
    MAX_TOKEN_DEVICES, MAX_TOKENS, NO_HISTORY, NewToken, Scope, ScopedToken, ScopedTokens, Scopes,
    TokenKind,
};

/// Seconds of recorded time in one bucket of the clustered key.
pub const BUCKET_SECONDS: u32 = 300;

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
}

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

/// Where frames are kept for good. All methods may be called from many tasks.
#[async_trait]
pub trait History: Send + Sync {
    /// Creates or upgrades the schema.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Fails with [`StoreError::Schema`], saying what to do, unless the schema
    /// is the one this program needs.
    async fn check_schema(&self) -> Result<(), StoreError>;

    /// Puts rows that are kept in a journal where they belong, so that whoever looks into
    /// the tables with other programs sees them. Reads do so by themselves.
    async fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The schema's version; 0 when there is none.
    async fn schema_version(&self) -> Result<u32, StoreError> {
        Ok(0)
    }

    /// Settings of the store that weaken what a commit promises, in words; none when
    /// all is well.
    async fn weaknesses(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// Which product this is, its clock, and what this login may do. Needs the tables.
    async fn inspect(&self) -> Result<Inspection, StoreError> {
        Err(StoreError::Configuration("this store cannot be inspected".to_owned()))
    }

    /// Whether the store answers now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Whether rows can be read as reports read them: the tables are there and may be
    /// read, and what must be written first can be.
    async fn check_reads(&self) -> Result<(), StoreError> {
        self.ping().await
    }

    /// Whether anything can be kept now: writes a row.
    async fn check_writes(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Writes the parts, their books included, in one durable transaction. When
    /// this returns, the rows survive a power cut. Parts whose key is in the
    /// books already are left out and reported as repeated; so calling again
    /// with the same parts after a doubtful failure is safe.
    ///
    /// # Errors
    /// `Unavailable` when repeating may help, `Refused` when a row is
    /// unacceptable (find it with [`History::probe`]). Nothing is written then.
    async fn commit(&self, parts: &[Part], exporter: &str) -> Result<Vec<Committed>, StoreError>;

    /// Writes what [`History::commit`] writes, of a device that there is not, and takes it
    /// back: whether a commit can succeed.
    async fn rehearse(&self) -> Result<(), StoreError> {
        self.ping().await
    }

    /// Tries to write the records and takes them back, to find one that is refused.
    async fn probe(&self, records: &[Record]) -> Result<(), StoreError>;

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
    /// more for each device of which it is not noted what came since ([`Self::note_last`]).
    async fn last_known(
        &self,
        devices: &[DeviceId],
        not_after: u32,
    ) -> Result<Vec<LastKnown>, StoreError>;

    /// Notes which rows are the newest of the devices that this process committed last
    /// before a time (Unix milliseconds); how many devices.
    async fn note_last(&self, _before_ms: u64) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// Reads what was committed in the last minutes before nothing was any more, which a
    /// process that was killed has not noted; how many rows.
    async fn recall_last(&self) -> Result<usize, StoreError> {
        Ok(0)
    }

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
