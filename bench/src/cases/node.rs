//! A node at full speed against what Mosquitto merely passes on.

use crate::cases::{Effort, FIFTY, FOUR, THOUSAND, full_speed, pass_through};
use crate::load::{Shape, as_f64};
use crate::machine::processor_seconds;
use crate::report::{Measure, Report, Target};
use crate::sink::Sink;
use crate::site::{OnServers, mosquitto, prefill, recorded_from};
use nemeses_e2e::Node;

const AGAINST: &str = "Mosquitto passing QoS 1 on, same shape";
const UNIT: &str = "frames/s";

/// Ids, shapes and targets of the node on MariaDB and Redis.
const ON_SERVERS: [(&str, Shape, f64); 3] = [
    ("node_mysql_redis_4x100", FOUR, 3.5),
    ("node_mysql_redis_50x100", FIFTY, 3.5),
    ("node_mysql_redis_1000x1", THOUSAND, 1.2),
];
const SQLITE: &str = "node_sqlite_4x100";

/// MariaDB and Redis: all shapes, in turns.
pub(crate) async fn on_servers(
    effort: Effort,
    wanted: impl Fn(&str) -> bool,
    report: &mut Report,
) -> anyhow::Result<()> {
    let shapes: Vec<_> = ON_SERVERS.into_iter().filter(|(id, ..)| wanted(id)).collect();
    if shapes.is_empty() {
        return Ok(());
    }
    let (_broker, broker) = mosquitto().await?;
    let site = OnServers::start(&[]).await?;
    let mut recorded = recorded_from();
    // A database that has just begun is not what is measured.
    full_speed(site.node.mqtt().address(), FIFTY, 1, &mut recorded).await?;
    for _ in 0..effort.runs {
        for (id, shape, target) in &shapes {
            let sink = Sink::bare(broker).await?;
            let ceiling = pass_through(broker, *shape, effort.seconds, &sink).await?;
            drop(sink);
            let own = Some(std::process::id());
            let pids = [site.node.pid(), site.mariadb.pid(), site.redis.pid(), own];
            let before = pids.map(processor_seconds);
            let address = site.node.mqtt().address();
            let outcome = full_speed(address, *shape, effort.seconds, &mut recorded).await?;
            let kind = Measure { id, unit: UNIT, against: AGAINST, target: Target::Ratio(*target) };
            report.add(kind, outcome.acknowledged_a_second, Some(ceiling));
            let spent = pids.map(processor_seconds);
            let us = |at: usize| (spent[at] - before[at]) * 1e6 / as_f64(outcome.sent);
            report.note(id, format!(
                "processor time a frame: node {:.2} us, mariadbd {:.2} us, redis-server {:.2} us, generator {:.2} us; node's memory {} MiB",
                us(0), us(1), us(2), us(3), site.node.memory_kib()? / 1024
            ));
        }
    }
    Ok(())
}

/// SQLite and memory, with so many rows in the table.
pub(crate) async fn on_sqlite(
    effort: Effort,
    rows: u32,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (_broker, broker) = mosquitto().await?;
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("data"))?;
    let url = format!("sqlite:{}", folder.path().join("data/nemeses.db").display());
    let started = std::time::Instant::now();
    let mut recorded = prefill(&url, rows, recorded_from()).await?;
    report.note(
        SQLITE,
        format!("{rows} rows written before, in {:.0} s", started.elapsed().as_secs_f64()),
    );
    let node = Node::start_in(folder, &[]).await?;
    for _ in 0..effort.runs {
        let sink = Sink::bare(broker).await?;
        let ceiling = pass_through(broker, FOUR, effort.seconds, &sink).await?;
        drop(sink);
        let pids = [node.pid(), Some(std::process::id())];
        let before = pids.map(processor_seconds);
        let outcome =
            full_speed(node.mqtt().address(), FOUR, effort.seconds, &mut recorded).await?;
        let kind = Measure { id: SQLITE, unit: UNIT, against: AGAINST, target: Target::Ratio(3.0) };
        report.add(kind, outcome.acknowledged_a_second, Some(ceiling));
        let after = pids.map(processor_seconds);
        let us = |at: usize| (after[at] - before[at]) * 1e6 / as_f64(outcome.sent);
        report.note(
            SQLITE,
            format!(
                "processor time a frame: node with SQLite {:.2} us, generator {:.2} us",
                us(0),
                us(1)
            ),
        );
    }
    Ok(())
}
