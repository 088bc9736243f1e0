//! Statistics of series that were resampled at one step: what an analyst asks of prices and a
//! fleet manager of fuel.
//!
//! A series is a column of [`crate::Resampled`]: a number or a gap for each window. Gaps are
//! bridged: a return or a fall is from one window that has a number to the next that has one,
//! as prices go from Friday to Monday. What is "annualised" is scaled to a year of 365.25 days
//! by the time and the number of returns that there were, so that prices of trading days come
//! to about 252 returns a year without a setting.

mod combine;
mod correlation;
mod rank;

use crate::{Kind, NumberSummary, number};

pub use combine::{Combine, combined};
pub use correlation::{MAX_CORRELATED, MIN_COMMON_WINDOWS, correlations};
pub use rank::{Measure, top};

/// 365.25 days.
const YEAR_S: f64 = 31_557_600.0;

/// How a return from one number to the next is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returns {
    /// The natural logarithm of the ratio; needs positive numbers.
    Log,
    /// The change as a share of the earlier number; needs one that is not 0.
    Simple,
}

impl Returns {
    /// The return from one number to the next; none where it has no finite value.
    pub fn between(self, from: f64, to: f64) -> Option<f64> {
        let value = match self {
            Self::Log if from > 0.0 && to > 0.0 => (to / from).ln(),
            Self::Log => return None,
            Self::Simple => (to - from) / from.abs(),
        };
        number::finite(value)
    }
}

/// The returns of a series: for each window that has a number the return since the last one that
/// had, for [`correlations`] of returns rather than of levels.
pub fn returns(values: &[Option<f64>], by: Returns) -> Vec<Option<f64>> {
    let mut before = None;
    let mut step = |value: &Option<f64>| {
        let value = (*value)?;
        before.replace(value).and_then(|before| by.between(before, value))
    };
    values.iter().map(&mut step).collect()
}

/// A fall from a peak to the lowest point after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fall {
    /// Beginning of the peak's window in milliseconds.
    pub peak_ms: i64,
    /// The peak.
    pub peak: f64,
    /// Beginning of the lowest point's window in milliseconds.
    pub low_ms: i64,
    /// The lowest point.
    pub low: f64,
}

impl Fall {
    /// How far it fell.
    pub fn amount(&self) -> f64 {
        self.peak - self.low
    }

    /// How far it fell as a share of the peak, for peaks above 0.
    pub fn share(&self) -> f64 {
        self.amount() / self.peak
    }
}

/// Statistics of one series. None where there are too few numbers, or where the result is not
/// finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Windows that have a number.
    pub count: usize,
    /// Mean of the numbers.
    pub mean: Option<f64>,
    /// Standard deviation of the numbers (sample).
    pub stddev: Option<f64>,
    /// From the first to the last number; of a counter the sum of its increases.
    pub change: Option<f64>,
    /// The change as a share of the first number, if that is above 0.
    pub change_share: Option<f64>,
    /// By what share it would change in a year at the same rate, compounded: (1 +
    /// `change_share`) to the power of a year over the time between the first and the last
    /// window, minus 1. None if the change leaves nothing.
    pub annualised_change: Option<f64>,
    /// Standard deviation (sample) of the returns, times the root of the returns a year. None if
    /// one of the returns has no value.
    pub volatility: Option<f64>,
    /// The fall that is the greatest by amount.
    pub greatest_fall: Option<Fall>,
    /// The fall that is the greatest as a share of its peak; only of series that are never below
    /// 0.
    pub greatest_drawdown: Option<Fall>,
}

impl Statistics {
    /// The statistics of a series: the windows' beginnings in milliseconds and their numbers.
    ///
    /// # Panics
    ///
    /// If there are more numbers than windows, or fewer.
    pub fn of(starts_ms: &[i64], values: &[Option<f64>], kind: Kind, by: Returns) -> Self {
        assert_eq!(starts_ms.len(), values.len(), "a value or a gap for each window");
        let pairs = starts_ms.iter().zip(values);
        let known: Vec<(i64, f64)> = pairs
            .filter_map(|(at_ms, value)| Some((*at_ms, value.and_then(number::finite)?)))
            .collect();
        let (Some(first), Some(last)) = (known.first(), known.last()) else {
            return Self::default();
        };
        let summary = summary(&known);
        let years = number::seconds_between(first.0, last.0) / YEAR_S;
        let change = change(&known, kind);
        let change_share = change.filter(|_| first.1 > 0.0).map(|change| change / first.1);
        Self {
            count: known.len(),
            mean: number::finite(summary.mean()),
            stddev: summary.stddev().and_then(number::finite),
            change,
            change_share: change_share.and_then(number::finite),
            annualised_change: change_share.and_then(|share| annualised(share, years)),
            volatility: volatility(&known, by, years),
            greatest_fall: greatest_fall(&known, Fall::amount),
            greatest_drawdown: (summary.min >= 0.0)
                .then(|| greatest_fall(&known, Fall::share))
                .flatten(),
        }
    }
}

fn summary(known: &[(i64, f64)]) -> NumberSummary {
    let (at_ms, value) = known[0];
    let mut summary = NumberSummary::of(at_ms, value);
    for (at_ms, value) in &known[1..] {
        summary.push(*at_ms, *value);
    }
    summary
}

fn change(known: &[(i64, f64)], kind: Kind) -> Option<f64> {
    let (first, last) = (known.first()?.1, known.last()?.1);
    let change = match kind {
        Kind::Counter => known.windows(2).map(|pair| kind.change(pair[0].1, pair[1].1)).sum(),
        _ => last - first,
    };
    (known.len() > 1).then_some(change).and_then(number::finite)
}

fn annualised(share: f64, years: f64) -> Option<f64> {
    let grows = years > 0.0 && share > -1.0;
    grows.then(|| (1.0 + share).powf(1.0 / years) - 1.0).and_then(number::finite)
}

fn volatility(known: &[(i64, f64)], by: Returns, years: f64) -> Option<f64> {
    let returns = known.windows(2).map(|pair| Some((pair[1].0, by.between(pair[0].1, pair[1].1)?)));
    let returns: Vec<(i64, f64)> = returns.collect::<Option<_>>()?;
    if returns.is_empty() || years <= 0.0 {
        return None;
    }
    let a_year = number::length(returns.len()) / years;
    number::finite(summary(&returns).stddev()? * a_year.sqrt())
}

/// The fall that is the greatest by a measure; of equal ones the first.
fn greatest_fall(known: &[(i64, f64)], measure: impl Fn(&Fall) -> f64) -> Option<Fall> {
    let mut peak = known.first().copied()?;
    let mut greatest: Option<Fall> = None;
    for (at_ms, value) in known {
        if *value >= peak.1 {
            peak = (*at_ms, *value);
            continue;
        }
        let fall = Fall { peak_ms: peak.0, peak: peak.1, low_ms: *at_ms, low: *value };
        if greatest.is_none_or(|greatest| measure(&fall) > measure(&greatest)) {
            greatest = Some(fall);
        }
    }
    greatest
}

#[cfg(test)]
mod tests;
