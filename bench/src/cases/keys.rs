//! Clustered keys of `positions` in SQLite: what each costs to write, to read by day
//! and by month, to fill in late, and on disk. One connection, settings as the store
//! has them, the table's own columns; books and days are left out.

use std::time::Instant;

use clap::{Args, ValueEnum};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use crate::load::{DEVICES, EVERY_S, as_f64};
use crate::machine::{processor_seconds, written_bytes};
use crate::report::say;

const DAY_S: u32 = 86_400;
/// Rows of a transaction while the table is filled, and of a statement.
const FILL_ROWS: usize = 4000;
const STATEMENT_ROWS: usize = 1000;
/// Rows that a journal gathers before they are put where they belong: 14 MB.
const GROUP_ROWS: u32 = 200_000;
/// Days uploaded late, each of a device that has no other rows.
const LATE_DAYS: u32 = 10;
const READS: u32 = 20;
/// Any two numbers without a common divisor with the number of devices: rows come in no
/// order of devices, as from a fleet.
const STRIDES: (u32, u32) = (7919, 104_729);
const COLUMNS: &str = "bucket INTEGER NOT NULL, device INTEGER NOT NULL, \
    recorded_at INTEGER NOT NULL, frame_hash INTEGER NOT NULL, received_at_ms INTEGER NOT NULL, \
    direction_cdeg INTEGER NOT NULL, odometer_m INTEGER NOT NULL, hour_meter_min INTEGER NOT NULL, \
    composition INTEGER NOT NULL, speed_kmh INTEGER NOT NULL, latitude_udeg INTEGER NOT NULL, \
    longitude_udeg INTEGER NOT NULL";

/// What to compare
#[derive(Clone, Debug, Args)]
pub(crate) struct Keys {
    /// Which key; all without it
    #[arg(long, value_enum)]
    key: Vec<Key>,
    /// Rows of 10 000 devices, a frame each 10 s, before ingest is measured
    #[arg(long, default_value_t = 5_000_000)]
    rows: u32,
    /// Rows of a transaction of the measured ingest
    #[arg(long, default_value_t = 200)]
    batch: usize,
    /// Transactions of the measured ingest
    #[arg(long, default_value_t = 3000)]
    batches: u32,
    /// Devices that are read, a frame each 10 s
    #[arg(long, default_value_t = 20)]
    readers: u32,
    /// Days that they have
    #[arg(long, default_value_t = 30)]
    days: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Key {
    /// Device, second, hash
    Device,
    /// Bucket of 300 s, device, second, hash: the schema's own
    Bucket300,
    /// Bucket of 60 s, device, second, hash
    Bucket60,
    /// Device, second, hash; rows wait in a journal and are applied in groups
    Journal,
}

const KEYS: [Key; 4] = [Key::Bucket300, Key::Bucket60, Key::Device, Key::Journal];

impl Key {
    const fn bucket_s(self) -> u32 {
        if matches!(self, Self::Bucket60) { 60 } else { 300 }
    }

    const fn has_buckets(self) -> bool {
        matches!(self, Self::Bucket300 | Self::Bucket60)
    }

    /// The condition that a day's buckets are.
    fn within(self, begin: u32) -> String {
        if !self.has_buckets() {
            return String::new();
        }
        let (first, last) = (begin / self.bucket_s(), (begin + DAY_S - 1) / self.bucket_s());
        let all: Vec<_> = (first..=last).map(|bucket| bucket.to_string()).collect();
        format!("bucket IN ({}) AND", all.join(","))
    }

    const fn columns(self) -> &'static str {
        if self.has_buckets() {
            "bucket, device, recorded_at, frame_hash"
        } else {
            "device, recorded_at, frame_hash, bucket"
        }
    }
}

/// A row, as far as rows differ: device, second, number.
type Row = (u32, u32, u32);

struct File {
    key: Key,
    connection: SqliteConnection,
    /// Rows in the journal.
    waiting: u32,
}

