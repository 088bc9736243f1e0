//! The copy of the list of known devices in Redis, for parsers, which have no
//! database. They say that they want it; whoever has the database keeps it, and it
//! lapses with its keeper. One hash tag, so that a cluster keeps the keys together.

use redis::Pipeline;

use super::connection::Connection;
use crate::StoreError;
use crate::known::{KNOWN_FOR_MS, KnownList};
use crate::live::Mirrored;

const LIST_KEY: &str = "nemeses:{known}:list";
const VERSION_KEY: &str = "nemeses:{known}:version";
const WANTED_KEY: &str = "nemeses:{known}:wanted";
/// Kept up for so long after the last one asked.
const WANTED_FOR_MS: u64 = 60_000;

pub(super) async fn read(
    connection: &Connection,
    have: Option<u64>,
) -> Result<Mirrored, StoreError> {
    let mut commands = Pipeline::new();
    commands.cmd("SET").arg(WANTED_KEY).arg(1).arg("PX").arg(WANTED_FOR_MS);
    commands.cmd("GET").arg(VERSION_KEY);
    let (_, said): (redis::Value, Option<String>) = connection.ask(&commands).await?;
    match said.as_deref().map(str::parse::<u64>) {
        Some(Ok(version)) if have == Some(version) => return Ok(Mirrored::Same),
        Some(Ok(_)) => {}
        _ => return Ok(Mirrored::Missing),
    }
    let mut commands = Pipeline::new();
    commands.cmd("GET").arg(LIST_KEY);
    let (bytes,): (Option<Vec<u8>>,) = connection.ask(&commands).await?;
    let read = bytes.and_then(|bytes| KnownList::decode(&bytes));
    Ok(read.map_or(Mirrored::Missing, |(version, list)| Mirrored::List { version, list }))
}

pub(super) async fn is_wanted(connection: &Connection) -> Result<bool, StoreError> {
    let mut commands = Pipeline::new();
    commands.cmd("EXISTS").arg(WANTED_KEY);
    let (there,): (u64,) = connection.ask(&commands).await?;
    Ok(there > 0)
}

/// Writes the list only if another is there.
pub(super) async fn keep(connection: &Connection, list: &KnownList) -> Result<(), StoreError> {
    let (version, bytes) = list.encode();
    let mut commands = Pipeline::new();
    commands.cmd("GET").arg(VERSION_KEY);
    commands.cmd("PEXPIRE").arg(LIST_KEY).arg(KNOWN_FOR_MS);
    commands.cmd("PEXPIRE").arg(VERSION_KEY).arg(KNOWN_FOR_MS);
    let (said, list_there, _): (Option<String>, u64, u64) = connection.ask(&commands).await?;
    if list_there > 0 && said == Some(version.to_string()) {
        return Ok(());
    }
    // Both or none: two keepers with different lists shall not leave one's version with
    // the other's list, which would then count as up to date.
    let mut commands = Pipeline::new();
    commands.atomic();
    commands.cmd("SET").arg(LIST_KEY).arg(bytes).arg("PX").arg(KNOWN_FOR_MS);
    commands.cmd("SET").arg(VERSION_KEY).arg(version.to_string()).arg("PX").arg(KNOWN_FOR_MS);
    connection.ask::<redis::Value>(&commands).await.map(drop)
}
