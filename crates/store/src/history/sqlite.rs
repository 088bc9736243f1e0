//! The history in one SQLite file: the default, with nothing else installed.
//!
//! One connection writes, others read. WAL, and `synchronous=FULL`: a commit is
//! on the disk when it returns (NORMAL would lose the last ones in a power cut).
//! SQLite has no unsigned 64-bit integer: hashes are kept with their top bit
//! flipped, so that signed order is the order of the hashes.

mod expire;
mod journal;
mod private;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteQueryResult, SqliteRow, SqliteSynchronous,
};
use sqlx::{Arguments as _, ConnectOptions as _, Row as _, SqlStr};

use super::database::{Database, Options};
use super::engine::{
    Batch, Dialect, Engine, Fault, Fields, Kind, Lent, Migration, Product, SCHEMA_VERSION, Session,
    Value, adapter, fixed, pending, signed_hash, sort_error, sql, sqlite_kind, statements,
    version_of,
};
use super::retention::{BucketLimit, Step, Survey};
use super::{Committed, Part};
use crate::StoreError;

/// How long a writer waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to open a file that others are opening.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// KiB of pages held by the writer; the system's cache holds the others.
const WRITER_CACHE_KIB: u32 = 16 * 1024;
/// KiB of pages held by each reader: SQLite's own default.
const READER_CACHE_KIB: u32 = 2 * 1024;
/// Pages of 4 KiB in the WAL before it is copied back: 32 MiB, so that a page
/// that many commits touch is copied once.
const CHECKPOINT_PAGES: u32 = 8192;
/// The WAL file is cut to this after a checkpoint, when a long read let it grow.
const WAL_LIMIT_BYTES: u32 = 128 * 1024 * 1024;

/// Notes that a migration was applied.
const NOTE: &str = "INSERT INTO schema_version (version, applied_at_ms) \
    VALUES (?, CAST(strftime('%s', 'now') AS INTEGER) * 1000) \
    ON CONFLICT (version) DO NOTHING";

/// Rows between the thread that reads the file and the task that wants them; the
/// default of 50 makes the two wait for each other. About 1 KiB each.
const ROW_BUFFER: usize = 500;

/// One database file.
pub(super) struct File {
    writer: SqlitePool,
    readers: SqlitePool,
    path: PathBuf,
    /// Before the first connection the file is made its owner's alone.
    private: Once,
    /// The path, for messages.
    endpoint: String,
    timeout: Duration,
    journal: journal::Journal,
}

/// Opens a file lazily; makes it when it is not there.
pub(super) fn open(path: &str, options: &Options) -> Result<Database, StoreError> {
    open_with(path, options, journal::Sizes::default())
}

fn open_with(path: &str, options: &Options, sizes: journal::Sizes) -> Result<Database, StoreError> {
    if path.is_empty() || path.starts_with(':') {
        return Err(StoreError::Configuration(format!(
            "sqlite:{path} names no file; write sqlite:PATH"
        )));
    }
    let connect = |cache_kib: u32| {
        SqliteConnectOptions::new()
            .filename(Path::new(path))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(false)
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROW_BUFFER)
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", format!("-{cache_kib}"))
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("journal_size_limit", WAL_LIMIT_BYTES.to_string())
            .disable_statement_logging()
    };
    let pool = |connections: u32, cache_kib: u32| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(connect(cache_kib))
    };
    let file = File {
        writer: pool(1, WRITER_CACHE_KIB),
        readers: pool(options.max_connections.max(1), READER_CACHE_KIB),
        path: path.into(),
        private: Once::new(),
        endpoint: format!("the SQLite file {path}"),
        timeout: options.statement_timeout,
        journal: journal::Journal::new(sizes),
    };
    Ok(Engine::database(Arc::new(file)))
}

/// A hash as it was before [`signed_hash`].
const fn from_signed(kept: i64) -> u64 {
    signed_hash(kept.cast_unsigned()).cast_unsigned()
}

impl File {
    const fn words(sql: SqlStr) -> SqlStr {
        sql
    }

