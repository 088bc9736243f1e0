//! What a node takes when nothing happens.

use std::time::Instant;

use nemeses_e2e::Node;
use tokio::task::JoinSet;

use crate::load::as_f64;
use crate::mqtt::connect;
use crate::report::{Measure, Report, Target};

const READY: Measure =
    Measure { id: "node_ready", unit: "s", against: "", target: Target::AtMost(0.3) };
const MEMORY: Measure =
    Measure { id: "node_idle_memory", unit: "MiB", against: "", target: Target::AtMost(30.0) };
const CONNECTION: Measure = Measure {
    id: "idle_connection_memory",
    unit: "KiB each",
    against: "",
    target: Target::AtMost(8.0),
};
/// As many connections as both processes' file limits allow, up to the target's.
const CONNECTIONS: u16 = 10_000;
const AT_ONCE: usize = 100;

/// A node on SQLite: start, memory, memory with idle connections.
pub(crate) async fn node(report: &mut Report) -> anyhow::Result<()> {
    let started = Instant::now();
    let node = Node::start(&["--max-connections", "20000"]).await?;
    report.add(READY, started.elapsed().as_secs_f64(), None);
    let before = node.memory_kib()?;
    report.add(MEMORY, as_f64(before) / 1024.0, None);
    let address = node.mqtt().address();
    let (mut streams, mut connecting) = (Vec::new(), JoinSet::new());
    for number in 0..CONNECTIONS {
        if connecting.len() >= AT_ONCE
            && let Some(stream) = connecting.join_next().await
        {
            streams.push(stream??);
        }
        connecting.spawn(async move { connect(address, &format!("idle-{number}"), 600).await });
    }
    while let Some(stream) = connecting.join_next().await {
        streams.push(stream??);
    }
    let grown = as_f64(node.memory_kib()?.saturating_sub(before));
    report.add(CONNECTION, grown / f64::from(CONNECTIONS), None);
    Ok(())
}