/// Prints a table of all keys.
pub(crate) async fn compare(keys: &Keys) -> anyhow::Result<()> {
    say("| key | ingest, rows/s | processor, us a row | written, bytes a row | a day, ms \
        | 30 days, ms | late, rows/s | on disk, bytes a row |\n|---|---|---|---|---|---|---|---|");
    let wanted = if keys.key.is_empty() { &KEYS[..] } else { &keys.key };
    for key in wanted {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("keys.db");
        measure(keys, File::make(*key, &path).await?).await?;
    }
    Ok(())
}

async fn measure(keys: &Keys, mut file: File) -> anyhow::Result<()> {
    file.fill(keys.rows, fleet).await?;
    let (started, processor, written) = (Instant::now(), own_seconds(), own_written());
    let mut next = keys.rows;
    for _ in 0..keys.batches {
        let rows = (0..keys.batch).map(|_| {
            next += 1;
            fleet(next)
        });
        file.commit(rows.collect()).await?;
    }
    let rows = as_f64(u64::from(next - keys.rows));
    let ingest = rows / started.elapsed().as_secs_f64();
    let processor = (own_seconds() - processor) * 1e6 / rows;
    let written = (own_written() - written) / rows;
    let (from, readers) = (next / DEVICES * EVERY_S + 2 * DAY_S, keys.readers);
    let read_rows = readers * (keys.days * DAY_S / EVERY_S);
    file.fill(read_rows, |number| {
        (DEVICES + number % readers, from + number / readers * EVERY_S, number)
    })
    .await?;
    let (mut day, mut month) = (0.0, 0.0);
    for read in 0..READS {
        let begin = from + read % keys.days * DAY_S;
        day += file.read(DEVICES + read % readers, begin, 1).await? / f64::from(READS);
    }
    for read in 0..readers.min(5) {
        month += file.read(DEVICES + read, from, keys.days).await? / f64::from(readers.min(5));
    }
    let started = Instant::now();
    for late in 0..LATE_DAYS {
        let (device, begin) = (DEVICES + readers + late, from + late % keys.days * DAY_S);
        for first in (0..DAY_S / EVERY_S).step_by(STATEMENT_ROWS) {
            let last = (first + 1000).min(DAY_S / EVERY_S);
            let row = |number| (device, begin + number * EVERY_S, number);
            file.commit((first..last).map(row).collect()).await?;
        }
    }
    let late_rows = LATE_DAYS * (DAY_S / EVERY_S);
    let late = f64::from(late_rows) / started.elapsed().as_secs_f64();
    let disk = file.disk_bytes().await? / f64::from(next + read_rows + late_rows);
    say(&format!(
        "| {:?} | {ingest:.0} | {processor:.1} | {written:.0} | {day:.1} | {month:.0} | {late:.0} | {disk:.0} |",
        file.key
    ));
    Ok(())
}

/// The fleet's rows in order of time, its devices in no order.
fn fleet(number: u32) -> Row {
    let (round, place) = (number / DEVICES, number % DEVICES);
    let device = (place * STRIDES.0 + round % DEVICES * STRIDES.1 % DEVICES) % DEVICES;
    (device, round * EVERY_S, number)
}

fn own_seconds() -> f64 {
    processor_seconds(Some(std::process::id()))
}

fn own_written() -> f64 {
    written_bytes(Some(std::process::id()))
}

impl File {
    async fn make(key: Key, path: &std::path::Path) -> anyhow::Result<Self> {
        let mut connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", "-65536")
            .pragma("wal_autocheckpoint", "8192")
            .disable_statement_logging()
            .connect()
            .await?;
        for table in ["positions", "journal"] {
            let columns = key.columns();
            let text =
                format!("CREATE TABLE {table} ({COLUMNS}, PRIMARY KEY ({columns})) WITHOUT ROWID");
            connection.execute(AssertSqlSafe(text)).await?;
        }
        Ok(Self { key, connection, waiting: 0 })
    }

