//! Values that rules compare.

use std::cmp::Ordering;

use nemeses_protocol::Value;

/// A number, a flag or a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// Any number but NaN.
    Number(f64),
    /// True or false.
    Flag(bool),
    /// A channel's text.
    Text(Box<str>),
}

impl Datum {
    /// A reading's value; NaN is none.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Flag(flag) => Some(Self::Flag(*flag)),
            Value::Text(text) => Some(Self::Text(text.as_ref().into())),
            Value::Integer(_) | Value::Number(_) => {
                value.as_number().filter(|number| !number.is_nan()).map(Self::Number)
            }
        }
    }

    /// As a number; a flag is 0 or 1.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Flag(flag) => Some(f64::from(u8::from(*flag))),
            Self::Text(_) => None,
        }
    }

    /// As a flag: a number is true unless it is 0.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            Self::Number(number) => Some(*number != 0.0),
            Self::Text(_) => None,
        }
    }

    /// How it compares to another; `None` where text meets a number.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }
}

/// Milliseconds as seconds; times end long before a double does.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ms")]
pub(crate) fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
