//! What is wrong with a rule or a fence, in words for its author.

/// Why GeoJSON is no fence.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FenceError {
    /// A member is not there.
    #[error("the GeoJSON has no `{0}`")]
    Missing(&'static str),
    /// The geometry's type is none of those that make an area.
    #[error(
        "a geometry of type {0:?} is no area: use Polygon, MultiPolygon, a Point with radius_m, or a LineString or MultiLineString with width_m"
    )]
    Kind(String),
    /// A radius or a width is no number or out of its bounds.
    #[error("`{0}` is a number of metres from 1 to 1000000")]
    Metres(&'static str),
    /// Coordinates are not nested as their type needs, or are no numbers.
    #[error("the coordinates are not as RFC 7946 has them for this type: numbers, longitude first")]
    Coordinates,
    /// A place that there is not.
    #[error(
        "[{longitude}, {latitude}] is no place: longitudes are from -180 to 180 and come first, latitudes from -90 to 90"
    )]
    Range {
        /// As it came.
        longitude: f64,
        /// As it came.
        latitude: f64,
    },
    /// More than [`crate::MAX_FENCE_POINTS`].
    #[error("the fence has more than 10000 points: simplify it")]
    TooManyPoints,
    /// A ring whose last point is not its first.
    #[error("a ring is not closed: its last point repeats its first")]
    OpenRing,
    /// A ring of fewer than four points, the repeated one included.
    #[error("a ring has at least four points, the last of which repeats the first")]
    ShortRing,
    /// A line of one point.
    #[error("a line has at least two points")]
    ShortLine,
    /// A ring whose edges cross or touch each other.
    #[error("edges {first} and {second} of a ring cross or touch each other")]
    Crossing {
        /// Counted from 1.
        first: usize,
        /// Counted from 1.
        second: usize,
    },
}

/// Why a text is no condition, or a rule cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (column {column})")]
pub struct ConditionError {
    /// What is wrong.
    pub message: String,
    /// Where, counted in characters from 1.
    pub column: usize,
}

/// Why a rule cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A condition is wrong.
    #[error("`{part}`: {error}")]
    Condition {
        /// Which of the rule's members.
        part: &'static str,
        /// What is wrong with it.
        error: ConditionError,
    },
    /// A number is out of its bounds.
    #[error("`{part}` is {bounds}")]
    Bounds {
        /// Which of the rule's members.
        part: &'static str,
        /// What it may be.
        bounds: &'static str,
    },
    /// There is no such fence.
    #[error("there is no geofence {0}")]
    NoFence(u64),
    /// The value to leave at lies where the alarm is raised.
    #[error("the value to leave at must be on the other side of the value to enter at")]
    Hysteresis,
}
