//! The register of workers in Redis: one key a worker that expires by itself, and a
//! sorted set of their names by the time of the last announcement, since keys cannot
//! be listed cheaply. All share a hash tag, so that a cluster keeps them together.

use nemeses_runtime::Worker;
use redis::Pipeline;

use super::connection::Connection;
use crate::StoreError;
use crate::live::workers::{Alive, FORGOTTEN_AFTER_MS, MOST};

const NAMES_KEY: &str = "nemeses:{workers}";
/// Names stay in the set a little longer than their keys: only house-keeping.
const NAME_KEPT_MS: u64 = 86_400_000;

fn key(name: &str) -> String {
    format!("{NAMES_KEY}:{name}")
}

pub(super) async fn announce(connection: &Connection, worker: &Worker) -> Result<(), StoreError> {
    let text = serde_json::to_string(worker)
        .map_err(|error| StoreError::Configuration(format!("a worker cannot be told: {error}")))?;
    let now_ms = worker.seen_at_ms;
    let mut commands = Pipeline::new();
    commands.cmd("SET").arg(key(&worker.name)).arg(text).arg("PX").arg(FORGOTTEN_AFTER_MS);
    commands.cmd("ZADD").arg(NAMES_KEY).arg(now_ms).arg(&worker.name);
    let long_ago_ms = now_ms.saturating_sub(NAME_KEPT_MS);
    commands.cmd("ZREMRANGEBYSCORE").arg(NAMES_KEY).arg(0).arg(long_ago_ms);
    connection.ask::<redis::Value>(&commands).await.map(drop)
}

pub(super) async fn withdraw(connection: &Connection, name: &str) -> Result<(), StoreError> {
    let mut commands = Pipeline::new();
    commands.cmd("DEL").arg(key(name)).cmd("ZREM").arg(NAMES_KEY).arg(name);
    connection.ask::<redis::Value>(&commands).await.map(drop)
}

pub(super) async fn alive(connection: &Connection) -> Result<Vec<Alive>, StoreError> {
    let mut commands = Pipeline::new();
    commands.cmd("ZREVRANGE").arg(NAMES_KEY).arg(0).arg(MOST - 1);
    let (mut names,): (Vec<String>,) = connection.ask(&commands).await?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    names.sort_unstable();
    let mut commands = Pipeline::new();
    for name in &names {
        commands.cmd("GET").arg(key(name)).cmd("PTTL").arg(key(name));
    }
    let answers: Vec<redis::Value> = connection.ask(&commands).await?;
    Ok(answers.chunks_exact(2).filter_map(read).collect())
}

/// A worker, unless its key is gone or was written by a version that says other things.
fn read(answers: &[redis::Value]) -> Option<Alive> {
    let text: Option<Vec<u8>> = redis::from_redis_value(answers[0].clone()).ok()?;
    let left_ms: i64 = redis::from_redis_value(answers[1].clone()).ok()?;
    let worker = serde_json::from_slice(&text?).ok()?;
    let left_ms = u64::try_from(left_ms).ok()?;
    Some(Alive { worker, silent_ms: FORGOTTEN_AFTER_MS.saturating_sub(left_ms) })
}
