//! `/docs`: a page that lists the routes of `/openapi.json` and sends requests.
//! Three files inside the program, no other host, no inline script.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

/// Itself alone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The page and its two files.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = || answer("text/html; charset=utf-8", include_str!("docs.html"));
    let style = || answer("text/css; charset=utf-8", include_str!("docs.css"));
    let script = || answer("text/javascript; charset=utf-8", include_str!("docs.js"));
    Router::new()
        .route("/docs", get(async move || page()))
        .route("/docs/", get(async move || page()))
        .route("/docs/docs.css", get(async move || style()))
        .route("/docs/docs.js", get(async move || script()))
}

fn answer(kind: &'static str, text: &'static str) -> Response {
    let kind = HeaderValue::from_static(kind);
    let ask = HeaderValue::from_static("no-cache");
    let head = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, ask),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (head, text).into_response()
}
