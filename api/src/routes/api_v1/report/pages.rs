//! Reads a report in chunks, each a query of its own behind the last row of the
//! one before, so that a slow client holds no connection of the database. The next
//! chunks are read while one is written out; whoever drops the report ends that.

use std::collections::VecDeque;

use futures_util::TryStreamExt as _;
use nemeses_protocol::PositionRecord;
use nemeses_reports::Mark;
use nemeses_store::history::RangeQuery;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::marks::Marker;
use crate::fleet::FleetState;
use crate::input::ReportCursor;
use crate::problem::{Kind, Problem};

/// Rows of a chunk at most: some 100 KiB of records and 300 KiB of text, so much as
/// the store reads at once. Larger chunks were not faster; smaller ones cost a query
/// each.
const CHUNK_ROWS: usize = 1000;
/// Fewer rows than this wait for those of the next query (of many devices with few
/// rows each).
const WORTH_ROWS: usize = CHUNK_ROWS / 2;
/// Chunks that wait to be written. With the one being read and the one being written
/// a report holds four: 400 KiB of records.
const AHEAD: usize = 2;

/// One chunk.
pub(super) struct Page {
    pub(super) rows: Vec<PositionRecord>,
    /// What each of them is to the device's track; empty unless asked for.
    pub(super) marks: Vec<Mark>,
    /// Nothing follows in this answer.
    pub(super) last: bool,
    /// Where the next answer begins, if rows are left for one.
    pub(super) next_cursor: Option<String>,
}

/// What is left of an answer: one device after the other.
pub(super) struct Pages {
    ready: mpsc::Receiver<Result<Page, Problem>>,
}

impl Pages {
    pub(super) fn new(state: FleetState, range: RangeQuery, limit: u64) -> Self {
        Self::read(state, [range].into(), limit, false)
    }

    /// With marks.
    pub(super) fn marked(state: FleetState, ranges: VecDeque<RangeQuery>, limit: u64) -> Self {
        Self::read(state, ranges, limit, true)
    }

    #[expect(clippy::disallowed_methods, reason = "reads ahead, and ends with the answer")]
    fn read(state: FleetState, ranges: VecDeque<RangeQuery>, limit: u64, marked: bool) -> Self {
        let (pages, ready) = mpsc::channel(AHEAD);
        let reader = async move {
            let (rows, marks) = (Vec::new(), Vec::new());
            let read = Reader { state, pages: pages.clone(), rows, marks, marked, left: limit };
            if let Err(problem) = read.read(ranges).await {
                // The request may be gone; then nobody waits for it.
                let _ = pages.send(Err(problem)).await;
            }
        };
        // Not broken off, which would cost a connection of the database: it ends by itself
        // with the page that it reads when nobody takes one any more.
        drop(tokio::spawn(reader.in_current_span()));
        Self { ready }
    }

    /// The next chunk.
    pub(super) async fn next(&mut self) -> Result<Page, Problem> {
        let gone = || Problem::new(Kind::Internal, "The report could not be read to its end.");
        self.ready.recv().await.unwrap_or_else(|| Err(gone()))
    }
}

/// Reads ahead.
struct Reader {
    state: FleetState,
    pages: mpsc::Sender<Result<Page, Problem>>,
    /// Read and not yet handed on.
    rows: Vec<PositionRecord>,
    marks: Vec<Mark>,
    marked: bool,
    /// Rows that the answer still takes, besides these.
    left: u64,
}

impl Reader {
    /// Reads until nothing is left, the answer is full or the request is gone.
    async fn read(mut self, ranges: VecDeque<RangeQuery>) -> Result<(), Problem> {
        let state = self.state.clone();
        for range in ranges {
            let descending = range.descending;
            let mut marker =
                if self.marked { Some(Marker::before(&state, &range).await?) } else { None };
            // One row more than the answer takes, to know whether anything follows.
            let query = RangeQuery { limit: Some(self.left.saturating_add(1)), ..range };
            let mut found = state.stores.history.positions(query).try_ready_chunks(CHUNK_ROWS);
            // Of a chunk with an error in it nothing is told but the error.
            let mut next = async || found.try_next().await.map_err(|error| error.1);
            while let Some(rows) = state.ask_in_turn(next()).await? {
                if self.pages.is_closed() {
                    return Ok(());
                }
                let full = self.take(rows);
                if let Some(marker) = &mut marker {
                    let new = &self.rows[self.marks.len()..];
                    self.marks.extend(marker.mark(new).await?);
                }
                if full {
                    let next_cursor = self.rows.last().map(|row| cursor(row, descending));
                    self.hand_on(true, next_cursor).await;
                    return Ok(());
                }
                let worth = self.left > 0 && self.rows.len() >= WORTH_ROWS;
                if worth && !self.hand_on(false, None).await {
                    return Ok(());
                }
            }
        }
        self.hand_on(true, None).await;
        Ok(())
    }

    /// Keeps what the answer takes of these; tells whether rows were left over.
    fn take(&mut self, mut rows: Vec<PositionRecord>) -> bool {
        let found = rows.len();
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        rows.truncate(wanted);
        self.left -= rows.len() as u64;
        self.rows.append(&mut rows);
        found > wanted
    }

    /// Tells whether somebody still wants it.
    async fn hand_on(&mut self, last: bool, next_cursor: Option<String>) -> bool {
        let (rows, marks) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.marks));
        self.pages.send(Ok(Page { rows, marks, last, next_cursor })).await.is_ok()
    }
}

/// Behind a row.
fn cursor(row: &PositionRecord, descending: bool) -> String {
    let (device, recorded_at) = (row.position.device, row.position.recorded_at);
    ReportCursor { device, descending, recorded_at, frame_hash: row.frame_hash }.encode()
}
