//! How readings leave with the devices of a retention class: by the key, some thousand at a
//! time, booked in the transaction that deletes them. Their table has no partitions, and those
//! that stay are not touched.

use super::super::engine::{BlockRow, Fault, Fields as _, Kind, READINGS_EXPIRED, VALUES_EXPIRED};
use super::alone::Alone;
use crate::history::BUCKET_SECONDS;

/// Records of a step, and those of the last device among them.
const AT_ONCE: u64 = 5000;
/// Buckets that one step looks at: a day.
const MOST_BUCKETS: u32 = 288;
/// A step that lost against commits is tried so often.
const TRIES: u32 = 5;
/// Blocks of sealed readings of a step.
const BLOCKS_AT_ONCE: usize = 16;

/// Whose readings leave: what joins them to `r`, and the condition.
#[derive(Clone, Copy)]
struct Leaving<'a> {
    join: &'a str,
    condition: &'a str,
    /// Of blocks of sealed readings, those that end from this bucket on.
    blocks_from: u32,
}

/// The devices that leave the week that is being rewritten.
const LEAVING_WEEK: Leaving<'static> = Leaving {
    join: "JOIN retention_devices l ON l.device = r.device",
    condition: "TRUE",
    blocks_from: 0,
};

/// What a step did.
struct Taken {
    readings: u64,
    /// The first bucket that was not looked at, or not taken to its end.
    next: u32,
}

/// Takes some of the readings that leave the week that is being rewritten, between the next bucket
/// and the end, and notes how far this is; how many.
pub(super) async fn take_of_week(
    alone: &mut Alone<'_>,
    (week, next, below): (u32, u32, u32),
) -> Result<u64, Fault> {
    let leaving = Leaving { blocks_from: week, ..LEAVING_WEEK };
    let range = (next, below);
    let note = |next| Some(format!("UPDATE retention_rewrite SET next_bucket = {next}"));
    take_some(alone, range, leaving, note).await.map(|taken| taken.readings)
}

/// Takes some of the readings before a bucket, of devices that `members` selects (a condition
/// on `d`, their profile); 0 when there are none.
pub(super) async fn take_before(
    alone: &mut Alone<'_>,
    before: u32,
    members: &str,
) -> Result<u64, Fault> {
    let join = "LEFT JOIN devices d ON d.device = r.device";
    let leaving = Leaving { join, condition: members, blocks_from: 0 };
    let mut next = 0;
    while next < before {
        let taken = take_some(alone, (next, before), leaving, |_| None).await?;
        if taken.readings > 0 {
            return Ok(taken.readings);
        }
        next = taken.next;
    }
    Ok(0)
}

async fn take_some(
    alone: &mut Alone<'_>,
    (from, below): (u32, u32),
    leaving: Leaving<'_>,
    note: impl Fn(u32) -> Option<String>,
) -> Result<Taken, Fault> {
    let mut tries = 1;
    loop {
        match take(alone, (from, below), leaving, &note).await {
            Err(fault) if tries < TRIES => alone.take_back(fault).await?,
            done => return done,
        }
        tries += 1;
    }
}

async fn take(
    alone: &mut Alone<'_>,
    (from, below): (u32, u32),
    leaving: Leaving<'_>,
    note: &impl Fn(u32) -> Option<String>,
) -> Result<Taken, Fault> {
    let mut taken = Taken { readings: 0, next: from };
    alone.run("START TRANSACTION".to_owned()).await?;
    for _ in 0..MOST_BUCKETS {
        let text = format!(
            "SELECT MIN(bucket) FROM readings WHERE bucket >= {} AND bucket < {below}",
            taken.next
        );
        let bucket = alone.number_of(text).await?.and_then(|bucket| u32::try_from(bucket).ok());
        let Some(bucket) = bucket else {
            // The rows are gone; then what is sealed.
            let (records, all) = take_blocks(alone, leaving, below).await?;
            taken.readings += records;
            if all {
                taken.next = below;
            }
            break;
        };
        let whole = take_of_bucket(alone, bucket, leaving, &mut taken.readings).await?;
        taken.next = if whole { bucket + 1 } else { bucket };
        if !whole || taken.readings >= AT_ONCE {
            break;
        }
    }
    if let Some(note) = note(taken.next) {
        alone.run(note).await?;
    }
    alone.run("COMMIT".to_owned()).await?;
    Ok(taken)
}

