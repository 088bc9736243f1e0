//! `POST /api/v1/telemetry`: values and positions of devices, answered after their commit.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use nemeses_protocol::Identity;
use nemeses_telemetry::{Format, Precision};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::access::{Principal, Sees};
use crate::backend::Backend;
use crate::input::{Params, TelemetryBody};
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::output;
use crate::posting::{MAX_KEY, NotStored, PostOutcome, Posted, Refused, RequestKey};
use crate::problem::{Kind, Problem, fault};

const KEY: &str = "Idempotency-Key";

/// What became of the request.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TelemetryAnswer")]
struct Outcome {
    /// Rows that are new. A record of values is one, a position one more.
    stored: u64,
    /// Rows that were there already.
    duplicate: u64,
    /// What is not among the values. Each is a dead letter.
    rejected: Vec<RejectedPart>,
}

#[derive(Serialize, JsonSchema)]
struct RejectedPart {
    /// A stable code.
    reason: &'static str,
    /// What is wrong, where, and what to do.
    detail: String,
}

pub(crate) async fn post(
    principal: Principal,
    State(state): State<Backend>,
    params: Params,
    headers: HeaderMap,
    TelemetryBody(body): TelemetryBody,
) -> Result<Response, Problem> {
    let Asked { identity, format, precision } = asked(params, &headers)?;
    let key = request_key(&headers)?;
    let sent = Sent { identity, format, precision, body };
    let PostOutcome { stored, duplicates, refused } = store(&principal, &state, sent, key).await?;
    let rejected = refused
        .into_iter()
        .map(|Refused { reason, detail }| RejectedPart { reason, detail })
        .collect();
    output::json(&Outcome { stored, duplicate: duplicates, rejected })
}

/// What was sent.
pub(crate) struct Sent {
    /// Whose all of it is.
    pub(crate) identity: Option<Identity>,
    pub(crate) format: Format,
    /// Of its times, in words.
    pub(crate) precision: String,
    pub(crate) body: Bytes,
}

/// Hands it to what commits, for who may send it, and waits for that.
pub(crate) async fn store(
    principal: &Principal,
    state: &Backend,
    Sent { identity, format, precision, body }: Sent,
    key: Option<&str>,
) -> Result<PostOutcome, Problem> {
    let by = principal.signed_in()?;
    if let Some(identity) = identity.as_ref().filter(|_| by.sees != Sees::All) {
        let number = state.history.ask(state.stores.identities.number_of(identity)).await?;
        if !number.is_some_and(|device| by.may_see(device)) {
            let detail = format!("Nothing is known of {identity}.");
            return Err(Problem::new(Kind::UnknownDevice, detail).blaming("device_id"));
        }
    }
    let named = identity.as_ref().map(ToString::to_string).unwrap_or_default();
    let content =
        [named.as_bytes(), format!("{format:?}{precision}").as_bytes(), &body].map(Vec::from);
    let content: Vec<&[u8]> = content.iter().map(Vec::as_slice).collect();
    let key = key.map(|key| RequestKey::of(by.user_id, key, &content));
    let Some(sink) = &state.stores.telemetry else {
        return Err(fault(&"this process was started without a way for values"));
    };
    sink.store(Posted { identity, format, body, sees: by.sees.clone(), key }).await.map_err(problem)
}

struct Asked {
    identity: Option<Identity>,
    format: Format,
    precision: String,
}

fn asked(mut params: Params, headers: &HeaderMap) -> Result<Asked, Problem> {
    let identity = params.take("device_id")?;
    let identity = identity.map(|text| text.parse::<Identity>()).transpose();
    let identity =
        identity.map_err(|error| Problem::parameter("device_id", format!("{error}.")))?;
    let precision = params.take("precision")?;
    params.finish()?;
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let format = Format::of_content_type(given.unwrap_or_default()).ok_or_else(|| {
        let detail = "Name the form of the body in the header Content-Type: application/json, application/senml+json, application/senml+cbor, or text/plain for line protocol.";
        Problem::new(Kind::UnsupportedMediaType, detail)
    })?;
    let format = match (format, &precision) {
        (Format::LineProtocol(_), Some(name)) => Format::LineProtocol(
            Precision::of_name(name)
                .ok_or_else(|| Problem::parameter("precision", "Must be ns, us, ms or s."))?,
        ),
        (_, Some(_)) => {
            let detail = "Line protocol alone (Content-Type: text/plain) has a precision.";
            return Err(Problem::parameter("precision", detail));
        }
        (format, None) => format,
    };
    Ok(Asked { identity, format, precision: precision.unwrap_or_default() })
}

fn request_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut keys = headers.get_all(KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        let many = headers.get_all(KEY).iter().nth(1).is_some();
        return if many { Err(Problem::parameter(KEY, "Given more than once.")) } else { Ok(None) };
    };
    good_key(KEY, key.to_str().unwrap_or_default()).map(Some)
}

/// A request's key, if it is one.
pub(crate) fn good_key<'k>(name: &'static str, key: &'k str) -> Result<&'k str, Problem> {
    let visible = key.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t');
    let detail = "Must be 1 to 255 visible ASCII characters.";
    let good = visible && (1..=MAX_KEY).contains(&key.len());
    good.then_some(key).ok_or_else(|| Problem::parameter(name, detail))
}

