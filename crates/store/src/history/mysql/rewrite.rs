//! How the devices of a retention class leave weeks that others stay in: what stays is
//! copied into an empty table, in the order of the key and some 100 000 rows at a
//! time, and the two are exchanged.
//!
//! A row of `retention_rewrite` says how far this is, and each step moves it on in the
//! transaction that does the work; so the next step, of whatever process, goes on
//! where the last one ended. Rows that came during the copy are found in the old table after
//! the exchange and added; their days are marked, so that their sums are added up again. What
//! left is booked in `removals`. Readings leave last: their devices' days are forgotten then.

use std::sync::Arc;

use super::super::devices::DEFAULT_RETENTION;
use super::super::engine::{EXPIRED, Fault, Fields as _, Kind, Marks};
use super::super::retention::{BucketLimit, Step};
use super::Server;
use super::alone::Alone;
use super::class_readings::{self, forget_days};
use super::layout::{PAST, Thinned, weeks_to_thin};
use super::sparse::take_some;
use super::storage::weeks_can_leave;

/// Rows that one step copies, about: a second or two, of which commits notice nothing.
const ROWS_AT_ONCE: u64 = 100_000;
/// Buckets that one step copies at most: a day.
const MOST_BUCKETS: u64 = 288;
/// A week is rewritten again no sooner than this, however many late rows it gets.
const AGAIN_AFTER_MS: u64 = 7 * 86_400_000;
/// A step of counting that lost against commits is tried so often: until it is done, what
/// came late cannot be seen.
const COUNT_TRIES: u32 = 5;

const UNDER_WAY: &str = "SELECT week, below, name, classes, phase, next_bucket, step_buckets, \
    witness_bucket, witness_device, witness_at, witness_hash FROM retention_rewrite";
const DROP_COPY: &str = "DROP TABLE IF EXISTS positions_copy";
const WITNESS_IS_OUT: &str = "SELECT EXISTS (SELECT 1 FROM positions_copy c JOIN retention_rewrite r \
    ON c.bucket = r.witness_bucket AND c.device = r.witness_device \
    AND c.recorded_at = r.witness_at AND c.frame_hash = r.witness_hash)";
const SAME_ROW: &str = "n.bucket = o.bucket AND n.device = o.device \
    AND n.recorded_at = o.recorded_at AND n.frame_hash = o.frame_hash";

/// Where the rewriting of a week stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Copy,
    Count,
    Done,
}

/// The row of `retention_rewrite`.
struct Rewrite {
    week: u32,
    below: u32,
    name: String,
    classes: Vec<String>,
    phase: Phase,
    next: u32,
    step: u32,
    has_witness: bool,
}

impl Rewrite {
    /// Whether the whole week is over for all classes that leave it.
    fn is_over(&self, over: &[BucketLimit]) -> bool {
        let is_over = |class: &String| {
            over.iter().any(|limit| limit.class == *class && self.below <= limit.before)
        };
        self.classes.iter().all(is_over)
    }
}

/// Moves the rewriting under way on, or begins with the oldest week that is due.
pub(super) async fn step(server: &Arc<Server>, over: &[BucketLimit]) -> Result<Step, Fault> {
    let Some(mut alone) = Alone::take(server).await? else {
        return Ok(Step { busy: true, ..Step::default() });
    };
    weeks_can_leave(&mut alone).await?;
    let step = match go_on(&mut alone).await? {
        Some(step) => step,
        None => begin_next(&mut alone, over).await?,
    };
    alone.close().await?;
    Ok(step)
}

/// Moves the rewriting under way on, if one is; before the exchange only when its classes
/// are over by these limits.
pub(super) async fn finish_step(server: &Arc<Server>, over: &[BucketLimit]) -> Result<Step, Fault> {
    let Some(mut alone) = Alone::take(server).await? else {
        return Ok(Step { busy: true, ..Step::default() });
    };
    let step = match under_way(&mut alone).await? {
        Some(rewrite)
            if rewrite.phase != Phase::Copy
                || rewrite.is_over(over)
                || has_left(&mut alone, &rewrite).await? =>
        {
            advance(&mut alone, &rewrite).await?
        }
        _ => Step::default(),
    };
    alone.close().await?;
    Ok(step)
}

