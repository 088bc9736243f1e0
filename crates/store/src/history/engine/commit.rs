//! The commit that looks: one transaction that writes rows, days, duplicates,
//! letters and the books that describe them, after a look at what is there. It
//! comes after the quick one (`quick.rs`) has found that something is.
//!
//! Tables are always written in the same order and rows in the order of their
//! keys, so that two exporters with the same frames wait for each other rather
//! than deadlock. The books come last: their key (the batch's) is unique, so a
//! doubtful commit that is still running elsewhere makes this one start over,
//! see the key, and leave the batch out.

use std::collections::HashSet;

use async_trait::async_trait;

use super::Engine;
use super::days::DeviceDay;
use super::fault::{Fault, Kind};
use super::insert::insert_rows;
use super::keyed::ReadingsRow;
use super::ladder::{NARROW, WIDE, rungs};
use super::marks::Marks;
use super::plan::{BooksRow, DuplicateRow, Plan, plan};
use super::readings::Prepared;
use super::rows::{LETTER_COLUMNS, LetterRow};
use super::rule_marks::{INSERT_MARK, insert_rule_marks};
use super::sealing::known_again;
use super::seam::{Dialect, Product, Session, sql};
use super::sql::{Join, booked_keys, insert, or_join};
use super::value::{Fields as _, Value};
use super::work::Work;
use nemeses_protocol::{
    BatchKey, Composition, DeviceId, PackedFields, Position, PositionRecord, Record,
};
use nemeses_runtime::Clock;

use crate::StoreError;
use crate::history::{Commits, Committed, Part};

/// A statement of several dead letters holds at most this many bytes of them and
/// of their topics. One letter alone has up to 96 KiB; so a server that takes
/// packets of 1 MiB (`max_allowed_packet`, the smallest default in use) takes all,
/// and no batch stands before it for ever.
const MAX_LETTER_BYTES: usize = 512 * 1024;

/// Who commits nothing.
const REHEARSAL: &str = "rehearsal";

/// Characters of a worker's or exporter's name, as in the tables.
const MAX_WORKER_NAME: usize = 64;

pub(in crate::history) const BOOKS_COLUMNS: &[&str] = &[
    "worker",
    "run",
    "sequence",
    "minute",
    "exporter",
    "received",
    "stored",
    "duplicates",
    "dead_letters",
    "pings",
    "values_received",
    "values_stored",
    "values_duplicate",
    "values_refused",
];

pub(in crate::history) const MARK_COLUMNS: &[&str] = &["slot", "device", "day"];
pub(in crate::history) const DAY_COLUMNS: &[&str] = &["device", "day"];
pub(in crate::history) const DUPLICATE_COLUMNS: &[&str] =
    &["device", "recorded_at", "frame_hash", "times", "last_received_at_ms"];

/// What was written, and which days are certain once it is committed.
#[derive(Default)]
pub(in crate::history) struct Written {
    pub(in crate::history) committed: Vec<Committed>,
    pub(in crate::history) days: Vec<DeviceDay>,
    pub(in crate::history) marks: Marks,
}

/// Writes the parts that are not in the books yet.
struct Commit<'a, P> {
    engine: &'a Engine<P>,
    prepared: &'a Prepared<'a>,
    exporter: &'a str,
}

#[async_trait]
impl<P: Product> Work<P> for Commit<'_, P> {
    type Output = Written;
    const IS_COMMIT: bool = true;

    async fn run(&self, session: &mut P::Session) -> Result<Written, Fault> {
        write_parts(self.engine, session, self.prepared, self.exporter).await
    }
}

