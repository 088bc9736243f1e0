//! The commit of what is new, as nearly everything is: nothing is looked up
//! first. Rows and all that belongs to them go the product's own way, where it has one for
//! rows (`Product::commit_rows`). Else what is left of the rows after the large statements
//! goes to the server in one request with the books and the COMMIT. A key that is taken, a
//! row's or the batch's, takes all of it back, and the commit that looks
//! (`commit.rs`) finds out which.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Engine;
use super::commit::{
    BOOKS_COLUMNS, DAY_COLUMNS, DUPLICATE_COLUMNS, MARK_COLUMNS, Written, books_values,
    duplicate_values, insert_letters, join_days, join_duplicates, join_marks,
};
use super::days::DeviceDay;
use super::fault::{Fault, Kind};
use super::insert::insert_new;
use super::keyed::ReadingsRow;
use super::ladder::{WIDE, bulk, rungs};
use super::marks::Marks;
use super::plan::{Plan, Settled, plan};
use super::readings::Prepared;
use super::rows::{bare_position_values, is_bare, position_values};
use super::rule_marks::insert_rule_marks;
use super::script::Script;
use super::sealing::{SealedTo, none_sealed, sealed_guard};
use super::seam::{Batch, Dialect, Product, Session, sql};
use super::sql::{BARE_COLUMNS, POSITION_COLUMNS, insert_words, placeholder_rows};
use super::value::Value;
use crate::history::Committed;
use nemeses_protocol::PositionRecord;

/// After a key was taken, so many commits look before they write: frames that
/// come again come in numbers, and a commit taken back is work for nothing.
const DOUBTFUL_COMMITS: u32 = 8;

/// Whether the next commits had better look first.
#[derive(Debug, Default)]
pub(in crate::history) struct Doubts(AtomicU32);

impl Doubts {
    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    fn begin(&self) {
        self.0.store(DOUBTFUL_COMMITS, Ordering::Relaxed);
    }

    /// Notes what a commit that looked has found.
    pub(in crate::history) fn learn(&self, committed: &[Committed]) {
        if committed.iter().any(|part| part.repeated || part.duplicates > 0) {
            self.begin();
        } else {
            let left = self.0.load(Ordering::Relaxed);
            self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        }
    }
}

impl<P: Product> Engine<P> {
    /// Commits the parts if everything in them is new; `None` when nothing was
    /// written and the commit that looks is to be used.
    pub(in crate::history) async fn commit_new(
        &self,
        Prepared { parts, readings, values_refused, concerned }: &Prepared<'_>,
        exporter: &str,
    ) -> Result<Option<Written>, Fault> {
        if self.doubts.any() {
            return Ok(None);
        }
        let plan = plan(parts, readings, values_refused, &HashSet::new());
        if self.sealed_to.concerns(&plan.readings()) {
            return Ok(None);
        }
        let rule_marks = if concerned.nobody() {
            Vec::new()
        } else {
            concerned.marks(&plan.rows(), &plan.readings())
        };
        if let Some(written) = self.commit_by_product(&plan, &rule_marks, exporter).await? {
            return Ok(Some(written));
        }
        self.product.before_commit(parts).await?;
        match self.write_new(&plan, &rule_marks, exporter).await {
            Ok(written) => Ok(Some(written)),
            Err(fault) if matches!(fault.kind, Kind::Taken | Kind::Conflict) => {
                self.doubts.begin();
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Leaves the batch to the product if it takes such; `None` when it is to be written
    /// otherwise.
    async fn commit_by_product(
        &self,
        plan: &Plan<'_>,
        rule_marks: &[Vec<u8>],
        exporter: &str,
    ) -> Result<Option<Written>, Fault> {
        if !P::TAKES_BATCHES || plan.has_readings() {
            return Ok(None);
        }
        let touched = plan.position_days();
        let marks = self.marks.missing(&touched);
        if !self.days.unknown(&touched).is_empty() || marks.values().next().is_some() {
            return Ok(None);
        }
        let committed =
            self.product.commit_batch(&Batch { plan, exporter, marks, rule_marks }).await?;
        Ok(committed.map(|committed| Written { committed, ..Written::default() }))
    }

    /// By the product's own way for rows if it has one, else in a session.
    async fn write_new(
        &self,
        plan: &Plan<'_>,
        rule_marks: &[Vec<u8>],
        exporter: &str,
    ) -> Result<Written, Fault> {
        let (rows, readings) = (plan.rows(), plan.readings());
        let settled = plan.settle(&vec![true; rows.len()], &vec![true; readings.len()]);
        let touched = plan.position_days();
        let marks = self.marks.missing(&touched);
        let days = self.days.unknown(&plan.days(touched));
        let behind = Behind::of::<P>(&days, &marks, &settled, exporter);
        let written = Written { committed: settled.committed, days, marks };
        // Several marks are too long for one request.
        if plan.letters.is_empty() && rule_marks.len() <= 1 {
            written.marks.still_open()?;
            let script = [
                &*sealed_guard(&readings),
                &rule_mark_script::<P>(rule_marks),
                &behind.rows,
                &behind.books,
            ]
            .concat();
            if self.product.commit_rows(&rows, &readings, &script).await? {
                return Ok(written);
            }
        }
        let mut session = self.product.begin().await?;
        let sealed_to = &self.sealed_to;
        let rows = Rows { positions: &rows, readings: &readings, rule_marks, sealed_to };
        match write_in::<P>(&mut session, &rows, plan, &behind, &written.marks).await {
            Ok(()) => Ok(written),
            // Dropped, the session closes its connection, as in `work.rs`.
            Err(fault) if fault.kind == Kind::Unavailable => Err(fault),
            Err(fault) => {
                // A session that cannot be rolled back closes its connection.
                let _ = session.rollback().await;
                Err(fault)
            }
        }
    }
}

/// What is written behind the rows, in the order of tables that `commit.rs` keeps.
struct Behind {
    /// Days, marks and duplicates.
    rows: String,
    /// Behind the dead letters, if there are any.
    books: String,
}

impl Behind {
    fn of<P: Product>(
        days: &[DeviceDay],
        marks: &Marks,
        settled: &Settled<'_>,
        exporter: &str,
    ) -> Self {
        let mut script = Script::new(P::DIALECT);
        let day_rows = days.iter().map(|(device, day)| [Value::from(*device), (*day).into()]);
        let words = insert_words("device_days", DAY_COLUMNS);
        script.insert(&words, day_rows, &join_days(P::DIALECT));
        let words = insert_words("daily_marks", MARK_COLUMNS);
        script.insert(&words, marks.values(), &join_marks(P::DIALECT));
        let words = insert_words("duplicates", DUPLICATE_COLUMNS);
        let duplicates = settled.duplicates.iter().map(duplicate_values);
        script.insert(&words, duplicates, &join_duplicates(P::DIALECT));
        let rows = script.take();
        let books = settled.books.iter().map(|row| books_values(row, exporter));
        script.insert(&insert_words("books", BOOKS_COLUMNS), books, "");
        Self { rows, books: script.take() }
    }
}

fn rule_mark_script<P: Product>(rule_marks: &[Vec<u8>]) -> String {
    let mut script = Script::new(P::DIALECT);
    let rows = rule_marks.iter().map(|mark| [Value::Bytes(mark)]);
    script.insert(&insert_words("rule_marks", &["packed"]), rows, "");
    script.take()
}

/// What is written before everything else.
struct Rows<'a> {
    positions: &'a [&'a PositionRecord],
    readings: &'a [&'a ReadingsRow],
    rule_marks: &'a [Vec<u8>],
    sealed_to: &'a SealedTo,
}

