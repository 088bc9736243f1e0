//! Requests that are traced: some, and those whose client asks for it.

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use nemeses_protocol::{TRACEPARENT, TraceContext};
use nemeses_runtime::traces::{Span, SpanKind, Tracer};

/// A request that is followed, to be ended with its answer.
#[derive(Debug)]
pub(crate) struct FollowedRequest(Span);

/// Begins a request's span if it is followed. `path` is that of the route table, with
/// names for its parameters: what a client made up is not told.
pub(crate) fn follow(
    tracer: &Tracer,
    path: &'static str,
    request: &Request,
) -> Option<FollowedRequest> {
    if !tracer.is_on() {
        return None;
    }
    let asked = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    let span = tracer.begin("request", SpanKind::Server, asked.and_then(TraceContext::parse))?;
    let span = span.with("http.request.method", method(request.method()));
    Some(FollowedRequest(span.with("http.route", path)))
}

impl FollowedRequest {
    /// What the request's log lines are written under.
    pub(crate) fn log_span(&self) -> tracing::Span {
        tracing::info_span!("trace", trace_id = %self.0.context().trace_id())
    }

    /// The answer's first byte is there.
    pub(crate) fn answered(self, status: StatusCode) {
        let mut span = self.0.with("http.response.status_code", u32::from(status.as_u16()));
        if status.is_server_error() {
            span.fail("the answer is an error of ours");
        }
        span.end();
    }
}

/// As OpenTelemetry's conventions have it: a method that nobody knows is `_OTHER`.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
