//! Growth: what ingest, reads and late uploads of a node cost before and after its
//! table was filled, by engine, clustered key, fleet and buffer pool.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use nemeses_e2e::{Node, Redis, RedisMemory, SqlServer, User};
use nemeses_protocol::Record;
use nemeses_store::history::{History, Options, open};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::cases::FIFTY;
use crate::http::{Http, get_request};
use crate::load::{Plan, as_f64, run};
use crate::machine::{processor_seconds, written_bytes};
use crate::report::say;
use crate::site::{commit, frame, mariadb_with, recorded_from, rows_of};
use crate::stats::percentile_ms;

const BATCH: u32 = 4000;
/// Committers that fill the table, as a node has lanes.
const COMMITTERS: u32 = 2;
/// Between two rows of a device while the table is filled.
const EVERY_S: u32 = 60;
/// Rows of the day that is read, and of each late upload: one a minute.
const DAY_ROWS: u32 = 1440;
/// Days uploaded late, by as many devices.
const LATE_DAYS: u32 = 50;
const READS: u32 = 40;
/// How far the server may be behind with flushing before it is measured.
const SETTLE: Duration = Duration::from_secs(10);

/// What comes first in the clustered key of `positions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Key {
    /// Time bucket, device, second, hash: the schema's own.
    Bucket,
    /// Device, second, hash.
    Device,
}

/// What to fill, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct Growth {
    /// Rows of the filled table
    #[arg(long, default_value_t = 50_000_000)]
    rows: u32,
    /// Devices of the fleet, in turn
    #[arg(long, default_value_t = 10_000)]
    devices: u32,
    /// Storage engine; RocksDB needs Debian's mariadb-plugin-rocksdb
    #[arg(long, default_value = "InnoDB")]
    engine: String,
    /// What comes first in the table's key
    #[arg(long, value_enum, default_value_t = Key::Bucket)]
    key: Key,
    /// Memory of the engine for pages
    #[arg(long, default_value = "1G")]
    memory: String,
    /// Length of each measurement of ingest
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// One look at the line.
struct Look {
    frames_a_second: f64,
    server_us_a_frame: f64,
    node_us_a_frame: f64,
    written_bytes_a_frame: f64,
    day_p50_ms: f64,
    location_p50_ms: f64,
    late_rows_a_second: f64,
}

struct Site {
    node: Node,
    mariadb: SqlServer,
    _redis: Redis,
    api: SocketAddr,
    user: User,
}

/// Looks, fills, looks again, and prints both.
pub(crate) async fn grow(growth: &Growth) -> anyhow::Result<()> {
    let mariadb = server(growth).await?;
    let history = open(&mariadb.url(), Options::default()).await?.history();
    history.migrate().await?;
    if growth.key == Key::Device {
        let key = "ALTER TABLE positions DROP PRIMARY KEY, \
                   ADD PRIMARY KEY (device, recorded_at, frame_hash, bucket)";
        MySqlConnection::connect(&mariadb.url()).await?.execute(key).await?;
    }
    let base = recorded_from();
    commit(&*history, "day", 0, day(growth.devices, base)).await?;
    let site = Site::start(mariadb).await?;
    // Behind all that the table is filled with.
    let mut recorded = base + growth.rows / growth.devices * EVERY_S + 86_400;
    site.ingest(growth, 2, &mut recorded).await?;
    let empty = site.look(growth, &*history, 1, &mut recorded).await?;
    let started = Instant::now();
    fill(&history, growth, base).await?;
    let seconds = started.elapsed().as_secs_f64();
    say(&format!(
        "{} rows in {seconds:.0} s, {:.0} rows/s",
        growth.rows,
        f64::from(growth.rows) / seconds
    ));
    tokio::time::sleep(SETTLE).await;
    let full = site.look(growth, &*history, 2, &mut recorded).await?;
    say(&format!(
        "{} of {} rows, {} devices, key by {:?}, {} of memory, {:.1} GB on disk",
        growth.engine,
        growth.rows,
        growth.devices,
        growth.key,
        growth.memory,
        site.disk_bytes().await? / 1e9
    ));
    say("| | empty | full | ratio |\n|---|---|---|---|");
    for (name, of) in ROWS {
        let (empty, full) = (of(&empty), of(&full));
        say(&format!("| {name} | {empty:.2} | {full:.2} | {:.2} |", full / empty));
    }
    Ok(())
}

type Figure = fn(&Look) -> f64;

const ROWS: [(&str, Figure); 7] = [
    ("ingest, frames/s", |look| look.frames_a_second),
    ("mariadbd, us of processor a frame", |look| look.server_us_a_frame),
    ("node, us of processor a frame", |look| look.node_us_a_frame),
    ("written to disk, bytes a frame", |look| look.written_bytes_a_frame),
    ("one-day report, p50 ms", |look| look.day_p50_ms),
    ("location, p50 ms", |look| look.location_p50_ms),
    ("late uploads of a day each, rows/s", |look| look.late_rows_a_second),
];

async fn server(growth: &Growth) -> anyhow::Result<SqlServer> {
    let memory = &growth.memory;
    let settings = if growth.engine.eq_ignore_ascii_case("rocksdb") {
        vec![
            "--plugin-load-add=ha_rocksdb".into(),
            "--default-storage-engine=RocksDB".into(),
            "--rocksdb-large-prefix=ON".into(),
            format!("--rocksdb-block-cache-size={memory}").into(),
            // Flushed at every commit, as InnoDB's log is.
            "--rocksdb-flush-log-at-trx-commit=1".into(),
        ]
    } else {
        vec![
            format!("--innodb-buffer-pool-size={memory}").into(),
            "--innodb-log-file-size=1G".into(),
            "--innodb-adaptive-hash-index=ON".into(),
        ]
    };
    mariadb_with(settings).await
}

