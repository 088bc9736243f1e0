//! Measures the line against the parts it is made of: real servers on free
//! loopback ports, the load generator included in what the machine carries.
//! Asserts nothing; people read `docs/benchmarks.md`.

mod cases;
mod http;
mod load;
mod machine;
mod mqtt;
mod report;
mod sink;
mod site;
mod stats;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::cases::{Effort, api, ceilings, growth, idle, latency, node, stations};
use crate::load::{Plan, Shape};
use crate::report::{Report, say};
use crate::stats::percentile_ms;

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
        /// Write benchmarks.md and benchmarks.json into this folder
        #[arg(long)]
        write: Option<PathBuf>,
    },
    /// Fill a MariaDB and compare the line before and after
    Grow(growth::Growth),
    /// Publish frames to a broker or node that runs already
    Load {
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
        /// Recorded second of the first frames; by default each call has its own
        #[arg(long)]
        recorded_from: Option<u32>,
    },
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run { runs, seconds, only, sqlite_rows, write } => {
            let wanted = |id: &str| {
                only.is_empty() || only.iter().any(|begin| id.starts_with(begin.as_str()))
            };
            let report = measure(Effort { runs, seconds }, sqlite_rows, wanted).await?;
            if let Some(folder) = write {
                report.write(&folder, &machine::description())?;
            }
        }
        Command::Grow(growth) => growth::grow(&growth).await?,
        Command::Load { address, connections, window, seconds, offered, recorded_from } => {
            let shape = Shape { connections, window };
            let recorded_from = recorded_from.unwrap_or_else(site::recorded_from);
            let devices = load::DEVICES;
            let plan =
                Plan { address, shape, seconds, recorded_from, offered, devices, watched: None };
            let outcome = load::run(plan).await?;
            let at = |percent| percentile_ms(&outcome.latencies_us, percent);
            say(&format!(
                "{:.0} frames/s, p50 {:.2} ms, p99 {:.2} ms; next --recorded-from {}",
                outcome.acknowledged_a_second,
                at(50),
                at(99),
                outcome.recorded_to
            ));
        }
    }
    Ok(())
}

async fn measure(
    effort: Effort,
    sqlite_rows: u32,
    wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<Report> {
    let mut report = Report::default();
    for line in machine::description() {
        say(&line);
    }
    node::on_servers(effort, &wanted, &mut report).await?;
    if wanted("node_sqlite_4x100") {
        node::on_sqlite(effort, sqlite_rows, &mut report).await?;
    }
    if wanted("stations_mosquitto") {
        stations::over_mosquitto(effort, &mut report).await?;
    }
    if wanted("exporter_alone") {
        ceilings::exporter(effort, &mut report).await?;
    }
    if wanted("puback") {
        latency::puback(effort, &mut report).await?;
    }
    if wanted("api") {
        api::reading(effort, &mut report).await?;
    }
    if wanted("idle") {
        idle::node(&mut report).await?;
    }
    Ok(report)
}
