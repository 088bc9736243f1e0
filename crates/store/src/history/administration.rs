//! What administers a history: its schema, its settings, and what this login may do there.

use async_trait::async_trait;

use crate::StoreError;

/// A database as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Product and version, for a person: `MariaDB 10.11.6`, `SQLite 3.46.0`.
    pub product: String,
    /// Its clock, Unix milliseconds; `None` where it is this machine's.
    pub now_ms: Option<u64>,
    /// What this login lacks for storing frames: the database's own words.
    pub frames_refused: Option<String>,
    /// What this login lacks for accounts, sessions and devices' profiles.
    pub people_refused: Option<String>,
    /// Whether this login may make and change tables.
    pub may_migrate: bool,
}

/// Makes, upgrades and inspects the tables.
#[async_trait]
pub trait Administration: Send + Sync {
    /// Creates or upgrades the schema.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Fails with [`StoreError::Schema`], saying what to do, unless the schema
    /// is the one this program needs.
    async fn check_schema(&self) -> Result<(), StoreError>;

    /// The schema's version; 0 when there is none.
    async fn schema_version(&self) -> Result<u32, StoreError>;

    /// Settings of the store that weaken what a commit promises, in words; none when
    /// all is well.
    async fn weaknesses(&self) -> Result<Vec<String>, StoreError>;

    /// Which product this is, its clock, and what this login may do. Needs the tables.
    async fn inspect(&self) -> Result<Inspection, StoreError>;
}

/// Whether a history can do its work now.
#[async_trait]
pub trait Health: Send + Sync {
    /// Whether the store answers now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Whether rows can be read as reports read them: the tables are there and may be
    /// read, and what must be written first can be.
    async fn check_reads(&self) -> Result<(), StoreError>;

    /// Whether anything can be kept now: writes a row.
    async fn check_writes(&self) -> Result<(), StoreError>;
}
