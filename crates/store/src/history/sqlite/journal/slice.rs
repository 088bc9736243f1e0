//! Moves rows of the journal to where they belong, and counts those that are there
//! already as what they are: duplicates of their batch.

use std::sync::Arc;

use nemeses_protocol::PositionRecord;

use super::super::super::engine::{
    BOOKS_COLUMNS, DUPLICATE_COLUMNS, Dialect, DuplicateRow, Fault, INSERT_MARK, Kind,
    POSITION_COLUMNS, Session as _, Value, WIDE, duplicate_values, fixed, insert, insert_bulk,
    insert_of, insert_rows, join_duplicates, minute_of, rungs, sql,
};
use super::super::{File, FileSession};
use super::Sizes;
use super::group::{Row, equals};
use super::held::{self, Held, Mark, Step};

/// Fails (NULL is refused) when the group is not where it was.
const CHANGE: &str = "UPDATE pending_group SET \
    done = CASE WHEN up_to = ? AND done = ? THEN ? END, up_to = ? WHERE id = 1";
const FORGET: &str = "DELETE FROM pending WHERE id <= ?";
/// Fails when the number is taken or was.
const PENDING: &str = "INSERT INTO pending (id, records) VALUES (?, CASE WHEN NOT EXISTS \
    (SELECT 1 FROM pending_group WHERE up_to >= ?) THEN ? END)";
const CORRECT: &str = "UPDATE books SET stored = stored - 1, duplicates = duplicates + 1 \
    WHERE worker = ? AND run = ? AND sequence = ? AND minute = ?";

/// A transaction in one request. Its text depends on few things, so that it is
/// prepared once: how many slices it moves (three with 2000 rows), and the number of lines of the books.
pub(super) struct Request<'a> {
    text: String,
    values: Vec<Value<'a>>,
}

impl<'a> Request<'a> {
    pub(super) fn begin() -> Self {
        Self { text: "BEGIN IMMEDIATE".to_owned(), values: Vec::new() }
    }

    fn add(&mut self, text: &str) {
        self.text.push(';');
        self.text.push_str(text);
    }

    /// Moves the slices that are due, whole ones; then tells what the table says
    /// afterwards, and how many rows moved.
    pub(super) fn slices(&mut self, held: &'a Held, sizes: Sizes) -> Option<(Mark, usize)> {
        let step = held.next_along()?;
        self.values.reserve(step.rows.len() * POSITION_COLUMNS.len());
        for rows in step.rows.chunks(sizes.statement) {
            let rows: Vec<&PositionRecord> = rows.iter().map(|row| &row.record).collect();
            let text = insert_of(Dialect::Sqlite, &rows, &mut self.values);
            self.add(&text);
        }
        self.add(CHANGE);
        self.values.extend(Mark::change(step.before, step.after));
        Some((step.after, step.rows.len()))
    }

    pub(super) fn pending(&mut self, id: i64, bytes: &'a [u8]) {
        self.add(PENDING);
        self.values.extend([Value::Signed(id), Value::Signed(id), Value::Bytes(bytes)]);
    }

    /// What the rules are to look at.
    pub(super) fn rule_marks(&mut self, marks: &'a [Vec<u8>]) {
        for mark in marks {
            self.add(INSERT_MARK);
            self.values.push(Value::Bytes(mark));
        }
    }