/// Moves the rewriting under way on, if one is.
pub(super) async fn go_on(alone: &mut Alone<'_>) -> Result<Option<Step>, Fault> {
    let Some(rewrite) = under_way(alone).await? else { return Ok(None) };
    advance(alone, &rewrite).await.map(Some)
}

async fn advance(alone: &mut Alone<'_>, rewrite: &Rewrite) -> Result<Step, Fault> {
    let step = Step { more: true, ..Step::default() };
    Ok(match rewrite.phase {
        Phase::Copy if rewrite.next < rewrite.below => {
            copy_some(alone, rewrite).await?;
            step
        }
        Phase::Copy => {
            exchange(alone, rewrite).await?;
            Step { days_forgotten: true, ..step }
        }
        Phase::Count if rewrite.next < rewrite.below => {
            Step { removed: count_some(alone, rewrite).await?, ..step }
        }
        Phase::Count => {
            move_on(alone, readings_next(rewrite)).await?;
            step
        }
        Phase::Done if rewrite.next < rewrite.below => {
            let range = (rewrite.week, rewrite.next, rewrite.below);
            Step { readings: class_readings::take_of_week(alone, range).await?, ..step }
        }
        Phase::Done => {
            finish(alone, rewrite).await?;
            Step { weeks: u32::from(rewrite.has_witness), ..step }
        }
    })
}

/// Whether the exchange was done, of which there may be no note.
async fn has_left(alone: &mut Alone<'_>, rewrite: &Rewrite) -> Result<bool, Fault> {
    Ok(rewrite.has_witness && alone.flag(WITNESS_IS_OUT.to_owned()).await?)
}

async fn under_way(alone: &mut Alone<'_>) -> Result<Option<Rewrite>, Fault> {
    let rows = alone.rows(UNDER_WAY.to_owned()).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let phase = match row.need::<u8>(4)? {
        0 => Phase::Copy,
        1 => Phase::Count,
        _ => Phase::Done,
    };
    Ok(Some(Rewrite {
        week: row.need(0)?,
        below: row.need(1)?,
        name: row.text(2)?,
        classes: row.text(3)?.split(',').map(str::to_owned).collect(),
        phase,
        next: row.need(5)?,
        step: row.need(6)?,
        has_witness: row.number(7)?.is_some(),
    }))
}

/// Begins with the oldest week that holds rows of classes that are over.
async fn begin_next(alone: &mut Alone<'_>, over: &[BucketLimit]) -> Result<Step, Fault> {
    let present = alone.partitions().await?;
    for week in weeks_to_thin(&present, over) {
        if !is_due(alone, &week).await? {
            continue;
        }
        if alone.flag(format!("SELECT EXISTS ({})", leaving(&week)?)).await? {
            begin(alone, &week).await?;
            return Ok(Step { more: true, ..Step::default() });
        }
        let noted = note_done(week.week, &week.classes);
        alone.run(noted).await?;
    }
    let past = present.iter().find(|partition| partition.name == PAST);
    take_of_past(alone, past.and_then(|past| past.below), over).await
}

/// Takes rows of classes that are over out of the past where others in it are not, and so
/// it cannot be rewritten as a whole.
async fn take_of_past(
    alone: &mut Alone<'_>,
    below: Option<u32>,
    over: &[BucketLimit],
) -> Result<Step, Fault> {
    let Some(below) = below else { return Ok(Step::default()) };
    for limit in over.iter().filter(|limit| limit.before < below) {
        let members = members(&[quoted(&limit.class)?]);
        let removed = take_some(alone, limit.before, Some(&members)).await?;
        if removed > 0 {
            return Ok(Step { removed, more: true, ..Step::default() });
        }
        let readings = class_readings::take_before(alone, limit.before, &members).await?;
        if readings > 0 {
            return Ok(Step { readings, more: true, ..Step::default() });
        }
    }
    Ok(Step::default())
}

