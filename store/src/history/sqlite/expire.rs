//! How positions leave a SQLite file: a few thousand at a time, oldest bucket
//! first, in the order of the key, so that a step touches few pages and commits
//! wait for it some milliseconds only. The freed pages are used again; the file
//! does not shrink by itself.

use std::sync::Arc;

use super::super::engine::{
    EXPIRED, Fault, Fields as _, Join, Product, Session, Value, fixed, insert, or_join, sql,
};
use super::super::retention::{Step, Survey};
use super::File;

/// Rows of a step, and those of the last device among them.
const AT_ONCE: u32 = 5000;

const OLDEST: &str = "SELECT MIN(bucket) FROM positions WHERE bucket < ?";
/// The device at which a step ends; none when the bucket holds fewer rows.
const LAST_DEVICE: &str =
    "SELECT device FROM positions WHERE bucket = ? ORDER BY device LIMIT 1 OFFSET ?";
const ARRIVALS: &str = "SELECT received_at_ms / 60000, COUNT(*) FROM positions \
    WHERE bucket = ? AND device <= ? GROUP BY 1";
const DELETE: &str = "DELETE FROM positions WHERE bucket = ? AND device <= ?";
/// Days that lie wholly before a bucket (288 a day).
const DELETE_DAYS: &str = "DELETE FROM device_days WHERE day < ? / 288";

/// Takes the next rows before this bucket away and books them.
pub(super) async fn step<S: Session>(session: &mut S, before: u32) -> Result<Step, Fault> {
    let oldest = session.rows(fixed(OLDEST), &[before.into()]).await?;
    let Some(bucket) = oldest.first().map_or(Ok(None), |row| row.maybe::<u32>(0))? else {
        session.execute(fixed(DELETE_DAYS), &[before.into()]).await?;
        return Ok(Step::default());
    };
    let last = session.rows(fixed(LAST_DEVICE), &[bucket.into(), AT_ONCE.into()]).await?;
    let last: u32 = last.first().map_or(Ok(u32::MAX), |row| row.need(0))?;
    let rows = [bucket.into(), last.into()];
    let arrivals = session.rows(fixed(ARRIVALS), &rows).await?;
    let columns = ["kind", "minute", "removed"];
    let text = or_join(
        &insert("removals", &columns, 1),
        <Arc<File> as Product>::DIALECT,
        &columns[..2],
        &[("removed", Join::Add)],
    );
    for row in &arrivals {
        let (minute, removed): (u32, u64) = (row.need(0)?, row.need(1)?);
        let values: [Value<'_>; 3] = [EXPIRED.into(), minute.into(), removed.into()];
        session.execute(sql(text.clone()), &values).await?;
    }
    let removed = session.execute(fixed(DELETE), &rows).await?;
    Ok(Step { removed, more: true, busy: false })
}

/// The size of the file's used pages.
pub(super) async fn sizes(file: &Arc<File>) -> Result<Survey, Fault> {
    const SIZES: &str = "SELECT (pages.page_count - free.freelist_count) * size.page_size \
        FROM pragma_page_count AS pages, pragma_freelist_count AS free, pragma_page_size AS size";
    let rows = file.rows(fixed(SIZES), &[]).await?;
    let row = rows.first().ok_or_else(|| Fault::column(0, "is missing"))?;
    Ok(Survey { bytes: row.need(0)?, ..Survey::default() })
}