    fn arguments(values: &[Value<'_>]) -> Result<SqliteArguments, Fault> {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(values.len(), values.len() * size_of::<u64>());
        for value in values {
            match *value {
                // Counts and times end long before; a time beyond is kept as the last one.
                Value::Number(number) => arguments.add(i64::try_from(number).unwrap_or(i64::MAX)),
                Value::Hash(hash) => arguments.add(signed_hash(hash)),
                Value::Signed(number) => arguments.add(number),
                Value::Text(text) => arguments.add(text),
                Value::Bytes(bytes) => arguments.add(bytes),
                Value::NoNumber | Value::NoBytes => arguments.add(None::<i64>),
            }
            .map_err(|error| Fault::new(Kind::Refused, error.to_string()))?;
        }
        Ok(arguments)
    }

    /// A connection of this pool. Those that find a new file at the same moment
    /// all switch it to WAL, and SQLite answers BUSY at once to all but one of
    /// them: whoever waits could wait for one that waits for it.
    async fn connection(
        &self,
        pool: &SqlitePool,
    ) -> Result<sqlx::pool::PoolConnection<Sqlite>, Fault> {
        let deadline = Instant::now() + BUSY_TIMEOUT;
        self.private.call_once(|| {
            // What keeps the file from being made is told by SQLite, too.
            if let Err(error) = private::make_private(&self.path) {
                tracing::debug!(%error, "the database file could not be made");
            }
        });
        loop {
            match pool.acquire().await {
                Ok(connection) => return Ok(connection),
                Err(error) if is_busy(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(error) => return Err(self.fault(&error)),
            }
        }
    }

    fn fault(&self, error: &sqlx::Error) -> Fault {
        sort_error(error, &self.endpoint, |error| {
            let code = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
            sqlite_kind(code, error.message())
        })
    }
}

/// Whether another connection is in the way, for a moment.
fn is_busy(error: &sqlx::Error) -> bool {
    const PRIMARY_MASK: i32 = 0xff;
    const BUSY: i32 = 5;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    code.is_some_and(|code| code & PRIMARY_MASK == BUSY)
}

adapter!(File, FileSession, Sqlite, SqliteRow, drawn_id);

/// The number that SQLite drew; it draws no negative ones.
fn drawn_id(done: &SqliteQueryResult) -> u64 {
    done.last_insert_rowid().unsigned_abs()
}

#[async_trait]
impl Product for Arc<File> {
    const STORE: &'static str = "SQLite";
    const DIALECT: Dialect = Dialect::Sqlite;
    const TAKES_BATCHES: bool = true;
    const FRESH: Migration = Migration { version: 9, sql: include_str!("sqlite/schema.sql") };
    const UPGRADES: &'static [Migration] = &[
        Migration { version: 2, sql: include_str!("sqlite/upgrade_2.sql") },
        Migration { version: 3, sql: include_str!("sqlite/upgrade_3.sql") },
        Migration { version: 4, sql: include_str!("sqlite/upgrade_4.sql") },
        Migration { version: 5, sql: include_str!("sqlite/upgrade_5.sql") },
        Migration { version: 6, sql: include_str!("sqlite/upgrade_6.sql") },
        Migration { version: 7, sql: include_str!("sqlite/upgrade_7.sql") },
        Migration { version: 8, sql: include_str!("sqlite/upgrade_8.sql") },
        Migration { version: 9, sql: include_str!("sqlite/upgrade_9.sql") },
    ];

    type Row = SqliteRow;
    type Session = FileSession;

    /// IMMEDIATE: takes the write lock now, so that no transaction fails in its middle.
    async fn begin(&self) -> Result<FileSession, Fault> {
        self.begin_on(&self.writer, "BEGIN IMMEDIATE").await
    }

    async fn begin_settled(&self) -> Result<FileSession, Fault> {
        journal::begin_settled(self).await
    }

    async fn commit_batch(&self, batch: &Batch<'_>) -> Result<Option<Vec<Committed>>, Fault> {
        journal::commit(self, batch).await
    }

    async fn before_commit(&self, parts: &[Part]) -> Result<(), Fault> {
        journal::settle_before(self, parts).await
    }

    fn committed(&self, parts: &[Part]) {
        self.journal.learn(parts);
    }

    async fn settle(&self) -> Result<(), Fault> {
        journal::settle(self).await
    }

    /// All in one transaction, which is the lock as well.
    async fn migrate(&self) -> Result<(), Fault> {
        let mut session = self.begin().await?;
        let version = match session.rows(fixed(SCHEMA_VERSION), &[]).await {
            Ok(rows) => version_of(&rows)?,
            Err(fault) if fault.kind == Kind::Schema => 0,
            Err(fault) => return Err(fault),
        };
        for migration in pending(&Self::FRESH, Self::UPGRADES, version) {
            for statement in statements(migration.sql) {
                session.execute(sql(statement), &[]).await?;
            }
            session.execute(fixed(NOTE), &[migration.version.into()]).await?;
        }
        session.commit().await
    }

    async fn server(&self) -> Result<(String, Option<u64>, bool), Fault> {
        let rows = self.rows(fixed("SELECT sqlite_version()"), &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::column(0, "is missing"))?;
        Ok((format!("SQLite {}", row.text(0)?), None, true))
    }

    async fn sizes(&self) -> Result<Survey, Fault> {
        expire::sizes(self).await
    }

    async fn prepare(&self, _now: u32, _until: u32) -> Result<u32, Fault> {
        Ok(0)
    }

    async fn expire(&self, before: u32) -> Result<Step, Fault> {
        let mut session = self.begin_settled().await?;
        let step = expire::step(&mut session, before).await?;
        session.commit().await?;
        Ok(step)
    }

    async fn expire_classes(&self, over: &[BucketLimit]) -> Result<Step, Fault> {
        let due = expire::due_days(self, over).await?;
        if due.is_empty() {
            return Ok(Step::default());
        }
        let mut session = self.begin_settled().await?;
        let step = expire::classes_step(&mut session, over, &due).await?;
        session.commit().await?;
        Ok(step)
    }

    async fn finish_rewriting(&self, _over: &[BucketLimit]) -> Result<Step, Fault> {
        Ok(Step::default())
    }

    async fn rows(&self, sql: SqlStr, values: &[Value<'_>]) -> Result<Vec<SqliteRow>, Fault> {
        if journal::concerns(sql.as_str()) {
            journal::settle(self).await?;
        }
        self.rows_from(&self.readers, sql, values).await
    }

    fn stream<'s>(
        &'s self,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> BoxStream<'s, Result<SqliteRow, Fault>> {
        if !journal::concerns(sql.as_str()) {
            return self.stream_from(&self.readers, sql, values);
        }
        let rows = self.stream_from(&self.readers, sql, values);
        let settled = async move { journal::settle(self).await.map(|()| rows) };
        stream::once(settled).try_flatten().boxed()
    }
}

impl Fields for SqliteRow {
    fn number(&self, column: usize) -> Result<Option<u64>, Fault> {
        let kept: Option<i64> = self
            .try_get_unchecked(column)
            .map_err(|error| Fault::column(column, &error.to_string()))?;
        kept.map(|kept| {
            u64::try_from(kept).map_err(|_| Fault::column(column, "holds a negative number"))
        })
        .transpose()
    }

    fn signed(&self, column: usize) -> Result<i64, Fault> {
        self.try_get_unchecked(column).map_err(|error| Fault::column(column, &error.to_string()))
    }

    fn hash(&self, column: usize) -> Result<u64, Fault> {
        self.signed(column).map(from_signed)
    }

    fn text(&self, column: usize) -> Result<String, Fault> {
        self.try_get_unchecked(column).map_err(|error| Fault::column(column, &error.to_string()))
    }

    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, Fault> {
        self.try_get_unchecked(column).map_err(|error| Fault::column(column, &error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hashes_keep_their_order_and_come_back(a: u64, b: u64) {
            prop_assert_eq!(from_signed(signed_hash(a)), a);
            prop_assert_eq!(signed_hash(a).cmp(&signed_hash(b)), a.cmp(&b));
        }
    }

    #[test]
    fn the_extremes_of_the_hash() {
        assert_eq!(signed_hash(0), i64::MIN);
        assert_eq!(signed_hash(u64::MAX), i64::MAX);
    }
}
