//! How positions, and with the days of a class's devices their readings, leave a SQLite file: a few thousand at a time, oldest bucket
//! first, in the order of the key, so that a step touches few pages and commits
//! wait for it some milliseconds only. The freed pages are used again; the file
//! does not shrink by itself.

use std::sync::Arc;

use super::super::engine::{
    BlockRow, EXPIRED, Fault, Fields as _, Product, READINGS_EXPIRED, Session, VALUES_EXPIRED,
    Value, book_removed, fixed, sql,
};
use super::super::retention::{BucketLimit, Step, Survey};
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
/// Buckets of a day.
const DAY_BUCKETS: u32 = 288;
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;
/// Days of devices that one step takes at most.
const DAYS_AT_ONCE: u32 = 64;
/// A device's rows of a day, bucket by bucket of the key; bound are the first and the
/// last bucket, and the device.
const ARRIVALS_OF_DAY: &str = "WITH RECURSIVE b (x) AS \
    (SELECT ?1 UNION ALL SELECT x + 1 FROM b WHERE x < ?2) \
    SELECT p.received_at_ms / 60000, COUNT(*) FROM b CROSS JOIN positions p \
    ON p.bucket = b.x AND p.device = ?3 GROUP BY 1";
const DELETE_OF_DAY: &str = "DELETE FROM positions WHERE device = ?3 AND bucket IN \
    (WITH RECURSIVE b (x) AS (SELECT ?1 UNION ALL SELECT x + 1 FROM b WHERE x < ?2) \
    SELECT x FROM b)";
/// The bucket of a device's reading of a day, by its place among them; bound are the first and
/// the last bucket, the device, and the place.
const BUCKET_OF_READING: &str = "WITH RECURSIVE b (x) AS \
    (SELECT ?1 UNION ALL SELECT x + 1 FROM b WHERE x < ?2) \
    SELECT b.x FROM b CROSS JOIN readings r ON r.bucket = b.x AND r.device = ?3 \
    ORDER BY b.x LIMIT 1 OFFSET ?4";
/// What a device's readings in these buckets are booked as.
const READINGS_ARRIVED: &str = "WITH RECURSIVE b (x) AS \
    (SELECT ?1 UNION ALL SELECT x + 1 FROM b WHERE x < ?2) \
    SELECT r.received_at_ms / 60000, COUNT(*), SUM(r.value_count) FROM b CROSS JOIN readings r \
    ON r.bucket = b.x AND r.device = ?3 GROUP BY 1";
const DELETE_READINGS: &str = "DELETE FROM readings WHERE device = ?3 AND bucket IN \
    (WITH RECURSIVE b (x) AS (SELECT ?1 UNION ALL SELECT x + 1 FROM b WHERE x < ?2) \
    SELECT x FROM b)";
const DELETE_DAY: &str = "DELETE FROM device_days WHERE device = ? AND day = ?";
/// Days that lie wholly before a bucket (288 a day).
const DELETE_DAYS: &str = "DELETE FROM device_days WHERE day < ? / 288";

/// Takes the next rows before this bucket away and books them.
pub(super) async fn step<S: Session>(session: &mut S, before: u32) -> Result<Step, Fault> {
    let oldest = session.rows(fixed(OLDEST), &[before.into()]).await?;
    let Some(bucket) = oldest.first().map_or(Ok(None), |row| row.maybe::<u32>(0))? else {
        let days = session.execute(fixed(DELETE_DAYS), &[before.into()]).await?;
        return Ok(Step { days_forgotten: days > 0, ..Step::default() });
    };
    let last = session.rows(fixed(LAST_DEVICE), &[bucket.into(), AT_ONCE.into()]).await?;
    let last: u32 = last.first().map_or(Ok(u32::MAX), |row| row.need(0))?;
    let rows = [bucket.into(), last.into()];
    book(session, ARRIVALS, &rows).await?;
    let removed = session.execute(fixed(DELETE), &rows).await?;
    Ok(Step { removed, more: true, ..Step::default() })
}

/// Books the rows that a statement finds, by minute of arrival.
async fn book<S: Session>(
    session: &mut S,
    arrivals: &'static str,
    rows: &[Value<'_>],
) -> Result<(), Fault> {
    let arrivals = session.rows(fixed(arrivals), rows).await?;
    for row in &arrivals {
        let dialect = <Arc<File> as Product>::DIALECT;
        book_removed(session, dialect, EXPIRED, row.need(0)?, row.need(1)?).await?;
    }
    Ok(())
}

/// Selects days of devices that are over by these limits, with more to restrict it.
fn days_over<'o>(over: &'o [BucketLimit], more: &str) -> (String, Vec<Value<'o>>) {
    let of_class = "(COALESCE(d.retention, 'default') = ? AND y.day < ?)";
    let text = format!(
        "SELECT y.device, y.day FROM device_days y LEFT JOIN devices d ON d.device = y.device \
         WHERE ({}) {more}",
        vec![of_class; over.len()].join(" OR ")
    );
    let values = over
        .iter()
        .flat_map(|limit| [limit.class.as_str().into(), (limit.before / DAY_BUCKETS).into()])
        .collect();
    (text, values)
}

