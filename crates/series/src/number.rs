//! Conversions between whole numbers and floating point, in one place with their reasons.

/// A whole number as the nearest `f64`; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "nearest is what callers want")]
pub(crate) fn float(whole: i64) -> f64 {
    whole as f64
}

/// A count as the nearest `f64`; exact up to 2^53, which no series reaches.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn count(count: u64) -> f64 {
    count as f64
}

/// A length as the nearest `f64`.
#[expect(clippy::cast_precision_loss, reason = "lengths stay far below 2^53")]
pub(crate) fn length(length: usize) -> f64 {
    length as f64
}

/// Seconds between two times in milliseconds.
pub(crate) fn seconds_between(from_ms: i64, to_ms: i64) -> f64 {
    (float(to_ms) - float(from_ms)) / 1000.0
}

/// The value, unless it is NaN or infinite.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