impl Site {
    async fn start(mariadb: SqlServer) -> anyhow::Result<Self> {
        let redis = Redis::start(RedisMemory::Lost).await?;
        let (database, live) = (mariadb.url(), redis.url());
        let node = Node::start(&["--database-url", &database, "--redis-url", &live]).await?;
        let base = node.api_url();
        let email = User::register(&base).await?;
        let user = User::sign_in(&base, &email).await?;
        let api = base.trim_start_matches("http://").parse().context(base.clone())?;
        Ok(Self { node, mariadb, _redis: redis, api, user })
    }

    /// Ingest at full speed, what each process spent, and what was written.
    async fn ingest(
        &self,
        growth: &Growth,
        seconds: u64,
        recorded: &mut u32,
    ) -> anyhow::Result<[f64; 4]> {
        let pids = [self.mariadb.pid(), self.node.pid()];
        let (before, written) = (pids.map(processor_seconds), written_bytes(pids[0]));
        let address = self.node.mqtt().address();
        let plan =
            Plan { devices: growth.devices, ..Plan::new(address, FIFTY, seconds, *recorded) };
        let outcome = run(plan).await?;
        *recorded = outcome.recorded_to;
        let after = pids.map(processor_seconds);
        let us = |at: usize| (after[at] - before[at]) * 1e6 / as_f64(outcome.sent);
        let bytes = (written_bytes(pids[0]) - written) / as_f64(outcome.sent);
        Ok([outcome.acknowledged_a_second, us(0), us(1), bytes])
    }

    async fn look(
        &self,
        growth: &Growth,
        history: &dyn History,
        look: u32,
        recorded: &mut u32,
    ) -> anyhow::Result<Look> {
        let [frames_a_second, server_us_a_frame, node_us_a_frame, written_bytes_a_frame] =
            self.ingest(growth, growth.seconds, recorded).await?;
        let device = growth.devices;
        let path = format!("/api/v1/report?device_id={device:06X}&limit={DAY_ROWS}");
        let day_p50_ms = self.asked(&[path]).await?;
        let paths: Vec<_> = (0..READS)
            .map(|at| at * (growth.devices / READS).max(1))
            .map(|device| format!("/api/v1/location?device_id={device:06X}"))
            .collect();
        let location_p50_ms = self.asked(&paths).await?;
        let started = Instant::now();
        for number in 0..LATE_DAYS {
            // Devices and days all over the table.
            let device = (number * 7919 + look) % growth.devices;
            let begin = recorded_from() - look * 600_000 - number * 86_400 % 500_000 + 30;
            commit(history, "late", look * LATE_DAYS + number, day(device, begin)).await?;
        }
        let late_rows_a_second = f64::from(LATE_DAYS * DAY_ROWS) / started.elapsed().as_secs_f64();
        Ok(Look {
            frames_a_second,
            server_us_a_frame,
            node_us_a_frame,
            written_bytes_a_frame,
            day_p50_ms,
            location_p50_ms,
            late_rows_a_second,
        })
    }

    /// The middle time of an answer, the paths in turn.
    async fn asked(&self, paths: &[String]) -> anyhow::Result<f64> {
        let mut http = Http::connect(self.api).await?;
        let mut times_us = Vec::new();
        for path in paths.iter().cycle().take(READS as usize) {
            let request = get_request(path, self.user.token());
            let started = Instant::now();
            http.ask(&request).await?;
            times_us.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        times_us.sort_unstable();
        Ok(percentile_ms(&times_us, 50))
    }

    async fn disk_bytes(&self) -> anyhow::Result<f64> {
        let mut connection = MySqlConnection::connect(&self.mariadb.url()).await?;
        connection.execute("ANALYZE TABLE positions").await?;
        let text = "SELECT CAST(DATA_LENGTH + INDEX_LENGTH AS DOUBLE) \
                    FROM information_schema.TABLES WHERE TABLE_NAME = 'positions'";
        Ok(sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut connection).await?)
    }
}

/// Rows of the whole fleet in order of time, by several committers.
async fn fill(history: &Arc<dyn History>, growth: &Growth, base: u32) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU32::new(0));
    let mut committers = tokio::task::JoinSet::new();
    for _ in 0..COMMITTERS {
        let (history, next) = (Arc::clone(history), Arc::clone(&next));
        let (batches, devices) = (growth.rows / BATCH, growth.devices);
        committers.spawn(async move {
            loop {
                let batch = next.fetch_add(1, Ordering::Relaxed);
                if batch >= batches {
                    return anyhow::Ok(());
                }
                let rows = (batch * BATCH..(batch + 1) * BATCH)
                    .map(|number| {
                        frame(number % devices, base + number / devices * EVERY_S, number)
                    })
                    .collect();
                commit(&*history, "fill", batch, rows).await?;
            }
        });
    }
    while let Some(ended) = committers.join_next().await {
        ended??;
    }
    Ok(())
}

/// A row a minute.
fn day(device: u32, begin: u32) -> Vec<Record> {
    rows_of(device, 0..DAY_ROWS, 60, begin)
}
