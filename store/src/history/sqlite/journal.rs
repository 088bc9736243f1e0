//! Batches that are kept in a journal first and put where they belong later, in
//! groups (docs/decisions/0026-journal.md). A batch is one row of `pending` beside
//! its line of the books, which touches a handful of pages instead of one for every
//! second row. What has gathered is sorted by the table's key and moves in slices
//! of 1000 rows: along with later batches while they come, by itself when they
//! pause, and before anybody reads.
//!
//! The table is what counts, memory is a copy of it: the journal's numbers run on
//! without a gap, and whoever writes says in `pending_group` what he took to be
//! done. When another process was there, that fails, and the copy is read anew.

mod blob;
mod group;
mod held;
mod slice;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::super::engine::{Fault, Journaled, Kind, Session as _, books_values, fixed, sql};
use super::{File, FileSession};
use held::Held;

/// The journal moves by itself after such a pause between two batches,
const QUIET: Duration = Duration::from_millis(50);
/// and when its oldest row has waited for so long.
const LONGEST: Duration = Duration::from_secs(1);
/// After moving by itself has failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a transaction that wants nothing pending finds that another process
/// has written again.
const MAX_ROUNDS: u32 = 10;
/// How often a reader finds that another process moves the journal, too: each time a
/// slice has moved, and this many are all there are.
const MAX_CONFLICTS: u32 = 1000;

/// How many rows move together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Rows that make a group: of 10 000 devices 10 each, so that a page of 57 rows is
    /// touched once for tens of them. At 72 bytes 7 MB, and as much gathers meanwhile.
    group: usize,
    /// Rows of a slice, 1 to 2 ms: what a commit or a reader waits for at a time.
    slice: usize,
    /// Rows of one of the statements that move a slice along with a batch.
    statement: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { group: 100_000, slice: 1000, statement: 250 }
    }
}

impl Sizes {
    /// More rows than this never wait: while moving fails, batches go where they
    /// belong. 29 MB.
    const fn most(self) -> usize {
        4 * self.group
    }
}

const ANY: &str = "SELECT 1 FROM pending LIMIT 1";

/// What a file's handles share about its journal.
pub(super) struct Journal {
    sizes: Sizes,
    /// Locked before the writing connection is taken, never after. `None` until it was
    /// read, and after anything went wrong.
    held: Mutex<Option<Held>>,
    /// Whether a task looks for pauses.
    tended: AtomicBool,
}

impl Journal {
    pub(super) fn new(sizes: Sizes) -> Self {
        Self { sizes, held: Mutex::new(None), tended: AtomicBool::new(false) }
    }
}

/// Whether a statement reads what the journal may still change.
pub(super) fn concerns(text: &str) -> bool {
    ["positions", "books", "duplicates"].iter().any(|table| text.contains(table))
}

/// Keeps a batch in the journal; `false` when it is to be written where it belongs.
pub(super) async fn keep(file: &Arc<File>, batch: &Journaled<'_>) -> Result<bool, Fault> {
    let mut place = file.journal.held.lock().await;
    let mut held = taken(file, place.take()).await?;
    if held.rows() >= file.journal.sizes.most() {
        *place = Some(held);
        return Ok(false);
    }
    match move_and_keep(file, &mut held, batch).await {
        Ok(()) => {
            *place = Some(held);
            tend(file);
            Ok(true)
        }
        // A key is taken, the batch's or a row's, or another process was there.
        Err(fault) if matches!(fault.kind, Kind::Taken | Kind::Refused | Kind::Conflict) => {
            let mut held = held::read(file).await?;
            match slice::move_carefully(file, &mut held).await {
                Ok(()) => *place = Some(held),
                Err(fault) if fault.kind == Kind::Conflict => {}
                Err(fault) => return Err(fault),
            }
            Ok(false)
        }
        Err(fault) => Err(fault),
    }
}

/// What is held, or what the table says.
async fn taken(file: &Arc<File>, held: Option<Held>) -> Result<Held, Fault> {
    match held {
        Some(held) => Ok(held),
        None => held::read(file).await,
    }
}

/// A group's last slice, which is of any length, moves alone.
async fn move_and_keep(
    file: &Arc<File>,
    held: &mut Held,
    batch: &Journaled<'_>,
) -> Result<(), Fault> {
    if held.owes_slice() && held.ends_with_slice() {
        slice::move_next(file, held).await?;
    }
    keep_in(file, held, batch).await
}

