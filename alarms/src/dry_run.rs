//! What a rule would have raised by the rows that are stored.

use futures_util::TryStreamExt as _;
use nemeses_protocol::DeviceId;
use nemeses_rules::{FenceIndex, Rehearsal, RuleSet, WouldBe};
use nemeses_store::StoreError;
use nemeses_store::history::{Database, HistoryRow, named_values, rows_in_order};

/// What rules would have raised by a device's rows from one second to another, inclusive. Rows are read as they
/// are taken.
///
/// # Errors
/// What the database reports.
pub async fn would_have_raised(
    database: &Database,
    set: &RuleSet,
    fences: &FenceIndex,
    device: DeviceId,
    range: (u32, u32),
) -> Result<Vec<WouldBe>, StoreError> {
    let (history, channels) = (database.history(), database.channels());
    let list = channels.channels(device).await?;
    let mut rows = rows_in_order(&*history, &*channels, device, range);
    let mut rehearsal = Rehearsal::new(set, fences);
    while let Some(row) = rows.try_next().await? {
        match row {
            HistoryRow::Position(row) => rehearsal.take_position(&row),
            HistoryRow::Readings(row) => {
                let read = named_values(&list, &row.values);
                let read = read.iter().map(|(name, value)| (*name, value));
                rehearsal.take_readings(row.recorded_at_ms, row.content_hash, read);
            }
        }
    }
    Ok(rehearsal.end(u64::from(range.1) * 1000 + 999))
}
