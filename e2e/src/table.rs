//! The tables, read from outside: the judge does not ask the program under test.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nemeses_series::chunk::Keys;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, SqliteConnection};

use crate::FrameKey;

/// Where the tables are. A connection is opened for each question, since the
/// database may have been killed in between.
#[derive(Clone, Debug)]
pub enum Tables {
    /// A URL of MySQL or MariaDB.
    MySql(String),
    /// A file of SQLite.
    Sqlite(PathBuf),
}

/// Device and milliseconds of a record.
type Stored = (i64, i64);
/// Device and keys of a block of sealed records.
type SealedKeys = (i64, Vec<u8>);

/// SQLite's integers are signed: hashes lie there with this bit turned over, so
/// that their order is the same as in MySQL.
const SQLITE_HASH_BIT: u64 = 1 << 63;
const POSITIONS: &str = "SELECT device, recorded_at, CAST(frame_hash AS SIGNED) FROM positions";
/// As long as other waits for a node on a busy machine.
const EMPTY_WITHIN: Duration = Duration::from_secs(60);
const LETTERS: &str = "SELECT reason, bytes FROM dead_letters";

/// What a rule raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmRow {
    /// The device's number.
    pub device: u64,
    /// Whether it is of late rows.
    pub late: bool,
    /// By the device's clock.
    pub opened_at_ms: u64,
    /// `None` while it is open.
    pub cleared_at_ms: Option<u64>,
}

