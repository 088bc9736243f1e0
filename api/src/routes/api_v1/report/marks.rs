//! What each row is to its device's track, told by the rows recorded before it, in
//! whatever order rows are shown.

use futures_util::TryStreamExt as _;
use nemeses_protocol::{DeviceId, PositionRecord};
use nemeses_reports::{Doubt, Mark, ROWS_TO_JUDGE, Settings, Track};
use nemeses_store::history::RangeQuery;

use crate::backend::Backend;
use crate::fleet::FleetState;
use crate::problem::Problem;

/// Marks the rows of a range, chunk after chunk.
pub(super) struct Marker {
    state: FleetState,
    track: Track,
    descending: bool,
}

impl Marker {
    /// Stands before the first row of a range.
    pub(super) async fn before(state: &FleetState, range: &RangeQuery) -> Result<Self, Problem> {
        // The row of a cursor has been shown; it is before the range.
        let cursor = range.after.map(|(at, hash)| (at, hash.saturating_add(1)));
        let start = cursor.unwrap_or((range.from, 0));
        let track = if range.descending || start == (0, 0) {
            Track::new(&Settings::default())
        } else {
            track_behind(state, before(range.device, start)).await?
        };
        Ok(Self { state: state.clone(), track, descending: range.descending })
    }

    /// The next rows, in the range's order.
    pub(super) async fn mark(&mut self, rows: &[PositionRecord]) -> Result<Vec<Mark>, Problem> {
        let Some(oldest) = rows.last().filter(|_| self.descending) else {
            return Ok(rows.iter().map(|row| self.track.step(row)).collect());
        };
        let mut track = track_behind(&self.state, older_than(oldest)).await?;
        let mut marks: Vec<Mark> = rows.iter().rev().map(|row| track.step(row)).collect();
        marks.reverse();
        Ok(marks)
    }
}

/// Whether one row is believed.
pub(in crate::routes::api_v1) async fn doubt_of(
    state: &Backend,
    row: &PositionRecord,
) -> Result<Option<Doubt>, Problem> {
    let mut track = track_behind(state, older_than(row)).await?;
    Ok(track.step(row).doubt)
}

/// The newest rows recorded before a row.
fn older_than(row: &PositionRecord) -> RangeQuery {
    before(row.position.device, (row.position.recorded_at, row.frame_hash))
}

/// The newest rows of a device before a key.
fn before(device: DeviceId, key: (u32, u64)) -> RangeQuery {
    let limit = Some(ROWS_TO_JUDGE.into());
    RangeQuery { device, from: 0, to: key.0, descending: true, after: Some(key), limit }
}

/// The track behind these rows, which are read newest first.
async fn track_behind(state: &Backend, query: RangeQuery) -> Result<Track, Problem> {
    let rows = state.stores.history.positions(query).try_collect::<Vec<_>>();
    let mut track = Track::new(&Settings::default());
    for row in state.history.ask(rows).await?.iter().rev() {
        track.step(row);
    }
    Ok(track)
}
