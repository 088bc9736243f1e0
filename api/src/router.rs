//! The routes, in one table, and what holds for all of them. Each operation
//! declares beside its handler the right that it asks for and its documentation.

mod around;
mod operation;

use std::sync::LazyLock;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler as _;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use serde_json::Value;

pub(crate) use self::around::admit;
use self::around::{answer, authorize, counted};
use self::operation::{Operation, Route, delete, get, patch, post, put, route};
use crate::access::Right;
use crate::docs;
use crate::http;
use crate::openapi;
use crate::page;
use crate::posting::MAX_BODY;
use crate::problem::{Kind, Problem};
use crate::routes::{
    api_v1, healthz, login, logout, openapi_json, readyz, register_user, setup, share_open,
    token_refresh,
};
use crate::state::ApiState;

/// Every route. Each works with and without a slash at the end.
fn table() -> Vec<Route> {
    let mut routes = of_the_service();
    routes.extend(of_people());
    routes.extend(of_devices());
    routes.extend(of_values());
    routes.extend(of_alarms());
    routes
}

/// Health, and ways to a token.
fn of_the_service() -> Vec<Route> {
    vec![
        // For orchestrators: alive, and ready to serve.
        route("/healthz", [get(Right::Open, healthz::get, healthz::doc)]),
        route("/readyz", [get(Right::Open, readyz::get, readyz::doc)]),
        // What the API says of itself.
        route("/openapi.json", [get(Right::Open, document, openapi_json::doc)]),
        // Accounts and tokens.
        route("/register/user", [post(Right::Open, register_user::post, register_user::doc)]),
        route("/setup", [post(Right::Open, setup::post, setup::doc)]),
        route("/login", [post(Right::Open, login::post, login::doc)]),
        route("/token/refresh", [post(Right::Open, token_refresh::post, token_refresh::doc)]),
        route("/logout", [post(Right::Open, logout::post, logout::doc)]),
        route("/token/logout", [post(Right::Open, logout::post, logout::doc_in_token)]),
        route("/share/open", [post(Right::Open, share_open::post, share_open::doc)]),
    ]
}

/// People, what they hand out, and other people's accounts.
fn of_people() -> Vec<Route> {
    use api_v1::{handed_out, me, password, sessions, shares, tokens, users};
    vec![
        // People and what they hand out.
        route("/api/v1/me", [get(Right::SignedIn, me::get, me::doc)]),
        route("/api/v1/me/password", [post(Right::Own, password::post, password::doc)]),
        route("/api/v1/sessions", [get(Right::Own, sessions::get, sessions::doc)]),
        route(
            "/api/v1/sessions/{session_id}",
            [delete(Right::Own, sessions::delete, sessions::doc_of_delete)],
        ),
        route(
            "/api/v1/tokens",
            [
                get(Right::Own, tokens::get, tokens::doc),
                post(Right::Own, tokens::post, tokens::doc_of_post),
            ],
        ),
        route(
            "/api/v1/tokens/{token_id}",
            [delete(Right::Own, tokens::delete, tokens::doc_of_delete)],
        ),
        route(
            "/api/v1/shares",
            [
                get(Right::Own, shares::get, shares::doc),
                post(Right::Own, shares::post, shares::doc_of_post),
            ],
        ),
        route(
            "/api/v1/shares/{share_id}",
            [delete(Right::Own, shares::delete, shares::doc_of_delete)],
        ),
        // For admins.
        route(
            "/api/v1/users",
            [
                get(Right::People, users::get, users::get_doc),
                post(Right::People, users::post, users::post_doc),
            ],
        ),
        route(
            "/api/v1/users/{user_id}",
            [
                get(Right::People, users::get_one, users::get_one_doc),
                patch(Right::People, users::patch, users::patch_doc),
            ],
        ),
        route(
            "/api/v1/users/{user_id}/reset",
            [post(Right::People, users::reset, users::reset_doc)],
        ),
        route(
            "/api/v1/users/{user_id}/tokens",
            [get(Right::People, handed_out::get_tokens, handed_out::get_tokens_doc)],
        ),
        route(
            "/api/v1/users/{user_id}/tokens/{token_id}",
            [delete(Right::People, handed_out::delete_token, handed_out::delete_token_doc)],
        ),
        route(
            "/api/v1/users/{user_id}/shares",
            [get(Right::People, handed_out::get_shares, handed_out::get_shares_doc)],
        ),
        route(
            "/api/v1/users/{user_id}/shares/{share_id}",
            [delete(Right::People, handed_out::delete_share, handed_out::delete_share_doc)],
        ),
        route(
            "/api/v1/users/{user_id}/devices/{device_id}",
            [
                put(Right::People, users::grant, users::grant_doc),
                delete(Right::People, users::revoke, users::revoke_doc),
            ],
        ),
    ]
}

