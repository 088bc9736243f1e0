//! One step of sealing: rows of one device, of one stretch of a week between two blocks, become
//! blocks in one transaction.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::super::Engine;
use super::super::channel_reads::stored;
use super::super::fault::{Fault, Kind};
use super::super::insert::insert_new;
use super::super::keyed::{Key, Keyed};
use super::super::ladder::{NARROW, rungs};
use super::super::plan::DAY_SECONDS;
use super::super::rows::bucket_of;
use super::super::seam::{Dialect, Product, Session, fixed, sql};
use super::super::sql::{Join, any_of, insert, or_join, placeholders};
use super::super::value::{Fields as _, Value};
use super::super::window::{DAY_BUCKETS, seconds_of};
use super::super::work::Work;
use super::block::Encoded;
use super::plan::{MAX_RECORDS, Plan, plan};
use super::read::records_in;
use crate::StoreError;
use crate::history::BUCKET_SECONDS;
use crate::history::channels::StoredReadings;
use crate::history::sealing::{SealFrom, SealStep, SealedTotals, Sealing};

/// Rows of a step: some ten milliseconds of a transaction.
const MAX_ROWS: usize = 4096;
/// Bytes of packed values from which on a step reads no further.
const MAX_PACKED: usize = 4 * 1024 * 1024;
/// Milliseconds of a bucket, a day and a week.
const BUCKET_MS: u64 = BUCKET_SECONDS as u64 * 1000;
const DAY_MS: u64 = DAY_SECONDS as u64 * 1000;
pub(super) const WEEK_MS: u64 = 7 * DAY_MS;
/// Unix time began on a Thursday: from the Monday before it.
const MONDAY_MS: u64 = 3 * DAY_MS;

const DEVICE_OF_BUCKET: &str =
    "SELECT device FROM readings WHERE bucket = ? AND device >= ? ORDER BY device LIMIT 1";
const NEXT_BUCKET: &str = "SELECT MIN(bucket) FROM readings WHERE bucket > ? AND bucket <= ?";
const BLOCK_BEFORE: &str = "SELECT first_ms, last_ms, record_count FROM sealed_blocks \
    WHERE device = ? AND first_ms <= ? ORDER BY first_ms DESC LIMIT 1";
const BLOCK_BEHIND: &str =
    "SELECT MIN(first_ms) FROM sealed_blocks WHERE device = ? AND first_ms > ?";
const DELETE_BLOCK: &str = "DELETE FROM sealed_blocks WHERE device = ? AND first_ms = ?";
const DELETE_CHUNKS: &str = "DELETE FROM sealed_chunks WHERE device = ? AND first_ms = ?";
const TOTALS: &str = "SELECT COUNT(*), CAST(SUM(record_count) AS UNSIGNED), \
    CAST(SUM(value_count) AS UNSIGNED), CAST(SUM(bytes) AS UNSIGNED) FROM sealed_blocks";

const STATE_COLUMNS: &[&str] = &["slot", "sealed_to_ms"];
const BLOCK_COLUMNS: &[&str] = &[
    "device",
    "first_ms",
    "last_ms",
    "record_count",
    "value_count",
    "first_received_ms",
    "last_received_ms",
    "bytes",
    "record_keys",
    "arrivals",
];

/// A chunk as a row.
struct ChunkRow<'a> {
    device: DeviceId,
    first_ms: u64,
    channel: u32,
    body: &'a [u8],
}

impl Keyed for ChunkRow<'_> {
    const TABLE: &'static str = "sealed_chunks";
    const COLUMNS: &'static [&'static str] = &["device", "first_ms", "channel", "body"];
    const KEY: [&'static str; 4] = ["device", "first_ms", "channel", "channel"];

    fn key(&self) -> Key {
        (self.device.number(), self.channel, self.first_ms, 0)
    }

    fn bytes(&self) -> usize {
        self.body.len()
    }

    fn bind<'a>(&'a self, values: &mut Vec<Value<'a>>) {
        values.extend([
            self.device.into(),
            self.first_ms.into(),
            self.channel.into(),
            Value::Bytes(self.body),
        ]);
    }
}

/// The first millisecond of the week behind the one of a time.
const fn week_end(at_ms: u64) -> u64 {
    ((at_ms + MONDAY_MS) / WEEK_MS + 1) * WEEK_MS - MONDAY_MS
}

