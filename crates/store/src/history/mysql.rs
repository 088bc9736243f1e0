//! The history on MySQL 8, Percona Server or MariaDB.
//!
//! READ COMMITTED, so that keys looked up after a failed INSERT include those
//! that another exporter has committed meanwhile. How durable a commit is, is the
//! server's `innodb_flush_log_at_trx_commit`: 1 (its default) keeps the promise
//! through a power cut.

mod alone;
mod bulk;
mod carrier;
mod class_readings;
mod layout;
mod names;
mod partitions;
mod patience;
mod rewrite;
mod sparse;
mod storage;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nemeses_protocol::PositionRecord;
use sqlx::mysql::{
    MySql, MySqlArguments, MySqlConnectOptions, MySqlDatabaseError, MySqlPool, MySqlPoolOptions,
    MySqlQueryResult, MySqlRow, MySqlSslMode,
};
use sqlx::{Arguments as _, ConnectOptions as _, Connection as _, Executor as _, Row as _, SqlStr};

use self::carrier::Carrier;
use self::names::statement;
use self::patience::wait_aloud;
use self::tls::Protection;
use super::database::{Database, Options, StorageEngine};
use super::engine::{
    Dialect, Engine, Fault, Fields, Kind, Lent, Migration, Product, ReadingsRow, SCHEMA_VERSION,
    Session, Value, adapter, fixed, mysql_kind, pending, sort_error, sql, statements, version_of,
};
use super::retention::{BucketLimit, Step, Survey};
use crate::StoreError;

/// How long a transaction waits for a row that another one writes; the server's
/// own 50 s would outlast the caller's patience. And how long the server keeps a
/// connection that says nothing: when the link dies in silence, its locks would
/// else stand in the way of the repeated batch for hours. MySQL tells sizes as it knew
/// them up to a day ago unless it is told otherwise.
const SESSION_SETUP: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SET SESSION innodb_lock_wait_timeout = 10; \
    SET SESSION /*!80000 information_schema_stats_expiry = 0, */ wait_timeout = 60; \
    SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')";
/// A connection that nobody used is closed before the server does it.
const IDLE: Duration = Duration::from_secs(45);
/// A connection that was used so recently is taken to be good.
const FRESH: Duration = Duration::from_secs(1);
/// A lock's name has 64 characters at most, as a database's has, so a hash of that ends it.
/// MySQL 9.6 has lost `MD5`; MariaDB takes the comment for code, and so goes on waiting
/// for processes of earlier versions, while MySQL reads the words behind it.
macro_rules! lock_name {
    ($prefix:literal) => {
        concat!(
            "CONCAT('",
            $prefix,
            "', /*M! MD5(DATABASE()) */ /*!80000 LEFT(SHA2(DATABASE(), 256), 32) */)"
        )
    };
}
use lock_name;
/// One migration at a time for each database; waits up to a minute for another's.
const LOCK: &str = concat!("SELECT GET_LOCK(", lock_name!("nemeses."), ", 60)");

/// The settings by which a commit is durable.
const DURABILITY: &str = "SELECT CAST(@@innodb_flush_log_at_trx_commit AS UNSIGNED), \
    CAST(@@log_bin AS UNSIGNED), CAST(@@sync_binlog AS UNSIGNED)";

/// Version, clock, and whether a CREATE of this login would be granted here.
const SERVER: &str = "SELECT VERSION(), CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED), \
    EXISTS (SELECT 1 FROM information_schema.schema_privileges \
        WHERE DATABASE() LIKE table_schema AND privilege_type = 'CREATE' \
        AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')) \
    OR EXISTS (SELECT 1 FROM information_schema.user_privileges \
        WHERE privilege_type = 'CREATE' \
        AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), ''''))";

/// Notes that a migration was applied.
const NOTE: &str = "INSERT INTO schema_version (version, applied_at_ms) \
    VALUES (?, UNIX_TIMESTAMP() * 1000) ON DUPLICATE KEY UPDATE version = version";

