//! The routes, in one table, and what holds for all of them.

use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler as _;
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};

use crate::access::{Principal, Right};
use crate::auth;
use crate::problem::{Kind, Problem};
use crate::routes::{api_v1, healthz, login, readyz, register_user};
use crate::state::ApiState;

/// Bodies carry an address, a name and a password of at most 1 KiB.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// What a path allows, for the `Allow` header of a 405.
const GET: &str = "GET, HEAD";
const POST: &str = "POST";

/// A path with its methods, and the right that all of them ask for.
struct Route {
    path: &'static str,
    allowed: &'static str,
    right: Right,
    methods: MethodRouter<ApiState>,
}

const fn route(
    path: &'static str,
    allowed: &'static str,
    right: Right,
    methods: MethodRouter<ApiState>,
) -> Route {
    Route { path, allowed, right, methods }
}

/// Every route. Each works with and without a slash at the end.
fn table() -> Vec<Route> {
    vec![
        // For orchestrators: alive, and ready to serve.
        route("/healthz", GET, Right::Open, get(healthz::get)),
        route("/readyz", GET, Right::Open, get(readyz::get)),
        // Accounts and tokens.
        route("/register/user", POST, Right::Open, post(register_user::post)),
        route("/login", POST, Right::Open, post(login::post)),
        // For those who signed in.
        route("/api/v1/location", GET, Right::Devices, get(api_v1::location::get)),
        route("/api/v1/report", GET, Right::Devices, get(api_v1::report::get)),
        route("/api/v1/report/events", GET, Right::Devices, get(api_v1::report::events::get)),
        route("/api/v1/report/stops", GET, Right::Devices, get(api_v1::report::stops::get)),
        route("/api/v1/report/summary", GET, Right::Devices, get(api_v1::report::summary::get)),
        route("/api/v1/report/trips", GET, Right::Devices, get(api_v1::report::trips::get)),
        route("/api/v1/books", GET, Right::Books, get(api_v1::books::get)),
        route("/api/v1/lookup", GET, Right::Books, get(api_v1::lookup::get)),
    ]
}

/// What the route table says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Without a slash at its end.
    pub path: &'static str,
    /// Its methods, as in the header `Allow`.
    pub allowed: &'static str,
    /// What a request for it needs.
    pub right: Right,
}

/// What the route table says, for tests and documents.
pub fn declared_routes() -> Vec<Declared> {
    let declared = |Route { path, allowed, right, .. }| Declared { path, allowed, right };
    table().into_iter().map(declared).collect()
}

/// The API's routes over a state.
pub fn router(state: ApiState) -> Router {
    let answered = |path| middleware::from_fn_with_state((state.clone(), path), answer);
    let mut routes = Router::new();
    for Route { path, allowed, right, methods } in table() {
        let methods = methods
            .route_layer(middleware::from_fn_with_state((state.clone(), right), authorize))
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

/// Lets a request through to its handler if its sender has the route's right.
async fn authorize(
    State((state, right)): State<(ApiState, Right)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let principal = match right {
        Right::Open => Principal::Anyone,
        _ => auth::principal(&state, request.headers()).await?,
    };
    principal.must(right)?;
    request.extensions_mut().insert(principal);
    Ok(next.run(request).await)
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
