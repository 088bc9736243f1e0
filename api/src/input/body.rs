//! A JSON body: one object with a few text fields.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use crate::problem::{Kind, Problem};
use crate::state::ApiState;

/// The fields that nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Fields(Map<String, Value>);

/// A number that a body may set, unset or leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patch {
    Absent,
    Null,
    Value(u32),
}

impl FromRequest<ApiState> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "Send the body as JSON, with the header Content-Type: application/json.";
            return Err(Problem::new(Kind::UnsupportedMediaType, detail));
        }
        let body = Bytes::from_request(request, state);
        let body = tokio::time::timeout(state.config.body_timeout, body)
            .await
            .map_err(|_| Problem::new(Kind::BodyTooSlow, "The body did not arrive in time."))?
            .map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    Problem::new(Kind::BodyTooLarge, "The body may have 16 KiB at most.")
                }
                _ => Problem::new(Kind::MalformedBody, "The body ended early."),
            })?;
        Self::parse(&body)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

impl Fields {
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        let malformed = |detail| Problem::new(Kind::MalformedBody, detail);
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(malformed("The body must be a JSON object.")),
            Err(_) => Err(malformed("The body is not JSON.")),
        }
    }

    /// Takes a text field.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, Problem> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Problem::field(name, "Must be a text.")),
            None => Err(Problem::field(name, "Missing.")),
        }
    }

    /// Takes a text field that need not be there.
    pub(crate) fn maybe_text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        if self.0.contains_key(name) { self.text(name).map(Some) } else { Ok(None) }
    }

    /// Takes a list of texts that need not be there.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Problem> {
        let refuse = || Problem::field(name, "Must be a list of texts.");
        let text = |item| match item {
            Value::String(text) => Ok(text),
            _ => Err(refuse()),
        };
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Array(items)) => {
                items.into_iter().map(text).collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(refuse()),
        }
    }

    /// Takes a number from 1 to `most` that may be `null` or need not be there.
    pub(crate) fn number(&mut self, name: &'static str, most: u32) -> Result<Patch, Problem> {
        let refuse =
            || Problem::field(name, format!("Must be a whole number from 1 to {most}, or null."));
        match self.0.remove(name) {
            None => Ok(Patch::Absent),
            Some(Value::Null) => Ok(Patch::Null),
            Some(Value::Number(number)) => number
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| (1..=most).contains(number))
                .map(Patch::Value)
                .ok_or_else(refuse),
            Some(_) => Err(refuse()),
        }
    }

    /// Refuses what nobody has taken.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::field(name, "There is no such field here.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_objects_of_texts() {
        let mut fields = Fields::parse(br#"{"email": "a", "n": 1, "extra": null}"#).unwrap();
        assert_eq!(fields.text("email").unwrap(), "a");
        for (name, kind) in [("n", Kind::InvalidField), ("absent", Kind::InvalidField)] {
            let problem = fields.text(name).unwrap_err();
            assert_eq!((problem.kind(), problem.at_fault()), (kind, Some(name)));
        }
        assert_eq!(fields.finish().unwrap_err().at_fault(), Some("extra"));
        let deep = "[".repeat(15_000);
        for bad in ["", "{", "[]", "\"a\"", "null", "{\"a\": \"\u{1}\"}", &deep] {
            assert_eq!(
                Fields::parse(bad.as_bytes()).unwrap_err().kind(),
                Kind::MalformedBody,
                "{bad}"
            );
        }
        assert!(Fields::parse(b"{\"a\": \"\xff\"}").is_err());
    }

    #[test]
    fn lists_and_numbers() {
        let body = br#"{"tags": ["a"], "n": 5, "null": null, "big": 101, "half": 0.5, "odd": [1], "t": "x"}"#;
        let mut fields = Fields::parse(body).unwrap();
        assert_eq!(fields.texts("tags").unwrap().unwrap(), ["a"]);
        assert_eq!(fields.texts("tags").unwrap(), None);
        assert_eq!(fields.maybe_text("t").unwrap().unwrap(), "x");
        assert_eq!(fields.maybe_text("t").unwrap(), None);
        assert_eq!(fields.number("n", 100).unwrap(), Patch::Value(5));
        assert_eq!(fields.number("n", 100).unwrap(), Patch::Absent);
        assert_eq!(fields.number("null", 100).unwrap(), Patch::Null);
        for name in ["big", "half", "odd"] {
            assert_eq!(fields.number(name, 100).unwrap_err().at_fault(), Some(name));
        }
        let mut odd = Fields::parse(br#"{"odd": [1], "text": "a"}"#).unwrap();
        assert_eq!(odd.texts("odd").unwrap_err().at_fault(), Some("odd"));
        assert_eq!(odd.texts("text").unwrap_err().at_fault(), Some("text"));
    }

    #[test]
    fn content_types() {
        let with = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(
                header::CONTENT_TYPE,
                HeaderValue::from_static(value),
            )]))
        };
        assert!(with("application/json"));
        assert!(with("Application/JSON; charset=utf-8"));
        for bad in ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
            assert!(!with(bad), "{bad}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