/// Commits in the order of tables and keys that `commit.rs` keeps.
async fn write_in<P: Product>(
    session: &mut P::Session,
    &Rows { positions: rows, readings, rule_marks, sealed_to }: &Rows<'_>,
    plan: &Plan<'_>,
    behind: &Behind,
    marks: &Marks,
) -> Result<(), Fault> {
    let mut rest = rows;
    for slice in rungs(rows, ladder(P::DIALECT, rows.len())) {
        insert_bulk::<P>(session, slice).await?;
        rest = &rest[slice.len()..];
    }
    insert_new(session, readings).await?;
    if !readings.is_empty() {
        none_sealed(session, readings, sealed_to).await?;
    }
    insert_rule_marks(session, rule_marks).await?;
    let mut script = Script::new(P::DIALECT);
    let words = format!("{}positions ({}) VALUES ", verb(P::DIALECT), POSITION_COLUMNS.join(","));
    script.insert(&words, rest.iter().map(|record| position_values(record)), "");
    let mut text = script.take() + &behind.rows;
    if !plan.letters.is_empty() {
        if !text.is_empty() {
            session.run(sql(std::mem::take(&mut text))).await?;
        }
        insert_letters(session, plan).await?;
    }
    marks.still_open()?;
    session.commit_with(sql(text + &behind.books)).await
}

/// Inserts as many rows as one of the large statements takes. Most rows have
/// neither extension nor raw bytes; then those are not sent.
pub(in crate::history) async fn insert_bulk<P: Product>(
    session: &mut P::Session,
    rows: &[&PositionRecord],
) -> Result<(), Fault> {
    let mut values = Vec::with_capacity(rows.len() * POSITION_COLUMNS.len());
    let text = insert_of(P::DIALECT, rows, &mut values);
    session.execute(sql(text), &values).await.map(drop)
}

/// The statement that inserts the rows; their values are appended.
pub(in crate::history) fn insert_of<'a>(
    dialect: Dialect,
    rows: &[&'a PositionRecord],
    values: &mut Vec<Value<'a>>,
) -> String {
    let bare = rows.iter().all(|record| is_bare(record));
    let columns = if bare { BARE_COLUMNS } else { POSITION_COLUMNS };
    for record in rows {
        if bare {
            values.extend(bare_position_values(record));
        } else {
            values.extend(position_values(record));
        }
    }
    format!(
        "{}positions ({}) VALUES {}",
        verb(dialect),
        columns.join(","),
        placeholder_rows(columns.len(), rows.len())
    )
}

/// A statement more is a round trip to a server, but next to nothing within the
/// process, where reading numbers from text is what costs.
const fn ladder(dialect: Dialect, rows: usize) -> &'static [usize] {
    match dialect {
        Dialect::MySql => bulk(rows),
        Dialect::Sqlite => WIDE,
    }
}

/// All is taken back when a row is there already; so SQLite need not note how to
/// take back this statement alone, which would cost a file each time.
const fn verb(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MySql => "INSERT INTO ",
        Dialect::Sqlite => "INSERT OR FAIL INTO ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubts_last_for_some_commits_and_longer_while_things_repeat() {
        let doubts = Doubts::default();
        assert!(!doubts.any());
        doubts.begin();
        let new = [Committed { stored: 1, ..Committed::default() }];
        let repeats = [Committed { duplicates: 1, ..Committed::default() }];
        for _ in 1..DOUBTFUL_COMMITS {
            doubts.learn(&new);
            assert!(doubts.any());
        }
        doubts.learn(&repeats);
        for _ in 0..DOUBTFUL_COMMITS {
            assert!(doubts.any());
            doubts.learn(&new);
        }
        assert!(!doubts.any());
    }
}
