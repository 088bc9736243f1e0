//! `GET /healthz`: the process runs. Says nothing of the stores, so that an
//! orchestrator does not restart a good process because a database is down.

use axum::response::Response;
use serde_json::json;

use crate::output;
use crate::problem::Problem;

pub(crate) async fn get() -> Result<Response, Problem> {
    output::json(&json!({"status": "ok"}))
}
