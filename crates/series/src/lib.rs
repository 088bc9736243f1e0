//! Series of a device's channels: windows of time, aggregates over them, points for drawing and
//! statistics; and how values that do not change any more are stored ([`chunk`]).
//!
//! Pure: values in, values out. Times are milliseconds since 1970 (UTC) and are arguments; where
//! values come from and who may see them is not decided here. Memory is bounded by constants
//! ([`MAX_WINDOWS`], [`MAX_QUANTILE_VALUES`], [`MAX_DRAWN_POINTS`], [`MAX_CORRELATED`],
//! [`MAX_STATES`]), never by what is stored.
//!
//! # Numbers that are no measurement
//!
//! NaN and the infinities are values: `count`, `first` and `last` include them. Every other
//! aggregate, statistic and drawing leaves them out, as if nothing had been measured. A boolean
//! is 0 or 1 in them, so that its mean is the share of `true`. Text takes part in `count`,
//! `first` and `last` only.

mod accumulator;
mod aggregate;
pub mod chunk;
mod drawing;
mod durations;
mod error;
mod kind;
mod number;
mod resample;
mod statistics;
mod summary;
mod value;
mod window;

pub use accumulator::{Accumulator, MAX_QUANTILE_VALUES};
pub use aggregate::Aggregate;
pub use drawing::{Drawing, MAX_DRAWN_POINTS, MIN_DRAWN_POINTS};
pub use durations::{Durations, MAX_STATES, StateTime};
pub use error::SeriesError;
pub use kind::Kind;
pub use resample::{Resampled, Resampler};
pub use statistics::{
    Combine, Fall, MAX_CORRELATED, MIN_COMMON_WINDOWS, Measure, Returns, Statistics, combined,
    correlations, returns, top,
};
pub use summary::{NumberSummary, Summary};
pub use value::{Sample, Value};
pub use window::{CalendarUnit, MAX_WINDOWS, Step, Windows};
