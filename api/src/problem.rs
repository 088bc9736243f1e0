//! The one error of the API, answered as RFC 9457 problem+json.
//!
//! The rule: every failure becomes a [`Problem`] where it is understood. Its
//! text is written here, for the caller; what a store or a library said goes to
//! the log, once, and never to the caller. The kind decides the status, and
//! names the parameter when one is at fault.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::current_request_id;

/// What went wrong, as a client would tell cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A query parameter or header is missing, unknown, repeated or unreadable.
    InvalidParameter,
    /// The body is not JSON.
    MalformedBody,
    /// The body is JSON but a field of it is not acceptable.
    InvalidField,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The body is too large.
    BodyTooLarge,
    /// The client did not send its body in time.
    BodyTooSlow,
    /// No token, or not a good one.
    Unauthorized,
    /// E-mail address or password is wrong.
    WrongCredentials,
    /// The refresh token is unknown, was used before, or has expired.
    WrongRefreshToken,
    /// The share link is unknown, was revoked, or has expired.
    WrongShare,
    /// The set-up token is unknown, was used, or there is an account already.
    WrongSetupToken,
    /// Too many attempts from one address.
    TooManyAttempts,
    /// Too many of one caller's are in progress.
    TooManyAtOnce,
    /// The account's role or the token's purpose does not allow it.
    Forbidden,
    /// `X-User-Id` is not the token's user.
    WrongUser,
    /// The address has an account already.
    EmailTaken,
    /// There is a group of this name.
    NameTaken,
    /// A bound of ours is reached.
    TooMany,
    /// It has come to its end, so nothing can be changed.
    Closed,
    /// Something else needs it.
    InUse,
    /// No such group, or not for the caller.
    UnknownGroup,
    /// Nobody has heard of the device.
    UnknownDevice,
    /// The caller has nothing of this number.
    UnknownId,
    /// No such path.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The request is for a host that this server does not answer for.
    Misdirected,
    /// The path speaks another protocol.
    UpgradeRequired,
    /// The live store cannot be reached.
    LiveUnavailable,
    /// The history store cannot be reached.
    HistoryUnavailable,
    /// Commands cannot be passed on to devices.
    CommandsUnavailable,
    /// Nothing in a body of values is acceptable.
    InvalidTelemetry,
    /// A request's key was used for another request.
    KeyReused,
    /// Too many of the same are in progress.
    Busy,
    /// The answer took too long.
    Slow,
    /// A fault of ours.
    Internal,
}

impl Kind {
    /// The stable code, the status, and the title that goes with them.
    const fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::InvalidParameter => {
                ("invalid-parameter", StatusCode::BAD_REQUEST, "Invalid parameter")
            }
            Self::MalformedBody => {
                ("malformed-body", StatusCode::BAD_REQUEST, "The body cannot be read")
            }
            Self::InvalidField => {
                ("invalid-field", StatusCode::UNPROCESSABLE_ENTITY, "Invalid field")
            }
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported media type",
            ),
            Self::BodyTooLarge => {
                ("body-too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
            }
            Self::BodyTooSlow => {
                ("body-too-slow", StatusCode::REQUEST_TIMEOUT, "The body came too slowly")
            }
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "Sign in first"),
            Self::WrongCredentials => {
                ("wrong-credentials", StatusCode::UNAUTHORIZED, "Wrong e-mail address or password")
            }
            Self::WrongRefreshToken => {
                ("wrong-refresh-token", StatusCode::UNAUTHORIZED, "The session is over")
            }
            Self::WrongShare => ("wrong-share", StatusCode::UNAUTHORIZED, "The link is not good"),
            Self::WrongSetupToken => {
                ("wrong-setup-token", StatusCode::UNAUTHORIZED, "The set-up token is not good")
            }
            Self::TooManyAttempts => {
                ("too-many-attempts", StatusCode::TOO_MANY_REQUESTS, "Too many attempts")
            }
            Self::TooManyAtOnce => {
                ("too-many-at-once", StatusCode::TOO_MANY_REQUESTS, "Too many at once")
            }
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "Not allowed"),
            Self::WrongUser => ("wrong-user", StatusCode::FORBIDDEN, "Another user's token"),
            Self::EmailTaken => ("email-taken", StatusCode::CONFLICT, "The address is taken"),
            Self::NameTaken => ("name-taken", StatusCode::CONFLICT, "The name is taken"),
            Self::TooMany => ("too-many", StatusCode::CONFLICT, "Too many"),
            Self::Closed => ("closed", StatusCode::CONFLICT, "Closed already"),
            Self::InUse => ("in-use", StatusCode::CONFLICT, "In use"),
            Self::UnknownGroup => ("unknown-group", StatusCode::NOT_FOUND, "Unknown group"),
            Self::UnknownDevice => ("unknown-device", StatusCode::NOT_FOUND, "Unknown device"),
            Self::UnknownId => ("unknown-id", StatusCode::NOT_FOUND, "Unknown number"),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "No such path"),
            Self::MethodNotAllowed => {
                ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
            }
            Self::Misdirected => {
                ("misdirected", StatusCode::MISDIRECTED_REQUEST, "Another host's request")
            }
            Self::UpgradeRequired => (
                "upgrade-required",
                StatusCode::UPGRADE_REQUIRED,
                "Another protocol is spoken here",
            ),
            Self::LiveUnavailable => (
                "live-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The live store is unreachable",
            ),
            Self::HistoryUnavailable => (
                "history-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The history store is unreachable",
            ),
            Self::CommandsUnavailable => (
                "commands-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "Commands cannot be passed on",
            ),
            Self::InvalidTelemetry => {
                ("invalid-telemetry", StatusCode::UNPROCESSABLE_ENTITY, "Nothing can be stored")
            }
            Self::KeyReused => {
                ("key-reused", StatusCode::UNPROCESSABLE_ENTITY, "The key was used before")
            }
            Self::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE, "Too busy"),
            Self::Slow => ("slow", StatusCode::SERVICE_UNAVAILABLE, "The answer took too long"),
            Self::Internal => {
                ("internal", StatusCode::INTERNAL_SERVER_ERROR, "A fault of the server")
            }
        }
    }

    /// The stable code, last part of the problem's `type`.
    pub const fn code(self) -> &'static str {
        self.parts().0
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.parts().1
    }

    /// The title of every problem of this kind.
    pub const fn title(self) -> &'static str {
        self.parts().2
    }

    /// Whether the problem names what is at fault.
    const fn blames(self) -> bool {
        matches!(
            self,
            Self::InvalidParameter
                | Self::InvalidField
                | Self::UnknownDevice
                | Self::UnknownGroup
                | Self::UnknownId
        )
    }

    /// How such a problem looks, for the API's own description. Of no request, even if one
    /// is being answered: the description is built once and served to everybody.
    pub(crate) fn example(self) -> serde_json::Value {
        let mut problem = Problem::new(self, self.title());
        if self.blames() {
            problem = problem.blaming("device_id");
        }
        serde_json::to_value(problem.body(None)).unwrap_or_default()
    }
}

