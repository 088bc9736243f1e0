//! Bytes of a sealed value, its share of keys and arrivals included, of series that this machine
//! records of itself: never generated ones, which are as small as one likes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nemeses_protocol::{BatchKey, Reading, ReadingsRecord, Record, Value, readings_hash};
use nemeses_store::history::{Database, Options, Part, SealFrom, open};
use sqlx::{Connection as _, SqliteConnection};

use crate::report::{Measure, Report, Target};

/// Two minutes of ten samples a second.
const SAMPLES: u64 = 1200;
const EVERY: Duration = Duration::from_millis(100);
/// What a row of `readings` has beside its packed values: two whole numbers of 4 bytes, three of 8,
/// one of 1 and one of 2.
const BESIDE_VALUES: u64 = 4 + 4 + 3 * 8 + 1 + 2;
const AIM: Measure = Measure {
    id: "sealed_bytes",
    unit: "bytes/value",
    against: "columns of the same rows, without pages and their keys in them",
    target: Target::AtMost(3.0),
};

/// Reads the values of a moment.
type Read = fn() -> anyhow::Result<Vec<Reading>>;

/// What is read of `/proc`, and by which names.
const KINDS: [(&str, Read); 6] = [
    ("cpu", cpu),
    ("load", load),
    ("memory", memory),
    ("disks", disks),
    ("network", network),
    ("scheduler", scheduler),
];

/// Samples this machine, commits, seals, and divides.
pub(crate) async fn bytes(report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("history.db");
    let database = open(&format!("sqlite:{}", path.display()), Options::default()).await?;
    database.history().migrate().await?;
    let mut of_kinds: Vec<Vec<Record>> = vec![Vec::new(); KINDS.len()];
    for _ in 0..SAMPLES {
        let now_ms = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        for ((name, read), records) in KINDS.iter().zip(&mut of_kinds) {
            records.push(record(name, now_ms, read()?)?);
        }
        tokio::time::sleep(EVERY).await;
    }
    let (mut bytes, mut row_bytes, mut values) = (0, 0, 0);
    for ((name, _), records) in KINDS.iter().zip(of_kinds) {
        let (sealed, rows, count) = seal(&database, &path, name, records).await?;
        let ratio = |bytes: u64| figure(bytes) / figure(count);
        let note = format!(
            "{name}: {:.2} bytes a value sealed, {:.2} as columns of rows, {count} values",
            ratio(sealed),
            ratio(rows)
        );
        report.note(AIM.id, note);
        bytes += sealed;
        row_bytes += rows;
        values += count;
    }
    let ratio = |bytes: u64| figure(bytes) / figure(values);
    report.add(AIM, ratio(bytes), Some(ratio(row_bytes)));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn figure(number: u64) -> f64 {
    number as f64
}

/// Commits and seals the records of a kind: bytes sealed, bytes as rows, values.
async fn seal(
    database: &Database,
    path: &std::path::Path,
    name: &str,
    records: Vec<Record>,
) -> anyhow::Result<(u64, u64, u64)> {
    let before = database.sealing().sealed().await?;
    for (sequence, some) in (0..).zip(records.chunks(500)) {
        let key = BatchKey { worker: name.to_owned(), run: 1, sequence };
        let part = Part { key, tallies: Vec::new(), records: some.to_vec() };
        database.history().commit(&[part], "bench").await?;
    }
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await?;
    let sums = "SELECT COUNT(*), SUM(LENGTH(packed)) FROM readings";
    let (rows, packed): (i64, i64) = sqlx::query_as(sums).fetch_one(&mut connection).await?;
    connection.close().await?;
    let mut next = Some(SealFrom::default());
    while let Some(from) = next {
        next = database.sealing().seal(u64::MAX / 2, from).await?.next;
    }
    let after = database.sealing().sealed().await?;
    let rows = u64::try_from(rows)? * BESIDE_VALUES + u64::try_from(packed)?;
    Ok((after.bytes - before.bytes, rows, after.values - before.values))
}

fn record(name: &str, now_ms: u64, readings: Vec<Reading>) -> anyhow::Result<Record> {
    let content_hash = readings_hash(&readings);
    Ok(Record::Readings(Box::new(ReadingsRecord {
        identity: format!("host:{name}").parse().map_err(|_| anyhow::anyhow!("no identity"))?,
        recorded_at_ms: now_ms,
        timeless: false,
        content_hash,
        // As over a network nearby.
        received_at_ms: now_ms + 3 + content_hash % 8,
        position: None,
        readings,
    })))
}

/// A file of `/proc` by its words.
fn words(file: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(format!("/proc/{file}"))?;
    Ok(text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect())
}

fn whole(channel: &str, word: Option<&String>) -> anyhow::Result<Reading> {
    let text = word.ok_or_else(|| anyhow::anyhow!("/proc lacks {channel}"))?;
    Ok(Reading { channel: channel.into(), unit: None, value: Value::Integer(text.parse()?) })
}

fn by_names(line: &[String], names: &[(&str, usize)]) -> anyhow::Result<Vec<Reading>> {
    names.iter().map(|(name, at)| whole(name, line.get(*at))).collect()
}

fn line<'a>(lines: &'a [Vec<String>], begins: &str) -> anyhow::Result<&'a [String]> {
    let found = lines.iter().find(|line| line.first().is_some_and(|word| word == begins));
    found.map(Vec::as_slice).ok_or_else(|| anyhow::anyhow!("/proc has no line {begins}"))
}

fn cpu() -> anyhow::Result<Vec<Reading>> {
    let names = [("user", 1), ("nice", 2), ("system", 3), ("idle", 4), ("iowait", 5)];
    by_names(line(&words("stat")?, "cpu")?, &names)
}

fn load() -> anyhow::Result<Vec<Reading>> {
    let lines = words("loadavg")?;
    let first = lines.first().ok_or_else(|| anyhow::anyhow!("no load"))?;
    let number = |(channel, text): (&str, &String)| {
        let value = Value::Number(text.parse()?);
        Ok(Reading { channel: channel.into(), unit: None, value })
    };
    ["1m", "5m", "15m"].into_iter().zip(first).map(number).collect()
}

fn memory() -> anyhow::Result<Vec<Reading>> {
    let lines = words("meminfo")?;
    let names = [
        ("MemFree:", "free"),
        ("MemAvailable:", "available"),
        ("Cached:", "cached"),
        ("Dirty:", "dirty"),
    ];
    names.iter().map(|(begins, name)| whole(name, line(&lines, begins)?.get(1))).collect()
}

fn disks() -> anyhow::Result<Vec<Reading>> {
    let lines = words("diskstats")?;
    let busiest = lines.iter().max_by_key(|line| {
        line.get(7).and_then(|word| word.parse::<u64>().ok()).unwrap_or_default()
    });
    let busiest = busiest.ok_or_else(|| anyhow::anyhow!("no disk"))?;
    by_names(busiest, &[("reads", 3), ("read", 5), ("writes", 7), ("written", 9), ("busy", 12)])
}

fn network() -> anyhow::Result<Vec<Reading>> {
    let lines = words("net/dev")?;
    let names = [("received", 1), ("received_packets", 2), ("sent", 9), ("sent_packets", 10)];
    by_names(line(&lines, "lo:")?, &names)
}

fn scheduler() -> anyhow::Result<Vec<Reading>> {
    let lines = words("stat")?;
    let names = ["intr", "ctxt", "processes", "procs_running"];
    names.iter().map(|name| whole(name, line(&lines, name)?.get(1))).collect()
}