/// Begins a transaction on a connection that reads as well.
const BEGIN: &str = "START TRANSACTION";
/// Connections on which only the line commits: as many as an exporter has lanes. A pool hands its
/// connections out in turn, and each has prepared statements of its own, megabytes
/// of them: of eight, none would stay in the processor's cache.
const WRITERS: u32 = 2;
/// From so many connections on some are set aside for writing.
const APART_FROM: u32 = 4;
/// From so many connections on there are as many again for rows in bulk.
const BULK_FROM: u32 = 6;
/// Begins each transaction by itself, which saves the request that would.
const WRITER_SETUP: &str = "SET SESSION autocommit = 0";

/// Connections to one server.
pub(super) struct Server {
    pool: MySqlPool,
    /// Where commits of the line are, and the words that begin one.
    writers: (MySqlPool, &'static str),
    /// Where they go first, if there is such a way to this server.
    bulk: Option<bulk::Channel>,
    /// What the connections of both pools go through, where they are encrypted.
    _carrier: Option<Carrier>,
    mode: MySqlSslMode,
    /// Host, port and database, for messages; never the password.
    endpoint: String,
    timeout: Duration,
    /// Where tables that it makes lie, unless where the server puts them.
    engine: Option<StorageEngine>,
}

/// Opens a server's database lazily.
pub(super) fn open(url: &str, options: &Options) -> Result<Database, StoreError> {
    let wrong = |error: sqlx::Error| {
        StoreError::Configuration(format!(
            "the database URL cannot be read ({error}); \
             it has the form mysql://user:password@host:3306/database"
        ))
    };
    let connect: MySqlConnectOptions = url.parse().map_err(wrong)?;
    let Some(database) = connect.get_database() else {
        return Err(StoreError::Configuration(
            "the database URL names no database: mysql://user:password@host:3306/database"
                .to_owned(),
        ));
    };
    let endpoint = format!("MySQL at {}:{}/{database}", connect.get_host(), connect.get_port());
    let protection = Protection::of(url, &connect);
    let carrier = carrier(&protection, &connect);
    let mut connect = connect.disable_statement_logging().ssl_mode(protection.mode);
    if let Some(carrier) = &carrier {
        connect = connect.socket(carrier.path());
    }
    let all = options.max_connections.max(1);
    let bulk = (all >= BULK_FROM).then(|| bulk::Channel::of(url, &endpoint, options)).flatten();
    let (pool, writers) = if all < APART_FROM {
        let pool = pool_of(all, "", options, connect);
        (pool.clone(), (pool, BEGIN))
    } else {
        let apart = if bulk.is_some() { 2 * WRITERS } else { WRITERS };
        let writers = pool_of(WRITERS, WRITER_SETUP, options, connect.clone());
        (pool_of(all - apart, "", options, connect), (writers, ""))
    };
    let Options { statement_timeout: timeout, engine, .. } = *options;
    let server = Server {
        pool,
        writers,
        bulk,
        _carrier: carrier,
        mode: protection.mode,
        endpoint,
        timeout,
        engine,
    };
    Ok(Engine::database(Arc::new(server)))
}

/// Where TLS may be used, and no socket of the URL's own is.
fn carrier(protection: &Protection, connect: &MySqlConnectOptions) -> Option<Carrier> {
    if !protection.takes_tls(true) || connect.get_socket().is_some() {
        return None;
    }
    Carrier::start(connect.get_host(), connect.get_port())
        .inspect_err(|error| {
            tracing::warn!(%error, "large statements to the database will be slow over TLS");
        })
        .ok()
}

/// So many connections at most, with more to set than all have.
fn pool_of(
    connections: u32,
    more: &'static str,
    options: &Options,
    connect: MySqlConnectOptions,
) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(IDLE)
        // A look at each connection before its use would be a round trip a commit.
        .test_before_acquire(false)
        .before_acquire(|connection, use_before| {
            Box::pin(async move {
                if use_before.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let setup = statement(&format!("{SESSION_SETUP}; {more}"));
                connection.execute(sqlx::raw_sql(setup)).await.map(drop)
            })
        })
        .connect_lazy_with(connect)
}

impl Server {
    #[expect(clippy::needless_pass_by_value, reason = "as SQLite's, which gives it back")]
    fn words(sql: SqlStr) -> SqlStr {
        statement(sql.as_str())
    }