/// The condition on a device's profile `d` that it is of one of these classes, which are
/// quoted: one that nobody has said anything of has no profile.
fn members(classes: &[String]) -> String {
    let is_named = format!("d.retention IN ({})", classes.join(", "));
    if classes.iter().any(|class| class.trim_matches('\'') == DEFAULT_RETENTION) {
        format!("(d.device IS NULL OR {is_named})")
    } else {
        is_named
    }
}

/// Whether a week was not looked at for one of its classes, or not for long.
async fn is_due(alone: &mut Alone<'_>, week: &Thinned) -> Result<bool, Fault> {
    let text = format!(
        "SELECT class, UNIX_TIMESTAMP() * 1000 > done_at_ms + {AGAIN_AFTER_MS} \
         FROM retention_weeks WHERE week = {}",
        week.week
    );
    let mut done = Vec::new();
    for row in alone.rows(text).await? {
        if row.need::<u64>(1)? == 0 {
            done.push(row.text(0)?);
        }
    }
    Ok(week.classes.iter().any(|class| !done.contains(class)))
}

/// Selects the devices that leave a week. They are found by their days, without reading
/// positions.
fn leaving(week: &Thinned) -> Result<String, Fault> {
    let classes: Vec<String> =
        week.classes.iter().map(|class| quoted(class)).collect::<Result<_, _>>()?;
    let members = members(&classes);
    let days = format!("y.day >= {} DIV 288 AND y.day < {} DIV 288", week.week, week.below);
    Ok(if week.takes_default() {
        format!(
            "SELECT DISTINCT y.device FROM device_days y LEFT JOIN devices d ON d.device = y.device \
             WHERE {members} AND {days}"
        )
    } else {
        format!(
            "SELECT DISTINCT y.device FROM devices d JOIN device_days y ON y.device = d.device \
             WHERE {members} AND {days}"
        )
    })
}

/// A class's name as SQL: names have no character that would need more than quotes.
fn quoted(class: &str) -> Result<String, Fault> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if !class.is_empty() && class.bytes().all(plain) {
        Ok(format!("'{class}'"))
    } else {
        let detail = format!("{class:?} is no name of a retention class: write a-z, 0-9, - and _");
        Err(Fault::new(Kind::Configuration, detail))
    }
}

async fn begin(alone: &mut Alone<'_>, week: &Thinned) -> Result<(), Fault> {
    let rows = alone.number_of(format!(
        "SELECT CAST(MAX(table_rows) AS UNSIGNED) FROM information_schema.partitions \
         WHERE table_schema = DATABASE() AND table_name = 'positions' AND partition_name = '{}'",
        week.name
    ));
    let step = buckets_at_once(rows.await?.unwrap_or_default());
    for text in [
        DROP_COPY.to_owned(),
        "DELETE FROM retention_devices".to_owned(),
        format!("INSERT INTO retention_devices (device) {}", leaving(week)?),
        alone.definition_of_positions("positions_copy").await?,
        format!(
            "INSERT INTO retention_rewrite (week, below, name, classes, phase, next_bucket, \
             step_buckets) VALUES ({week}, {below}, '{name}', '{classes}', 0, {week}, {step})",
            week = week.week,
            below = week.below,
            name = week.name,
            classes = week.classes.join(","),
        ),
    ] {
        alone.run(text).await?;
    }
    Ok(())
}

/// Buckets of a week of so many rows that hold about [`ROWS_AT_ONCE`].
fn buckets_at_once(rows: u64) -> u32 {
    let buckets = ROWS_AT_ONCE * 7 * MOST_BUCKETS / rows.max(1);
    u32::try_from(buckets.clamp(1, MOST_BUCKETS)).unwrap_or(1)
}

/// The next buckets that hold rows, from those of `table`: the first, and the one behind
/// the last.
async fn next_buckets(
    alone: &mut Alone<'_>,
    rewrite: &Rewrite,
    table: &str,
) -> Result<Option<(u32, u32)>, Fault> {
    let text = format!(
        "SELECT MIN(bucket) FROM {table} WHERE bucket >= {} AND bucket < {}",
        rewrite.next, rewrite.below
    );
    let from = alone.number_of(text).await?.and_then(|bucket| u32::try_from(bucket).ok());
    Ok(from.map(|from| (from, from.saturating_add(rewrite.step).min(rewrite.below))))
}

