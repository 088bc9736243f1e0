//! A record that is sent again after it was sealed: its row goes in, and is found in the keys of
//! its block afterwards.

use std::sync::atomic::{AtomicU64, Ordering};

use nemeses_series::chunk::Keys;

use super::super::fault::{Fault, Kind};
use super::super::keyed::{Keyed as _, ReadingsRow};
use super::super::seam::{Session, fixed};
use super::super::value::{Fields as _, Value};
use super::block::{key_of, unreadable};

/// Everything sealed is before this.
pub(super) const SEALED_TO: &str = "SELECT sealed_to_ms FROM seal_state";
const BLOCK: &str = "SELECT first_ms, last_ms, record_keys FROM sealed_blocks \
    WHERE device = ? AND first_ms <= ? ORDER BY first_ms DESC LIMIT 1";
const DELETE: &str = "DELETE FROM readings \
    WHERE bucket = ? AND device = ? AND recorded_at_ms = ? AND content_hash = ?";

/// The end of all that is sealed, as far as this process has heard: rows before it need not be
/// tried as new ones first. 0 while nothing was sealed.
#[derive(Debug, Default)]
pub(in crate::history) struct SealedTo(AtomicU64);

impl SealedTo {
    /// Whether one of the rows may have been sealed.
    pub(in crate::history::engine) fn concerns(&self, rows: &[&ReadingsRow]) -> bool {
        let sealed_to = self.0.load(Ordering::Relaxed);
        rows.iter().any(|row| row.recorded_at_ms < sealed_to)
    }

    pub(in crate::history::engine) fn learn(&self, sealed_to_ms: u64) {
        self.0.fetch_max(sealed_to_ms, Ordering::Relaxed);
    }
}

/// Fails with a taken key if one of the rows, which were just inserted, may have been sealed: they
/// are to be looked up then ([`known_again`]).
pub(in crate::history::engine) async fn none_sealed<S: Session>(
    session: &mut S,
    rows: &[&ReadingsRow],
    told: &SealedTo,
) -> Result<(), Fault> {
    told.learn(sealed_to(session).await?);
    if told.concerns(rows) {
        return Err(Fault::new(Kind::Taken, "rows as old as sealed ones are looked up"));
    }
    Ok(())
}

/// The same as the beginning of a script behind rows in bulk, which go to MariaDB only; nothing
/// without rows of readings.
pub(in crate::history::engine) fn sealed_guard(rows: &[&ReadingsRow]) -> String {
    let oldest = rows.iter().map(|row| row.recorded_at_ms).min();
    oldest.map_or(String::new(), |oldest| {
        format!(
            "IF EXISTS (SELECT 1 FROM seal_state WHERE sealed_to_ms > {oldest}) THEN \
             SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062; END IF;"
        )
    })
}

/// The end of all that is sealed, as it is now.
async fn sealed_to<S: Session>(session: &mut S) -> Result<u64, Fault> {
    let rows = session.rows(fixed(SEALED_TO), &[]).await?;
    rows.first().map_or(Ok(0), |row| row.need(0))
}

/// A block of a device.
struct Block {
    device: u32,
    first_ms: u64,
    last_ms: u64,
    keys: Keys,
}

/// Takes those rows back, of the ones just inserted, whose records are sealed: they are not new.
///
/// Behind the insertion, since an insertion waits for whoever is sealing a row of this key, and
/// what is read from then on has the block.
pub(in crate::history::engine) async fn known_again<S: Session>(
    session: &mut S,
    rows: &[&ReadingsRow],
    is_new: &mut [bool],
    told: &SealedTo,
) -> Result<(), Fault> {
    if !is_new.contains(&true) {
        return Ok(());
    }
    let sealed_to_ms = sealed_to(session).await?;
    told.learn(sealed_to_ms);
    let mut old: Vec<usize> = (0..rows.len())
        .filter(|index| is_new[*index] && rows[*index].recorded_at_ms < sealed_to_ms)
        .collect();
    old.sort_by_key(|index| (rows[*index].device, rows[*index].recorded_at_ms));
    let mut block: Option<Block> = None;
    for index in old {
        let row = rows[index];
        let covers = |block: &Block| {
            block.device == row.device.number() && row.recorded_at_ms <= block.last_ms
        };
        if !block.as_ref().is_some_and(covers) {
            block = block_of(session, row).await?;
        }
        let key = key_of(row.recorded_at_ms, row.content_hash);
        let is_sealed = block.as_ref().is_some_and(|block| {
            (block.first_ms..=block.last_ms).contains(&row.recorded_at_ms)
                && block.keys.contains(key)
        });
        if is_sealed {
            take_back(session, row).await?;
            is_new[index] = false;
        }
    }
    Ok(())
}

async fn block_of<S: Session>(session: &mut S, row: &ReadingsRow) -> Result<Option<Block>, Fault> {
    let values = [row.device.into(), row.recorded_at_ms.into()];
    let found = session.rows(fixed(BLOCK), &values).await?;
    let Some(found) = found.first() else { return Ok(None) };
    Ok(Some(Block {
        device: row.device.number(),
        first_ms: found.need(0)?,
        last_ms: found.need(1)?,
        keys: Keys::decode(&found.bytes(2)?.unwrap_or_default()).map_err(unreadable)?,
    }))
}

async fn take_back<S: Session>(session: &mut S, row: &ReadingsRow) -> Result<(), Fault> {
    let (bucket, device, at_ms, hash) = row.key();
    let values = [bucket.into(), device.into(), at_ms.into(), Value::Hash(hash)];
    match session.execute(fixed(DELETE), &values).await? {
        1 => Ok(()),
        _ => Err(Fault::new(Kind::Conflict, "a row left while its record was looked up")),
    }
}