/// One transaction in one request: a slice when it is due, the batch, its books.
async fn keep_in(file: &Arc<File>, held: &mut Held, batch: &Journaled<'_>) -> Result<(), Fault> {
    let id = held.next_id();
    let bytes = blob::encode(&batch.parts, &batch.rows);
    let mut request = slice::Request::begin();
    let moved = held.owes_slice().then(|| request.slice(held, file.journal.sizes)).flatten();
    request.pending(id, &bytes);
    let books: Vec<_> = batch.books.iter().map(|row| books_values(row, batch.exporter)).collect();
    request.books(&books);
    let (text, values) = request.end();
    let mut session = file.begin_on(&file.writer, "").await?;
    batch.marks.still_open()?;
    let done = run(&mut session, text, &values).await;
    drop(values);
    done?;
    if let Some(mark) = moved {
        held.moved(mark);
    }
    held.keep(id, batch);
    Ok(())
}

/// Runs a request that begins a transaction and ends it.
async fn run(
    session: &mut FileSession,
    text: String,
    values: &[super::Value<'_>],
) -> Result<(), Fault> {
    match session.execute(sql(text), values).await {
        Ok(_) => {
            drop(session.connection.take());
            Ok(())
        }
        Err(fault) => {
            // Otherwise the session closes its connection.
            if fault.kind != Kind::Unavailable && session.run(fixed("ROLLBACK")).await.is_ok() {
                drop(session.connection.take());
            }
            Err(fault)
        }
    }
}

/// Whether anything waits in the journal; nothing does before its tables are made.
fn any(rows: Result<Vec<super::SqliteRow>, Fault>) -> Result<bool, Fault> {
    match rows {
        Ok(rows) => Ok(!rows.is_empty()),
        Err(fault) if fault.kind == Kind::Schema => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Puts all that is in the journal by now where it belongs; commits come in between.
pub(super) async fn settle(file: &Arc<File>) -> Result<(), Fault> {
    if !any(file.rows_from(&file.readers, fixed(ANY), &[]).await)? {
        return Ok(());
    }
    let (mut goal, mut conflicts) = (None, 0);
    loop {
        let mut place = file.journal.held.lock().await;
        let mut held = match place.take() {
            // Another process may have added to it.
            Some(held) if goal.is_some() || held.is_current(file).await? => held,
            _ => held::read(file).await?,
        };
        let goal = *goal.get_or_insert(held.last_id());
        if held.has_moved(goal) {
            *place = Some(held);
            return Ok(());
        }
        match slice::move_next(file, &mut held).await {
            Ok(()) => *place = Some(held),
            // Another process moves it, too.
            Err(fault) if fault.kind == Kind::Conflict && conflicts < MAX_CONFLICTS => {
                conflicts += 1;
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// A transaction that finds nothing in the journal, and keeps others from adding to it.
pub(super) async fn begin_settled(file: &Arc<File>) -> Result<FileSession, Fault> {
    for round in 0..MAX_ROUNDS {
        // From the third round on, commits of this process wait.
        let place = if round < 2 { None } else { Some(emptied(file).await?) };
        if let Some(session) = begin_if_settled(file).await? {
            return Ok(session);
        }
        drop(place);
        settle(file).await?;
    }
    Err(Fault::new(Kind::Conflict, "another process goes on writing to the journal"))
}

/// Moves all there is with the lock held, and goes on holding it.
async fn emptied(file: &Arc<File>) -> Result<MutexGuard<'_, Option<Held>>, Fault> {
    let mut place = file.journal.held.lock().await;
    let mut held = held::read(file).await?;
    while !held.has_moved(held.last_id()) {
        slice::move_next(file, &mut held).await?;
    }
    *place = Some(held);
    Ok(place)
}

async fn begin_if_settled(file: &Arc<File>) -> Result<Option<FileSession>, Fault> {
    let mut session = file.begin_on(&file.writer, "BEGIN IMMEDIATE").await?;
    if any(session.rows(fixed(ANY), &[]).await)? {
        session.rollback().await?;
        return Ok(None);
    }
    Ok(Some(session))
}

/// Sees to it that the journal moves when batches pause. Called with the lock held.
/// The task ends with what it tends, or with the file's last handle; what it leaves
/// undone is done at the next start.
fn tend(file: &Arc<File>) {
    if file.journal.tended.swap(true, Ordering::Relaxed) {
        return;
    }
    let file = Arc::downgrade(file);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(QUIET).await;
            let Some(file) = file.upgrade() else { return };
            match tended(&file).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(fault) => {
                    tracing::warn!(
                        error = fault.detail,
                        "the journal does not move; its rows are kept"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    });
}

/// Moves what is due; whether nothing is left.
async fn tended(file: &Arc<File>) -> Result<bool, Fault> {
    let mut place = file.journal.held.lock().await;
    let held = taken(file, place.take()).await?;
    let (nothing, due) = (held.rows() == 0, held.is_due(Instant::now()));
    *place = Some(held);
    if nothing {
        // With the lock held, so that whoever adds to it looks afterwards.
        file.journal.tended.store(false, Ordering::Relaxed);
        return Ok(true);
    }
    drop(place);
    if due {
        settle(file).await?;
    }
    Ok(false)
}