async fn move_on(alone: &mut Alone<'_>, set: String) -> Result<(), Fault> {
    alone.run(format!("UPDATE retention_rewrite SET {set}")).await.map(drop)
}

/// Copies the next rows that stay, and looks for one that leaves.
async fn copy_some(alone: &mut Alone<'_>, rewrite: &Rewrite) -> Result<(), Fault> {
    let table = format!("positions PARTITION ({})", rewrite.name);
    let Some((from, to)) = next_buckets(alone, rewrite, &table).await? else {
        return move_on(alone, format!("next_bucket = {}", rewrite.below)).await;
    };
    let range = format!("o.bucket >= {from} AND o.bucket < {to}");
    alone.run("START TRANSACTION".to_owned()).await?;
    alone
        .run(format!(
            "INSERT INTO positions_copy SELECT STRAIGHT_JOIN o.* FROM {table} o \
             LEFT JOIN retention_devices l ON l.device = o.device WHERE l.device IS NULL AND {range} \
             ORDER BY o.bucket, o.device, o.recorded_at, o.frame_hash"
        ))
        .await?;
    if !rewrite.has_witness {
        alone
            .run(format!(
                "UPDATE retention_rewrite r JOIN (SELECT STRAIGHT_JOIN o.bucket, o.device, \
                 o.recorded_at, o.frame_hash FROM {table} o JOIN retention_devices l \
                 ON l.device = o.device WHERE {range} LIMIT 1) w SET r.witness_bucket = w.bucket, \
                 r.witness_device = w.device, r.witness_at = w.recorded_at, \
                 r.witness_hash = w.frame_hash"
            ))
            .await?;
    }
    move_on(alone, format!("next_bucket = {to}")).await?;
    alone.run("COMMIT".to_owned()).await.map(drop)
}

/// The readings leave now.
fn readings_next(rewrite: &Rewrite) -> String {
    format!("phase = 2, next_bucket = {}", rewrite.week)
}

/// Puts the copy in the place of the week; without a row that leaves there is no need.
async fn exchange(alone: &mut Alone<'_>, rewrite: &Rewrite) -> Result<(), Fault> {
    if !rewrite.has_witness {
        forget_days(alone, (&rewrite.name, rewrite.week, rewrite.below)).await?;
        return move_on(alone, readings_next(rewrite)).await;
    }
    if !has_left(alone, rewrite).await? {
        let (first, below) = (rewrite.week, rewrite.below);
        // Before the exchange: a late row that comes after it writes its day anew.
        alone
            .run(format!(
                "DELETE y FROM device_days y JOIN retention_devices l ON l.device = y.device \
                 WHERE y.day >= {first} DIV 288 AND y.day < {below} DIV 288"
            ))
            .await?;
        let text = format!(
            "ALTER TABLE positions EXCHANGE PARTITION {} WITH TABLE positions_copy",
            rewrite.name
        );
        // MariaDB before 11.4 does not know the words; it reads the copy through, and
        // commits wait that long.
        let unread = alone.try_words(format!("{text} WITHOUT VALIDATION")).await?;
        if !unread {
            alone.run(text).await?;
        }
    }
    move_on(alone, format!("phase = 1, next_bucket = {}", rewrite.week)).await
}

/// Adds the next rows that came during the copy, and books those that left.
async fn count_some(alone: &mut Alone<'_>, rewrite: &Rewrite) -> Result<u64, Fault> {
    let Some(buckets) = next_buckets(alone, rewrite, "positions_copy").await? else {
        move_on(alone, format!("next_bucket = {}", rewrite.below)).await?;
        return Ok(0);
    };
    let mut tries = 1;
    loop {
        match count_buckets(alone, buckets).await {
            Err(fault) if tries < COUNT_TRIES => alone.take_back(fault).await?,
            done => return done,
        }
        tries += 1;
    }
}

