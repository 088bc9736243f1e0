//! What holds for every answer, whoever wrote it: an id of the request, headers
//! that keep browsers from guessing and framing, compression, and which pages of
//! other origins may read it.

mod conditional;
mod cors;
mod gzip;
mod holding;
mod request_id;
mod request_span;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use crate::guard;
use crate::state::ApiState;

pub(crate) use conditional::{conditional, matches_tag, tag};
pub(crate) use holding::holding;
pub(crate) use request_id::{RequestId, current_request_id};
pub(crate) use request_span::follow;

/// For answers that are no page: nothing may be loaded, nobody may frame them.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";
/// Browsers that have come by HTTPS once come by nothing else for so long (HSTS).
const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer.
pub(crate) async fn everywhere(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(request.headers().get(REQUEST_ID));
    let gzip = gzip::is_wanted(request.method(), request.headers());
    let span = tracing::info_span!("request", id = id.as_str());
    let value = id.to_header();
    let origin = cors::allowed(&state.config.cors_origins, request.headers());
    let arrival = guard::arrival(&state.config, &state.strangers, &request);
    let https = arrival.as_ref().is_ok_and(|arrival| arrival.https);
    let response = match (origin.as_ref().and_then(|_| cors::preflight(&request)), arrival) {
        (Some(answer), _) => answer,
        (None, Ok(arrival)) => {
            request.extensions_mut().insert(arrival);
            id.during(next.run(request).instrument(span)).await
        }
        (None, Err(refusal)) => {
            let refused = id.during(async { no_store(refusal.into_response()) });
            refused.instrument(span).await
        }
    };
    let mut response = if gzip { gzip::compressed(response) } else { response };
    harden(response.headers_mut());
    if https {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, A_YEAR);
    }
    cors::share(response.headers_mut(), &state.config.cors_origins, origin);
    response.headers_mut().insert(REQUEST_ID, value);
    response
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Headers that a page may have set to something of its own.
fn harden(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, NOTHING),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
