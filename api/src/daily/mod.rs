//! The daily table: sums of each device's day (UTC), kept up beside the rows by
//! the same pure parts that the summary report is made of, so that a month of a
//! fleet is answered at once. `day.rs` adds up, `keeper.rs` does so for the days
//! that commits have marked, `start.rs` lets reports begin where a day ended; the route
//! is `routes/api_v1/fleet.rs`.

mod day;
mod keeper;
mod start;
mod stats;

pub(crate) use day::{speed, tally_of};
pub use keeper::{KeptIn, keep_daily};
pub(crate) use start::{LOOK_BACK_S, Starts};
pub use stats::DailyStats;
