//! How positions leave a server: a week's partition at once. Weeks with few rows that are
//! older than all others share the partition of the past, so that a clock that was years
//! behind makes no hundreds of partitions; what is over in it leaves row by row
//! (`sparse.rs`).
//!
//! A week is first exchanged against an empty table, which is instant and leaves
//! nothing behind that a late row could be lost with. Then the rows set aside
//! are counted into `removals` and their table is dropped. Each step can be
//! interrupted: the next run finds the table set aside, and a note that tells
//! whether it was counted.

use std::sync::Arc;

use super::super::BUCKET_SECONDS;
use super::super::engine::{EXPIRED, Fault, Fields as _, Kind, Product, fixed};
use super::super::retention::{Step, Survey};
use super::Server;
use super::alone::Alone;
use super::layout::{
    Partition, REST, definition, earliest_week, expired, next_week, week_start, weeks_to_make,
};
use super::rewrite::go_on;
use super::sparse::take_some;
use super::storage::weeks_can_leave;

/// A week of fewer rows gets no partition of its own when partitions are first made.
const FEW_ROWS: u64 = 10_000;
const SET_ASIDE: &str = "SELECT COUNT(*) FROM information_schema.tables \
    WHERE table_schema = DATABASE() AND table_name = 'positions_expired'";
const COUNTED: &str = "SELECT COUNT(*) FROM claims WHERE name = 'positions_expired'";
const NOTE_COUNTED: &str = "INSERT INTO claims (name, claimed_at_ms) VALUES ('positions_expired', UNIX_TIMESTAMP() * 1000)";
const FORGET_NOTE: &str = "DELETE FROM claims WHERE name = 'positions_expired'";
const DROP: &str = "DROP TABLE positions_expired";
const COUNT: &str = "SELECT COUNT(*) FROM positions_expired";
/// Notes of weeks that lie wholly before a bucket (2016 a week); 0 is the past's.
const FORGET_WEEKS: &str = "DELETE FROM retention_weeks WHERE week > 0 AND week + 2016 <= ?";
/// Days that lie wholly before a bucket (288 a day).
const DELETE_DAYS: &str = "DELETE FROM device_days WHERE day < ? DIV 288";

impl Alone<'_> {
    /// Whether a partition holds any row.
    async fn has_rows(&mut self, name: &str) -> Result<bool, Fault> {
        self.flag(format!("SELECT EXISTS (SELECT 1 FROM positions PARTITION ({name}))")).await
    }

    /// Sets a partition's rows aside. Its late rows stay where reports find them.
    async fn set_aside(&mut self, name: &str) -> Result<u64, Fault> {
        let create = self.definition_of_positions("positions_expired").await?;
        self.run(create).await?;
        let exchange =
            format!("ALTER TABLE positions EXCHANGE PARTITION {name} WITH TABLE positions_expired");
        self.run(exchange).await?;
        self.settle().await
    }

    /// Counts and drops what was set aside, if anything is; tells how many rows.
    async fn settle(&mut self) -> Result<u64, Fault> {
        let is_there = self.number(SET_ASIDE).await? > Some(0);
        let mut removed = 0;
        if is_there {
            if self.number(COUNTED).await? == Some(0) {
                removed = self.number(COUNT).await?.unwrap_or_default();
                self.run("START TRANSACTION".to_owned()).await?;
                self.run(format!(
                    "INSERT INTO removals (kind, minute, removed) \
                     SELECT '{EXPIRED}', received_at_ms DIV 60000, COUNT(*) FROM positions_expired \
                     GROUP BY 2 ON DUPLICATE KEY UPDATE removed = removed + VALUES(removed)"
                ))
                .await?;
                self.run(NOTE_COUNTED.to_owned()).await?;
                self.run("COMMIT".to_owned()).await?;
            }
            self.run(DROP.to_owned()).await?;
        }
        self.run(FORGET_NOTE.to_owned()).await?;
        Ok(removed)
    }
}

/// Makes the weeks up to a bucket.
pub(super) async fn prepare(server: &Arc<Server>, now: u32, until: u32) -> Result<u32, Fault> {
    let Some(mut alone) = Alone::take(server).await? else { return Ok(0) };
    let present = alone.partitions().await?;
    let oldest = if present.is_empty() { first_week(&mut alone, now, until).await? } else { now };
    let made = weeks_to_make(&present, oldest, until, week_name);
    if !made.is_empty() {
        let parts = definition(&made);
        let change = if present.is_empty() {
            format!("ALTER TABLE positions PARTITION BY RANGE (bucket) ({parts})")
        } else {
            format!("ALTER TABLE positions REORGANIZE PARTITION {REST} INTO ({parts})")
        };
        alone.run(change).await?;
    }
    alone.close().await?;
    // One of them is the rest, which was there before.
    Ok(u32::try_from(made.len().saturating_sub(1)).unwrap_or(u32::MAX))
}

