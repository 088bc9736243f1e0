//! What a channel can hold at a time.

use std::sync::Arc;

use crate::number;

/// 2^53: up to here every whole number is exactly an `f64`.
const EXACT: i64 = 1 << 53;

/// A value of a channel. Equal means the same bits: NaN equals itself, and 0 differs from -0.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A whole number that may be too large for `Number`; see [`Value::whole`].
    Integer(i64),
    /// A boolean.
    Bool(bool),
    /// Text.
    Text(Arc<str>),
}

impl Value {
    /// A whole number: `Number` where that is exact (up to 2^53), else `Integer`. A channel's
    /// values then have one form however they were written.
    pub fn whole(whole: i64) -> Self {
        if whole.unsigned_abs() <= EXACT.unsigned_abs() {
            Self::Number(number::float(whole))
        } else {
            Self::Integer(whole)
        }
    }

    /// The value as a number; booleans are 0 and 1, `Integer` is rounded, text is none.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Integer(value) => Some(number::float(*value)),
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Text(_) => None,
        }
    }

    /// The value as a number that is neither NaN nor infinite.
    pub fn as_finite(&self) -> Option<f64> {
        self.as_number().and_then(number::finite)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.to_bits() == b.to_bits(),
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

/// A value and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Milliseconds since 1970 (UTC).
    pub at_ms: i64,
    /// The value.
    pub value: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_one_form() {
        assert_eq!(Value::whole(21), Value::Number(21.0));
        assert_eq!(Value::whole(EXACT), Value::Number(9_007_199_254_740_992.0));
        assert_eq!(Value::whole(EXACT + 1), Value::Integer(EXACT + 1));
        assert_eq!(Value::whole(i64::MIN), Value::Integer(i64::MIN));
    }

    #[test]
    fn equality_is_of_bits() {
        assert_eq!(Value::Number(f64::NAN), Value::Number(f64::NAN));
        assert_ne!(Value::Number(0.0), Value::Number(-0.0));
        assert_ne!(Value::Number(1.0), Value::Bool(true));
    }
}