/// Values of named channels.
fn of_values() -> Vec<Route> {
    use api_v1::{channel, channel_names, channels, series, telemetry};
    use series::statistics;
    vec![
        route(
            "/api/v1/devices/{device_id}/channels",
            [get(Right::History, channels::get, channels::doc)],
        ),
        route(
            "/api/v1/devices/{device_id}/channels/{channel}",
            [
                patch(Right::Manage, channel::patch, channel::patch_doc),
                put(Right::Manage, channel::put, channel::put_doc),
                delete(Right::Manage, channel::delete, channel::delete_doc),
            ],
        ),
        route("/api/v1/channels", [get(Right::History, channel_names::get, channel_names::doc)]),
        route(
            "/api/v1/telemetry",
            [post(Right::Send, telemetry::post, telemetry::doc).max_body(MAX_BODY)],
        ),
        route("/api/v1/series", [get(Right::History, series::get, series::doc).heavy()]),
        route(
            "/api/v1/series/statistics",
            [get(Right::History, statistics::get, statistics::doc).heavy()],
        ),
    ]
}

/// What raises alarms, and what was raised.
fn of_alarms() -> Vec<Route> {
    use api_v1::alarms::{self, acknowledge, counts, report, silence};
    use api_v1::{geofences, rules};
    const RULE_BODY: usize = rules::MAX_BODY_KIB * 1024;
    const GEOFENCE_BODY: usize = geofences::MAX_BODY_KIB * 1024;
    vec![
        route(
            "/api/v1/geofences",
            [
                get(Right::Rules, geofences::list, geofences::list_doc),
                post(Right::RuleChanges, geofences::post, geofences::post_doc)
                    .max_body(GEOFENCE_BODY),
            ],
        ),
        route(
            "/api/v1/geofences/{geofence_id}",
            [
                get(Right::Rules, geofences::get, geofences::get_doc),
                put(Right::RuleChanges, geofences::put, geofences::put_doc).max_body(GEOFENCE_BODY),
                delete(Right::RuleChanges, geofences::delete, geofences::delete_doc),
            ],
        ),
        route(
            "/api/v1/rules",
            [
                get(Right::Rules, rules::list, rules::list_doc),
                post(Right::RuleChanges, rules::post, rules::post_doc).max_body(RULE_BODY),
            ],
        ),
        route(
            "/api/v1/rules/{rule_id}",
            [
                get(Right::Rules, rules::get, rules::get_doc),
                put(Right::RuleChanges, rules::put, rules::put_doc).max_body(RULE_BODY),
                delete(Right::RuleChanges, rules::delete, rules::delete_doc),
            ],
        ),
        route(
            "/api/v1/rules/test",
            [post(Right::Rules, rules::test::post, rules::test::doc).heavy().max_body(RULE_BODY)],
        ),
        route("/api/v1/alarms", [get(Right::Alarms, alarms::list, alarms::list_doc)]),
        route("/api/v1/alarms/report", [get(Right::Alarms, report::get, report::doc).heavy()]),
        route("/api/v1/alarms/counts", [get(Right::Alarms, counts::get, counts::doc).heavy()]),
        route("/api/v1/alarms/{alarm_id}", [get(Right::Alarms, alarms::get, alarms::get_doc)]),
        route(
            "/api/v1/alarms/{alarm_id}/acknowledge",
            [post(Right::AlarmChanges, acknowledge::post, acknowledge::doc)],
        ),
        route(
            "/api/v1/alarms/{alarm_id}/silence",
            [
                post(Right::AlarmChanges, silence::post, silence::post_doc),
                delete(Right::AlarmChanges, silence::delete, silence::delete_doc),
            ],
        ),
    ]
}