    fn arguments(values: &[Value<'_>]) -> Result<MySqlArguments, Fault> {
        let mut arguments = MySqlArguments::default();
        arguments.reserve(values.len(), values.len() * size_of::<u64>());
        for value in values {
            match *value {
                Value::Number(number) | Value::Hash(number) => arguments.add(number),
                Value::Signed(number) => arguments.add(number),
                Value::Text(text) => arguments.add(text),
                Value::Bytes(bytes) => arguments.add(bytes),
                Value::NoNumber => arguments.add(None::<u64>),
                Value::NoBytes => arguments.add(None::<&[u8]>),
            }
            .map_err(|error| Fault::new(Kind::Refused, error.to_string()))?;
        }
        Ok(arguments)
    }

    async fn connection(
        &self,
        pool: &MySqlPool,
    ) -> Result<sqlx::pool::PoolConnection<MySql>, Fault> {
        pool.acquire().await.map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &sqlx::Error) -> Fault {
        let fault = sort_error(error, &self.endpoint, |error| {
            error.try_downcast_ref::<MySqlDatabaseError>().map_or(Kind::Unavailable, |error| {
                mysql_kind(error.number(), error.code().unwrap_or_default())
            })
        });
        match tls::advice(&fault.detail, self.mode) {
            Some(advice) => Fault::new(Kind::Configuration, fault.detail + advice),
            None => fault,
        }
    }
}

/// The server's number of what went wrong.
fn error_number(error: &sqlx::Error) -> Option<u16> {
    let error = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(error.number())
}

adapter!(Server, ServerSession, MySql, MySqlRow, MySqlQueryResult::last_insert_id);

#[async_trait]
impl Product for Arc<Server> {
    const STORE: &'static str = "MySQL";
    const DIALECT: Dialect = Dialect::MySql;
    const FRESH: Migration = Migration { version: 9, sql: include_str!("../../../../schema.sql") };
    const UPGRADES: &'static [Migration] = &[
        Migration { version: 2, sql: include_str!("mysql/upgrade_2.sql") },
        Migration { version: 3, sql: include_str!("mysql/upgrade_3.sql") },
        Migration { version: 4, sql: include_str!("mysql/upgrade_4.sql") },
        Migration { version: 5, sql: include_str!("mysql/upgrade_5.sql") },
        Migration { version: 6, sql: include_str!("mysql/upgrade_6.sql") },
        Migration { version: 7, sql: include_str!("mysql/upgrade_7.sql") },
        Migration { version: 8, sql: include_str!("mysql/upgrade_8.sql") },
        Migration { version: 9, sql: include_str!("mysql/upgrade_9.sql") },
    ];

    type Row = MySqlRow;
    type Session = ServerSession;

    async fn begin(&self) -> Result<ServerSession, Fault> {
        let (writers, words) = &self.writers;
        self.begin_on(writers, words).await
    }

    async fn begin_apart(&self) -> Result<ServerSession, Fault> {
        self.begin_on(&self.pool, BEGIN).await
    }

    async fn commit_rows(
        &self,
        rows: &[&PositionRecord],
        readings: &[&ReadingsRow],
        script: &str,
    ) -> Result<bool, Fault> {
        match &self.bulk {
            Some(bulk) => bulk.commit(rows, readings, script).await,
            None => Ok(false),
        }
    }

    /// On a connection of its own, which is closed at the end and with it the lock.
    /// MySQL commits each CREATE at once, so an interrupted migration is repeated:
    /// its statements must bear that (`IF NOT EXISTS`, or a look before).
    async fn migrate(&self) -> Result<(), Fault> {
        let fault = |error: sqlx::Error| self.fault(&error);
        let mut connection = self.pool.acquire().await.map_err(fault)?.detach();
        let locked: Option<i64> =
            sqlx::query_scalar(statement(LOCK)).fetch_one(&mut connection).await.map_err(fault)?;
        if locked != Some(1) {
            return Err(Fault::new(
                Kind::Unavailable,
                "another process has been migrating this database for a minute",
            ));
        }
        let version = match sqlx::query(statement(SCHEMA_VERSION)).fetch_all(&mut connection).await
        {
            Ok(rows) => version_of(&rows)?,
            Err(error) if self.fault(&error).kind == Kind::Schema => 0,
            Err(error) => return Err(self.fault(&error)),
        };
        let mut pending = pending(&Self::FRESH, Self::UPGRADES, version).peekable();
        if let Some(engine) = self.engine.filter(|_| pending.peek().is_some()) {
            storage::choose(self, &mut connection, engine).await?;
        }
        for migration in pending {
            for text in statements(migration.sql) {
                let done = sqlx::raw_sql(statement(&text)).execute(&mut connection);
                wait_aloud(&text, done).await.map_err(fault)?;
            }
            let note = sqlx::query(statement(NOTE)).bind(migration.version);
            note.execute(&mut connection).await.map_err(fault)?;
        }
        connection.close().await.map_err(fault)
    }