    pub(super) fn books(&mut self, rows: &[[Value<'a>; 14]]) {
        self.add(&insert("books", BOOKS_COLUMNS, rows.len()));
        self.values.extend_from_slice(rows.as_flattened());
    }

    pub(super) fn end(mut self) -> (String, Vec<Value<'a>>) {
        self.add("COMMIT");
        (self.text, self.values)
    }
}

/// Moves the next slice in a transaction of its own.
pub(super) async fn move_next(file: &Arc<File>, held: &mut Held) -> Result<(), Fault> {
    held.seal();
    match moved_alone(file, held, Manner::Quick).await {
        Err(fault) if fault.kind == Kind::Taken => move_carefully(file, held).await,
        other => other,
    }
}

/// The same, when a row of it may be there already.
pub(super) async fn move_carefully(file: &Arc<File>, held: &mut Held) -> Result<(), Fault> {
    held.seal();
    moved_alone(file, held, Manner::Careful).await
}

#[derive(Clone, Copy)]
enum Manner {
    /// Takes all rows to be new.
    Quick,
    /// Looks.
    Careful,
}

async fn moved_alone(file: &Arc<File>, held: &mut Held, manner: Manner) -> Result<(), Fault> {
    let Some(step) = held.next() else { return Ok(()) };
    let mut session = file.begin_on(&file.writer, "BEGIN IMMEDIATE").await?;
    let (after, rows) = (step.after, step.rows.len());
    match move_in(&mut session, &step, manner).await {
        Ok(()) => session.commit().await?,
        // Dropped, the session closes its connection.
        Err(fault) if fault.kind == Kind::Unavailable => return Err(fault),
        Err(fault) => {
            // A session that cannot be rolled back closes its connection.
            let _ = session.rollback().await;
            return Err(fault);
        }
    }
    held.moved(after, rows);
    Ok(())
}

/// Moves all there is within a transaction that goes on.
pub(super) async fn move_all_in(session: &mut FileSession, sizes: Sizes) -> Result<(), Fault> {
    let mut held = held::read_in(session, sizes).await?;
    while held.rows() > 0 {
        held.seal();
        let Some(step) = held.next() else { break };
        move_in(session, &step, Manner::Careful).await?;
        let (after, rows) = (step.after, step.rows.len());
        held.moved(after, rows);
    }
    Ok(())
}

async fn move_in(session: &mut FileSession, step: &Step<'_>, manner: Manner) -> Result<(), Fault> {
    match manner {
        Manner::Quick => {
            let rows: Vec<&PositionRecord> = step.rows.iter().map(|row| &row.record).collect();
            for rows in rungs(&rows, WIDE) {
                insert_bulk::<Arc<File>>(session, rows).await?;
            }
        }
        Manner::Careful => insert_carefully(session, step).await?,
    }
    let change = Mark::change(step.before, step.after);
    session.execute(fixed(CHANGE), &change).await.map_err(moved_elsewhere)?;
    if step.is_last {
        session.execute(fixed(FORGET), &[Value::Signed(step.after.up_to)]).await?;
    }
    Ok(())
}

/// Another process has moved the group on: read it anew.
fn moved_elsewhere(fault: Fault) -> Fault {
    match fault.kind {
        Kind::Refused => Fault::new(Kind::Conflict, fault.detail),
        _ => fault,
    }
}

async fn insert_carefully(session: &mut FileSession, step: &Step<'_>) -> Result<(), Fault> {
    let firsts: Vec<&PositionRecord> =
        equals(step.rows).filter_map(|rows| rows.first()).map(|row| &row.record).collect();
    let is_new = insert_rows(session, &firsts).await?;
    for (rows, is_new) in equals(step.rows).zip(is_new) {
        for row in rows.iter().skip(usize::from(is_new)) {
            count_repeat(session, step, row).await?;
        }
    }
    Ok(())
}

/// Counts a row as a duplicate that its batch's books count as stored.
async fn count_repeat(session: &mut FileSession, step: &Step<'_>, row: &Row) -> Result<(), Fault> {
    let repeat = DuplicateRow {
        device: row.record.position.device.number(),
        recorded_at: row.record.position.recorded_at,
        hash: row.record.frame_hash,
        times: 1,
        last_received_at_ms: row.record.received_at_ms,
    };
    let text = insert("duplicates", DUPLICATE_COLUMNS, 1) + &join_duplicates(Dialect::Sqlite);
    session.execute(sql(text), &duplicate_values(&repeat)).await?;
    let part = usize::try_from(row.part).ok().and_then(|part| step.group.parts.get(part));
    let Some(key) = part else {
        return Err(Fault::new(Kind::Schema, "a row in the journal is of no batch"));
    };
    let minute = minute_of(row.record.received_at_ms);
    let line = [
        key.worker.as_str().into(),
        Value::Hash(key.run),
        Value::Hash(key.sequence),
        minute.into(),
    ];
    if session.execute(fixed(CORRECT), &line).await? == 0 {
        tracing::error!(
            batch = ?key, minute,
            "a duplicate in the journal is of a line that the books do not have; look with nemeses audit"
        );
    }
    Ok(())
}
