//! Which of several series have the most of something.

use std::fmt;
use std::str::FromStr;

use super::{Fall, Statistics};
use crate::SeriesError;

/// A number of [`Statistics`] by which series are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// The mean.
    Mean,
    /// The standard deviation.
    Stddev,
    /// The total change.
    Change,
    /// The total change as a share of the first number.
    ChangeShare,
    /// The annualised change.
    AnnualisedChange,
    /// The volatility.
    Volatility,
    /// The amount of the greatest fall.
    GreatestFall,
    /// The share of the greatest drawdown.
    GreatestDrawdown,
}

impl Measure {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 8] = [
        Self::Mean,
        Self::Stddev,
        Self::Change,
        Self::ChangeShare,
        Self::AnnualisedChange,
        Self::Volatility,
        Self::GreatestFall,
        Self::GreatestDrawdown,
    ];

    /// The name in APIs and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Stddev => "stddev",
            Self::Change => "change",
            Self::ChangeShare => "change_share",
            Self::AnnualisedChange => "annualised_change",
            Self::Volatility => "volatility",
            Self::GreatestFall => "greatest_fall",
            Self::GreatestDrawdown => "greatest_drawdown",
        }
    }

    /// The number of a series.
    pub fn of(self, statistics: &Statistics) -> Option<f64> {
        match self {
            Self::Mean => statistics.mean,
            Self::Stddev => statistics.stddev,
            Self::Change => statistics.change,
            Self::ChangeShare => statistics.change_share,
            Self::AnnualisedChange => statistics.annualised_change,
            Self::Volatility => statistics.volatility,
            Self::GreatestFall => statistics.greatest_fall.as_ref().map(Fall::amount),
            Self::GreatestDrawdown => statistics.greatest_drawdown.as_ref().map(Fall::share),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Measure {
    type Err = SeriesError;

    fn from_str(text: &str) -> Result<Self, SeriesError> {
        Self::ALL
            .into_iter()
            .find(|measure| measure.as_str() == text)
            .ok_or_else(|| SeriesError::UnknownMeasure(text.to_owned()))
    }
}

/// The places of the `count` series with the greatest measure, the greatest first; of equal ones
/// the earlier. Series without the measure are left out. Rank the least by negated measures.
pub fn top(measures: &[Option<f64>], count: usize) -> Vec<usize> {
    let known = measures.iter().enumerate();
    let mut ranked: Vec<(usize, f64)> =
        known.filter_map(|(place, measure)| Some((place, (*measure)?))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.into_iter().take(count).map(|(place, _)| place).collect()
}