/// Devices, the stream, the books.
fn of_devices() -> Vec<Route> {
    use api_v1::{
        books, commands, dead_letters, device_login, devices, fleet, groups, location, locations,
    };
    use api_v1::{listeners, lookup, report, retention_classes, storage, stream, workers};
    use report::{events, stops, summary, trips};
    use stream::{ticket, ws};
    vec![
        // For those who signed in.
        route("/api/v1/location", [get(Right::Devices, location::get, location::doc)]),
        route("/api/v1/report", [get(Right::History, report::get, report::doc).heavy()]),
        route("/api/v1/report/events", [get(Right::History, events::get, events::doc).heavy()]),
        route("/api/v1/report/stops", [get(Right::History, stops::get, stops::doc).heavy()]),
        route("/api/v1/report/summary", [get(Right::History, summary::get, summary::doc).heavy()]),
        route("/api/v1/report/trips", [get(Right::History, trips::get, trips::doc).heavy()]),
        route("/api/v1/locations", [get(Right::List, locations::get, locations::doc)]),
        // Devices and groups of them.
        route("/api/v1/devices", [get(Right::List, devices::list, devices::list_doc)]),
        route(
            "/api/v1/devices/{device_id}",
            [
                get(Right::Devices, devices::get, devices::get_doc),
                put(Right::Manage, devices::put, devices::put_doc),
                patch(Right::Manage, devices::patch, devices::patch_doc),
                delete(Right::Manage, devices::delete, devices::delete_doc),
            ],
        ),
        route(
            "/api/v1/devices/{device_id}/login",
            [post(Right::Manage, device_login::post, device_login::doc)],
        ),
        route(
            "/api/v1/devices/{device_id}/commands",
            [
                get(Right::Commands, commands::list, commands::list_doc),
                post(Right::Commands, commands::post, commands::post_doc),
            ],
        ),
        route(
            "/api/v1/devices/{device_id}/commands/{command_id}",
            [
                get(Right::Commands, commands::get, commands::get_doc),
                delete(Right::Commands, commands::delete, commands::delete_doc),
            ],
        ),
        route("/api/v1/listeners", [get(Right::Manage, listeners::get, listeners::doc)]),
        route(
            "/api/v1/retention-classes",
            [get(Right::Manage, retention_classes::get, retention_classes::doc)],
        ),
        route(
            "/api/v1/groups",
            [
                get(Right::List, groups::list, groups::list_doc),
                post(Right::Manage, groups::post, groups::post_doc),
            ],
        ),
        route(
            "/api/v1/groups/{group_id}",
            [
                get(Right::Groups, groups::get, groups::get_doc),
                patch(Right::Manage, groups::patch, groups::patch_doc),
                delete(Right::Manage, groups::delete, groups::delete_doc),
            ],
        ),
        route(
            "/api/v1/groups/{group_id}/devices/{device_id}",
            [
                put(Right::Manage, groups::put_device, groups::put_device_doc),
                delete(Right::Manage, groups::delete_device, groups::delete_device_doc),
            ],
        ),
        route(
            "/api/v1/users/{user_id}/groups/{group_id}",
            [
                put(Right::People, groups::grant, groups::grant_doc),
                delete(Right::People, groups::revoke, groups::revoke_doc),
            ],
        ),
        route("/api/v1/fleet/summary", [get(Right::History, fleet::summary, fleet::doc)]),
        // Live; a ticket does for the header that a browser cannot send.
        route("/api/v1/stream", [get(Right::Stream, stream::get, stream::doc)]),
        route("/api/v1/stream/ticket", [post(Right::Stream, ticket::post, ticket::doc)]),
        route("/api/v1/stream/ws", [get(Right::Stream, ws::get, ws::doc)]),
        // For admins.
        route("/api/v1/books", [get(Right::Books, books::get, books::doc)]),
        route("/api/v1/lookup", [get(Right::Books, lookup::get, lookup::doc)]),
        route(
            "/api/v1/dead-letters",
            [get(Right::Books, dead_letters::list, dead_letters::list_doc)],
        ),
        route(
            "/api/v1/dead-letters/{letter_id}/retry",
            [post(Right::Books, dead_letters::retry, dead_letters::retry_doc)],
        ),
        route("/api/v1/storage", [get(Right::Books, storage::get, storage::doc)]),
        route("/api/v1/workers", [get(Right::System, workers::get, workers::doc)]),
    ]
}