/// Writes what is not in the books yet.
pub(in crate::history) async fn write_parts<P: Product>(
    engine: &Engine<P>,
    session: &mut P::Session,
    Prepared { parts, readings, values_refused, concerned }: &Prepared<'_>,
    exporter: &str,
) -> Result<Written, Fault> {
    let booked = booked(session, parts).await?;
    let plan = plan(parts, readings, values_refused, &booked);
    if plan.is_empty() {
        return Ok(Written { committed: plan.settle(&[], &[]).committed, ..Written::default() });
    }
    let (rows, readings) = (plan.rows(), plan.readings());
    let is_new = insert_rows(session, &rows).await?;
    let mut readings_new = insert_rows(session, &readings).await?;
    known_again(session, &readings, &mut readings_new, &engine.sealed_to).await?;
    let rule_marks = concerned.marks(&new(&rows, &is_new), &new(&readings, &readings_new));
    insert_rule_marks(session, &rule_marks).await?;
    let touched = plan.position_days();
    let marks = engine.marks.missing(&touched);
    let days = engine.days.unknown(&plan.days(touched));
    insert_days::<P>(session, &days).await?;
    insert_marks::<P>(session, &marks).await?;
    let settled = plan.settle(&is_new, &readings_new);
    insert_duplicates::<P>(session, &settled.duplicates).await?;
    insert_letters(session, &plan).await?;
    insert_books(session, &settled.books, exporter).await?;
    marks.still_open()?;
    Ok(Written { committed: settled.committed, days, marks })
}

/// Those that are new.
fn new<'a, T>(rows: &[&'a T], is_new: &[bool]) -> Vec<&'a T> {
    rows.iter().zip(is_new).filter(|(_, is_new)| **is_new).map(|(row, _)| *row).collect()
}

/// Which of the parts' keys are in the books.
async fn booked<S: Session>(
    session: &mut S,
    parts: &[Part],
) -> Result<HashSet<(String, u64, u64)>, Fault> {
    let mut booked = HashSet::new();
    for parts in rungs(parts, NARROW) {
        let values: Vec<Value<'_>> =
            parts.iter().flat_map(|part| batch_values(&part.key)).collect();
        for row in session.rows(sql(booked_keys(parts.len())), &values).await? {
            booked.insert((row.text(0)?, row.hash(1)?, row.hash(2)?));
        }
    }
    Ok(booked)
}

fn batch_values(key: &nemeses_protocol::BatchKey) -> [Value<'_>; 3] {
    [key.worker.as_str().into(), Value::Hash(key.run), Value::Hash(key.sequence)]
}

async fn insert_days<P: Product>(
    session: &mut P::Session,
    days: &[DeviceDay],
) -> Result<(), Fault> {
    for days in rungs(days, WIDE) {
        let values: Vec<Value<'_>> =
            days.iter().flat_map(|(device, day)| [(*device).into(), (*day).into()]).collect();
        let text = insert("device_days", DAY_COLUMNS, days.len()) + &join_days(P::DIALECT);
        session.execute(sql(text), &values).await?;
    }
    Ok(())
}

async fn insert_marks<P: Product>(session: &mut P::Session, marks: &Marks) -> Result<(), Fault> {
    let rows: Vec<_> = marks.values().collect();
    for rows in rungs(&rows, WIDE) {
        let text = insert("daily_marks", MARK_COLUMNS, rows.len()) + &join_marks(P::DIALECT);
        session.execute(sql(text), rows.as_flattened()).await?;
    }
    Ok(())
}

/// A mark that is there already stays.
pub(in crate::history) fn join_marks(dialect: Dialect) -> String {
    or_join("", dialect, MARK_COLUMNS, &[("day", Join::Keep)])
}

/// A day that is known already stays.
pub(in crate::history) fn join_days(dialect: Dialect) -> String {
    or_join("", dialect, DAY_COLUMNS, &[("day", Join::Keep)])
}

/// What came again before is counted on.
pub(in crate::history) fn join_duplicates(dialect: Dialect) -> String {
    let set = [("times", Join::Add), ("last_received_at_ms", Join::Larger)];
    or_join("", dialect, &DUPLICATE_COLUMNS[..3], &set)
}

async fn insert_duplicates<P: Product>(
    session: &mut P::Session,
    duplicates: &[DuplicateRow],
) -> Result<(), Fault> {
    for rows in rungs(duplicates, WIDE) {
        let values: Vec<Value<'_>> = rows.iter().flat_map(duplicate_values).collect();
        let text =
            insert("duplicates", DUPLICATE_COLUMNS, rows.len()) + &join_duplicates(P::DIALECT);
        session.execute(sql(text), &values).await?;
    }
    Ok(())
}

pub(in crate::history) fn duplicate_values(row: &DuplicateRow) -> [Value<'static>; 5] {
    [
        row.device.into(),
        row.recorded_at.into(),
        Value::Hash(row.hash),
        row.times.into(),
        row.last_received_at_ms.into(),
    ]
}

