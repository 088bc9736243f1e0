//! A value of a channel as JSON.

use nemeses_protocol::Value as Measured;
use serde_json::{Value, json};

/// A value as JSON; a number that JSON cannot say is null.
pub(crate) fn measured(value: &Measured) -> Value {
    match value {
        Measured::Flag(flag) => json!(flag),
        Measured::Integer(number) => json!(number),
        Measured::Number(number) => json!(number),
        Measured::Text(text) => json!(text),
    }
}
