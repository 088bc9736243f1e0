//! How blocks are counted, and how they leave: whole, booked by minute of arrival in the same
//! transaction.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;

use super::super::Engine;
use super::super::dead_letters::{READINGS_EXPIRED, VALUES_EXPIRED};
use super::super::fault::{Fault, Kind};
use super::super::removals::book_removed;
use super::super::seam::{Dialect, Product, Session, fixed, sql};
use super::super::value::{Fields, Value};
use super::super::work::Work;
use super::by_minute;
use crate::history::books::Minutes;
use crate::history::retention::Step;

/// Blocks of a step: some 60 000 records.
const BLOCKS_AT_ONCE: u32 = 16;

const DELETE_BLOCK: &str = "DELETE FROM sealed_blocks WHERE device = ? AND first_ms = ?";
const DELETE_CHUNKS: &str = "DELETE FROM sealed_chunks WHERE device = ? AND first_ms = ?";
/// Rows and blocks in one statement, so that a record that moves meanwhile is counted once.
const WITHIN: &str = "SELECT r.record_count, r.value_count, b.record_count, b.value_count FROM \
    (SELECT COUNT(*) AS record_count, CAST(SUM(value_count) AS UNSIGNED) AS value_count \
    FROM readings WHERE received_at_ms BETWEEN ? AND ?) r CROSS JOIN \
    (SELECT CAST(SUM(record_count) AS UNSIGNED) AS record_count, \
    CAST(SUM(value_count) AS UNSIGNED) AS value_count FROM sealed_blocks \
    WHERE first_received_ms >= ? AND last_received_ms <= ?) b";
const ACROSS: &str = "SELECT device, first_ms, record_keys, arrivals FROM sealed_blocks \
    WHERE first_received_ms <= ? AND last_received_ms >= ? \
    AND NOT (first_received_ms >= ? AND last_received_ms <= ?)";

/// A block that leaves.
pub(in crate::history) struct BlockRow {
    device: u32,
    first_ms: u64,
    record_keys: Vec<u8>,
    arrivals: Vec<u8>,
}

impl BlockRow {
    /// What is selected of a block.
    pub(in crate::history) fn columns(alias: &str) -> String {
        format!("{alias}.device, {alias}.first_ms, {alias}.record_keys, {alias}.arrivals")
    }

    pub(in crate::history) fn of(row: &impl Fields) -> Result<Self, Fault> {
        Ok(Self {
            device: row.need(0)?,
            first_ms: row.need(1)?,
            record_keys: row.bytes(2)?.unwrap_or_default(),
            arrivals: row.bytes(3)?.unwrap_or_default(),
        })
    }

    /// Deletes and books it; how many records it had.
    pub(in crate::history) async fn take<S: Session>(
        &self,
        session: &mut S,
        dialect: Dialect,
    ) -> Result<u64, Fault> {
        let key: [Value<'_>; 2] = [self.device.into(), self.first_ms.into()];
        session.execute(fixed(DELETE_CHUNKS), &key).await?;
        if session.execute(fixed(DELETE_BLOCK), &key).await? != 1 {
            return Err(Fault::new(Kind::Conflict, "a block left while it was deleted"));
        }
        let mut gone = 0;
        for (minute, (records, values)) in by_minute(&self.record_keys, &self.arrivals)? {
            book_removed(session, dialect, READINGS_EXPIRED, minute, records).await?;
            book_removed(session, dialect, VALUES_EXPIRED, minute, values).await?;
            gone += records;
        }
        Ok(gone)
    }

    /// Its key.
    pub(in crate::history) const fn key(&self) -> (u32, u64) {
        (self.device, self.first_ms)
    }

    /// Records and values by minute of arrival.
    pub(in crate::history) fn by_minute(
        &self,
    ) -> Result<std::collections::BTreeMap<u32, (u64, u64)>, Fault> {
        by_minute(&self.record_keys, &self.arrivals)
    }
}

/// Takes the next blocks that are wholly before a time.
struct Expire {
    before_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Expire {
    type Output = Step;

    async fn run(&self, session: &mut P::Session) -> Result<Step, Fault> {
        let text = format!(
            "SELECT {} FROM sealed_blocks b WHERE b.last_ms < ? ORDER BY b.last_ms LIMIT ?",
            BlockRow::columns("b")
        );
        let values = [self.before_ms.into(), BLOCKS_AT_ONCE.into()];
        let mut step = Step::default();
        for row in session.rows(sql(text), &values).await? {
            step.readings += BlockRow::of(&row)?.take(session, P::DIALECT).await?;
            step.more = true;
        }
        Ok(step)
    }
}

/// Takes some of the blocks wholly before a time away and books them.
pub(in crate::history::engine) async fn expire_blocks<P: Product>(
    engine: &Engine<P>,
    before_ms: u64,
) -> Result<Step, Fault> {
    engine.transact(Expire { before_ms }).await
}

/// Records of readings and their values that arrived in these minutes, sealed or not.
pub(in crate::history::engine) async fn count_readings<P: Product>(
    product: &P,
    minutes: Minutes,
) -> Result<(u64, u64), Fault> {
    let (from_ms, to_ms) = minutes.as_ms();
    let (from, to): (Value<'_>, Value<'_>) = (from_ms.into(), to_ms.into());
    let (mut records, mut values): (u64, u64) = (0, 0);
    let mut within = product.stream(fixed(WITHIN), &[from, to, from, to]);
    if let Some(row) = within.try_next().await? {
        let sum = |column| Ok::<u64, Fault>(row.maybe(column)?.unwrap_or_default());
        (records, values) = (sum(0)? + sum(2)?, sum(1)? + sum(3)?);
    }
    drop(within);
    let mut across = product.stream(fixed(ACROSS), &[to, from, from, to]);
    while let Some(row) = across.try_next().await? {
        let of_block = BlockRow::of(&row)?.by_minute()?;
        for (_, (more, more_values)) in of_block.range(minutes.from..=minutes.to) {
            records += more;
            values += more_values;
        }
    }
    Ok((records, values))
}
