//! What is measured, a file each.

pub(crate) mod api;
pub(crate) mod ceilings;
pub(crate) mod csv;
pub(crate) mod decode;
pub(crate) mod growth;
pub(crate) mod idle;
pub(crate) mod keys;
pub(crate) mod latency;
pub(crate) mod live;
pub(crate) mod memory;
pub(crate) mod node;
pub(crate) mod outage;
pub(crate) mod sealed;
pub(crate) mod silent;
pub(crate) mod stations;
pub(crate) mod sums;
pub(crate) mod telemetry;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::load::{Outcome, Plan, Shape, run};
use crate::sink::Sink;

/// 4, 50 and 1000 connections.
pub(crate) const FOUR: Shape = Shape { connections: 4, window: 100 };
pub(crate) const FIFTY: Shape = Shape { connections: 50, window: 100 };
pub(crate) const THOUSAND: Shape = Shape { connections: 1000, window: 1 };

/// How often and how long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) runs: u32,
    pub(crate) seconds: u64,
}

/// What a bare subscriber receives a second through a broker, in this shape.
pub(crate) async fn pass_through(
    address: SocketAddr,
    shape: Shape,
    seconds: u64,
    sink: &Sink,
) -> anyhow::Result<f64> {
    let watched = Some(Arc::clone(&sink.received));
    let recorded_from = crate::site::recorded_from();
    let plan = Plan { watched, ..Plan::new(address, shape, seconds, recorded_from) };
    Ok(run(plan).await?.watched_a_second)
}

/// A load at full speed; `recorded` moves on.
pub(crate) async fn full_speed(
    address: SocketAddr,
    shape: Shape,
    seconds: u64,
    recorded: &mut u32,
) -> anyhow::Result<Outcome> {
    let outcome = run(Plan::new(address, shape, seconds, *recorded)).await?;
    *recorded = outcome.recorded_to;
    Ok(outcome)
}