pub(in crate::history) async fn insert_letters<S: Session>(
    session: &mut S,
    plan: &Plan<'_>,
) -> Result<(), Fault> {
    for letters in rungs(&plan.letters, NARROW) {
        let bytes: usize =
            letters.iter().map(|row| row.letter.bytes.len() + row.letter.topic.len()).sum();
        let at_once = if bytes > MAX_LETTER_BYTES { 1 } else { letters.len() };
        for letters in letters.chunks(at_once) {
            let values: Vec<Value<'_>> = letters.iter().flat_map(LetterRow::values).collect();
            let text = insert("dead_letters", LETTER_COLUMNS, letters.len());
            session.execute(sql(text), &values).await.map_err(Fault::lost_race)?;
        }
    }
    Ok(())
}

async fn insert_books<S: Session>(
    session: &mut S,
    books: &[BooksRow<'_>],
    exporter: &str,
) -> Result<(), Fault> {
    for rows in rungs(books, WIDE) {
        let values: Vec<Value<'_>> =
            rows.iter().flat_map(|row| books_values(row, exporter)).collect();
        let text = insert("books", BOOKS_COLUMNS, rows.len());
        session.execute(sql(text), &values).await.map_err(Fault::lost_race)?;
    }
    Ok(())
}

pub(in crate::history) fn books_values<'a>(
    row: &'a BooksRow<'_>,
    exporter: &'a str,
) -> [Value<'a>; 14] {
    let [worker, run, sequence] = batch_values(row.key);
    let totals = row.totals;
    [
        worker,
        run,
        sequence,
        row.minute.into(),
        exporter.into(),
        totals.received.into(),
        totals.stored.into(),
        totals.duplicates.into(),
        totals.dead_letters.into(),
        totals.pings.into(),
        totals.values_received.into(),
        totals.values_stored.into(),
        totals.values_duplicate.into(),
        totals.values_refused.into(),
    ]
}

