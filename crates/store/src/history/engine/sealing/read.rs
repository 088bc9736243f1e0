//! Reading blocks: the records of a stretch of time, to be joined with the rows of the same
//! stretch, which must have been read before. A record moves from rows to blocks only.

use std::collections::BTreeMap;

use nemeses_protocol::DeviceId;

use super::super::fault::Fault;
use super::super::next_row::{ROW_WITHIN, next_row};
use super::super::seam::{Product, Session, fixed, sql};
use super::super::value::{Fields, Value};
use super::block::Stored;
use super::hash32;
use crate::history::channels::StoredReadings;

/// Blocks that are read at once: 16 384 records.
const MOST_BLOCKS: usize = 4;

const HEADS: &str = "SELECT first_ms FROM sealed_blocks WHERE device = ? AND first_ms >= \
    COALESCE((SELECT MAX(first_ms) FROM sealed_blocks WHERE device = ? AND first_ms <= ?), 0) \
    AND first_ms <= ? AND last_ms >= ?";
/// Keys and chunks in one statement, so that both are of the same moment. The second column is 0 for
/// keys, else the channel and one: beside a NULL a server makes a text of it.
const BODIES: &str = "SELECT first_ms, CAST(0 AS UNSIGNED), record_keys, arrivals FROM sealed_blocks \
    WHERE device = ? AND first_ms BETWEEN ? AND ? \
    UNION ALL SELECT first_ms, CAST(channel + 1 AS UNSIGNED), body, NULL FROM sealed_chunks \
    WHERE device = ? AND first_ms BETWEEN ? AND ?";
const NEWEST: &str = "SELECT device, first_ms FROM sealed_blocks \
    WHERE last_ms >= ? AND last_received_ms >= ?";

/// A device's records between two times, both included.
#[derive(Clone, Copy, Debug)]
pub(in crate::history::engine) struct Stretch {
    pub(in crate::history::engine) device: DeviceId,
    pub(in crate::history::engine) low_ms: u64,
    pub(in crate::history::engine) high_ms: u64,
    pub(in crate::history::engine) descending: bool,
}

/// What blocks have of a stretch.
pub(in crate::history::engine) struct Sealed {
    /// In the direction of the stretch.
    pub(in crate::history::engine) records: Vec<StoredReadings>,
    /// There are more blocks than are read at once: the last millisecond that was read.
    pub(in crate::history::engine) until_ms: Option<u64>,
}

/// What blocks have of a stretch, or of the beginning of it.
pub(in crate::history::engine) async fn sealed_between<P: Product>(
    product: &P,
    stretch: Stretch,
) -> Result<Sealed, Fault> {
    let Stretch { device, low_ms, high_ms, descending } = stretch;
    let order = if descending { "DESC" } else { "ASC" };
    let text = format!("{HEADS} ORDER BY first_ms {order} LIMIT ?");
    let (low, high): (Value<'_>, Value<'_>) = (low_ms.into(), high_ms.into());
    let most = (MOST_BLOCKS as u64 + 1).into();
    let values = [device.into(), device.into(), low, high, low, most];
    let heads = product.rows(sql(text), &values).await?;
    let heads: Vec<u64> = heads.iter().map(|row| row.need(0)).collect::<Result<_, _>>()?;
    let Some(first) = heads.first() else {
        return Ok(Sealed { records: Vec::new(), until_ms: None });
    };
    let beyond = heads.get(MOST_BLOCKS);
    // Blocks are in order and do not overlap, and where one begins does not change.
    let (from, to, until_ms) = if descending {
        let last = heads[heads.len().min(MOST_BLOCKS) - 1];
        (last, high_ms, beyond.map(|_| last))
    } else {
        let until_ms = beyond.map(|beyond| beyond - 1);
        (*first, until_ms.unwrap_or(high_ms), until_ms)
    };
    let (from_value, to_value): (Value<'_>, Value<'_>) = (from.into(), to.into());
    let range = [device.into(), from_value, to_value, device.into(), from_value, to_value];
    let blocks = by_block(&product.rows(fixed(BODIES), &range).await?)?;
    let mut records = Vec::new();
    for stored in blocks.into_values() {
        records.extend(stored.records()?);
    }
    records.retain(|record| (low_ms..=high_ms).contains(&record.recorded_at_ms));
    if descending {
        records.reverse();
    }
    Ok(Sealed { records, until_ms })
}

/// The records of one block, in a transaction.
pub(super) async fn records_in<S: Session>(
    session: &mut S,
    device: DeviceId,
    first_ms: u64,
) -> Result<Vec<StoredReadings>, Fault> {
    let (device, first): (Value<'_>, Value<'_>) = (device.into(), first_ms.into());
    let range = [device, first, first, device, first, first];
    let mut blocks = by_block(&session.rows(fixed(BODIES), &range).await?)?;
    blocks.remove(&first_ms).map_or(Ok(Vec::new()), Stored::records)
}

