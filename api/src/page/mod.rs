//! The web page, built by `make web` and put into the program by `build.rs`:
//! which file a path names, in which form, and for how long it may be kept. It
//! needs no token, for it holds nothing but the program's own text.

mod answer;
mod map;

use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue};
use axum::routing::{MethodRouter, get};
use nemeses_reports::Settings;
use serde_json::{Value, json};

pub use self::map::MapSource;
use crate::config::{ApiConfig, Registration};
use crate::guard::Arrival;
use crate::http::tag;
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
    let policy = answer::policy(state.config.map.as_ref().map(MapSource::origin));
    let settings = Told::of(&state.config);
    let mut routes = Router::new()
        .route("/", serves(index, state, &policy))
        .route("/page.json", get(async move |arrival: Arrival| Json(settings.to(&arrival))));
    for file in FILES {
        routes = routes.route(file.path, serves(file, state, &policy));
    }
    routes
}

/// What the page has to know before anyone has signed in; nothing that is not public.
#[derive(Clone)]
struct Told {
    map: Value,
    defaults: Value,
    registration: Registration,
}

impl Told {
    fn of(config: &ApiConfig) -> Self {
        let usual = Settings::default();
        // What holds for a device whose profile says nothing, shown in its form.
        let defaults = json!({
            "live_ttl_s": config.live_ttl.as_secs(),
            "motion_kmh": usual.motion_kmh,
            "stop_s": usual.stop_s,
        });
        let map = map::told(config.map.as_ref());
        Self { map, defaults, registration: config.registration }
    }

    fn to(&self, arrival: &Arrival) -> Value {
        let open = match self.registration {
            Registration::Closed => false,
            Registration::Local => arrival.local,
            Registration::Open => true,
        };
        json!({ "map": self.map, "registration_open": open, "defaults": self.defaults })
    }
}

fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

fn serves(file: &'static File, state: &ApiState, policy: &HeaderValue) -> MethodRouter<ApiState> {
    let policy = policy.clone();
    let tag = tag(file.plain);
    let requests = state.requests.clone();
    get(async move |headers: HeaderMap| {
        let begun = Instant::now();
        let response = answer::answer(file, &tag, &policy, &headers);
        requests.answered("page", response.status(), begun.elapsed());
        response
    })
}