/// Parts named in a problem; a client has the body and can send it in pieces.
const NAMED: usize = 3;

fn problem(not_stored: NotStored) -> Problem {
    match not_stored {
        NotStored::Unacceptable(refused) => {
            let parts = refused.iter().take(NAMED);
            let parts: Vec<_> =
                parts.map(|Refused { reason, detail }| format!("{reason}: {detail}")).collect();
            let more = match refused.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            let detail = format!("Nothing is stored: {}{more}.", parts.join("; "));
            Problem::new(Kind::InvalidTelemetry, detail)
        }
        NotStored::KeyReused => Problem::new(
            Kind::KeyReused,
            "This Idempotency-Key was used for another body or device. Take a new one for each \
             request, and the same one only to send the same request again.",
        ),
        NotStored::Busy => {
            Problem::new(Kind::Busy, "Too many values wait for their commit. Send it again soon.")
                .retry_after(1)
        }
        NotStored::Unavailable(why) => {
            tracing::warn!(why, "values sent to the API are not acknowledged");
            Problem::new(
                Kind::HistoryUnavailable,
                "The database has not stored the values in time. Send them again; with the same \
                 Idempotency-Key, or with times of their own, they are stored once.",
            )
        }
    }
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "stored": 2, "duplicate": 0,
        "rejected": [{"reason": "bad_value", "detail": "the value of \"list\" is a list; send each element under a name of its own"}],
    });
    let word = |most: usize| json!({"type": "string", "minLength": 1, "maxLength": most});
    Doc::new("sendTelemetry", Tag::Devices, "Send values and positions")
        .about(
            "Values of named channels and positions, as JSON, SenML (JSON or CBOR) or line \
             protocol, named by `Content-Type`. Answered after their commit. For operators, admins, \
             and their tokens with the scope `write`.",
        )
        .takes(
            Param::query(
                "device_id",
                word(400),
                "Whose all values are: `0A3F73`, `host:web1`, `imei:…`. Without it each record \
                 names its device.",
            )
            .example("host:web1"),
        )
        .takes(Param::query(
            "precision",
            json!({"enum": ["ns", "us", "ms", "s"]}),
            "What the times of line protocol count; nanoseconds if it is absent.",
        ))
        .takes(Param::header(
            KEY,
            word(MAX_KEY),
            "A request that is sent again with the same key is the same request: it is stored \
             once, and answered alike. Known for 24 hours at least, to the account.",
        ))
        .body_forms(
            &["application/senml+json", "application/senml+cbor", "text/plain"],
            json!({"t": 1_700_000_000, "values": {"temperature": 21.5, "door": true}}),
        )
        .answers(Answer::json::<Outcome>("What became of it.", example))
        .problems(&[
            Kind::InvalidTelemetry,
            Kind::KeyReused,
            Kind::UnknownDevice,
            Kind::Busy,
        ])
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(query: &str, content_type: &'static str) -> Result<Asked, Problem> {
        let type_of = HeaderValue::from_static(content_type);
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, type_of)]);
        asked(Params::of(&format!("/?{query}").parse().unwrap()).unwrap(), &headers)
    }

    #[test]
    fn forms_and_devices_are_read() {
        let asked = read("device_id=host:WEB1", "application/json; charset=utf-8").unwrap();
        assert_eq!(asked.format, Format::Json);
        assert_eq!(asked.identity.unwrap().to_string(), "host:web1");
        let asked = read("precision=ms", "text/plain").unwrap();
        assert_eq!(asked.format, Format::LineProtocol(Precision::Milliseconds));
        for (query, content_type, name) in [
            ("device_id=web1", "application/json", Some("device_id")),
            ("precision=ms", "application/json", Some("precision")),
            ("precision=h", "text/plain", Some("precision")),
            ("device=1", "text/plain", Some("device")),
            ("", "application/xml", None),
        ] {
            let problem = read(query, content_type).err().unwrap();
            assert_eq!(problem.at_fault(), name, "{query}");
        }
    }

    #[test]
    fn keys_are_read() {
        let of = |keys: &[&'static str]| {
            let keys = keys.iter().map(|key| HeaderValue::from_static(key));
            let mut headers = HeaderMap::new();
            for key in keys {
                headers.append(KEY, key);
            }
            request_key(&headers).map(|key| key.map(str::to_owned)).map_err(|it| it.kind())
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["a-1"]), Ok(Some("a-1".to_owned())));
        assert_eq!(of(&["a", "b"]), Err(Kind::InvalidParameter));
        assert_eq!(of(&[""]), Err(Kind::InvalidParameter));
    }

    #[test]
    fn a_problem_names_a_few_parts() {
        let refused = |reason| Refused { reason, detail: "why".to_owned() };
        let problem = problem(NotStored::Unacceptable(vec![refused("bad_value"); 5]));
        assert_eq!(problem.kind(), Kind::InvalidTelemetry);
        assert!(problem.to_string().ends_with("; and 2 more."), "{problem}");
    }
}