/// The rows of [`BODIES`] by the beginnings of their blocks.
fn by_block<R: Fields>(rows: &[R]) -> Result<BTreeMap<u64, Stored>, Fault> {
    let mut blocks: BTreeMap<u64, Stored> = BTreeMap::new();
    for row in rows {
        let block = blocks.entry(row.need(0)?).or_default();
        let bytes = row.bytes(2)?.unwrap_or_default();
        if let Some(channel) = row.need::<u32>(1)?.checked_sub(1) {
            block.chunks.insert(channel, bytes);
        } else {
            block.keys = bytes;
            block.arrivals = row.bytes(3)?.unwrap_or_default();
        }
    }
    Ok(blocks)
}

/// Joins rows and sealed records, both in the same direction: a record that was sealed between the
/// two reads is in both.
pub(in crate::history::engine) fn join(
    rows: Vec<StoredReadings>,
    sealed: Vec<StoredReadings>,
    descending: bool,
) -> Vec<StoredReadings> {
    if sealed.is_empty() {
        return rows;
    }
    let key = |record: &StoredReadings| (record.recorded_at_ms, hash32(record.content_hash));
    let mut all = Vec::with_capacity(rows.len() + sealed.len());
    let mut rows = rows.into_iter().peekable();
    for record in sealed {
        let before = |row: &StoredReadings| {
            if descending { key(row) >= key(&record) } else { key(row) <= key(&record) }
        };
        let mut is_there = false;
        while let Some(row) = rows.next_if(before) {
            is_there |= is_same(&row, &record);
            all.push(row);
        }
        if !is_there {
            all.push(record);
        }
    }
    all.extend(rows);
    all
}

/// Whether a row and a sealed record are the same.
fn is_same(row: &StoredReadings, record: &StoredReadings) -> bool {
    hash32(row.content_hash) == hash32(record.content_hash)
        && StoredReadings { content_hash: record.content_hash, ..row.clone() } == *record
}

/// The records in blocks with something recorded and something received since these times, block
/// by block.
pub(in crate::history::engine) async fn newest_blocks<P: Product>(
    product: &P,
    (recorded_from_ms, since_ms): (u64, u64),
    mut each: impl FnMut(DeviceId, Vec<StoredReadings>) + Send,
) -> Result<(), Fault> {
    let values = [recorded_from_ms.into(), since_ms.into()];
    let mut blocks: Vec<(u32, u64)> = Vec::new();
    let mut rows = product.stream(fixed(NEWEST), &values);
    while let Some(row) = next_row(&mut rows, ROW_WITHIN).await? {
        blocks.push((row.need(0)?, row.need(1)?));
    }
    drop(rows);
    for (device, first_ms) in blocks {
        let device = DeviceId::new(device);
        let (bound, first): (Value<'_>, Value<'_>) = (device.into(), first_ms.into());
        let range = [bound, first, first, bound, first, first];
        for stored in by_block(&product.rows(fixed(BODIES), &range).await?)?.into_values() {
            each(device, stored.records()?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(recorded_at_ms: u64, content_hash: u64) -> StoredReadings {
        StoredReadings {
            recorded_at_ms,
            content_hash,
            received_at_ms: 1,
            timeless: false,
            values: Vec::new(),
        }
    }

    #[test]
    fn a_record_seen_in_both_is_given_out_once() {
        let upper = |hash: u64| hash << 32;
        let rows = vec![record(1, upper(1) + 5), record(3, upper(2) + 9), record(3, upper(4))];
        let sealed = vec![record(2, upper(1)), record(3, upper(2)), record(3, upper(3))];
        let keys = |records: &[StoredReadings]| -> Vec<(u64, u32)> {
            records.iter().map(|it| (it.recorded_at_ms, hash32(it.content_hash))).collect()
        };
        let expected = [(1, 1), (2, 1), (3, 2), (3, 3), (3, 4)];
        assert_eq!(keys(&join(rows.clone(), sealed.clone(), false)), expected);
        let reversed = |mut records: Vec<StoredReadings>| {
            records.reverse();
            records
        };
        let mut back = join(reversed(rows), reversed(sealed), true);
        back.reverse();
        assert_eq!(keys(&back), expected);
    }

    #[test]
    fn another_record_of_the_same_32_bits_is_not_the_same() {
        let row = StoredReadings { received_at_ms: 2, ..record(1, 7) };
        assert_eq!(join(vec![row], vec![record(1, 0)], false).len(), 2);
    }
}
