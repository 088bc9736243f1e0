//! The variable parts of a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::params::plain_number;
use crate::problem::{Kind, Problem};

/// The parts as texts: a `String`, or a tuple of them.
#[derive(Debug)]
pub(crate) struct Segments<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let segments = Path::from_request_parts(parts, state).await;
        segments
            .map(|Path(segments)| Self(segments))
            .map_err(|_| Problem::parameter("path", "The path cannot be read."))
    }
}

/// A number that the database drew.
pub(crate) fn number(name: &'static str, text: &str) -> Result<u64, Problem> {
    plain_number(text).ok_or_else(|| Problem::parameter(name, "Must be a whole number."))
}

/// The answer for a number that is nobody's, and for one that is somebody else's.
pub(crate) fn unknown_id(name: &'static str) -> Problem {
    Problem::new(Kind::UnknownId, "There is nothing of this number.").blaming(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number("group_id", "7").unwrap(), 7);
        for bad in ["", "-1", "+1", "1.0", "x", "18446744073709551616", "9223372036854775808"] {
            assert_eq!(number("group_id", bad).unwrap_err().at_fault(), Some("group_id"), "{bad}");
        }
    }
}