/// A bucket of the first week that gets a partition of its own: of the first with more than a
/// few rows, or of now. A week without rows costs nothing here, and one with rows two looks
/// into the key; there are 520 at most.
async fn first_week(alone: &mut Alone<'_>, now: u32, until: u32) -> Result<u32, Fault> {
    let (mut from, this_week) = (earliest_week(until), week_start(now));
    loop {
        let oldest = format!(
            "SELECT MIN(bucket) FROM positions WHERE bucket >= {from} AND bucket < {this_week}"
        );
        let oldest = alone.number_of(oldest).await?;
        let Some(oldest) = oldest.and_then(|bucket| u32::try_from(bucket).ok()) else {
            return Ok(now);
        };
        from = next_week(oldest);
        let rows = format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM positions \
             WHERE bucket >= {oldest} AND bucket < {from} LIMIT {FEW_ROWS}) few"
        );
        if alone.number_of(rows).await? >= Some(FEW_ROWS) {
            return Ok(oldest);
        }
    }
}

/// Takes some of what is before a bucket away: the oldest partition that has rows when all
/// of it is over, or rows of the past.
pub(super) async fn expire(server: &Arc<Server>, before: u32) -> Result<Step, Fault> {
    let Some(mut alone) = Alone::take(server).await? else {
        return Ok(Step { busy: true, ..Step::default() });
    };
    weeks_can_leave(&mut alone).await?;
    let step = match go_on(&mut alone).await? {
        Some(step) => step,
        None => expire_some(&mut alone, before).await?,
    };
    alone.close().await?;
    Ok(step)
}

async fn expire_some(alone: &mut Alone<'_>, before: u32) -> Result<Step, Fault> {
    let settled = alone.settle().await?;
    let present = alone.partitions().await?;
    let over = expired(&present, before);
    let mut empty = Vec::new();
    for partition in &over {
        if alone.has_rows(&partition.name).await? {
            break;
        }
        empty.push(*partition);
    }
    let left = over.len() - empty.len();
    let step = Step {
        removed: settled,
        more: true,
        partitions_left: u32::try_from(left).unwrap_or(u32::MAX),
        ..Step::default()
    };
    // Empty ones go at once, however many they are.
    if let [past, .., last] = empty[..] {
        join(alone, past, &empty[1..], last.below).await?;
        return Ok(step);
    }
    if let Some(partition) = over.get(empty.len()) {
        let removed = settled + alone.set_aside(&partition.name).await?;
        return Ok(Step { removed, ..step });
    }
    let removed = take_some(alone, before, None).await?;
    if removed > 0 {
        return Ok(Step { removed: settled + removed, ..step });
    }
    let days_forgotten = alone.run_before(DELETE_DAYS, before).await? > 0;
    alone.run_before(FORGET_WEEKS, before).await?;
    Ok(Step { removed: settled, days_forgotten, ..Step::default() })
}

/// Makes partitions a part of the one before them.
async fn join(
    alone: &mut Alone<'_>,
    first: &Partition,
    others: &[&Partition],
    below: Option<u32>,
) -> Result<(), Fault> {
    let names: Vec<&str> =
        std::iter::once(first).chain(others.iter().copied()).map(|one| &*one.name).collect();
    let joined = definition(&[Partition { name: first.name.clone(), below }]);
    let names = names.join(", ");
    alone
        .run(format!("ALTER TABLE positions REORGANIZE PARTITION {names} INTO ({joined})"))
        .await
        .map(drop)
}

/// Rows (estimated), bytes and partitions, from the server's own books.
pub(super) async fn sizes(server: &Arc<Server>) -> Result<Survey, Fault> {
    const SIZES: &str = "SELECT CAST(SUM(table_rows) AS UNSIGNED), \
        CAST(SUM(data_length + index_length) AS UNSIGNED), COUNT(partition_name), \
        (SELECT CAST(SUM(data_length + index_length) AS UNSIGNED) FROM information_schema.tables \
        WHERE table_schema = DATABASE()), EXISTS (SELECT 1 FROM retention_rewrite) \
        FROM information_schema.partitions \
        WHERE table_schema = DATABASE() AND table_name = 'positions'";
    let rows = server.rows(fixed(SIZES), &[]).await?;
    let row = rows.first().ok_or_else(|| Fault::new(Kind::Schema, "no table positions"))?;
    Ok(Survey {
        rows: Some(row.maybe(0)?.unwrap_or_default()),
        bytes: row.maybe(1)?.unwrap_or_default(),
        partitions: Some(row.need(2)?),
        total_bytes: row.maybe(3)?.unwrap_or_default(),
        rewriting: row.need::<u64>(4)? != 0,
        ..Survey::default()
    })
}

/// `w20261116`: the Monday on which the week begins.
fn week_name(bucket: u32) -> String {
    let second = i64::from(bucket) * i64::from(BUCKET_SECONDS);
    let moment = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("w%Y%m%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_named_by_its_monday() {
        assert_eq!(week_name(1_794_787_200 / BUCKET_SECONDS), "w20261116");
    }
}