/// The next days of devices of these classes that go, whole days only. Reads all days
/// when few are due, so not where commits would wait for it.
pub(super) async fn due_days(
    file: &Arc<File>,
    over: &[BucketLimit],
) -> Result<Vec<(u32, u32)>, Fault> {
    if over.is_empty() {
        return Ok(Vec::new());
    }
    let (text, values) = days_over(over, &format!("LIMIT {DAYS_AT_ONCE}"));
    let days = file.rows(sql(text), &values).await?;
    days.iter().map(|row| Ok((row.need(0)?, row.need(1)?))).collect()
}

/// Takes days away that were due a moment ago and still are, and books their rows.
pub(super) async fn classes_step<S: Session>(
    session: &mut S,
    over: &[BucketLimit],
    due: &[(u32, u32)],
) -> Result<Step, Fault> {
    let (text, values) = days_over(over, "AND y.device = ? AND y.day = ?");
    let mut step = Step { more: true, days_forgotten: true, ..Step::default() };
    for &(device, day) in due {
        let one = [values.as_slice(), &[device.into(), day.into()]].concat();
        if session.rows(sql(text.clone()), &one).await?.is_empty() {
            continue;
        }
        let first = day * DAY_BUCKETS;
        let buckets = (first, first + DAY_BUCKETS - 1);
        let (readings, all) = take_readings(session, device, buckets).await?;
        step.readings += readings;
        if !all {
            break;
        }
        step.readings += take_blocks(session, device, day).await?;
        let rows: [Value<'_>; 3] = [buckets.0.into(), buckets.1.into(), device.into()];
        book(session, ARRIVALS_OF_DAY, &rows).await?;
        step.removed += session.execute(fixed(DELETE_OF_DAY), &rows).await?;
        session.execute(fixed(DELETE_DAY), &[device.into(), day.into()]).await?;
        if step.removed + step.readings >= AT_ONCE.into() {
            break;
        }
    }
    Ok(step)
}

/// Takes and books a device's readings in these buckets, or of many those of the first ones;
/// how many, and whether that were all.
async fn take_readings<S: Session>(
    session: &mut S,
    device: u32,
    (first, last): (u32, u32),
) -> Result<(u64, bool), Fault> {
    let mut buckets = [None; 2];
    for (bucket, place) in buckets.iter_mut().zip([0, AT_ONCE]) {
        let which = [first.into(), last.into(), device.into(), place.into()];
        let found = session.rows(fixed(BUCKET_OF_READING), &which).await?;
        *bucket = found.first().map(|row| row.need::<u32>(0)).transpose()?;
    }
    let [Some(first), beyond] = buckets else { return Ok((0, true)) };
    let all = beyond.is_none();
    // At least one bucket, which holds what a device sends in five minutes.
    let last = beyond.map_or(last, |beyond| first.max(beyond - 1));
    let rows: [Value<'_>; 3] = [first.into(), last.into(), device.into()];
    for row in &session.rows(fixed(READINGS_ARRIVED), &rows).await? {
        let (minute, dialect) = (row.need(0)?, <Arc<File> as Product>::DIALECT);
        for (kind, column) in [(READINGS_EXPIRED, 1), (VALUES_EXPIRED, 2)] {
            book_removed(session, dialect, kind, minute, row.need(column)?).await?;
        }
    }
    Ok((session.execute(fixed(DELETE_READINGS), &rows).await?, all))
}

/// Takes and books a device's blocks of sealed readings that end in a day: their other days are
/// before it, and so are over as well.
async fn take_blocks<S: Session>(session: &mut S, device: u32, day: u32) -> Result<u64, Fault> {
    let text = format!(
        "SELECT {} FROM sealed_blocks b WHERE b.device = ? AND b.last_ms BETWEEN ? AND ?",
        BlockRow::columns("b")
    );
    let first_ms = u64::from(day) * DAY_MS;
    let values = [device.into(), first_ms.into(), (first_ms + DAY_MS - 1).into()];
    let mut gone = 0;
    for row in session.rows(sql(text), &values).await? {
        gone += BlockRow::of(&row)?.take(session, <Arc<File> as Product>::DIALECT).await?;
    }
    Ok(gone)
}

/// The size of the file's used pages.
pub(super) async fn sizes(file: &Arc<File>) -> Result<Survey, Fault> {
    const SIZES: &str = "SELECT (pages.page_count - free.freelist_count) * size.page_size \
        FROM pragma_page_count AS pages, pragma_freelist_count AS free, pragma_page_size AS size";
    let rows = file.rows(fixed(SIZES), &[]).await?;
    let row = rows.first().ok_or_else(|| Fault::column(0, "is missing"))?;
    let bytes = row.need(0)?;
    Ok(Survey { bytes, total_bytes: bytes, ..Survey::default() })
}
