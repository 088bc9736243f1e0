//! Trips, stops, summaries and events, computed from a device's rows in time
//! order. Pure: each part takes row after row, holds a constant amount of state,
//! and does not know where a range begins or how the rows were read. That is what
//! makes a trip the same trip in every range.

mod distance;
mod doubt;
mod events;
mod leg;
mod meter;
mod motion;
mod one_kind;
mod parts;
mod rest;
mod segments;
mod state;
mod summary;
mod tally;
mod track;
mod walker;
mod zone;

#[cfg(test)]
mod field_tests;
#[cfg(test)]
mod road;

use nemeses_protocol::Position;
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use distance::{Distance, Source, haversine_m};
pub(crate) use doubt::{Doubt, ROWS_TO_JUDGE};
pub(crate) use events::{Event, EventLimits, Events, What};
pub(crate) use leg::{Place, Point};
pub(crate) use one_kind::OneKind;
#[cfg(test)]
pub(crate) use road::{Road, roads};
pub(crate) use segments::{Segment, SegmentKind, Segments};
pub(crate) use summary::{Summary, hour_meter_run_min};
pub(crate) use tally::Tally;
pub(crate) use track::{Mark, Track};
pub(crate) use walker::Walker;
pub(crate) use zone::{Zone, date};

/// The version of these rules. Sums made by another one are made anew; whoever
/// changes an answer for the same rows counts it up.
pub(crate) const RULES: u32 = 3;

/// Finds things in rows in time order, holding a constant amount of state.
pub(crate) trait Finder: Send + 'static {
    /// What is found.
    type Found: Send;

    /// The next row. Gives out what is certain to be over.
    fn push(&mut self, position: &Position, out: &mut Vec<Self::Found>);

    /// Whether what is under way, and all that follows, is the same as if reading
    /// had begun with the device's very first row.
    fn is_certain(&self) -> bool;

    /// When the oldest thing began that is not given out yet.
    fn pending_since(&self) -> Option<u32>;

    /// The rows end here, and none came until `silent_until`; what is under way
    /// is open.
    fn finish(self, silent_until: u32, out: &mut Vec<Self::Found>);
}

/// What counts as moving, as a trip and as a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ReportSettings")]
pub(crate) struct Settings {
    /// Slower than this is standing.
    pub(crate) motion_kmh: u32,
    /// A trip leads at least this far away from its start.
    pub(crate) min_distance_m: u32,
    /// A trip lasts at least this long.
    pub(crate) min_duration_s: u32,
    /// Standing for this long ends a trip and is a stop.
    pub(crate) stop_s: u32,
    /// Silence for longer than this says nothing of what happened meanwhile.
    pub(crate) gap_s: u32,
}

impl Default for Settings {
    /// The distance and the times are those that users of other trackers know;
    /// a walker makes 5 km/h.
    fn default() -> Self {
        Self { motion_kmh: 5, min_distance_m: 200, min_duration_s: 180, stop_s: 180, gap_s: 3600 }
    }
}