/// What the route table says of one method of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Without a slash at its end.
    pub path: &'static str,
    /// The method.
    pub method: Method,
    /// What a request for it needs.
    pub right: Right,
}

/// What the route table says, for tests and documents.
pub fn declared_routes() -> Vec<Declared> {
    let of_route = |Route { path, operations }| {
        operations.into_iter().map(move |Operation { method, right, .. }| Declared {
            path,
            method,
            right,
        })
    };
    table().into_iter().flat_map(of_route).collect()
}

async fn document() -> Response {
    openapi_json::answer(openapi_document())
}

/// The OpenAPI 3.1 document of the whole table; docs/openapi.json is a copy.
pub fn openapi_document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let of_route = |Route { path, operations }| {
            operations.into_iter().map(move |Operation { method, right, doc, .. }| {
                openapi::Operation { path, method, right, doc: doc() }
            })
        };
        let operations: Vec<_> = table().into_iter().flat_map(of_route).collect();
        openapi::document(&operations)
    });
    &DOCUMENT
}

/// The API's routes over a state.
pub fn router(state: ApiState) -> Router {
    let answered = |path| middleware::from_fn_with_state((state.clone(), path), answer);
    let mut routes = Router::new();
    for Route { path, operations } in table() {
        let allowed = allowed(&operations);
        let mut methods = MethodRouter::new();
        for Operation { right, handler, doc, heavy, max_body, .. } in operations {
            let handler = handler.route_layer(DefaultBodyLimit::max(max_body));
            let handler = if doc().is_conditional() {
                handler.route_layer(middleware::from_fn(http::conditional))
            } else {
                handler
            };
            let handler = if heavy {
                handler.route_layer(middleware::from_fn_with_state(state.clone(), counted))
            } else {
                handler
            };
            let authorized = middleware::from_fn_with_state((state.clone(), right), authorize);
            methods = methods.merge(handler.route_layer(authorized));
        }
        let methods = methods
            .fallback(async move |uri: Uri| not_allowed(&uri, &allowed))
            .layer(answered(path));
        routes = routes.route(path, methods.clone()).route(&format!("{path}/"), methods);
    }
    routes
        .merge(page::routes(&state))
        .merge(docs::routes())
        .fallback(not_found.layer(answered("none")))
        .layer(middleware::from_fn_with_state(state.clone(), http::everywhere))
        .with_state(state)
}

/// What a path allows, for the header `Allow`.
fn allowed(operations: &[Operation]) -> String {
    let words = operations.iter().map(|Operation { method, .. }| match *method {
        Method::GET => "GET, HEAD",
        ref other => other.as_str(),
    });
    words.collect::<Vec<_>>().join(", ")
}

async fn not_found() -> Problem {
    Problem::new(
        Kind::NotFound,
        "There is nothing at this path. GET /openapi.json lists what there is.",
    )
}

fn not_allowed(uri: &Uri, allowed: &str) -> Response {
    let detail = format!("{} allows {allowed}.", uri.path());
    let mut response = Problem::new(Kind::MethodNotAllowed, detail).into_response();
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}