impl Tables {
    /// The keys of all positions.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn positions(&self) -> anyhow::Result<Vec<FrameKey>> {
        let turned = if matches!(self, Self::Sqlite(_)) { SQLITE_HASH_BIT } else { 0 };
        let rows: Vec<(i64, i64, i64)> = match self {
            Self::MySql(url) => {
                let mut connection = MySqlConnection::connect(url).await?;
                // The columns are unsigned in MySQL and signed in SQLite.
                let columns = POSITIONS
                    .replace("device,", "CAST(device AS SIGNED),")
                    .replace("recorded_at,", "CAST(recorded_at AS SIGNED),");
                sqlx::query_as(AssertSqlSafe(columns)).fetch_all(&mut connection).await?
            }
            Self::Sqlite(path) => {
                let mut connection = open(path).await?;
                emptied(&mut connection).await?;
                let columns = POSITIONS.replace("SIGNED", "INTEGER");
                sqlx::query_as(AssertSqlSafe(columns)).fetch_all(&mut connection).await?
            }
        };
        rows.into_iter()
            .map(|(device, recorded_at, hash)| {
                Ok(FrameKey {
                    device: device.try_into()?,
                    recorded_at: recorded_at.try_into()?,
                    frame_hash: hash.cast_unsigned() ^ turned,
                })
            })
            .collect()
    }

    /// Reason and bytes of every dead letter.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn dead_letters(&self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        Ok(match self {
            Self::MySql(url) => {
                let mut connection = MySqlConnection::connect(url).await?;
                sqlx::query_as(LETTERS).fetch_all(&mut connection).await?
            }
            Self::Sqlite(path) => sqlx::query_as(LETTERS).fetch_all(&mut open(path).await?).await?,
        })
    }

    /// The names of all workers in the books: who received and who stored.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn workers(&self) -> anyhow::Result<Vec<String>> {
        let names = "SELECT worker FROM books UNION SELECT exporter FROM books";
        let names: Vec<(String,)> = match self {
            Self::MySql(url) => {
                let mut connection = MySqlConnection::connect(url).await?;
                sqlx::query_as(names).fetch_all(&mut connection).await?
            }
            Self::Sqlite(path) => sqlx::query_as(names).fetch_all(&mut open(path).await?).await?,
        };
        Ok(names.into_iter().map(|(name,)| name).collect())
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn count_dead_letters(&self) -> anyhow::Result<u64> {
        self.count("SELECT COUNT(*) FROM dead_letters").await
    }

    /// Device and milliseconds of every record of readings, sealed or not.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn readings(&self) -> anyhow::Result<Vec<(u64, u64)>> {
        let keys = "SELECT CAST(device AS SIGNED), CAST(recorded_at_ms AS SIGNED) FROM readings";
        let blocks = "SELECT CAST(device AS SIGNED), record_keys FROM sealed_blocks";
        // In one transaction: a record moves from the rows to the blocks.
        let (keys, blocks): (Vec<Stored>, Vec<SealedKeys>) = match self {
            Self::MySql(url) => {
                let mut connection = MySqlConnection::connect(url).await?;
                let mut snapshot = connection.begin().await?;
                (
                    sqlx::query_as(keys).fetch_all(&mut *snapshot).await?,
                    sqlx::query_as(blocks).fetch_all(&mut *snapshot).await?,
                )
            }
            Self::Sqlite(path) => {
                let mut connection = open(path).await?;
                let mut snapshot = connection.begin().await?;
                (
                    sqlx::query_as(keys).fetch_all(&mut *snapshot).await?,
                    sqlx::query_as(blocks).fetch_all(&mut *snapshot).await?,
                )
            }
        };
        let mut found: Vec<(u64, u64)> = Vec::with_capacity(keys.len());
        for (device, ms) in keys {
            found.push((device.try_into()?, ms.try_into()?));
        }
        for (device, keys) in blocks {
            for key in Keys::decode(&keys)?.as_slice() {
                found.push((device.try_into()?, key.at_ms.try_into()?));
            }
        }
        Ok(found)
    }

    /// Every alarm.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn alarms(&self) -> anyhow::Result<Vec<AlarmRow>> {
        let rows = "SELECT CAST(device AS SIGNED), CAST(late AS SIGNED), \
            CAST(opened_at_ms AS SIGNED), CAST(COALESCE(cleared_at_ms, -1) AS SIGNED) FROM alarms";
        let rows: Vec<(i64, i64, i64, i64)> = match self {
            Self::MySql(url) => {
                let mut connection = MySqlConnection::connect(url).await?;
                sqlx::query_as(rows).fetch_all(&mut connection).await?
            }
            Self::Sqlite(path) => sqlx::query_as(rows).fetch_all(&mut open(path).await?).await?,
        };
        let alarm = |(device, late, opened, cleared): (i64, i64, i64, i64)| {
            Ok(AlarmRow {
                device: device.try_into()?,
                late: late == 1,
                opened_at_ms: opened.try_into()?,
                cleared_at_ms: cleared.try_into().ok(),
            })
        };
        rows.into_iter().map(alarm).collect()
    }

    /// How many records of readings there are, sealed or not.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn count_readings(&self) -> anyhow::Result<u64> {
        self.count(
            "SELECT (SELECT COUNT(*) FROM readings) \
             + (SELECT CAST(COALESCE(SUM(record_count), 0) AS SIGNED) FROM sealed_blocks)",
        )
        .await
    }

    /// How many of them are sealed.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn count_sealed(&self) -> anyhow::Result<u64> {
        self.count("SELECT CAST(COALESCE(SUM(record_count), 0) AS SIGNED) FROM sealed_blocks").await
    }

    async fn count(&self, count: &'static str) -> anyhow::Result<u64> {
        let (count,): (i64,) = match self {
            Self::MySql(url) => {
                let mut connection = MySqlConnection::connect(url).await?;
                sqlx::query_as(count).fetch_one(&mut connection).await?
            }
            Self::Sqlite(path) => sqlx::query_as(count).fetch_one(&mut open(path).await?).await?,
        };
        Ok(count.try_into()?)
    }

    /// The bytes of every dead letter.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn dead_letter_bytes(&self) -> anyhow::Result<HashSet<Vec<u8>>> {
        Ok(self.dead_letters().await?.into_iter().map(|(_, bytes)| bytes).collect())
    }

    /// Runs a statement, such as a trigger that refuses rows.
    ///
    /// # Errors
    /// The database does not do it.
    pub async fn execute(&self, statement: &str) -> anyhow::Result<()> {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        match self {
            Self::MySql(url) => {
                statement.execute(&mut MySqlConnection::connect(url).await?).await?;
            }
            Self::Sqlite(path) => {
                statement.execute(&mut open(path).await?).await?;
            }
        }
        Ok(())
    }

    /// Makes the database refuse every position with this odometer, for good.
    ///
    /// # Errors
    /// The database does not do it.
    pub async fn refuse_odometer(&self, odometer_m: u32) -> anyhow::Result<()> {
        let statement = match self {
            Self::MySql(_) => format!(
                "CREATE TRIGGER refuse BEFORE INSERT ON positions FOR EACH ROW \
                 IF NEW.odometer_m = {odometer_m} THEN \
                 SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF"
            ),
            Self::Sqlite(_) => format!(
                "CREATE TRIGGER refuse BEFORE INSERT ON positions WHEN NEW.odometer_m = {odometer_m} \
                 BEGIN SELECT RAISE(ABORT, 'not this one'); END"
            ),
        };
        self.execute(&statement).await
    }
}

/// Waits until no rows are in the journal, which a running node empties within about a
/// second; there is none before its table is made.
async fn emptied(connection: &mut SqliteConnection) -> anyhow::Result<()> {
    let made = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'pending'";
    let (made,): (i64,) = sqlx::query_as(made).fetch_one(&mut *connection).await?;
    if made == 0 {
        return Ok(());
    }
    let deadline = Instant::now() + EMPTY_WITHIN;
    loop {
        let count = "SELECT COUNT(*) FROM pending";
        let (batches,): (i64,) = sqlx::query_as(count).fetch_one(&mut *connection).await?;
        if batches == 0 {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "{batches} batches stay in the journal");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn open(path: &std::path::Path) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(20));
    SqliteConnection::connect_with(&options).await
}
