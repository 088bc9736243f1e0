//! The fleet as a whole: which devices there are, how each one is, and where.
//! `status.rs`, `place.rs` and `select.rs` decide; `read.rs` asks the stores, a
//! few times for any number of devices.

mod place;
mod read;
mod select;
mod status;

pub(crate) use place::{BoundingBox, Place, nearest_first};
pub(crate) use read::{Member, Presence, members, presences};
pub(crate) use select::{Filter, keep};
pub(crate) use status::Status;
