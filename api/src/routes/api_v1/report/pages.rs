//! Reads a report in chunks, each a query of its own behind the last row of the
//! one before, so that a slow client holds no connection of the database.

use futures_util::TryStreamExt as _;
use nemeses_protocol::PositionRecord;
use nemeses_store::history::RangeQuery;

use crate::input::ReportCursor;
use crate::problem::Problem;
use crate::state::ApiState;

/// Rows read at once: some 100 KiB of records and 300 KiB of text. Larger chunks
/// were not faster; smaller ones cost a query each.
const CHUNK_ROWS: u64 = 1000;

/// One chunk.
pub(super) struct Page {
    pub(super) rows: Vec<PositionRecord>,
    /// Nothing follows in this answer.
    pub(super) last: bool,
    /// Where the next answer begins, if rows are left for one.
    pub(super) next_cursor: Option<String>,
}

/// What is left of an answer.
pub(super) struct Pages {
    state: ApiState,
    range: RangeQuery,
    left: u64,
}

impl Pages {
    pub(super) fn new(state: ApiState, range: RangeQuery, limit: u64) -> Self {
        Self { state, range, left: limit }
    }

    /// The next chunk. One row more than it holds is read, to know whether
    /// anything follows.
    pub(super) async fn next(&mut self) -> Result<Page, Problem> {
        let wanted = self.left.min(CHUNK_ROWS);
        let query = RangeQuery { limit: Some(wanted + 1), ..self.range.clone() };
        let read = self.state.stores.history.positions(query).try_collect();
        let mut rows: Vec<PositionRecord> = self.state.history.ask(read).await?;
        let more = rows.len() as u64 > wanted;
        rows.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        self.left -= wanted;
        self.range.after = rows.last().map(|row| (row.position.recorded_at, row.frame_hash));
        let last = !more || self.left == 0;
        let next_cursor = (more && last).then(|| self.cursor()).flatten();
        Ok(Page { rows, last, next_cursor })
    }

    fn cursor(&self) -> Option<String> {
        let (recorded_at, frame_hash) = self.range.after?;
        let RangeQuery { device, descending, .. } = self.range;
        Some(ReportCursor { device, descending, recorded_at, frame_hash }.encode())
    }
}
