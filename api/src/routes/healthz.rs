//! `GET /healthz`: the process runs. Says nothing of the stores, so that an
//! orchestrator does not restart a good process because a database is down.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::openapi::{Answer, Doc, Tag};
use crate::output;
use crate::problem::Problem;

/// The process runs.
#[derive(Serialize, JsonSchema)]
struct Alive {
    /// Always `ok`.
    status: &'static str,
}

pub(crate) async fn get() -> Result<Response, Problem> {
    output::json(&Alive { status: "ok" })
}

pub(crate) fn doc() -> Doc {
    Doc::new("getHealth", Tag::Service, "Whether the process runs")
        .about("Asks no store, so that a good process is not restarted because a database is down.")
        .careless()
        .answers(Answer::json::<Alive>("It runs.", json!({"status": "ok"})))
}
