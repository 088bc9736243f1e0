//! The web page, built by `make web` and put into the program by `build.rs`:
//! which file a path names, in which form, and for how long it may be kept. It
//! needs no token, for it holds nothing but the program's own text.

mod answer;

use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue};
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};

use crate::config::MapTiles;
use crate::state::ApiState;

/// One file of the page.
#[derive(Debug)]
struct File {
    /// As in a URL.
    path: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
}

/// Sorted by path; empty when the page had not been built.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// What `/` says until the page is built.
static UNBUILT: File =
    File { path: "/index.html", plain: include_bytes!("unbuilt.html"), gzip: None };

/// The routes of the page: `/` and one for each of its files.
pub(crate) fn routes(state: &ApiState) -> Router<ApiState> {
    let index = file("/index.html").unwrap_or(&UNBUILT);
    let tiles = state.config.map_tiles.as_ref();
    let policy = answer::policy(tiles.map(MapTiles::origin));
    let map = map_settings(tiles);
    let mut routes = Router::new()
        .route("/", serves(index, state, &policy))
        .route("/map.json", get(async move || Json(map)));
    for file in FILES {
        routes = routes.route(file.path, serves(file, state, &policy));
    }
    routes
}

/// What the page has to know before it draws a map; nothing that is not public.
fn map_settings(tiles: Option<&MapTiles>) -> Value {
    json!({"tiles": tiles.map(MapTiles::url), "credit": tiles.map(MapTiles::credit)})
}

fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

fn serves(file: &'static File, state: &ApiState, policy: &HeaderValue) -> MethodRouter<ApiState> {
    let policy = policy.clone();
    let tag = answer::tag(file.plain);
    let requests = state.requests.clone();
    get(async move |headers: HeaderMap| {
        let begun = Instant::now();
        let response = answer::answer(file, &tag, &policy, &headers);
        requests.answered("page", response.status(), begun.elapsed());
        response
    })
}
