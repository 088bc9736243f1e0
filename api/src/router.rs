//! The routes, in one table, and what holds for all of them.

use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler as _;
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};

use crate::problem::{Kind, Problem};
use crate::routes::{api_v1, healthz, login, readyz, register_user};
use crate::state::ApiState;

/// Bodies carry an address, a name and a password of at most 1 KiB.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// What a path allows, for the `Allow` header of a 405.
const GET: &str = "GET, HEAD";
const POST: &str = "POST";

/// Every path with what it allows. Each works with and without a slash at the end.
fn table() -> [(&'static str, &'static str, MethodRouter<ApiState>); 8] {
    [
        // For orchestrators: alive, and ready to serve.
        ("/healthz", GET, get(healthz::get)),
        ("/readyz", GET, get(readyz::get)),
        // Accounts and tokens.
        ("/register/user", POST, post(register_user::post)),
        ("/login", POST, post(login::post)),
        // For those who signed in.
        ("/api/v1/location", GET, get(api_v1::location::get)),
        ("/api/v1/report", GET, get(api_v1::report::get)),
        ("/api/v1/books", GET, get(api_v1::books::get)),
        ("/api/v1/lookup", GET, get(api_v1::lookup::get)),
    ]
}

/// The API's routes over a state.
pub fn router(state: ApiState) -> Router {
    let answered = |path| middleware::from_fn_with_state((state.clone(), path), answer);
    let mut routes = Router::new();
    for (path, allowed, methods) in table() {
        let methods = methods
            .fallback(async move |uri: Uri| not_allowed(&uri, allowed))
            .layer(answered(path));
        routes = routes.route(path, methods.clone()).route(&format!("{path}/"), methods);
    }
    routes
        .fallback(not_found.layer(answered("none")))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(state)
}

/// Bounds the time to an answer's first byte, keeps answers, which are about
/// one moment and one user, out of caches, and counts them under their path.
async fn answer(
    State((state, path)): State<(ApiState, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let at_most = state.config.request_timeout;
    let answer = tokio::time::timeout(at_most, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| {
        tracing::warn!(path, ?at_most, "a request to the API took too long");
        Problem::new(Kind::Slow, "This took too long. Try again, or ask for less.").into_response()
    });
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    state.requests.answered(path, response.status(), begun.elapsed());
    response
}

async fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "There is nothing at this path. docs/api.md lists what there is.")
}

fn not_allowed(uri: &Uri, allowed: &'static str) -> Response {
    let detail = format!("{} allows {allowed}.", uri.path());
    let mut response = Problem::new(Kind::MethodNotAllowed, detail).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
