//! Which pages of other origins may read answers: those that the configuration
//! names, with a token in a header. Credentials that browsers send by themselves
//! are never shared, so a page gains nothing by its visitor's being signed in here.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// What pages may send.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, If-None-Match, Traceparent, X-User-Id, X-Request-Id",
);
/// What they may read besides the body.
const SHOWN: HeaderValue =
    HeaderValue::from_static("Content-Disposition, Retry-After, X-Request-Id, ETag");
/// For how long browsers remember an answer to their question: two hours.
const REMEMBERED_S: HeaderValue = HeaderValue::from_static("7200");

/// The origin of the request, if its pages may read answers.
pub(super) fn allowed(origins: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    origins.iter().any(|known| known.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// The answer to a browser that asks before it sends.
pub(super) fn preflight(request: &Request) -> Option<Response> {
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    asks.then(|| {
        let told = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED_S),
        ];
        (StatusCode::NO_CONTENT, told).into_response()
    })
}

/// Tells the browser. Where origins differ in what they may, caches must know.
pub(super) fn share(headers: &mut HeaderMap, origins: &[String], origin: Option<HeaderValue>) {
    if !origins.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
    }
}