#[async_trait]
impl<P: Product> Commits for Engine<P> {
    async fn commit(&self, parts: &[Part], exporter: &str) -> Result<Vec<Committed>, StoreError> {
        self.commit_parts(parts, exporter).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn rehearse(&self) -> Result<(), StoreError> {
        Self::rehearse(self).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn probe(&self, records: &[Record]) -> Result<(), StoreError> {
        self.try_records(records).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.product.settle().await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn note_last(&self, before_ms: u64) -> Result<usize, StoreError> {
        self.note_last(before_ms).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn recall_last(&self) -> Result<usize, StoreError> {
        self.recall_last().await.map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    /// Commits the parts; the days are learnt only once they are durable.
    pub(in crate::history) async fn commit_parts(
        &self,
        parts: &[Part],
        exporter: &str,
    ) -> Result<Vec<Committed>, Fault> {
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        check_names(parts.iter().map(|part| part.key.worker.as_str()).chain([exporter]))?;
        let prepared = self.prepare(parts).await?;
        let written = if let Some(written) = self.commit_new(&prepared, exporter).await? {
            written
        } else {
            self.product.before_commit(&prepared.parts).await?;
            let work = Commit { engine: self, prepared: &prepared, exporter };
            let written = self.transact(work).await?;
            self.doubts.learn(&written.committed);
            written
        };
        self.days.learn(&written.days);
        self.marks.learn(&written.marks);
        self.product.committed(&prepared.parts);
        self.lasts.learn(&prepared.parts, Clock::system().now_ms());
        if !prepared.concerned.nobody() {
            self.rules_wake.notify_one();
        }
        Ok(written.committed)
    }

    /// Writes what a commit writes, of a device that there is not, and takes it back.
    pub(in crate::history) async fn rehearse(&self) -> Result<(), Fault> {
        let parts = [rehearsed()];
        let readings = [rehearsed_readings()];
        let plan = plan(&parts, &readings, &[0], &HashSet::new());
        let mut session = self.product.begin().await?;
        let outcome = self.rehearse_in(&mut session, &plan).await;
        let rolled_back = session.rollback().await;
        outcome.and(rolled_back)
    }

    async fn rehearse_in(&self, session: &mut P::Session, plan: &Plan<'_>) -> Result<(), Fault> {
        let is_new = insert_rows(session, &plan.rows()).await?;
        let readings_new = insert_rows(session, &plan.readings()).await?;
        // A real mark would use up a number each time.
        let no_mark =
            INSERT_MARK.replace("VALUES (?)", "SELECT packed FROM rule_marks WHERE 1 = 0");
        session.execute(sql(no_mark), &[]).await?;
        let days = plan.position_days();
        insert_days::<P>(session, &days).await?;
        insert_marks::<P>(session, &self.marks.missing(&days)).await?;
        let settled = plan.settle(&is_new, &readings_new);
        insert_duplicates::<P>(session, &settled.duplicates).await?;
        // A real letter would use up a number each time.
        let columns = LETTER_COLUMNS.join(", ");
        let no_letter = format!(
            "INSERT INTO dead_letters ({columns}) SELECT {columns} FROM dead_letters WHERE 1 = 0"
        );
        session.execute(sql(no_letter), &[]).await?;
        insert_books(session, &settled.books, REHEARSAL).await
    }

    /// Writes the records and takes them back.
    pub(in crate::history) async fn try_records(&self, records: &[Record]) -> Result<(), Fault> {
        let key = BatchKey { worker: "probe".to_owned(), run: 0, sequence: 0 };
        let parts = [Part { key, tallies: Vec::new(), records: records.to_vec() }];
        let prepared = self.prepare(&parts).await?;
        let Prepared { parts, readings, values_refused, .. } = &prepared;
        let plan = plan(parts, readings, values_refused, &HashSet::new());
        let mut session = self.product.begin().await?;
        let outcome = try_plan::<P>(&mut session, &plan).await;
        let rolled_back = session.rollback().await;
        outcome.and(rolled_back)
    }
}

/// The same frame twice: a row, and a duplicate of it.
fn rehearsed() -> Part {
    let position = Position {
        device: DeviceId::NONE,
        recorded_at: 0,
        direction_cdeg: 0,
        odometer_m: 0,
        hour_meter_min: 0,
        composition: Composition(0),
        extension: Some(0),
        speed_kmh: 0,
        latitude_udeg: 0,
        longitude_udeg: 0,
    };
    let packed = Some(PackedFields::from_stored(Box::default()));
    let record = PositionRecord { position, frame_hash: 0, received_at_ms: 0, packed };
    let record = Record::Position(record);
    let key = BatchKey { worker: REHEARSAL.to_owned(), run: u64::MAX, sequence: 0 };
    Part { key, tallies: Vec::new(), records: vec![record.clone(), record] }
}

fn rehearsed_readings() -> ReadingsRow {
    ReadingsRow {
        part: 0,
        device: DeviceId::NONE,
        recorded_at_ms: 0,
        content_hash: 0,
        received_at_ms: 0,
        timeless: false,
        value_count: 0,
        packed: Vec::new(),
    }
}

/// A name that is too long for its column would make the database refuse every
/// row of the batch, good frames and all: that is a setting to be mended.
fn check_names<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<(), Fault> {
    let long = names.find(|name| name.chars().count() > MAX_WORKER_NAME);
    long.map_or(Ok(()), |name| {
        let detail = format!("the worker's name {name:?} is longer than {MAX_WORKER_NAME}");
        Err(Fault::new(Kind::Configuration, detail))
    })
}

/// Everything that a commit writes of the records themselves.
async fn try_plan<P: Product>(session: &mut P::Session, plan: &Plan<'_>) -> Result<(), Fault> {
    let is_new = insert_rows(session, &plan.rows()).await?;
    let readings_new = insert_rows(session, &plan.readings()).await?;
    insert_days::<P>(session, &plan.days(plan.position_days())).await?;
    insert_duplicates::<P>(session, &plan.settle(&is_new, &readings_new).duplicates).await?;
    insert_letters(session, plan).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_too_long_for_its_column_is_a_setting_to_mend() {
        let (fits, long) = ("x".repeat(MAX_WORKER_NAME), "x".repeat(MAX_WORKER_NAME + 1));
        assert_eq!(check_names([fits.as_str(), "b"].into_iter()), Ok(()));
        let fault = check_names(["a", long.as_str()].into_iter()).unwrap_err();
        assert_eq!(fault.kind, Kind::Configuration);
    }
}
