//! Parameters of the query, the path and the head: name, form, bounds, meaning,
//! an example. The constructors are the forms that `input::Params` reads.

use serde_json::{Value, json};

use super::schemas::DEVICE_PATTERN;

/// A device id as everywhere in the documents.
pub(crate) const EXAMPLE_DEVICE: &str = "0A3F73";
/// When the founding example was recorded.
const EXAMPLE_TIME: &str = "2020-07-01T21:00:00Z";

/// One parameter.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    pub(super) name: &'static str,
    /// `query`, `path` or `header`.
    pub(super) place: &'static str,
    pub(super) required: bool,
    schema: Value,
    about: &'static str,
    example: Option<Value>,
}

impl Param {
    /// A parameter of the query with any JSON schema; not required.
    pub(crate) fn query(name: &'static str, schema: Value, about: &'static str) -> Self {
        Self { name, place: "query", required: false, schema, about, example: None }
    }

    /// A part of the path, such as `{id}`; always required.
    pub(crate) fn path(name: &'static str, schema: Value, about: &'static str) -> Self {
        Self { place: "path", required: true, ..Self::query(name, schema, about) }
    }

    /// A device id in the path.
    pub(crate) fn path_device() -> Self {
        let schema = json!({"type": "string", "pattern": DEVICE_PATTERN});
        Self::path("device_id", schema, "Which device.").example(EXAMPLE_DEVICE)
    }

    /// A number that the server drew, in the path.
    pub(crate) fn path_number(name: &'static str, about: &'static str) -> Self {
        let schema = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
        Self::path(name, schema, about).example(1)
    }

    /// Device ids with commas between them, in the query.
    pub(crate) fn devices(name: &'static str, about: &'static str) -> Self {
        let schema = json!({"type": "string", "maxLength": 8000});
        Self::query(name, schema, about).example("0A3F73,0A3F74")
    }

    /// A share of a list, in the query.
    pub(crate) fn shard() -> Self {
        let schema = json!({"type": "string", "pattern": "^[0-9]{1,2}/[0-9]{1,2}$"});
        let about = "The k-th of n shares (n at most 64), to read a long list in several requests at once: every device is in exactly one of them. Pages follow each other by a cursor in each share; one of the undivided list is good in each.";
        Self::query("shard", schema, about).example("1/4")
    }

    /// A header of the request.
    pub(crate) fn header(name: &'static str, schema: Value, about: &'static str) -> Self {
        Self { place: "header", ..Self::query(name, schema, about) }
    }

    /// A device id in the query, required.
    pub(crate) fn device(name: &'static str, about: &'static str) -> Self {
        let schema = json!({"type": "string", "pattern": DEVICE_PATTERN});
        Self::query(name, schema, about).required().example(EXAMPLE_DEVICE)
    }

    /// A time in the query: RFC 3339 or whole Unix seconds.
    pub(crate) fn time(name: &'static str, about: &'static str) -> Self {
        let schema = json!({"anyOf": [
            {"type": "string", "format": "date-time", "maxLength": 40},
            {"type": "integer", "minimum": 0, "maximum": u32::MAX},
        ]});
        Self::query(name, schema, about).example(EXAMPLE_TIME)
    }

    /// A whole number from 1 to `most` in the query, as `Params::count` reads it.
    pub(crate) fn count(name: &'static str, default: u32, most: u32, about: &'static str) -> Self {
        let schema = json!({"type": "integer", "minimum": 1, "maximum": most, "default": default});
        Self::query(name, schema, about).example(default)
    }

    /// One of a few words in the query, as `Params::choice` reads it; the first
    /// is the default.
    pub(crate) fn choice<T>(
        name: &'static str,
        choices: &[(&'static str, T)],
        about: &'static str,
    ) -> Self {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let first = words.first().copied();
        let schema = json!({"type": "string", "enum": words, "default": first});
        Self { example: first.map(Value::from), ..Self::query(name, schema, about) }
    }

    /// Text of a bounded length in the query.
    pub(crate) fn text(name: &'static str, longest: usize, about: &'static str) -> Self {
        Self::query(name, json!({"type": "string", "maxLength": longest}), about)
    }

    /// The same, and a request without it is good.
    pub(crate) fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// The same, and a request without it is refused.
    pub(crate) fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same without an example, for what stands instead of something else.
    pub(crate) fn no_example(mut self) -> Self {
        self.example = None;
        self
    }

    /// The same with an example.
    pub(crate) fn example(mut self, example: impl Into<Value>) -> Self {
        self.example = Some(example.into());
        self
    }

    /// As the document has it.
    pub(super) fn written(&self) -> Value {
        let mut written = json!({
            "name": self.name,
            "in": self.place,
            "required": self.required,
            "description": self.about,
            "schema": self.schema,
        });
        if let Some(example) = &self.example {
            written["example"] = example.clone();
        }
        written
    }
}
