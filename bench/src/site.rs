//! The servers that are measured, with durable settings and room to work in.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nemeses_e2e::{Brand, Mosquitto, Node, Redis, RedisMemory, SqlServer};
use nemeses_protocol::{
    BatchKey, Composition, DeviceId, Position, PositionRecord, Record, frame_hash,
};
use nemeses_store::history::{History, Options, Part, open};

use crate::load::{DEVICES, EVERY_S};

/// The log stays flushed at every commit (the e2e crate's own setting).
pub(crate) const MARIADB: [&str; 3] = [
    "--innodb-buffer-pool-size=1G",
    "--innodb-log-file-size=1G",
    "--innodb-adaptive-hash-index=ON",
];
const STOP: Duration = Duration::from_secs(60);
const BATCH: u32 = 1000;
/// Recorded seconds lie in the past, with room for hours of load: 40 days.
const BEFORE_NOW_S: u32 = 40 * 86_400;

/// A MariaDB for measuring.
pub(crate) async fn mariadb() -> anyhow::Result<SqlServer> {
    mariadb_with(MARIADB.map(Into::into)).await
}

/// A MariaDB with these settings on top of the e2e crate's.
pub(crate) async fn mariadb_with(
    settings: impl IntoIterator<Item = OsString>,
) -> anyhow::Result<SqlServer> {
    let mut server = SqlServer::start(Brand::MariaDb).await?;
    server.stop(STOP).await?;
    server.spec_mut().args.extend(settings);
    server.start_again().await?;
    Ok(server)
}

/// A node on MariaDB and Redis.
pub(crate) struct OnServers {
    pub(crate) node: Node,
    pub(crate) redis: Redis,
    pub(crate) mariadb: SqlServer,
}

impl OnServers {
    pub(crate) async fn start(args: &[&str]) -> anyhow::Result<Self> {
        let (mariadb, redis) = (mariadb().await?, Redis::start(RedisMemory::Lost).await?);
        let urls = (mariadb.url(), redis.url());
        let stores = ["--database-url", &urls.0, "--redis-url", &urls.1];
        let node = Node::start(&[&stores, args].concat()).await?;
        Ok(Self { node, redis, mariadb })
    }
}

/// The broker whose pass-through is the ceiling.
pub(crate) async fn mosquitto() -> anyhow::Result<(Mosquitto, SocketAddr)> {
    let broker = Mosquitto::start().await?;
    let address = broker.port().address();
    Ok((broker, address))
}

/// Unix seconds.
pub(crate) fn now_s() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

/// Where the recorded seconds of an empty table begin.
pub(crate) fn recorded_from() -> u32 {
    now_s() - BEFORE_NOW_S
}

/// Writes rows of the whole fleet, from `recorded_from` on, into a database;
/// returns the second behind the last.
pub(crate) async fn prefill(url: &str, rows: u32, recorded_from: u32) -> anyhow::Result<u32> {
    let history = open(url, Options::default()).await?.history();
    history.migrate().await?;
    for batch in 0..rows / BATCH {
        history.commit(&[part("prefill", batch, recorded_from)], "prefill").await?;
    }
    Ok(recorded_from + (rows / DEVICES + 1) * EVERY_S)
}

/// A batch of rows as the load's frames make them.
pub(crate) fn part(worker: &str, batch: u32, recorded_from: u32) -> Part {
    let records = (batch * BATCH..(batch + 1) * BATCH).map(|number| record(number, recorded_from));
    let key = BatchKey { worker: worker.to_owned(), run: 1, sequence: u64::from(batch) + 1 };
    Part { key, tallies: Vec::new(), records: records.collect() }
}

fn record(number: u32, recorded_from: u32) -> Record {
    let recorded_at = recorded_from + number / DEVICES * EVERY_S;
    frame(number % DEVICES, recorded_at, number)
}

/// Rows of one device, so many seconds apart.
pub(crate) fn rows_of(
    device: u32,
    numbers: Range<u32>,
    every_s: u32,
    recorded_from: u32,
) -> Vec<Record> {
    numbers.map(|number| frame(device, recorded_from + number * every_s, number)).collect()
}

/// Commits a batch of rows; each batch of a worker has a number of its own.
pub(crate) async fn commit(
    history: &dyn History,
    worker: &str,
    number: u32,
    records: Vec<Record>,
) -> anyhow::Result<()> {
    let key = BatchKey { worker: worker.to_owned(), run: 1, sequence: u64::from(number) + 1 };
    history.commit(&[Part { key, tallies: Vec::new(), records }], "bench").await?;
    Ok(())
}

/// A row of a device that drives.
pub(crate) fn frame(device: u32, recorded_at: u32, number: u32) -> Record {
    let position = Position {
        device: DeviceId::new(device),
        recorded_at,
        direction_cdeg: 5_487,
        odometer_m: 25_000_000,
        hour_meter_min: 36_000,
        composition: Composition(Composition::GPS_FIX | Composition::IGNITION),
        extension: None,
        speed_kmh: 60,
        latitude_udeg: -19_932_833,
        longitude_udeg: -43_938_493,
    };
    let frame_hash = frame_hash(&number.to_be_bytes());
    let received_at_ms = u64::from(recorded_at) * 1000;
    Record::Position(PositionRecord { position, frame_hash, received_at_ms, packed: None })
}
