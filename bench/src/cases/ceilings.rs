//! The exporter alone against bare INSERTs of the same rows, and over TLS against itself
//! without.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use nemeses_dbexport::{Acknowledge, Config, Exporter, Submission, Work};
use nemeses_e2e::Certificate;
use nemeses_protocol::Record;
use nemeses_runtime::{Registry, Tasks};
use nemeses_store::history::{Committed, Options, open};
use sqlx::mysql::{MySqlArguments, MySqlConnection};
use sqlx::{Arguments as _, AssertSqlSafe, Connection as _};
use tokio::sync::oneshot;

use crate::cases::Effort;
use crate::report::{Measure, Report, Target};
use crate::site::{MARIADB, mariadb, mariadb_with, part, recorded_from};

const KIND: Measure = Measure {
    id: "exporter_alone",
    unit: "rows/s",
    against: "raw INSERT of 1000 rows, same rows, as many connections",
    target: Target::Ratio(0.9),
};
const TLS_IN_BULK: Measure = Measure {
    id: "exporter_tls_bulk",
    unit: "rows/s",
    against: "the same without TLS",
    target: Target::Ratio(0.8),
};
const TLS_BY_STATEMENTS: Measure = Measure { id: "exporter_tls_statements", ..TLS_IN_BULK };
/// With so many connections rows go in bulk.
const FOR_BULK: u32 = 8;
/// Connections of both.
const LANES: u32 = 2;
const BATCH: u32 = 1000;
/// Batches under way at each lane, so that it never waits for the next.
const AHEAD: u32 = 2;
/// Batches of one measurement, for each second of effort.
const BATCHES_A_SECOND: u32 = 150;

/// Batches handed over in memory to rows committed.
pub(crate) async fn exporter(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let server = mariadb().await?;
    let (exporter, _tasks) = running(&server.url(), LANES).await?;
    let mut raw = MySqlConnection::connect(&server.url()).await?;
    sqlx::query("CREATE TABLE raw_positions LIKE positions").execute(&mut raw).await?;
    let batches = BATCHES_A_SECOND * u32::try_from(effort.seconds)?;
    for run in 0..effort.runs {
        let numbers = run * batches..(run + 1) * batches;
        let ceiling = insert_raw(&server.url(), numbers.clone()).await?;
        let figure = export(&exporter, numbers).await?;
        report.add(KIND, figure, Some(ceiling));
    }
    Ok(())
}

/// Rows over TLS, in bulk and in sqlx's statements.
pub(crate) async fn tls(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let certificate = Certificate::new()?;
    let settings = MARIADB.iter().map(|&setting| setting.into());
    let server = mariadb_with(settings.chain(certificate.server_options().map(Into::into))).await?;
    let over_tls = format!("{}?ssl-mode=verify_ca&ssl-ca={}", server.url(), certificate.cert());
    let batches = BATCHES_A_SECOND * u32::try_from(effort.seconds)?;
    let mut next = 0..;
    let mut numbers = || {
        let from = next.by_ref().take(batches as usize).min().unwrap_or_default();
        from..from + batches
    };
    for (kind, connections) in [(TLS_IN_BULK, FOR_BULK), (TLS_BY_STATEMENTS, LANES)] {
        let (plain, _plain) = running(&server.url(), connections).await?;
        let (tls, _tls) = running(&over_tls, connections).await?;
        for _ in 0..effort.runs {
            let ceiling = export(&plain, numbers()).await?;
            let figure = export(&tls, numbers()).await?;
            report.add(kind, figure, Some(ceiling));
        }
    }
    Ok(())
}

/// An exporter at work on a database, which has its tables then; it ends with the tasks.
async fn running(url: &str, connections: u32) -> anyhow::Result<(Exporter<Told>, Tasks)> {
    let options = Options { max_connections: connections, ..Options::default() };
    let history = open(url, options).await?.history();
    history.migrate().await?;
    let tasks = Tasks::new();
    let config = Config { lanes: LANES as usize, ..Config::named("bench") };
    let exporter = Exporter::new(config, &mut Registry::default());
    for _ in 0..LANES {
        tasks.spawn_rest("lane", exporter.clone().run_lane(history.clone(), tasks.stop()));
    }
    Ok((exporter, tasks))
}

struct Told(oneshot::Sender<()>);

impl Acknowledge for Told {
    fn committed(self, _: &Committed) {
        // The other end waits for it below.
        let _ = self.0.send(());
    }
}

async fn export(exporter: &Exporter<Told>, numbers: Range<u32>) -> anyhow::Result<f64> {
    let base = recorded_from();
    let (rows, started) = (numbers.len() * BATCH as usize, Instant::now());
    let next = Arc::new(AtomicU32::new(numbers.start));
    let mut feeders = Vec::new();
    for _ in 0..LANES * AHEAD {
        let (exporter, next, end) = (exporter.clone(), Arc::clone(&next), numbers.end);
        feeders.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return anyhow::Ok(());
                }
                let (receipt, kept) = oneshot::channel();
                let work = Work::Part(part("bench", number, base));
                exporter.submit(Submission { work, receipt: Told(receipt) });
                kept.await?;
            }
        }));
    }
    for feeder in feeders {
        feeder.await??;
    }
    Ok(rate(rows, started))
}

async fn insert_raw(url: &str, numbers: Range<u32>) -> anyhow::Result<f64> {
    let base = recorded_from();
    let mut connections = Vec::new();
    for _ in 0..LANES {
        connections.push(MySqlConnection::connect(url).await?);
    }
    let (rows, started) = (numbers.len() * BATCH as usize, Instant::now());
    let next = Arc::new(AtomicU32::new(numbers.start));
    let row = "(?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    let text: Arc<str> =
        format!("INSERT INTO raw_positions VALUES {}", vec![row; BATCH as usize].join(",")).into();
    let mut tasks = Vec::new();
    for mut connection in connections {
        let (next, end, text) = (Arc::clone(&next), numbers.end, Arc::clone(&text));
        tasks.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return anyhow::Ok(());
                }
                let records = part("raw", number, base).records;
                let statement = AssertSqlSafe(Arc::clone(&text));
                sqlx::query_with(statement, arguments(&records)?).execute(&mut connection).await?;
            }
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(rate(rows, started))
}

fn arguments(records: &[Record]) -> anyhow::Result<MySqlArguments> {
    let mut arguments = MySqlArguments::default();
    for record in records {
        let Record::Position(record) = record else { continue };
        let position = &record.position;
        let numbers = [
            u64::from(position.recorded_at / 300),
            u64::from(position.device.number()),
            u64::from(position.recorded_at),
            record.frame_hash,
            record.received_at_ms,
            u64::from(position.direction_cdeg),
            u64::from(position.odometer_m),
            u64::from(position.hour_meter_min),
            u64::from(position.composition.0),
        ];
        for number in numbers {
            arguments.add(number).map_err(anyhow::Error::from_boxed)?;
        }
        arguments.add(None::<u64>).map_err(anyhow::Error::from_boxed)?;
        arguments.add(u64::from(position.speed_kmh)).map_err(anyhow::Error::from_boxed)?;
        arguments.add(position.latitude_udeg).map_err(anyhow::Error::from_boxed)?;
        arguments.add(position.longitude_udeg).map_err(anyhow::Error::from_boxed)?;
        arguments.add(None::<&[u8]>).map_err(anyhow::Error::from_boxed)?;
    }
    Ok(arguments)
}

fn rate(rows: usize, started: Instant) -> f64 {
    f64::from(u32::try_from(rows).unwrap_or(u32::MAX)) / started.elapsed().as_secs_f64()
}
