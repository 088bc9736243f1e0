//! Reads a report in chunks, each a query of its own behind the last row of the
//! one before, so that a slow client holds no connection of the database.

use std::collections::VecDeque;

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

/// What is left of an answer: one device after the other.
pub(super) struct Pages {
    state: ApiState,
    ranges: VecDeque<RangeQuery>,
    left: u64,
}

impl Pages {
    pub(super) fn new(state: ApiState, range: RangeQuery, limit: u64) -> Self {
        Self::over(state, [range].into(), limit)
    }

    pub(super) fn over(state: ApiState, ranges: VecDeque<RangeQuery>, limit: u64) -> Self {
        Self { state, ranges, left: limit }
    }

    /// The next chunk. One row more than it holds is read, to know whether
    /// anything follows.
    pub(super) async fn next(&mut self) -> Result<Page, Problem> {
        let mut rows: Vec<PositionRecord> = Vec::new();
        while let Some(range) = self.ranges.front_mut() {
            let wanted = self.left.min(CHUNK_ROWS).saturating_sub(rows.len() as u64);
            let query = RangeQuery { limit: Some(wanted + 1), ..range.clone() };
            let read = self.state.stores.history.positions(query).try_collect();
            let mut read: Vec<PositionRecord> = self.state.history.ask(read).await?;
            let more = read.len() as u64 > wanted;
            read.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
            if let Some(row) = read.last() {
                range.after = Some((row.position.recorded_at, row.frame_hash));
            }
            rows.append(&mut read);
            if !more {
                self.ranges.pop_front();
                continue;
            }
            self.left -= rows.len() as u64;
            let last = self.left == 0;
            let next_cursor =
                rows.last().filter(|_| last).map(|row| cursor(row, self.descending()));
            return Ok(Page { rows, last, next_cursor });
        }
        Ok(Page { rows, last: true, next_cursor: None })
    }

    fn descending(&self) -> bool {
        self.ranges.front().is_some_and(|range| range.descending)
    }
}

/// Behind a row.
fn cursor(row: &PositionRecord, descending: bool) -> String {
    let (device, recorded_at) = (row.position.device, row.position.recorded_at);
    ReportCursor { device, descending, recorded_at, frame_hash: row.frame_hash }.encode()
}
