//! What goes around every handler: its deadline, its rights, and its place among the
//! reports in progress.

use std::time::Instant;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use crate::access::{Principal, Reach, Right};
use crate::auth::{self, Accepted};
use crate::http;
use crate::input::Params;
use crate::output::without_totals;
use crate::problem::{Kind, Problem, fault};
use crate::state::ApiState;
use crate::stream::{Holder, redeem};

/// Of an answer with a tag: for the one who asked, to be asked for again each time.
const ASK_AGAIN: &str = "private, no-cache";

/// Bounds the time to an answer's first byte, keeps answers, which are about one
/// moment and one user, out of caches unless they bear a tag, and counts them under
/// their path.
pub(super) async fn answer(
    State((state, path)): State<(ApiState, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let at_most = state.config.request_timeout;
    let followed = http::follow(&state.config.tracer, path, &request);
    let answering = tokio::time::timeout(at_most, next.run(request));
    let answer = match &followed {
        None => answering.await,
        Some(followed) => answering.instrument(followed.log_span()).await,
    };
    let mut response = answer.unwrap_or_else(|_| {
        tracing::warn!(path, ?at_most, "a request to the API took too long");
        Problem::new(Kind::Slow, "This took too long. Try again, or ask for less.").into_response()
    });
    let headers = response.headers_mut();
    let kept = if headers.contains_key(header::ETAG) { ASK_AGAIN } else { "no-store" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    state.requests.answered(path, response.status(), begun.elapsed());
    if let Some(followed) = followed {
        followed.answered(response.status());
    }
    response
}

/// Lets a request through to its handler if its sender has the route's right.
pub(super) async fn authorize(
    State((state, right)): State<(ApiState, Right)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let principal = admit(&state, right, &mut request).await?;
    state.backend.learn_names(request.uri()).await?;
    let only_now = matches!(principal.reach(), Reach::Now { .. });
    let response = next.run(request).await;
    // The stream leaves them out itself.
    if only_now && right != Right::Stream { only_of_now(response).await } else { Ok(response) }
}

/// Finds out who sent a request and whether that right is theirs, and leaves both in its
/// extensions for the handler.
pub(crate) async fn admit(
    state: &ApiState,
    right: Right,
    request: &mut Request,
) -> Result<Principal, Problem> {
    let principal = if right == Right::Open {
        Principal::Anyone
    } else {
        let holder = holder(state, right, request.uri(), request.headers()).await?;
        let standing = state.auth.standing(holder.user_id, holder.credential).await?;
        request.extensions_mut().insert(holder);
        Principal::User(standing)
    };
    principal.must(right)?;
    request.extensions_mut().insert(principal.clone());
    Ok(principal)
}

/// What a link to at most [`nemeses_store::history::MAX_TOKEN_DEVICES`] devices is
/// answered: some 60 KB.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// An answer without what adds up over the past.
async fn only_of_now(response: Response) -> Result<Response, Problem> {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|error| fault(&error))?;
    let mut text = String::from_utf8(body.into()).map_err(|error| fault(&error))?;
    without_totals(&mut text, 0);
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, text.into()))
}

/// Counts a report as in progress until its last byte has gone out.
pub(super) async fn counted(
    State(state): State<ApiState>,
    principal: Principal,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let in_progress = state.backend.turns.begin(principal.credential())?;
    Ok(http::holding(next.run(request).await, in_progress))
}

/// Who is behind a request: by its token, or for a stream by a ticket.
async fn holder(
    state: &ApiState,
    right: Right,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Holder, Problem> {
    if right == Right::Stream
        && let Some(ticket) = Params::of(uri)?.take("ticket")?
    {
        return redeem(&state.streams.tickets, &state.backend, &ticket).await;
    }
    let Accepted { user_id, credential, expires_at } = auth::bearer_of(&state.auth, headers)?;
    Ok(Holder { user_id, credential, expires_at })
}