/// Takes and books those of a bucket; whether that were all.
async fn take_of_bucket(
    alone: &mut Alone<'_>,
    bucket: u32,
    Leaving { join, condition, .. }: Leaving<'_>,
    taken: &mut u64,
) -> Result<bool, Fault> {
    let those = format!("readings r {join} WHERE r.bucket = {bucket} AND {condition}");
    let last = alone
        .rows(format!("SELECT r.device FROM {those} ORDER BY r.device LIMIT 1 OFFSET {AT_ONCE}"))
        .await?;
    let last: Option<u32> = last.first().map(|row| row.need(0)).transpose()?;
    let until = last.map(|last| format!(" AND r.device <= {last}")).unwrap_or_default();
    let arrivals = alone
        .rows(format!(
            "SELECT r.received_at_ms DIV 60000, COUNT(*), CAST(SUM(r.value_count) AS UNSIGNED) \
             FROM {those}{until} GROUP BY 1"
        ))
        .await?;
    if arrivals.is_empty() {
        return Ok(true);
    }
    let counts =
        arrivals.iter().map(|row| Ok::<_, Fault>((row.need(0)?, (row.need(1)?, row.need(2)?))));
    let counts: Vec<(u32, (u64, u64))> = counts.collect::<Result<_, _>>()?;
    let found = counts.iter().map(|(_, (records, _))| records).sum::<u64>();
    if alone.run(format!("DELETE r FROM {those}{until}")).await? != found {
        return Err(Fault::new(Kind::Conflict, "readings came while they were deleted"));
    }
    book(alone, counts).await?;
    *taken += found;
    Ok(last.is_none())
}

/// Books records and values that leave, by minute of arrival.
async fn book(
    alone: &mut Alone<'_>,
    counts: impl IntoIterator<Item = (u32, (u64, u64))>,
) -> Result<(), Fault> {
    let lines = counts.into_iter().flat_map(|(minute, (records, values))| {
        [
            format!("('{READINGS_EXPIRED}', {minute}, {records})"),
            format!("('{VALUES_EXPIRED}', {minute}, {values})"),
        ]
    });
    alone
        .run(format!(
            "INSERT INTO removals (kind, minute, removed) VALUES {} \
             ON DUPLICATE KEY UPDATE removed = removed + VALUES(removed)",
            lines.collect::<Vec<_>>().join(", ")
        ))
        .await
        .map(drop)
}

/// Takes and books blocks of sealed readings that end before a bucket; how many records, and
/// whether that were all blocks.
async fn take_blocks(
    alone: &mut Alone<'_>,
    Leaving { join, condition, blocks_from }: Leaving<'_>,
    below: u32,
) -> Result<(u64, bool), Fault> {
    let bucket_ms = |bucket| u64::from(bucket) * u64::from(BUCKET_SECONDS) * 1000;
    let rows = alone
        .rows(format!(
            "SELECT {} FROM sealed_blocks r {join} WHERE r.last_ms >= {} AND r.last_ms < {} \
             AND {condition} ORDER BY r.last_ms LIMIT {BLOCKS_AT_ONCE}",
            BlockRow::columns("r"),
            bucket_ms(blocks_from),
            bucket_ms(below),
        ))
        .await?;
    let mut records = 0;
    for row in &rows {
        let block = BlockRow::of(row)?;
        let (device, first_ms) = block.key();
        let key = format!("WHERE device = {device} AND first_ms = {first_ms}");
        alone.run(format!("DELETE FROM sealed_chunks {key}")).await?;
        if alone.run(format!("DELETE FROM sealed_blocks {key}")).await? != 1 {
            return Err(Fault::new(Kind::Conflict, "a block left while it was deleted"));
        }
        let counts = block.by_minute()?;
        records += counts.values().map(|(records, _)| records).sum::<u64>();
        book(alone, counts).await?;
    }
    Ok((records, rows.len() < BLOCKS_AT_ONCE))
}

/// Forgets the days of devices that leave a week without any position in it, so that the week
/// is not due again for them. Positions that came late keep their days.
pub(super) async fn forget_days(
    alone: &mut Alone<'_>,
    (name, week, below): (&str, u32, u32),
) -> Result<(), Fault> {
    for text in [
        "START TRANSACTION".to_owned(),
        format!(
            "DELETE y FROM device_days y JOIN retention_devices l ON l.device = y.device \
             WHERE y.day >= {week} DIV 288 AND y.day < {below} DIV 288"
        ),
        // Behind the deletion: of a row that is not seen here, its commit writes the day anew.
        format!(
            "INSERT INTO device_days (device, day) SELECT DISTINCT p.device, p.bucket DIV 288 \
             FROM positions PARTITION ({name}) p JOIN retention_devices l ON l.device = p.device \
             ON DUPLICATE KEY UPDATE day = VALUES(day)"
        ),
        "COMMIT".to_owned(),
    ] {
        alone.run(text).await?;
    }
    Ok(())
}