/// A failure, ready to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    parameter: Option<Cow<'static, str>>,
    column: Option<usize>,
    retry_after_s: Option<u64>,
}

/// A fault of ours: logged here, told without its cause.
pub(crate) fn fault(error: &(impl std::fmt::Display + ?Sized)) -> Problem {
    tracing::error!(%error, "a request to the API failed");
    Problem::new(Kind::Internal, "The server could not do this; its log says why.")
}

/// Names in an answer are cut here, so that a hostile name does not come back whole.
const LONGEST_NAME: usize = 64;

impl Problem {
    /// A problem that no parameter is to blame for.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after_s = (kind.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        Self { kind, detail: detail.into(), parameter: None, column: None, retry_after_s }
    }

    /// The same with another time after which to try again.
    #[must_use]
    pub(crate) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// A query parameter or header is at fault.
    pub fn parameter(
        name: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Kind::InvalidParameter, detail).blaming(name)
    }

    /// A field of the body is at fault.
    pub fn field(name: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidField, detail).blaming(name)
    }

    /// The same with the parameter named.
    #[must_use]
    pub fn blaming(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        let name = match name.char_indices().nth(LONGEST_NAME) {
            Some((end, _)) => Cow::Owned(name[..end].to_owned()),
            None => name,
        };
        self.parameter = Some(name);
        self
    }

    /// The same with the place in a condition, counted in characters from 1.
    #[must_use]
    pub(crate) const fn at_column(mut self, column: Option<usize>) -> Self {
        self.column = column;
        self
    }

    /// What went wrong.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The parameter at fault, if one is.
    pub fn at_fault(&self) -> Option<&str> {
        self.parameter.as_deref()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.parameter {
            Some(name) => write!(f, "{name}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl std::error::Error for Problem {}

/// A problem document (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Body<'a> {
    /// `urn:nemeses:problem:` and the stable code: tell cases apart by it.
    r#type: String,
    /// The same for all problems of a type.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// For people; may change.
    detail: &'a str,
    /// The parameter, header or field of the body at fault, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    /// Where in the condition of a rule, counted in characters from 1, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// As in the header `X-Request-Id`, and in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    fn body(&self, request_id: Option<String>) -> Body<'_> {
        let (code, status, title) = self.kind.parts();
        Body {
            r#type: format!("urn:nemeses:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            parameter: self.parameter.as_deref(),
            column: self.column,
            request_id,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        // Strings and a number: this cannot fail, and an empty body would still carry the status.
        let body = serde_json::to_vec(&self.body(current_request_id())).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(header::CONTENT_TYPE, "application/problem+json");
        if self.kind == Kind::UpgradeRequired {
            set(header::UPGRADE, "websocket");
        }
        if self.kind == Kind::Unauthorized {
            set(header::WWW_AUTHENTICATE, "Bearer realm=\"nemeses\"");
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_cut_between_characters() {
        let problem = Problem::parameter("ü".repeat(1000), "unknown");
        assert_eq!(problem.at_fault().unwrap(), "ü".repeat(LONGEST_NAME));
    }

    #[test]
    fn headers_that_clients_act_on() {
        let down = Problem::new(Kind::LiveUnavailable, "down").into_response();
        assert_eq!(down.headers()[header::RETRY_AFTER], "5");
        let stranger = Problem::new(Kind::Unauthorized, "no token").into_response();
        assert!(stranger.headers()[header::WWW_AUTHENTICATE].as_bytes().starts_with(b"Bearer"));
        assert_eq!(stranger.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
