//! `GET /api/v1/workers`: the processes of this system that are alive, what each
//! does, since when, and how it does. For admins.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use nemeses_store::live::Alive;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::backend::Backend;
use crate::input::Params;
use crate::openapi::{Answer, Doc, Tag, Time};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem};

/// A process that is alive.
#[derive(Serialize, JsonSchema)]
struct Worker<'a> {
    /// Unique among those that are alive.
    name: &'a str,
    /// `node`, `parser`, `dbexport` or `api`.
    role: &'a str,
    /// Of the program.
    version: &'a str,
    /// The machine's or container's name.
    host: &'a str,
    /// The process's number there.
    pid: u32,
    /// By its own clock.
    #[schemars(with = "Time")]
    started_at: String,
    /// When it was heard last, by this server's clock.
    #[schemars(with = "Time")]
    seen_at: String,
    /// How far its clock is ahead of this server's (negative: behind). Some
    /// milliseconds of it are the way of the message.
    clock_ahead_ms: i64,
    /// How it does, by name: `queued_rows`, `oldest_unstored_s`, `stored`,
    /// `connections`, `requests` and so on; a process has those of its stations.
    figures: &'a BTreeMap<String, f64>,
}

impl<'a> Worker<'a> {
    fn new(alive: &'a Alive, now_ms: u64) -> Self {
        let worker = &alive.worker;
        Self {
            name: &worker.name,
            role: &worker.role,
            version: &worker.version,
            host: &worker.host,
            pid: worker.pid,
            started_at: time_ms(worker.started_at_ms),
            seen_at: time_ms(now_ms.saturating_sub(alive.silent_ms)),
            clock_ahead_ms: alive.clock_ahead_ms(now_ms),
            figures: &worker.figures,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WorkersAnswer")]
struct Workers<'a> {
    /// In order of their names.
    workers: Vec<Worker<'a>>,
    count: usize,
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "workers": [{
            "name": "node@host:1883", "role": "node", "version": "0.1.0", "host": "host", "pid": 812,
            "started_at": "2020-07-01T20:00:00Z", "seen_at": "2020-07-01T20:59:57.250Z",
            "clock_ahead_ms": 0,
            "figures": {"connections": 100.0, "queued_rows": 0.0, "stored": 360_000.0},
        }],
        "count": 1,
    });
    Doc::new("listWorkers", Tag::Service, "The processes of this system that are alive")
        .about(
            "Each says every five seconds that it is there and is forgotten after twenty. \
             A node without Redis knows of itself alone. For admins.",
        )
        .answers(Answer::json::<Workers<'_>>("The processes that are alive.", example))
        .problems(&[Kind::LiveUnavailable])
}

pub(crate) async fn get(State(state): State<Backend>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let alive = state.live.ask(state.stores.live.workers()).await?;
    let now_ms = state.clock.now_ms();
    let workers: Vec<_> = alive.iter().map(|alive| Worker::new(alive, now_ms)).collect();
    output::json(&Workers { count: workers.len(), workers })
}
