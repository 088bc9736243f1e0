//! Whether Redis has lost its memory, and who rebuilds it.
//!
//! A key holds the id of the server process whose memory was last filled
//! from history. Another process (a restart, perhaps with an old snapshot, or a
//! failover) has another id, and a flush takes the key with it. A claim keeps a
//! second exporter from doing the same work; it dies with the memory too, so a
//! loss in the middle of a rebuild is not overlooked at its end.

use redis::{Pipeline, Value};

use super::connection::Connection;
use super::fault::unavailable;
use crate::StoreError;

/// Both share a hash tag, since one script reads and writes them.
const FILLED_KEY: &str = "live:{rebuild}:filled";
const CLAIM_KEY: &str = "live:{rebuild}:claim";

/// A claim that is not kept up lapses: when its holder died, the next one waits this long.
const CLAIM_MS: u64 = 5_000;

const KEEP: &str = "return redis.call('GET', KEYS[1]) == ARGV[1] \
    and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0";
const MARK: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    redis.call('SET', KEYS[2], ARGV[2]) return redis.call('DEL', KEYS[1])";

/// The right to rebuild the memory of one server process.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    token: String,
    server: String,
}

pub(super) async fn has_lost(connection: &Connection) -> Result<bool, StoreError> {
    let mut commands = Pipeline::new();
    commands.cmd("GET").arg(FILLED_KEY).cmd("INFO").arg("server");
    let (filled, info): (Option<String>, String) = connection.ask(&commands).await?;
    Ok(filled.as_deref() != Some(server_id(&info)))
}

/// A claim, unless another holds one.
pub(super) async fn claim(connection: &Connection) -> Result<Option<Claim>, StoreError> {
    let token = getrandom::u64()
        .map(|token| format!("{token:016x}"))
        .map_err(|error| StoreError::Configuration(format!("no randomness: {error}")))?;
    let mut commands = Pipeline::new();
    commands.cmd("INFO").arg("server");
    commands.cmd("SET").arg(CLAIM_KEY).arg(&token).arg("NX").arg("PX").arg(CLAIM_MS);
    let (info, set): (String, Value) = connection.ask(&commands).await?;
    let server = server_id(&info).to_owned();
    Ok((set != Value::Nil).then_some(Claim { token, server }))
}

/// Keeps the claim from lapsing; false when it is gone.
pub(super) async fn keep(connection: &Connection, claim: &Claim) -> Result<bool, StoreError> {
    let mut commands = Pipeline::new();
    commands.cmd("EVAL").arg(KEEP).arg(1).arg(CLAIM_KEY).arg(&claim.token).arg(CLAIM_MS);
    let (kept,): (u8,) = connection.ask(&commands).await?;
    Ok(kept == 1)
}

/// Notes the memory as filled; with a claim, only if nothing was lost since.
pub(super) async fn mark(connection: &Connection, claim: Option<Claim>) -> Result<(), StoreError> {
    let Some(claim) = claim else {
        return mark_anyway(connection).await;
    };
    let mut commands = Pipeline::new();
    commands.cmd("EVAL").arg(MARK).arg(2).arg(CLAIM_KEY).arg(FILLED_KEY);
    commands.arg(&claim.token).arg(&claim.server);
    match connection.ask::<(u8,)>(&commands).await? {
        (1,) => Ok(()),
        _ => {
            Err(unavailable("it lost its memory again while it was rebuilt, or another took over"))
        }
    }
}

async fn mark_anyway(connection: &Connection) -> Result<(), StoreError> {
    let mut commands = Pipeline::new();
    commands.cmd("INFO").arg("server");
    let (info,): (String,) = connection.ask(&commands).await?;
    let mut commands = Pipeline::new();
    commands.cmd("SET").arg(FILLED_KEY).arg(server_id(&info));
    connection.ask(&commands).await
}

/// The server process's id; "unknown" where a proxy hides it, and then only a
/// flush is noticed.
fn server_id(info: &str) -> &str {
    info.lines()
        .find_map(|line| line.strip_prefix("run_id:"))
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_known_by_its_run() {
        assert_eq!(server_id("# Server\r\nredis_version:7.0.15\r\nrun_id:3ab\r\nos:x\r\n"), "3ab");
        assert_eq!(server_id("# Server\r\n"), "unknown");
    }
}
