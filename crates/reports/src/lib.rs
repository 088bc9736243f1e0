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
pub mod number;
mod one_kind;
mod parts;
mod place;
mod rest;
mod row;
mod segment;
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

use schemars::JsonSchema;
use serde::Serialize;

pub use distance::{Distance, Source, haversine_m};
pub use doubt::{Doubt, ROWS_TO_JUDGE};
pub use events::{Event, EventLimits, Events, What};
pub use leg::{Leg, Point};
pub use one_kind::OneKind;
pub use place::Place;
pub use row::Row;
pub use segment::{Segment, SegmentKind};
pub use segments::Segments;
pub use summary::{Day, Summary, hour_meter_run_min};
pub use tally::Tally;
pub use track::{Mark, Track};
pub use walker::Walker;
pub use zone::{Zone, date};

/// The version of these rules. Sums made by another one are made anew; whoever
/// changes an answer for the same rows counts it up.
pub const RULES: u32 = 3;

/// Finds things in rows in time order, holding a constant amount of state.
pub trait Finder: Send + 'static {
    /// What is found.
    type Found: Send;

    /// The next row. Gives out what is certain to be over.
    fn push(&mut self, row: &impl Row, out: &mut Vec<Self::Found>);

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
pub struct Settings {
    /// Slower than this is standing.
    pub motion_kmh: u32,
    /// A trip leads at least this far away from its start.
    pub min_distance_m: u32,
    /// A trip lasts at least this long.
    pub min_duration_s: u32,
    /// Standing for this long ends a trip and is a stop.
    pub stop_s: u32,
    /// Silence for longer than this says nothing of what happened meanwhile.
    pub gap_s: u32,
}

impl Default for Settings {
    /// The distance and the times are those that users of other trackers know;
    /// a walker makes 5 km/h.
    fn default() -> Self {
        Self { motion_kmh: 5, min_distance_m: 200, min_duration_s: 180, stop_s: 180, gap_s: 3600 }
    }
}
