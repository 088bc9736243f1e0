//! What a channel's values mean, as far as it decides how to summarise them.

use std::fmt;
use std::str::FromStr;

use crate::{Aggregate, SeriesError};

/// What a channel's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A measurement that goes up and down, such as a temperature.
    Gauge,
    /// A number that only grows until it starts again from 0, such as bytes since boot. A lower
    /// value is a reset, and the increase since the reset is the new value.
    Counter,
    /// A number that grows, such as an odometer. A lower value is a correction.
    Total,
    /// One of few conditions, such as `open` and `closed`; holds until the next value.
    State,
    /// Text without fixed conditions.
    Text,
    /// Something that happened; holds for no time.
    Event,
}

impl Kind {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 6] =
        [Self::Gauge, Self::Counter, Self::Total, Self::State, Self::Text, Self::Event];

    /// The name in APIs and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Total => "total",
            Self::State => "state",
            Self::Text => "text",
            Self::Event => "event",
        }
    }

    /// The default aggregate of a window.
    pub fn default_aggregate(self) -> Aggregate {
        match self {
            Self::Gauge => Aggregate::Mean,
            Self::Counter => Aggregate::Rate,
            Self::Total => Aggregate::Delta,
            Self::State | Self::Text => Aggregate::Last,
            Self::Event => Aggregate::Count,
        }
    }

    /// The change from one number of the channel to its next.
    pub fn change(self, from: f64, to: f64) -> f64 {
        if self == Self::Counter { increase(from, to) } else { to - from }
    }
}

/// The change of a counter: after a reset it began again at 0.
pub(crate) fn increase(from: f64, to: f64) -> f64 {
    if to < from { to } else { to - from }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = SeriesError;

    fn from_str(text: &str) -> Result<Self, SeriesError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| SeriesError::UnknownKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("Gauge".parse::<Kind>(), Err(SeriesError::UnknownKind("Gauge".to_owned())));
    }

    #[test]
    fn only_a_counter_resets() {
        assert_eq!(Kind::Counter.change(90.0, 7.0).to_bits(), 7.0_f64.to_bits());
        assert_eq!(Kind::Counter.change(90.0, 97.0).to_bits(), 7.0_f64.to_bits());
        assert_eq!(Kind::Total.change(90.0, 7.0).to_bits(), (-83.0_f64).to_bits());
    }
}
