//! A moment in an answer: text in JSON, Unix milliseconds in messages of gRPC.

use nemeses_reports::number::{time_ms, time_s};
use serde::{Serialize, Serializer};

/// As finely as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Unix seconds.
    Second(u32),
    /// Unix milliseconds.
    Ms(u64),
}

impl Moment {
    /// Unix milliseconds.
    pub(crate) fn ms(self) -> u64 {
        match self {
            Self::Second(second) => u64::from(second) * 1000,
            Self::Ms(ms) => ms,
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&match *self {
            Self::Second(second) => time_s(second),
            Self::Ms(ms) => time_ms(ms),
        })
    }
}