fn day_of(at_ms: u64) -> u32 {
    u32::try_from(at_ms / DAY_MS).unwrap_or(u32::MAX / DAY_SECONDS)
}

/// The buckets of a day, as values.
fn buckets(day: u32) -> Vec<Value<'static>> {
    let (first, last) = seconds_of(day);
    let mut values: Vec<Value<'_>> =
        (bucket_of(first)..=bucket_of(last)).map(Value::from).collect();
    values.resize(DAY_BUCKETS, bucket_of(last).into());
    values
}

/// Seals what is next.
struct Seal {
    before_ms: u64,
    from: SealFrom,
}

/// Rows of a device that are next to each other, and whether more of it may follow.
struct Found {
    rows: Vec<StoredReadings>,
    more: bool,
}

#[async_trait]
impl<P: Product> Work<P> for Seal {
    type Output = SealStep;

    async fn run(&self, session: &mut P::Session) -> Result<SealStep, Fault> {
        let Some((bucket, device)) = self.next_device(session).await? else {
            return Ok(SealStep::default());
        };
        let device = DeviceId::new(device);
        let from_ms = if (bucket, device.number()) == (self.from.bucket, self.from.device) {
            self.from.from_ms.max(u64::from(bucket) * BUCKET_MS)
        } else {
            u64::from(bucket) * BUCKET_MS
        };
        let mut found = self.rows::<P>(session, device, from_ms).await?;
        let next_device =
            SealFrom { bucket, device: device.number().saturating_add(1), from_ms: 0 };
        let Some(first) = found.rows.first() else {
            return Ok(SealStep { next: Some(next_device), ..SealStep::default() });
        };
        let first_ms = first.recorded_at_ms;
        let behind = session.rows(fixed(BLOCK_BEHIND), &[device.into(), first_ms.into()]).await?;
        let behind: Option<u64> = behind.first().map_or(Ok(None), |row| row.maybe(0))?;
        if let Some(behind) = behind {
            let before = found.rows.partition_point(|row| row.recorded_at_ms < behind);
            found.more |= before < found.rows.len();
            found.rows.truncate(before);
        }
        let last_ms = found.rows.last().map_or(first_ms, |row| row.recorded_at_ms);
        let (written, sealed) = self.replace::<P>(session, device, found.rows).await?;
        let rest = SealFrom { bucket, device: device.number(), from_ms: last_ms + 1 };
        let next = Some(if found.more { rest } else { next_device });
        Ok(SealStep { next, blocks: written, ..sealed })
    }
}

impl Seal {
    /// The next bucket with a device that has a row in it.
    async fn next_device<S: Session>(&self, session: &mut S) -> Result<Option<(u32, u32)>, Fault> {
        let Some(last_ms) = self.before_ms.checked_sub(1) else { return Ok(None) };
        let last = u32::try_from(last_ms / BUCKET_MS).unwrap_or(u32::MAX);
        let (mut bucket, mut device) = (self.from.bucket, self.from.device);
        while bucket <= last {
            let rows =
                session.rows(fixed(DEVICE_OF_BUCKET), &[bucket.into(), device.into()]).await?;
            if let Some(row) = rows.first() {
                return Ok(Some((bucket, row.need(0)?)));
            }
            let rows = session.rows(fixed(NEXT_BUCKET), &[bucket.into(), last.into()]).await?;
            let Some(next) = rows.first().map_or(Ok(None), |row| row.maybe(0))? else { break };
            (bucket, device) = (next, 0);
        }
        Ok(None)
    }

