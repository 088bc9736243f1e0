//! The layer around every call, as `router/around.rs` is for the REST API: deadline, access, limit
//! of concurrent calls, metrics and trace.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::deadline::{Deadline, asked_for};
use super::status::refused;
use crate::access::Right;
use crate::http::{self, RequestId};
use crate::problem::Problem;
use crate::router::admit;
use crate::state::ApiState;

/// A row of the table of calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) path: &'static str,
    pub(super) right: Right,
    /// Whether concurrent calls of a credential are limited.
    pub(super) counted: bool,
}

/// Answers a call within its deadline, or refuses it.
pub(super) async fn call(
    State((state, call)): State<(ApiState, Call)>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let id = RequestId::of(request.headers().get("x-request-id"));
    let span = tracing::info_span!("call", id = id.as_str());
    let followed = http::follow(&state.config.tracer, call.path, &request);
    let (asked, most) = (asked_for(request.headers()), state.config.request_timeout);
    request.extensions_mut().insert(Deadline::of(begun, asked));
    let within = asked.map_or(most, |asked| asked.min(most));
    let work = id.during(admitted(&state, call, request, next)).instrument(span);
    let answering = tokio::time::timeout(within, work);
    let answered = match &followed {
        None => answering.await,
        Some(followed) => answering.instrument(followed.log_span()).await,
    };
    let response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => refused(&problem).into_http(),
        Err(_) => {
            if within == most {
                tracing::warn!(path = call.path, at_most = ?most, "a call took too long");
            }
            Status::deadline_exceeded("This took too long. Try again, or ask for less.").into_http()
        }
    };
    let status = status(response.headers());
    state.requests.answered(call.path, status, begun.elapsed());
    if let Some(followed) = followed {
        followed.answered(status);
    }
    response
}

async fn admitted(
    state: &ApiState,
    call: Call,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let principal = admit(state, call.right, &mut request).await?;
    if !call.counted {
        return Ok(next.run(request).await);
    }
    let in_progress = state.backend.turns.begin(principal.credential())?;
    Ok(http::holding(next.run(request).await, in_progress))
}

/// The HTTP status for metrics and traces. A call that fails before its first message has its
/// status in the header of the answer.
fn status(headers: &HeaderMap) -> StatusCode {
    let code = headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
    match code {
        None | Some(Code::Ok) => StatusCode::OK,
        Some(
            Code::Unknown
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss,
        ) => StatusCode::INTERNAL_SERVER_ERROR,
        Some(_) => StatusCode::BAD_REQUEST,
    }
}

/// Answers a path that is not a call.
pub(super) async fn unknown() -> Response {
    let detail = "There is no such call. Reflection and docs/nemeses.proto list all calls.";
    Status::unimplemented(detail).into_http()
}
