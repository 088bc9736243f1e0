//! Values of named channels over MQTT: ten distinct names a record, all of them changing.

use nemeses_e2e::{Node, Tables};

use crate::cases::{Effort, FOUR};
use crate::load::{Content, DEVICES, Plan, as_f64, run};
use crate::machine::processor_seconds;
use crate::report::{Measure, Report, Target};
use crate::site::{OnServers, recorded_from};

/// Values of a record.
pub(crate) const VALUES: u64 = 10;
const SQLITE: Measure = measure("telemetry_sqlite");
const ON_SERVERS: Measure = measure("telemetry_mysql_redis");

/// The aim of issue 17, whatever is in the way.
const fn measure(id: &'static str) -> Measure {
    Measure { id, unit: "values/s", against: "", target: Target::AtLeast(1_000_000.0) }
}

/// A node on SQLite.
pub(crate) async fn on_sqlite(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let node = Node::start(&[]).await?;
    let tables = Tables::Sqlite(node.sqlite_path());
    at_full_speed(&node, &tables, &[], SQLITE, effort, report).await
}

/// A node on MariaDB and Redis.
pub(crate) async fn on_servers(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let site = OnServers::start(&[]).await?;
    let tables = Tables::MySql(site.mariadb.url());
    let servers = [("mariadbd", site.mariadb.pid()), ("redis-server", site.redis.pid())];
    at_full_speed(&site.node, &tables, &servers, ON_SERVERS, effort, report).await
}

async fn at_full_speed(
    node: &Node,
    tables: &Tables,
    servers: &[(&str, Option<u32>)],
    kind: Measure,
    effort: Effort,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut recorded = recorded_from();
    let plan = |recorded, seconds| Plan {
        content: Content::Values,
        ..Plan::new(node.mqtt().address(), FOUR, seconds, recorded)
    };
    // Every device's channels are there before the measurement.
    recorded = run(plan(recorded, 1)).await?.recorded_to;
    for _ in 0..effort.runs {
        let mut parts = vec![("node", node.pid()), ("generator", Some(std::process::id()))];
        parts.extend(servers);
        let before: Vec<f64> = parts.iter().map(|(_, pid)| processor_seconds(*pid)).collect();
        let rows = tables.count_readings().await?;
        let outcome = run(plan(recorded, effort.seconds)).await?;
        recorded = outcome.recorded_to;
        let stored = tables.count_readings().await? - rows;
        anyhow::ensure!(stored == outcome.sent, "{} sent, {stored} rows", outcome.sent);
        report.add(kind, outcome.acknowledged_a_second * as_f64(VALUES), None);
        let spent: Vec<String> = parts
            .iter()
            .zip(before)
            .map(|((name, pid), before)| {
                let us = (processor_seconds(*pid) - before) * 1e6;
                format!("{name} {:.2} us", us / as_f64(outcome.sent * VALUES))
            })
            .collect();
        report.note(kind.id, format!(
            "processor time a value: {}; {VALUES} values a record, {DEVICES} devices, {stored} rows counted afterwards",
            spent.join(", ")
        ));
    }
    Ok(())
}