    /// The device's rows from a time on, up to the limit or the end of the week, a step's worth
    /// of whole milliseconds.
    async fn rows<P: Product>(
        &self,
        session: &mut P::Session,
        device: DeviceId,
        from_ms: u64,
    ) -> Result<Found, Fault> {
        let end_ms = self.before_ms.min(week_end(from_ms));
        let mut found = Found { rows: Vec::new(), more: false };
        let mut packed = 0;
        for day in day_of(from_ms)..=day_of(end_ms.saturating_sub(1)) {
            let left = MAX_ROWS - found.rows.len();
            let mut values = buckets(day);
            values.extend([Value::from(device), from_ms.into(), (end_ms - 1).into()]);
            values.push((left as u64).into());
            let rows = session.rows(sql(rows_sql(P::DIALECT)), &values).await?;
            for row in &rows {
                packed += row.bytes(4)?.map_or(0, |bytes| bytes.len());
                found.rows.push(stored(row)?);
            }
            if rows.len() == left || packed >= MAX_PACKED {
                found.more = true;
                break;
            }
        }
        if found.rows.len() == MAX_ROWS {
            // Of the last millisecond there may be more, unless it is the only one.
            let last_ms = found.rows[MAX_ROWS - 1].recorded_at_ms;
            let whole = found.rows.partition_point(|row| row.recorded_at_ms < last_ms);
            found.rows.truncate(if whole == 0 { MAX_ROWS } else { whole });
        }
        found.more |= self.before_ms > end_ms;
        Ok(found)
    }

    /// Writes the rows, and the block before them if it is not full or they fall into it, as
    /// blocks; how many blocks, and what is in them now.
    async fn replace<P: Product>(
        &self,
        session: &mut P::Session,
        device: DeviceId,
        rows: Vec<StoredReadings>,
    ) -> Result<(u64, SealStep), Fault> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok((0, SealStep::default()));
        };
        let (first_ms, last_ms) = (first.recorded_at_ms, last.recorded_at_ms);
        let before = open_block(session, device, first_ms).await?;
        let there = match before {
            Some(block) => records_in(session, device, block).await?,
            None => Vec::new(),
        };
        let values =
            rows.iter().map(|row| (row.recorded_at_ms, row.content_hash, row.values.len()));
        let values: Vec<_> = values.collect();
        let Plan { blocks, taken } = plan(there, rows);
        if taken.is_empty() {
            return Ok((0, SealStep::default()));
        }
        if let Some(block) = before {
            for text in [DELETE_CHUNKS, DELETE_BLOCK] {
                session.execute(fixed(text), &[device.into(), block.into()]).await?;
            }
        }
        for records in &blocks {
            write_block(session, device, &Encoded::of(records)?).await?;
        }
        if taken.len() == values.len() {
            delete_range(session, device, (first_ms, last_ms), taken.len()).await?;
        } else {
            delete_keys(session, device, &taken).await?;
        }
        note_sealed_to::<P>(session, self.before_ms).await?;
        let taken: std::collections::HashSet<_> = taken.into_iter().collect();
        let sealed = values.iter().filter(|(at, hash, _)| taken.contains(&(*at, *hash)));
        let values = sealed.map(|(_, _, values)| *values as u64).sum();
        let step = SealStep { records: taken.len() as u64, values, ..SealStep::default() };
        Ok((blocks.len() as u64, step))
    }
}

/// As a reader's page; where rows can be locked, nobody deletes them meanwhile.
fn rows_sql(dialect: Dialect) -> String {
    let lock = match dialect {
        Dialect::MySql => " FOR UPDATE",
        Dialect::Sqlite => "",
    };
    format!(
        "SELECT recorded_at_ms, content_hash, received_at_ms, timeless, packed FROM readings \
         WHERE bucket IN ({}) AND device = ? AND recorded_at_ms BETWEEN ? AND ? \
         ORDER BY bucket, device, recorded_at_ms, content_hash LIMIT ?{lock}",
        placeholders(DAY_BUCKETS)
    )
}

