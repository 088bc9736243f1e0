//! Measures the line against the parts it is made of: real servers on free
//! loopback ports, the load generator included in what the machine carries.
//! Asserts nothing; people read `docs/benchmarks.md`.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]

mod cases;
mod http;
mod load;
mod machine;
mod mqtt;
mod report;
mod sink;
mod site;
mod stats;
mod stretch;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::cases::{
    Effort, api, ceilings, csv, decode, growth, idle, keys, latency, live, memory, node, outage,
    sealed, silent, stations, sums, telemetry,
};
use crate::load::{Plan, Shape};
use crate::report::{Report, say};
use crate::stats::percentile_ms;
use crate::stretch::{Committed, Stretch, judge, settled};

/// Measures the line against the parts it is made of
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start servers, measure, compare
    Run {
        /// Measurements of each figure; the median counts
        #[arg(long, default_value_t = 3)]
        runs: u32,
        /// Length of each measurement, behind a second of warm-up
        #[arg(long, default_value_t = 6)]
        seconds: u64,
        /// Only figures whose id begins with one of these
        #[arg(long)]
        only: Vec<String>,
        /// Rows in SQLite before its measurement
        #[arg(long, default_value_t = 5_000_000)]
        sqlite_rows: u32,
        /// Length of the database's outage
        #[arg(long, default_value_t = 60)]
        down_seconds: u64,
        /// Write benchmarks.md and benchmarks.json into this folder
        #[arg(long)]
        write: Option<PathBuf>,
    },
    /// Fill a MariaDB and compare the line before and after
    Grow(growth::Growth),
    /// Watch the memory of a node on SQLite under load
    Memory(memory::Memory),
    /// Compare clustered keys in SQLite
    Keys(keys::Keys),
    /// Publish frames to a broker or node that runs already
    Load(Load),
}

#[derive(Debug, clap::Args)]
struct Load {
    /// Where it listens
    address: SocketAddr,
    /// Connections
    #[arg(long, default_value_t = 50)]
    connections: u16,
    /// Frames ahead of their PUBACKs, each connection
    #[arg(long, default_value_t = 100)]
    window: u16,
    /// Length, behind a second of warm-up
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Frames a second in all; as many as possible without it
    #[arg(long)]
    offered: Option<u32>,
    /// Recorded second of the first frames; without it they begin behind those of the last
    /// call for this address
    #[arg(long)]
    recorded_from: Option<u32>,
    /// Where exporters count what became of the frames: the node's metrics, or those of
    /// every exporter, with commas between; `off` does not check
    #[arg(long, default_value = "http://127.0.0.1:9180/metrics", value_delimiter = ',')]
    metrics: Vec<String>,
}

/// How large single cases are.
#[derive(Clone, Copy, Debug)]
struct Extent {
    sqlite_rows: u32,
    down_seconds: u64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run { runs, seconds, only, sqlite_rows, down_seconds, write } => {
            let wanted = |id: &str| {
                only.is_empty() || only.iter().any(|begin| id.starts_with(begin.as_str()))
            };
            let extent = Extent { sqlite_rows, down_seconds };
            let report = measure(Effort { runs, seconds }, extent, wanted).await;
            if let Some(folder) = write {
                report.write(&folder, &machine::description())?;
            }
        }
        Command::Grow(growth) => growth::grow(&growth).await?,
        Command::Memory(memory) => memory::over_time(&memory).await?,
        Command::Keys(keys) => keys::compare(&keys).await?,
        Command::Load(load) => load_running(load).await?,
    }
    Ok(())
}

/// Loads what runs already with frames that it has not had yet, and checks that they
/// became rows.
async fn load_running(load: Load) -> anyhow::Result<()> {
    let Load { address, connections, window, seconds, offered, recorded_from, metrics } = load;
    let stretch = Stretch::of(address);
    let recorded_from = match recorded_from {
        Some(second) => second,
        None => stretch.begin(site::recorded_from(), site::now_s())?,
    };
    let metrics = if metrics == ["off"] { Vec::new() } else { metrics };
    let before = Committed::read(&metrics).await.context(
        "what becomes of the frames is counted there; name the place with --metrics, or `--metrics off`",
    )?;
    let shape = Shape { connections, window };
    let plan = Plan { offered, ..Plan::new(address, shape, seconds, recorded_from) };
    let outcome = load::run(plan).await?;
    stretch.end(outcome.recorded_to)?;
    let at = |percent| percentile_ms(&outcome.latencies_us, percent);
    say(&format!(
        "{:.0} frames/s, p50 {:.2} ms, p99 {:.2} ms",
        outcome.acknowledged_a_second,
        at(50),
        at(99),
    ));
    if !metrics.is_empty() {
        say(&judge(outcome.sent, settled(&metrics, before, &outcome).await?)?);
    }
    Ok(())
}

/// Everything wanted. A case that fails is noted, and the others go on.
async fn measure(effort: Effort, extent: Extent, wanted: impl Fn(&str) -> bool) -> Report {
    let mut report = Report::default();
    let report_of = &mut report;
    for line in machine::description() {
        say(&line);
    }
    let outcome = node::on_servers(effort, &wanted, report_of).await;
    report_of.ended("node_mysql_redis", outcome);
    if wanted("node_sqlite_4x100") {
        let outcome = node::on_sqlite(effort, extent.sqlite_rows, report_of).await;
        report_of.ended("node_sqlite_4x100", outcome);
    }
    if wanted("telemetry_sqlite") {
        let outcome = telemetry::on_sqlite(effort, report_of).await;
        report_of.ended("telemetry_sqlite", outcome);
    }
    if wanted("telemetry_mysql_redis") {
        let outcome = telemetry::on_servers(effort, report_of).await;
        report_of.ended("telemetry_mysql_redis", outcome);
    }
    if wanted("sealed_bytes") {
        let outcome = sealed::bytes(report_of).await;
        report_of.ended("sealed_bytes", outcome);
    }
    if wanted("stations_mosquitto") {
        let outcome = stations::over_mosquitto(effort, report_of).await;
        report_of.ended("stations_mosquitto", outcome);
    }
    if wanted("exporter_tls") {
        let outcome = ceilings::tls(effort, report_of).await;
        report_of.ended("exporter_tls", outcome);
    }
    if wanted("exporter_alone") {
        let outcome = ceilings::exporter(effort, report_of).await;
        report_of.ended("exporter_alone", outcome);
    }
    if wanted("live_merge") {
        let outcome = live::merge(effort, report_of).await;
        report_of.ended("live_merge", outcome);
    }
    if wanted("decode_short") {
        let outcome = decode::decode(effort, report_of);
        report_of.ended("decode_short", outcome);
    }
    if wanted("puback") {
        let outcome = latency::puback(effort, report_of).await;
        report_of.ended("puback", outcome);
    }
    if wanted("api") {
        let outcome = api::reading(effort, report_of).await;
        report_of.ended("api", outcome);
    }
    if wanted("silent") {
        let outcome = silent::reading(effort, report_of).await;
        report_of.ended("silent", outcome);
    }
    if wanted("daily_sums") {
        let outcome = sums::catch_up(report_of).await;
        report_of.ended("daily_sums", outcome);
    }
    if wanted("report_1m_csv") {
        let outcome = csv::report(effort, report_of).await;
        report_of.ended("report_1m_csv", outcome);
    }
    if wanted("idle") {
        let outcome = idle::node(report_of).await;
        report_of.ended("idle", outcome);
    }
    if wanted("database_down") {
        let outcome = outage::database(extent.down_seconds, report_of).await;
        report_of.ended("database_down", outcome);
    }
    report
}
