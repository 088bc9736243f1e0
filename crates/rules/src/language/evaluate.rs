//! The value of a condition at a moment. `false and unknown` is false and `true or unknown` is true;
//! anything else with an unknown part is unknown.

use std::cmp::Ordering;

use super::expression::{Arithmetic, Comparison, Expression};
use crate::datum::{Datum, seconds};
use crate::geo::{FenceIndex, Point};
use crate::memory::Memory;

/// What a condition is evaluated against.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The moment, by the device's clock, Unix milliseconds.
    pub at_ms: u64,
    /// When the row arrived, by the server's clock, Unix milliseconds.
    pub received_at_ms: u64,
    /// Where the device is, if that is known.
    pub place: Option<Point>,
    /// What the device reported until now.
    pub memory: &'a Memory,
    /// All fences.
    pub fences: &'a FenceIndex,
    /// For how long a value holds when no newer one arrives.
    pub hold_ms: u64,
}

impl Expression {
    /// Whether it holds; `None` while something in it is not known.
    pub fn holds(&self, now: &Moment<'_>) -> Option<bool> {
        self.value(now)?.flag()
    }

    /// Its value; `None` while something in it is not known.
    pub fn value(&self, now: &Moment<'_>) -> Option<Datum> {
        match self {
            Self::Number(number) => Some(Datum::Number(*number)),
            Self::Flag(flag) => Some(Datum::Flag(*flag)),
            Self::Text(text) => Some(Datum::Text(text.clone())),
            Self::Newest(name) => now.memory.newest(name, now.at_ms, now.hold_ms).cloned(),
            Self::Not(one) => one.holds(now).map(|flag| Datum::Flag(!flag)),
            Self::And(one, other) => joined(one.holds(now), || other.holds(now), false),
            Self::Or(one, other) => joined(one.holds(now), || other.holds(now), true),
            Self::Compare(by, one, other) => {
                let order = one.value(now)?.compare(&other.value(now)?)?;
                Some(Datum::Flag(by.accepts(order)))
            }
            Self::Negative(_)
            | Self::Compute(..)
            | Self::Rate(_)
            | Self::Mean(..)
            | Self::DistanceTo(..)
            | Self::Age(_) => {
                self.number(now).filter(|number| number.is_finite()).map(Datum::Number)
            }
            Self::Inside(id) => {
                let (fence, place) = (now.fences.get(*id)?, now.place?);
                Some(Datum::Flag(fence.contains(place)))
            }
        }
    }

    fn number(&self, now: &Moment<'_>) -> Option<f64> {
        match self {
            Self::Negative(one) => Some(-one.value(now)?.number()?),
            Self::Compute(by, one, other) => {
                Some(by.of(one.value(now)?.number()?, other.value(now)?.number()?))
            }
            Self::Rate(name) => now.memory.rate(name, now.at_ms, now.hold_ms),
            Self::Mean(name, window_ms) => now.memory.mean(name, *window_ms, now.at_ms),
            Self::DistanceTo(latitude, longitude) => {
                Some(now.place?.distance_m(Point::new(*latitude, *longitude)))
            }
            Self::Age(None) => Some(seconds(now.received_at_ms.saturating_sub(now.at_ms))),
            Self::Age(Some(name)) => {
                Some(seconds(now.at_ms.saturating_sub(now.memory.newest_at(name)?)))
            }
            other => other.value(now)?.number(),
        }
    }
}

/// Both or either of two conditions; one that is `deciding` decides, whatever the other one is.
fn joined(
    one: Option<bool>,
    other: impl FnOnce() -> Option<bool>,
    deciding: bool,
) -> Option<Datum> {
    if one == Some(deciding) {
        return Some(Datum::Flag(deciding));
    }
    let other = other();
    if other == Some(deciding) {
        return Some(Datum::Flag(deciding));
    }
    one.and(other).map(Datum::Flag)
}

impl Comparison {
    const fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
        }
    }
}

impl Arithmetic {
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Add => one + other,
            Self::Subtract => one - other,
            Self::Multiply => one * other,
            Self::Divide => one / other,
        }
    }
}