/// The block before a time in its week that rows from then on go into.
async fn open_block<S: Session>(
    session: &mut S,
    device: DeviceId,
    at_ms: u64,
) -> Result<Option<u64>, Fault> {
    let rows = session.rows(fixed(BLOCK_BEFORE), &[device.into(), at_ms.into()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (first_ms, last_ms, records): (u64, u64, usize) =
        (row.need(0)?, row.need(1)?, row.need(2)?);
    let of_week = week_end(first_ms) == week_end(at_ms);
    Ok((of_week && (at_ms <= last_ms || records < MAX_RECORDS)).then_some(first_ms))
}

async fn write_block<S: Session>(
    session: &mut S,
    device: DeviceId,
    encoded: &Encoded,
) -> Result<(), Fault> {
    let values = [
        device.into(),
        encoded.first_ms.into(),
        encoded.last_ms.into(),
        encoded.records.into(),
        encoded.values.into(),
        encoded.received_ms.0.into(),
        encoded.received_ms.1.into(),
        encoded.bytes().into(),
        Value::Bytes(&encoded.block.keys),
        Value::Bytes(&encoded.arrivals),
    ];
    let text = insert("sealed_blocks", BLOCK_COLUMNS, 1);
    session.execute(sql(text), &values).await.map_err(Fault::lost_race)?;
    let chunks = encoded.block.channels.iter();
    let chunks: Vec<ChunkRow<'_>> = chunks
        .map(|(channel, body)| ChunkRow {
            device,
            first_ms: encoded.first_ms,
            channel: *channel,
            body,
        })
        .collect();
    insert_new(session, &chunks.iter().collect::<Vec<_>>()).await.map_err(Fault::lost_race)
}

/// Deletes all rows between two times, which are so many.
async fn delete_range<S: Session>(
    session: &mut S,
    device: DeviceId,
    (first_ms, last_ms): (u64, u64),
    rows: usize,
) -> Result<(), Fault> {
    let text = format!(
        "DELETE FROM readings WHERE bucket IN ({}) AND device = ? AND recorded_at_ms BETWEEN ? AND ?",
        placeholders(DAY_BUCKETS)
    );
    let mut deleted = 0;
    for day in day_of(first_ms)..=day_of(last_ms) {
        let mut values = buckets(day);
        values.extend([Value::from(device), first_ms.into(), last_ms.into()]);
        deleted += session.execute(sql(text.clone()), &values).await?;
    }
    all_deleted(deleted, rows)
}

async fn delete_keys<S: Session>(
    session: &mut S,
    device: DeviceId,
    keys: &[(u64, u64)],
) -> Result<(), Fault> {
    let key = "(bucket = ? AND device = ? AND recorded_at_ms = ? AND content_hash = ?)";
    let mut deleted = 0;
    for some in rungs(keys, NARROW) {
        let text = format!("DELETE FROM readings WHERE {}", any_of(key, some.len()));
        let values: Vec<Value<'_>> = some
            .iter()
            .flat_map(|(at_ms, hash)| {
                [(at_ms / BUCKET_MS).into(), device.into(), (*at_ms).into(), Value::Hash(*hash)]
            })
            .collect();
        deleted += session.execute(sql(text), &values).await?;
    }
    all_deleted(deleted, keys.len())
}

fn all_deleted(deleted: u64, rows: usize) -> Result<(), Fault> {
    if deleted == rows as u64 {
        return Ok(());
    }
    Err(Fault::new(Kind::Conflict, "readings came or left while they were sealed"))
}

async fn note_sealed_to<P: Product>(session: &mut P::Session, before_ms: u64) -> Result<(), Fault> {
    let text = insert("seal_state", STATE_COLUMNS, 1);
    let larger = [("sealed_to_ms", Join::Larger)];
    let text = or_join(&text, P::DIALECT, &STATE_COLUMNS[..1], &larger);
    session.execute(sql(text), &[0_u32.into(), before_ms.into()]).await.map(drop)
}

#[async_trait]
impl<P: Product> Sealing for Engine<P> {
    async fn seal(&self, before_ms: u64, from: SealFrom) -> Result<SealStep, StoreError> {
        let step = self.transact(Seal { before_ms, from }).await;
        step.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn sealed(&self) -> Result<SealedTotals, StoreError> {
        self.sealed_totals().await.map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    async fn sealed_totals(&self) -> Result<SealedTotals, Fault> {
        let rows = self.product.rows(fixed(TOTALS), &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::column(0, "is missing"))?;
        let sum = |column| Ok::<u64, Fault>(row.maybe(column)?.unwrap_or_default());
        let state = self.product.rows(fixed(super::known::SEALED_TO), &[]).await?;
        Ok(SealedTotals {
            blocks: sum(0)?,
            records: sum(1)?,
            values: sum(2)?,
            bytes: sum(3)?,
            sealed_to_ms: state.first().map_or(Ok(0), |row| row.need(0))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_mondays() {
        // 2026-11-30 is a Monday.
        let monday = 1_795_996_800_000;
        assert_eq!(week_end(monday), monday + WEEK_MS);
        assert_eq!(week_end(monday - 1), monday);
        assert_eq!(week_end(0), 4 * DAY_MS);
    }
}
