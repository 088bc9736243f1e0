//! The names of what a window can be summarised to.

use std::fmt;
use std::str::FromStr;

use crate::SeriesError;

/// What a window of values is summarised to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// Mean of the numbers, each with the same weight.
    Mean,
    /// Least number.
    Min,
    /// Greatest number.
    Max,
    /// Sum of the numbers.
    Sum,
    /// How many values; 0 in a window without any.
    Count,
    /// First value.
    First,
    /// Last value.
    Last,
    /// Median; the mean of the middle two where their count is even.
    Median,
    /// 95th percentile, interpolated linearly between the two nearest numbers.
    P95,
    /// [`Delta`](Self::Delta) divided by the seconds between the two values that it compares.
    Rate,
    /// Change from the last number before the window to the last one in it; without a number
    /// before the window, from its first. Resets of counters are handled ([`crate::Kind`]).
    Delta,
    /// Standard deviation of a sample (divided by n - 1); needs two numbers.
    Stddev,
}

impl Aggregate {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 12] = [
        Self::Mean,
        Self::Min,
        Self::Max,
        Self::Sum,
        Self::Count,
        Self::First,
        Self::Last,
        Self::Median,
        Self::P95,
        Self::Rate,
        Self::Delta,
        Self::Stddev,
    ];

    /// The name in APIs and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Count => "count",
            Self::First => "first",
            Self::Last => "last",
            Self::Median => "median",
            Self::P95 => "p95",
            Self::Rate => "rate",
            Self::Delta => "delta",
            Self::Stddev => "stddev",
        }
    }

    /// Whether it needs every value, so that a [`crate::Summary`] cannot stand for them.
    pub fn needs_values(self) -> bool {
        matches!(self, Self::Median | Self::P95)
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Aggregate {
    type Err = SeriesError;

    fn from_str(text: &str) -> Result<Self, SeriesError> {
        Self::ALL
            .into_iter()
            .find(|aggregate| aggregate.as_str() == text)
            .ok_or_else(|| SeriesError::UnknownAggregate(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for aggregate in Aggregate::ALL {
            assert_eq!(aggregate.to_string().parse(), Ok(aggregate));
        }
        assert!("avg".parse::<Aggregate>().is_err());
    }
}
