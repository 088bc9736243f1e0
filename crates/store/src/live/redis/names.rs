//! The names of devices in Redis, for parsers, which have no database: a sorted set of
//! names by their numbers. Parsers say that they want it; whoever has the database keeps
//! it, and it lapses when nobody does. In the hash slot of the list of known devices.

use nemeses_protocol::{DeviceId, Identity};
use redis::Pipeline;

use super::connection::Connection;
use crate::StoreError;
use crate::named::PAGE;

const NAMES_KEY: &str = "nemeses:{known}:names";
const WANTED_KEY: &str = "nemeses:{known}:names-wanted";
/// Kept up for so long after the last one asked, and after the last keeper.
const FOR_MS: u64 = 60_000;

pub(super) async fn read(
    connection: &Connection,
    after: Option<DeviceId>,
) -> Result<(Vec<(DeviceId, Identity)>, usize), StoreError> {
    let after = after.map_or("-inf".to_owned(), |after| format!("({}", after.number()));
    let mut commands = Pipeline::new();
    commands.cmd("SET").arg(WANTED_KEY).arg(1).arg("PX").arg(FOR_MS);
    commands.cmd("ZCARD").arg(NAMES_KEY);
    commands.cmd("ZRANGEBYSCORE").arg(NAMES_KEY).arg(after).arg("+inf").arg("WITHSCORES");
    commands.arg("LIMIT").arg(0).arg(PAGE);
    let (_, total, found): (redis::Value, usize, Vec<(String, u32)>) =
        connection.ask(&commands).await?;
    let named = |(name, number): (String, u32)| Some((DeviceId::new(number), name.parse().ok()?));
    Ok((found.into_iter().filter_map(named).collect(), total))
}

pub(super) async fn wanted(connection: &Connection) -> Result<Option<usize>, StoreError> {
    let mut commands = Pipeline::new();
    commands.cmd("EXISTS").arg(WANTED_KEY);
    commands.cmd("ZCARD").arg(NAMES_KEY);
    let (wanted, there): (u64, usize) = connection.ask(&commands).await?;
    if wanted == 0 {
        return Ok(None);
    }
    if there > 0 {
        let mut commands = Pipeline::new();
        commands.cmd("PEXPIRE").arg(NAMES_KEY).arg(FOR_MS);
        connection.ask::<redis::Value>(&commands).await?;
    }
    Ok(Some(there))
}

pub(super) async fn keep(
    connection: &Connection,
    named: &[(DeviceId, Identity)],
) -> Result<(), StoreError> {
    if named.is_empty() {
        return Ok(());
    }
    let mut commands = Pipeline::new();
    commands.atomic();
    commands.cmd("ZADD").arg(NAMES_KEY);
    for (device, name) in named {
        commands.arg(device.number()).arg(name.to_string());
    }
    commands.cmd("PEXPIRE").arg(NAMES_KEY).arg(FOR_MS);
    connection.ask::<redis::Value>(&commands).await.map(drop)
}