    async fn weaknesses(&self) -> Result<Vec<String>, Fault> {
        let rows = self.rows(fixed(DURABILITY), &[]).await?;
        rows.first().map_or(Ok(Vec::new()), |row| {
            Ok(weaknesses(row.need(0)?, row.need::<u64>(1)? != 0, row.need(2)?))
        })
    }

    async fn server(&self) -> Result<(String, Option<u64>, bool), Fault> {
        let rows = self.rows(fixed(SERVER), &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::column(0, "is missing"))?;
        let version = row.text(0)?;
        let brand = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
        let number = version.split('-').next().unwrap_or_default();
        Ok((format!("{brand} {number}"), Some(row.need(1)?), row.need::<u64>(2)? != 0))
    }

    async fn sizes(&self) -> Result<Survey, Fault> {
        partitions::sizes(self).await
    }

    async fn prepare(&self, now: u32, until: u32) -> Result<u32, Fault> {
        partitions::prepare(self, now, until).await
    }

    async fn expire(&self, before: u32) -> Result<Step, Fault> {
        partitions::expire(self, before).await
    }

    async fn expire_classes(&self, over: &[BucketLimit]) -> Result<Step, Fault> {
        rewrite::step(self, over).await
    }

    async fn finish_rewriting(&self, over: &[BucketLimit]) -> Result<Step, Fault> {
        rewrite::finish_step(self, over).await
    }

    async fn rows(&self, sql: SqlStr, values: &[Value<'_>]) -> Result<Vec<MySqlRow>, Fault> {
        self.rows_from(&self.pool, sql, values).await
    }

    fn stream<'s>(
        &'s self,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> BoxStream<'s, Result<MySqlRow, Fault>> {
        self.stream_from(&self.pool, sql, values)
    }
}

/// What these settings cost, in words.
fn weaknesses(flush_log: u64, log_bin: bool, sync_binlog: u64) -> Vec<String> {
    let mut found = Vec::new();
    if flush_log != 1 {
        let dies = if flush_log == 0 { "the server or its machine" } else { "its machine" };
        found.push(format!(
            "innodb_flush_log_at_trx_commit is {flush_log}: when {dies} dies, up to a second of \
             frames that were acknowledged is lost; set it to 1"
        ));
    }
    if log_bin && sync_binlog != 1 {
        found.push(format!(
            "sync_binlog is {sync_binlog} and the binary log is on: when its machine dies, replicas \
             and restores from the log may lack frames that were acknowledged; set it to 1"
        ));
    }
    found
}

/// Columns are read by what the value is, not by its exact column type: counts
/// and sums come in types of their own.
impl Fields for MySqlRow {
    fn number(&self, column: usize) -> Result<Option<u64>, Fault> {
        self.try_get_unchecked(column).map_err(|error| Fault::column(column, &error.to_string()))
    }

    fn signed(&self, column: usize) -> Result<i64, Fault> {
        self.try_get_unchecked(column).map_err(|error| Fault::column(column, &error.to_string()))
    }

    fn hash(&self, column: usize) -> Result<u64, Fault> {
        self.need(column)
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
    use super::*;

    #[test]
    fn only_settings_that_break_the_promise_are_told() {
        assert_eq!(weaknesses(1, false, 0), [""; 0]);
        assert_eq!(weaknesses(1, true, 1), [""; 0]);
        let binlog = weaknesses(1, true, 0);
        assert!(binlog.len() == 1 && binlog[0].starts_with("sync_binlog is 0"), "{binlog:?}");
        let flush = weaknesses(2, false, 0);
        assert!(flush[0].starts_with("innodb_flush_log_at_trx_commit is 2: when its machine dies"));
        assert_eq!(weaknesses(0, true, 100).len(), 2);
    }
}
