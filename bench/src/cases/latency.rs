//! From publish to PUBACK (committed) at a steady rate.

use crate::cases::{Effort, FIFTY};
use crate::load::{Plan, as_f64, run};
use crate::machine::processor_seconds;
use crate::report::{Measure, Report, Target};
use crate::site::{OnServers, recorded_from};
use crate::stats::percentile_ms;

/// Ids of p50 and p99, frames/s, and the most that p99 may be.
const RATES: [(&str, &str, u32, f64); 2] = [
    ("puback_p50_at_10000", "puback_p99_at_10000", 10_000, 5.0),
    ("puback_p50_at_50000", "puback_p99_at_50000", 50_000, 10.0),
];
/// Cores of node, database and Redis at 10 000 frames/s.
const CORES: Measure =
    Measure { id: "cores_at_10000", unit: "cores", against: "", target: Target::AtMost(0.5) };

/// A node on MariaDB and Redis, 50 connections.
pub(crate) async fn puback(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let site = OnServers::start(&[]).await?;
    let mut recorded_from = recorded_from();
    for _ in 0..effort.runs {
        for (p50, p99, offered, most) in RATES {
            let pids = [site.node.pid(), site.mariadb.pid(), site.redis.pid()];
            let before = pids.map(processor_seconds);
            let started = std::time::Instant::now();
            let address = site.node.mqtt().address();
            let plan = Plan {
                offered: Some(offered),
                ..Plan::new(address, FIFTY, effort.seconds, recorded_from)
            };
            let outcome = run(plan).await?;
            let seconds = started.elapsed().as_secs_f64();
            recorded_from = outcome.recorded_to;
            let at = |percent| percentile_ms(&outcome.latencies_us, percent);
            let kind = |id| Measure { id, unit: "ms", against: "", target: Target::AtMost(most) };
            report.add(kind(p50), at(50), None);
            report.add(kind(p99), at(99), None);
            let after = pids.map(processor_seconds);
            let cores: Vec<f64> = (0..3).map(|at| (after[at] - before[at]) / seconds).collect();
            if offered == 10_000 {
                report.add(CORES, cores.iter().sum(), None);
            }
            report.note(p99, format!(
                "{:.0} of {offered} frames/s taken, p90 {:.2} ms; cores: node {:.2}, mariadbd {:.2}, redis-server {:.2}; {:.0} frames",
                outcome.acknowledged_a_second, at(90), cores[0], cores[1], cores[2], as_f64(outcome.sent)
            ));
        }
    }
    Ok(())
}
