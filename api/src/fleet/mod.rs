//! The fleet as a whole: which devices there are, how each one is, and where.
//! `status.rs`, `place.rs` and `select.rs` decide; `read.rs` asks the stores, a
//! few times for any number of devices; `roster.rs` and `totals.rs` keep for some seconds who
//! there is in a large fleet, and its sums.

mod gathered;
mod late;
mod place;
mod read;
mod roster;
mod select;
mod status;
mod totals;

pub(crate) use gathered::Gathered;
pub(crate) use late::LatePasts;
pub(crate) use place::{BoundingBox, Place, nearest_first};
pub(crate) use read::{Counts, Fleet, Member, Presence, census, count, fleet, places, presences};
pub(crate) use roster::Roster;
pub(crate) use select::{Filter, keep};
pub(crate) use status::Status;
