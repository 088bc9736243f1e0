//! A JSON body: one object with a few text fields.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use crate::config::ApiConfig;
use crate::problem::{Kind, Problem};

/// The fields that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Fields(Map<String, Value>);

/// What a body may set, unset or leave: a number, if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patch<T = u32> {
    Absent,
    Null,
    Value(T),
}

impl<T> Patch<T> {
    /// What is set, if anything is.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields
where
    Arc<ApiConfig>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        Self::parse(&body_of(request, state).await?)
    }
}

/// The fields of a body that may have more than others; the route says so, too (`max_body`).
#[derive(Debug)]
pub(crate) struct LargeFields<const KIB: usize>(pub(crate) Fields);

impl<S: Send + Sync, const KIB: usize> FromRequest<S> for LargeFields<KIB>
where
    Arc<ApiConfig>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let too_large = format!("The body may have {KIB} KiB at most.");
        Fields::parse(&body_within(request, state, too_large).await?).map(Self)
    }
}

/// The fields of a body that may be left out.
#[derive(Debug)]
pub(crate) struct MaybeFields(pub(crate) Fields);

impl<S: Send + Sync> FromRequest<S> for MaybeFields
where
    Arc<ApiConfig>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = is_json(request.headers());
        let body = body_of(request, state).await?;
        match (body.is_empty(), json) {
            (true, _) => Ok(Self(Fields::default())),
            (false, true) => Fields::parse(&body).map(Self),
            (false, false) => Err(not_json()),
        }
    }
}

/// The body of values, in whatever form.
#[derive(Debug)]
pub(crate) struct TelemetryBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for TelemetryBody
where
    Arc<ApiConfig>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        const TOO_LARGE: &str = "The body may have 256 KiB at most. Send it in several requests.";
        body_within(request, state, TOO_LARGE).await.map(Self)
    }
}

async fn body_of<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem>
where
    Arc<ApiConfig>: FromRef<S>,
{
    body_within(request, state, "The body may have 16 KiB at most.").await
}

async fn body_within<S: Send + Sync>(
    request: Request,
    state: &S,
    too_large: impl Into<Cow<'static, str>>,
) -> Result<Bytes, Problem>
where
    Arc<ApiConfig>: FromRef<S>,
{
    let timeout = Arc::<ApiConfig>::from_ref(state).body_timeout;
    let body = Bytes::from_request(request, state);
    tokio::time::timeout(timeout, body)
        .await
        .map_err(|_| Problem::new(Kind::BodyTooSlow, "The body did not arrive in time."))?
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Kind::BodyTooLarge, too_large),
            _ => Problem::new(Kind::MalformedBody, "The body ended early."),
        })
}

fn not_json() -> Problem {
    let detail = "Send the body as JSON, with the header Content-Type: application/json.";
    Problem::new(Kind::UnsupportedMediaType, detail)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

impl Fields {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let malformed = |detail| Problem::new(Kind::MalformedBody, detail);
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(malformed("The body must be a JSON object.")),
            Err(_) => Err(malformed("The body is not JSON.")),
        }
    }

    /// Takes a text field.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, Problem> {
        self.maybe_text(name)?.ok_or_else(|| missing(name))
    }

    /// Takes a text field that may be left out.
    pub(crate) fn maybe_text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::field(name, "Must be a text.")),
            None => Ok(None),
        }
    }

    /// Takes a text field that may be null or left out.
    pub(crate) fn null_or_text(&mut self, name: &'static str) -> Result<Patch<String>, Problem> {
        match self.value(name) {
            Some(Value::Null) => Ok(Patch::Null),
            Some(Value::String(text)) => Ok(Patch::Value(text)),
            Some(_) => Err(Problem::field(name, "Must be a text, or null.")),
            None => Ok(Patch::Absent),
        }
    }

    /// All that nobody has taken, as it came.
    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.0)
    }

    /// Takes a field of any kind.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Takes a field that is true or false, or left out.
    pub(crate) fn maybe_flag(&mut self, name: &'static str) -> Result<Option<bool>, Problem> {
        match self.0.remove(name) {
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(Problem::field(name, "Must be true or false.")),
            None => Ok(None),
        }
    }

    /// Takes a whole number of a range, or nothing.
    pub(crate) fn maybe_number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Problem> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        value.as_u64().filter(|number| range.contains(number)).map(Some).ok_or_else(|| {
            let (least, most) = range.into_inner();
            Problem::field(name, format!("Must be a whole number from {least} to {most}."))
        })
    }

    /// Takes a list of 1 to `most` texts.
    pub(crate) fn some_texts(
        &mut self,
        name: &'static str,
        most: usize,
    ) -> Result<Vec<String>, Problem> {
        let texts = self.texts(name)?.ok_or_else(|| missing(name))?;
        if (1..=most).contains(&texts.len()) {
            return Ok(texts);
        }
        Err(Problem::field(name, format!("Must be a list of 1 to {most} texts.")))
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

fn missing(name: &'static str) -> Problem {
    Problem::field(name, "Missing.")
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
    fn fields_of_other_kinds() {
        let mut fields = Fields::parse(
            br#"{"yes": true, "n": 7, "far": 8, "list": ["a", "b"], "odd": ["a", 1], "none": [], "t": 1}"#,
        )
        .unwrap();
        assert_eq!(fields.maybe_flag("yes").unwrap(), Some(true));
        assert_eq!(fields.maybe_flag("no").unwrap(), None);
        assert_eq!(fields.maybe_flag("t").unwrap_err().at_fault(), Some("t"));
        assert_eq!(fields.maybe_number("n", 1..=7).unwrap(), Some(7));
        assert_eq!(fields.maybe_number("m", 1..=7).unwrap(), None);
        assert_eq!(fields.maybe_number("far", 1..=7).unwrap_err().at_fault(), Some("far"));
        assert_eq!(fields.some_texts("list", 2).unwrap(), ["a", "b"]);
        for bad in ["odd", "none", "absent"] {
            assert_eq!(fields.some_texts(bad, 2).unwrap_err().at_fault(), Some(bad));
        }
        let mut fields = Fields::parse(br#"{"list": ["a", "b", "c"], "n": -1, "f": 1.5}"#).unwrap();
        assert_eq!(fields.some_texts("list", 2).unwrap_err().at_fault(), Some("list"));
        for bad in ["n", "f"] {
            assert_eq!(fields.maybe_number(bad, 0..=7).unwrap_err().at_fault(), Some(bad));
        }
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
