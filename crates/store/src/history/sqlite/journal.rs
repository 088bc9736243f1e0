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
mod newest;
mod slice;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::engine::{Batch, Fault, Kind, Session as _, books_values, fixed, sql};
use super::super::{Committed, Part};
use super::{File, FileSession};
use held::Held;
use newest::{Journaled, Newest};

/// How often it is looked whether the journal is to move by itself.
const LOOK: Duration = Duration::from_millis(50);
/// After moving by itself has failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a reader finds that another process moves the journal, too: each time a
/// slice has moved, and this many are all there are.
const MAX_CONFLICTS: u32 = 1000;

/// How many rows move together, and when by themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Rows that make a group: of 10 000 devices 10 each, so that a page of 57 rows is
    /// touched once for tens of them. At 72 bytes 7 MB, and nearly as much gathers while
    /// it moves. What waits is at most a group, two batches and two slices.
    group: usize,
    /// Rows of a slice, whole statements, 1 to 2 ms: what a commit or a reader waits for at a time.
    slice: usize,
    /// Rows of one of the statements that move a slice along with a batch.
    statement: usize,
    /// The journal moves by itself after such a pause between two batches,
    quiet: Duration,
    /// and when its oldest row has waited for so long.
    longest: Duration,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            group: 100_000,
            slice: 1000,
            statement: 250,
            quiet: Duration::from_millis(50),
            longest: Duration::from_secs(1),
        }
    }
}

impl Sizes {
    /// Where the arithmetic does not hold, since another process writes, too: beyond
    /// this batches go where they belong. 29 MB.
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
    /// Whether a task looks for pauses: [`Tending`].
    tended: AtomicBool,
    newest: Newest,
}

impl Journal {
    pub(super) fn new(sizes: Sizes) -> Self {
        let (held, tended) = (Mutex::new(None), AtomicBool::new(false));
        Self { sizes, held, tended, newest: Newest::default() }
    }

    /// Notes what is committed, in the journal or beside it.
    pub(super) fn learn(&self, parts: &[Part]) {
        self.newest.learn(parts);
    }
}

/// Whether a statement reads what the journal may still change.
pub(super) fn concerns(text: &str) -> bool {
    ["positions", "books", "duplicates"].iter().any(|table| text.contains(table))
}

/// Keeps a batch in the journal if it fits; `None` when it is to be written where it belongs.
pub(super) async fn commit(
    file: &Arc<File>,
    batch: &Batch<'_>,
) -> Result<Option<Vec<Committed>>, Fault> {
    let Some((batch, committed)) = file.journal.newest.fit(batch) else { return Ok(None) };
    Ok(keep(file, &batch).await?.then_some(committed))
}

/// Keeps a batch in the journal; `false` when it is to be written where it belongs.
async fn keep(file: &Arc<File>, batch: &Journaled<'_>) -> Result<bool, Fault> {
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
    if held.owes_last() {
        slice::move_next(file, held).await?;
    }
    keep_in(file, held, batch).await
}

/// One transaction in one request: the slices that are due, the batch, its books.
async fn keep_in(file: &Arc<File>, held: &mut Held, batch: &Journaled<'_>) -> Result<(), Fault> {
    let id = held.next_id();
    let bytes = blob::encode(&batch.parts, &batch.rows);
    let mut request = slice::Request::begin();
    let moved = request.slices(held, file.journal.sizes);
    request.pending(id, &bytes);
    request.rule_marks(batch.rule_marks);
    let books: Vec<_> = batch.books.iter().map(|row| books_values(row, batch.exporter)).collect();
    request.books(&books);
    let (text, values) = request.end();
    let mut session = file.begin_on(&file.writer, "").await?;
    batch.marks.still_open()?;
    let done = run(&mut session, text, &values).await;
    drop(values);
    done?;
    if let Some((after, rows)) = moved {
        held.moved(after, rows);
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
/// In a task of its own: a reader who goes away in its middle would close the line's
/// connection.
pub(super) async fn settle(file: &Arc<File>) -> Result<(), Fault> {
    if !any(file.rows_from(&file.readers, fixed(ANY), &[]).await)? {
        return Ok(());
    }
    let file = Arc::clone(file);
    in_task(async move { settle_now(&file).await }).await
}

/// Goes on when the caller goes away.
#[expect(
    clippy::disallowed_methods,
    reason = "awaited at once: shields the work from cancellation"
)]
async fn in_task<T: Send + 'static>(
    work: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> Result<T, Fault> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        Err(Fault::new(Kind::Unavailable, format!("the journal did not move: {error}")))
    })
}

