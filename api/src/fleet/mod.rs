//! The fleet as a whole: which devices there are, how each one is, and where.
//! `status.rs`, `place.rs` and `select.rs` decide; `read.rs` asks the stores, a
//! few times for any number of devices; `roster.rs` and `totals.rs` keep for some seconds who
//! there is in a large fleet, and its sums.

mod gathered;
mod late;
mod member;
mod past;
mod place;
mod read;
mod roster;
mod select;
mod state;
mod status;
mod totals;

pub(crate) use member::{Counts, Member, count};
pub(crate) use past::past;
pub(crate) use place::{BoundingBox, Place, nearest_first};
pub(crate) use read::{Fleet, Presence, census, fleet, places, presences};
pub(crate) use select::{Filter, keep};
pub(crate) use state::{FleetState, ForReports};
pub(crate) use status::Status;