/// Adds and books the rows of these buckets, in one transaction.
async fn count_buckets(alone: &mut Alone<'_>, (from, to): (u32, u32)) -> Result<u64, Fault> {
    let tables = format!(
        "positions_copy o LEFT JOIN retention_devices l ON l.device = o.device \
         LEFT JOIN positions n ON {SAME_ROW} WHERE o.bucket >= {from} AND o.bucket < {to}"
    );
    alone.run("START TRANSACTION".to_owned()).await?;
    // Sums of their days may have been added up since the exchange, without them.
    let marks = Marks::none_yet();
    alone
        .run(format!(
            "INSERT INTO daily_marks (slot, device, day) \
             SELECT DISTINCT STRAIGHT_JOIN {slot}, o.device, o.bucket DIV 288 FROM {tables} \
             AND l.device IS NULL AND n.device IS NULL \
             ON DUPLICATE KEY UPDATE slot = VALUES(slot)",
            slot = marks.slot(),
        ))
        .await?;
    alone
        .run(format!(
            "INSERT INTO positions SELECT STRAIGHT_JOIN o.* FROM {tables} \
             AND l.device IS NULL AND n.device IS NULL"
        ))
        .await?;
    // A row that came during the copy and once more after the exchange was stored
    // twice: the second stays, as its other time of arrival tells, the first is booked.
    let left = alone
        .rows(format!(
            "SELECT STRAIGHT_JOIN o.received_at_ms DIV 60000, COUNT(*) FROM {tables} \
             AND (l.device IS NOT NULL OR n.received_at_ms <> o.received_at_ms) GROUP BY 1"
        ))
        .await?;
    let mut removed = 0;
    let mut lines = Vec::with_capacity(left.len());
    for row in &left {
        let (minute, rows): (u32, u64) = (row.need(0)?, row.need(1)?);
        lines.push(format!("('{EXPIRED}', {minute}, {rows})"));
        removed += rows;
    }
    if !lines.is_empty() {
        alone
            .run(format!(
                "INSERT INTO removals (kind, minute, removed) VALUES {} \
                 ON DUPLICATE KEY UPDATE removed = removed + VALUES(removed)",
                lines.join(", ")
            ))
            .await?;
    }
    move_on(alone, format!("next_bucket = {to}")).await?;
    marks.still_open()?;
    alone.run("COMMIT".to_owned()).await?;
    Ok(removed)
}

/// Notes that the week is done, and tidies up.
async fn finish(alone: &mut Alone<'_>, rewrite: &Rewrite) -> Result<(), Fault> {
    for text in [
        DROP_COPY.to_owned(),
        "START TRANSACTION".to_owned(),
        note_done(rewrite.week, &rewrite.classes),
        "DELETE FROM retention_devices".to_owned(),
        "DELETE FROM retention_rewrite".to_owned(),
        "COMMIT".to_owned(),
    ] {
        alone.run(text).await?;
    }
    Ok(())
}

/// Names of classes were read by [`quoted`] before.
fn note_done(week: u32, classes: &[String]) -> String {
    let lines: Vec<String> = classes
        .iter()
        .map(|class| format!("({week}, '{class}', UNIX_TIMESTAMP() * 1000)"))
        .collect();
    format!(
        "INSERT INTO retention_weeks (week, class, done_at_ms) VALUES {} \
         ON DUPLICATE KEY UPDATE done_at_ms = VALUES(done_at_ms)",
        lines.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(classes: &[&str]) -> Thinned {
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        Thinned { name: "w".to_owned(), week: 2016, below: 4032, classes }
    }

    #[test]
    fn a_step_is_some_rows_and_a_day_at_most() {
        assert_eq!(buckets_at_once(0), 288);
        assert_eq!(buckets_at_once(2_016_000), 100);
        assert_eq!(buckets_at_once(u64::MAX), 1);
    }

    #[test]
    fn a_device_without_a_profile_leaves_with_the_default_class() {
        assert!(!leaving(&week(&["short"])).unwrap().contains("IS NULL"));
        assert!(leaving(&week(&["default", "short"])).unwrap().contains("d.device IS NULL"));
        assert!(leaving(&week(&["x' OR 1 --"])).is_err());
    }
}
