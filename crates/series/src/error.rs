//! Why a series cannot be computed.

use crate::{MAX_QUANTILE_VALUES, MAX_STATES, Step};

/// Why a series cannot be computed as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// A step's text is none.
    #[error(
        "{0:?} is no step: write auto, or a whole number of ms, s, m, h, d, w, mo or y such as 5m"
    )]
    BadStep(String),
    /// An aggregate of this name does not exist.
    #[error("there is no aggregate {0:?}")]
    UnknownAggregate(String),
    /// A kind of channel of this name does not exist.
    #[error("there is no kind of channel {0:?}")]
    UnknownKind(String),
    /// A measure of this name does not exist.
    #[error("there is no measure {0:?}")]
    UnknownMeasure(String),
    /// The range ends before it begins, or where it begins.
    #[error("the range is empty: its end must be later than its beginning")]
    EmptyRange,
    /// The range reaches beyond the times that can be computed with.
    #[error("the range reaches beyond the years -9999 to 9999")]
    OutOfRange,
    /// The step divides the range into too many windows.
    #[error("the range has more than {limit} windows of {step}")]
    TooManyWindows {
        /// The step that was asked for.
        step: Step,
        /// How many windows are allowed.
        limit: usize,
    },
    /// A value is earlier than the one before it.
    #[error("a value at {at_ms} ms follows one at {last_ms} ms")]
    OutOfOrder {
        /// The value's time.
        at_ms: i64,
        /// The time of the value before it.
        last_ms: i64,
    },
    /// A window has more values than an exact median or percentile may hold.
    #[error(
        "a window has more than {MAX_QUANTILE_VALUES} values, too many for a median or percentile"
    )]
    TooManyValues,
    /// A summary was given where the values are needed: for a median or percentile, or because
    /// it lies in more than one window.
    #[error("a summary cannot stand for its values here")]
    NeedsValues,
    /// A window has more different values than times are summed for.
    #[error("a window has more than {MAX_STATES} different values")]
    TooManyStates,
    /// More series than a matrix of correlations may have.
    #[error("{given} series were given where {limit} are allowed")]
    TooManySeries {
        /// How many were given.
        given: usize,
        /// How many are allowed.
        limit: usize,
    },
}
