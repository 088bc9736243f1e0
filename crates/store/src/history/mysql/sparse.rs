//! Rows that lie in the partition of the past and leave it one by one: it holds few rows of
//! many weeks, of which some are over and others are not.

use super::super::engine::{EXPIRED, Fault, Fields as _, Kind};
use super::alone::Alone;
use super::layout::PAST;

/// Rows of one step: some 100 ms, and 200 KB of statement, a fifth of the smallest packet
/// that servers in use refuse.
const ROWS_AT_ONCE: u64 = 2000;

/// Takes some of the past's rows away that were recorded before a bucket, and books them:
/// those of all devices, or of those that `of` selects (a condition on `d`, their profile).
pub(super) async fn take_some(
    alone: &mut Alone<'_>,
    before: u32,
    of: Option<&str>,
) -> Result<u64, Fault> {
    let (join, condition) = match of {
        Some(of) => (" LEFT JOIN devices d ON d.device = p.device", format!(" AND {of}")),
        None => ("", String::new()),
    };
    // Nobody else takes rows away, so that those found are there until they are deleted.
    let rows = alone
        .rows(format!(
            "SELECT p.bucket, p.device, p.recorded_at, p.frame_hash, p.received_at_ms DIV 60000 \
             FROM positions PARTITION ({PAST}) p{join} WHERE p.bucket < {before}{condition} \
             ORDER BY p.bucket, p.device, p.recorded_at, p.frame_hash LIMIT {ROWS_AT_ONCE}"
        ))
        .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let (mut keys, mut lines) = (Vec::new(), Vec::new());
    for row in &rows {
        let (bucket, device, at): (u32, u32, u32) = (row.need(0)?, row.need(1)?, row.need(2)?);
        let (hash, minute) = (row.hash(3)?, row.need::<u64>(4)?);
        keys.push(format!(
            "(bucket = {bucket} AND device = {device} AND recorded_at = {at} AND frame_hash = {hash})"
        ));
        lines.push(format!("('{EXPIRED}', {minute}, 1)"));
    }
    alone.run("START TRANSACTION".to_owned()).await?;
    let removed = alone.run(format!("DELETE FROM positions WHERE {}", keys.join(" OR "))).await?;
    alone
        .run(format!(
            "INSERT INTO removals (kind, minute, removed) VALUES {} \
             ON DUPLICATE KEY UPDATE removed = removed + VALUES(removed)",
            lines.join(", ")
        ))
        .await?;
    if usize::try_from(removed).ok() != Some(rows.len()) {
        // The connection is dropped, and all is taken back.
        return Err(Fault::new(Kind::Conflict, "rows of the past went while they were deleted"));
    }
    alone.run("COMMIT".to_owned()).await?;
    Ok(removed)
}