    /// Rows in order, in large transactions.
    async fn fill(&mut self, rows: u32, row: impl Fn(u32) -> Row) -> anyhow::Result<()> {
        for first in (0..rows).step_by(FILL_ROWS) {
            let last = rows.min(first + 4000);
            self.commit((first..last).map(&row).collect()).await?;
        }
        Ok(())
    }

    /// Writes the rows in the order of their keys, in one transaction.
    async fn commit(&mut self, mut rows: Vec<Row>) -> anyhow::Result<()> {
        let bucket_s = self.key.bucket_s();
        if self.key.has_buckets() {
            rows.sort_unstable_by_key(|row| (row.1 / bucket_s, row.0, row.1));
        } else {
            rows.sort_unstable();
        }
        let journal = self.key == Key::Journal;
        self.connection.execute("BEGIN IMMEDIATE").await?;
        for rows in rows.chunks(STATEMENT_ROWS) {
            let table = if journal { "journal" } else { "positions" };
            let values = vec!["(?,?,?,?,?,?,?,?,?,?,?,?)"; rows.len()].join(",");
            let text = format!("INSERT OR FAIL INTO {table} VALUES {values}");
            let mut query = sqlx::query(AssertSqlSafe(text));
            for (device, recorded_at, number) in rows {
                let hash = u64::from(*number).wrapping_mul(0x9E37_79B9_7F4A_7C15).cast_signed();
                query = query.bind(recorded_at / bucket_s).bind(device).bind(recorded_at);
                query = query.bind(hash).bind(i64::from(*recorded_at) * 1000).bind(5487);
                query = query.bind(25_000_000).bind(36_000).bind(3).bind(60);
                query = query.bind(-19_932_833).bind(-43_938_493);
            }
            query.execute(&mut self.connection).await?;
        }
        self.waiting += u32::try_from(rows.len())?;
        if journal && self.waiting >= GROUP_ROWS {
            self.waiting = 0;
            self.connection.execute("INSERT INTO positions SELECT * FROM journal").await?;
            self.connection.execute("DELETE FROM journal").await?;
        }
        self.connection.execute("COMMIT").await?;
        Ok(())
    }

    /// Milliseconds that the days of a device take to read, day by day.
    async fn read(&mut self, device: u32, from: u32, days: u32) -> anyhow::Result<f64> {
        let started = Instant::now();
        for day in 0..days {
            let begin = from + day * DAY_S;
            let mut found = 0;
            let tables = ["positions", "journal"];
            for table in &tables[..if self.key == Key::Journal { 2 } else { 1 }] {
                let within = self.key.within(begin);
                let text = format!(
                    "SELECT * FROM {table} \
                     WHERE {within} device = ? AND recorded_at BETWEEN ? AND ?"
                );
                let query = sqlx::query(AssertSqlSafe(text)).persistent(false);
                let query = query.bind(device).bind(begin).bind(begin + DAY_S - 1);
                found += query.fetch_all(&mut self.connection).await?.len();
            }
            anyhow::ensure!(found == (DAY_S / EVERY_S) as usize, "{found} rows of a day");
        }
        Ok(started.elapsed().as_secs_f64() * 1000.0)
    }

    async fn disk_bytes(&mut self) -> anyhow::Result<f64> {
        let text = "SELECT CAST(page_count * page_size AS REAL) \
            FROM pragma_page_count(), pragma_page_size()";
        Ok(sqlx::query_scalar(text).fetch_one(&mut self.connection).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_each_device_once() {
        for round in [0, 1, 77] {
            let mut devices: Vec<_> =
                (0..DEVICES).map(|place| fleet(round * DEVICES + place)).collect();
            assert!(devices.iter().all(|row| row.1 == round * EVERY_S));
            devices.sort_unstable();
            assert!(devices.iter().map(|row| row.0).eq(0..DEVICES));
        }
    }
}
