//! Whether Redis has lost its memory, and who rebuilds it.
//!
//! A key holds the id of the server process whose memory was last filled
//! from history. Another process (a restart, perhaps with an old snapshot, or a
//! failover) has another id, and a flush takes the key with it. A claim keeps a
//! second exporter from doing the same work; it dies with the memory too, so a
//! loss in the middle of a rebuild is not overlooked at its end. On a cluster each
//! hash tag has keys of its own, since each server has a memory of its own.

use futures_util::future::try_join_all;
use redis::{Pipeline, Value};

use super::connection::Connection;
use super::{TAGS, fault::unavailable};
use crate::StoreError;

/// The hash tag of both keys, since one script reads and writes them.
const WHOLE: &str = "rebuild";

/// A claim that is not kept up lapses: when its holder died, the next one waits this long.
const CLAIM_MS: u64 = 5_000;

const KEEP: &str = "return redis.call('GET', KEYS[1]) == ARGV[1] \
    and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0";
const MARK: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    redis.call('SET', KEYS[2], ARGV[2]) return redis.call('DEL', KEYS[1])";

/// The right to rebuild the memory of server processes.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    token: String,
    /// The server of each part of the memory, in their order.
    servers: Vec<String>,
}

/// The hash tags of which each may have a memory of its own.
fn parts(connection: &Connection) -> Vec<String> {
    if connection.is_cluster() {
        (0..TAGS).map(|tag| tag.to_string()).collect()
    } else {
        vec![WHOLE.to_owned()]
    }
}

fn filled_key(part: &str) -> String {
    format!("live:{{{part}}}:filled")
}

fn claim_key(part: &str) -> String {
    format!("live:{{{part}}}:claim")
}

pub(super) async fn has_lost(connection: &Connection) -> Result<bool, StoreError> {
    let parts = parts(connection);
    let lost = try_join_all(parts.iter().map(|part| has_lost_part(connection, part))).await?;
    Ok(lost.contains(&true))
}

async fn has_lost_part(connection: &Connection, part: &str) -> Result<bool, StoreError> {
    let mut commands = Pipeline::new();
    // On a cluster, whatever has no key goes where the others do.
    commands.cmd("GET").arg(filled_key(part)).cmd("INFO").arg("server");
    let (filled, info): (Option<String>, String) = connection.ask(&commands).await?;
    Ok(filled.as_deref() != Some(server_id(&info)))
}

/// A claim, unless another holds one.
pub(super) async fn claim(connection: &Connection) -> Result<Option<Claim>, StoreError> {
    let token = getrandom::u64()
        .map(|token| format!("{token:016x}"))
        .map_err(|error| StoreError::Configuration(format!("no randomness: {error}")))?;
    let parts = parts(connection);
    // Whoever has the first part gets the others, also from one that died.
    let Some(first) = claim_part(connection, &parts[0], &token, true).await? else {
        return Ok(None);
    };
    let rest = parts[1..].iter().map(|part| claim_part(connection, part, &token, false));
    let rest = try_join_all(rest).await?;
    let servers = std::iter::once(first).chain(rest.into_iter().flatten()).collect();
    Ok(Some(Claim { token, servers }))
}

/// The server of the part, if the part was taken.
async fn claim_part(
    connection: &Connection,
    part: &str,
    token: &str,
    if_free: bool,
) -> Result<Option<String>, StoreError> {
    let mut commands = Pipeline::new();
    commands.cmd("SET").arg(claim_key(part)).arg(token).arg("PX").arg(CLAIM_MS);
    if if_free {
        commands.arg("NX");
    }
    commands.cmd("INFO").arg("server");
    let (set, info): (Value, String) = connection.ask(&commands).await?;
    Ok((set != Value::Nil).then(|| server_id(&info).to_owned()))
}

/// Keeps the claim from lapsing; false when it is gone, also in one part.
pub(super) async fn keep(connection: &Connection, claim: &Claim) -> Result<bool, StoreError> {
    let parts = parts(connection);
    let kept = parts.iter().map(|part| async move {
        let mut commands = Pipeline::new();
        commands.cmd("EVAL").arg(KEEP).arg(1).arg(claim_key(part)).arg(&claim.token).arg(CLAIM_MS);
        connection.ask::<(u8,)>(&commands).await
    });
    Ok(try_join_all(kept).await?.iter().all(|kept| *kept == (1,)))
}

/// Notes the memory as filled; with a claim, only if nothing was lost since.
pub(super) async fn mark(connection: &Connection, claim: Option<Claim>) -> Result<(), StoreError> {
    let Some(claim) = claim else {
        return mark_anyway(connection).await;
    };
    let (parts, token) = (parts(connection), &claim.token);
    let marked = parts.iter().zip(&claim.servers).map(|(part, server)| async move {
        let mut commands = Pipeline::new();
        commands.cmd("EVAL").arg(MARK).arg(2).arg(claim_key(part)).arg(filled_key(part));
        commands.arg(token).arg(server);
        connection.ask::<(u8,)>(&commands).await
    });
    if try_join_all(marked).await?.iter().all(|marked| *marked == (1,)) {
        return Ok(());
    }
    Err(unavailable("it lost its memory again while it was rebuilt, or another took over"))
}

async fn mark_anyway(connection: &Connection) -> Result<(), StoreError> {
    let parts = parts(connection);
    let marked = parts.iter().map(|part| async move {
        let mut commands = Pipeline::new();
        commands.cmd("EXISTS").arg(filled_key(part)).cmd("INFO").arg("server");
        let (_, info): (u8, String) = connection.ask(&commands).await?;
        let mut commands = Pipeline::new();
        commands.cmd("SET").arg(filled_key(part)).arg(server_id(&info));
        connection.ask::<()>(&commands).await
    });
    try_join_all(marked).await.map(drop)
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