async fn settle_now(file: &Arc<File>) -> Result<(), Fault> {
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

/// Comes before a commit beside the journal: a frame that comes again, as historical now,
/// must not be stored before the one that waits. Settles unless the rows can be none of
/// those.
pub(super) async fn settle_before(file: &Arc<File>, parts: &[Part]) -> Result<(), Fault> {
    let Some(direct) = file.journal.newest.direct(parts) else { return Ok(()) };
    let place = file.journal.held.lock().await;
    let is_apart = match &*place {
        Some(held) if held.rows() > 0 => {
            let newest =
                if held.is_foreign() { Some(direct.newest) } else { direct.newest_in_doubt };
            newest.is_none_or(|newest| held.is_before(newest)) && held.is_current(file).await?
        }
        // Another process may have written to it, or one that died.
        _ => !any(file.rows_from(&file.writer, fixed(ANY), &[]).await)?,
    };
    drop(place);
    if is_apart { Ok(()) } else { settle(file).await }
}

/// A transaction that finds nothing in the journal, and keeps others from adding to it.
/// What comes between the settling and its begin, it moves itself.
pub(super) async fn begin_settled(file: &Arc<File>) -> Result<FileSession, Fault> {
    settle(file).await?;
    let mut session = file.begin_on(&file.writer, "BEGIN IMMEDIATE").await?;
    if !any(session.rows(fixed(ANY), &[]).await)? {
        return Ok(session);
    }
    session.rollback().await?;
    let file = Arc::clone(file);
    in_task(async move { begin_moving(&file).await }).await
}

async fn begin_moving(file: &Arc<File>) -> Result<FileSession, Fault> {
    let mut place = file.journal.held.lock().await;
    let mut session = file.begin_on(&file.writer, "BEGIN IMMEDIATE").await?;
    // What is held is no copy of the table any more, if this is committed.
    *place = None;
    if let Err(fault) = slice::move_all_in(&mut session, file.journal.sizes).await {
        if fault.kind != Kind::Unavailable {
            // A session that cannot be rolled back closes its connection.
            let _ = session.rollback().await;
        }
        return Err(fault);
    }
    Ok(session)
}

/// Sees to it that the journal moves when batches pause. Called with the lock held.
/// The task ends with what it tends, or with the file's last handle; what it leaves
/// undone is done by whoever commits, reads or migrates next.
#[expect(
    clippy::disallowed_methods,
    reason = "ends with the file, and whoever comes next does what it leaves"
)]
fn tend(file: &Arc<File>) {
    if file.journal.tended.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut tending = Tending(Some(Arc::downgrade(file)));
    let file = Arc::downgrade(file);
    tokio::spawn(async move {
        let mut is_down = false;
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(file) = file.upgrade() else { return };
            let turn = tended(&file, &mut tending).await;
            match &turn {
                Ok(Turn::Waits) => {}
                Ok(Turn::Moved | Turn::Empty) => {
                    if std::mem::take(&mut is_down) {
                        tracing::info!("the journal moves again");
                    }
                }
                Err(fault) => {
                    if !std::mem::replace(&mut is_down, true) {
                        tracing::warn!(
                            error = fault.detail,
                            "the journal does not move; its rows are kept; trying again"
                        );
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
            if matches!(turn, Ok(Turn::Empty)) {
                return;
            }
        }
    });
}

/// What the journal is told when the task that tends it ends, by a panic, too. None
/// once it was told.
struct Tending(Option<Weak<File>>);

impl Drop for Tending {
    fn drop(&mut self) {
        if let Some(file) = self.0.take().and_then(|file| file.upgrade()) {
            file.journal.tended.store(false, Ordering::Relaxed);
        }
    }
}

enum Turn {
    /// Nothing is due.
    Waits,
    Moved,
    /// Nothing is left.
    Empty,
}

/// Moves what is due.
async fn tended(file: &Arc<File>, tending: &mut Tending) -> Result<Turn, Fault> {
    let mut place = file.journal.held.lock().await;
    let held = taken(file, place.take()).await?;
    let (nothing, due) = (held.rows() == 0, held.is_due(Instant::now()));
    *place = Some(held);
    if nothing {
        // With the lock held, so that whoever adds to it looks afterwards.
        drop(std::mem::replace(tending, Tending(None)));
        return Ok(Turn::Empty);
    }
    drop(place);
    if !due {
        return Ok(Turn::Waits);
    }
    settle(file).await?;
    Ok(Turn::Moved)
}
