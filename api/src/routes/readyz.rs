//! `GET /readyz`: both stores answer, so requests can be served.

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::openapi::{Answer, Doc, Tag};
use crate::output;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

/// Both stores answer.
#[derive(Serialize, JsonSchema)]
struct Ready {
    /// Always `ready`.
    status: &'static str,
    /// Always `ok`: else the answer is a problem.
    live: &'static str,
    /// Always `ok`.
    history: &'static str,
}

pub(crate) async fn get(State(state): State<ApiState>) -> Result<Response, Problem> {
    let (live, history) = tokio::join!(
        state.live.ask(state.stores.live.ping()),
        state.history.ask(state.stores.history.ping()),
    );
    live?;
    history?;
    output::json(&Ready { status: "ready", live: "ok", history: "ok" })
}

pub(crate) fn doc() -> Doc {
    let example = json!({"status": "ready", "live": "ok", "history": "ok"});
    Doc::new("getReadiness", Tag::Service, "Whether requests can be served")
        .about("Asks both stores; the problem names the one that does not answer.")
        .careless()
        .answers(Answer::json::<Ready>("Both stores answer.", example))
        .problems(&[Kind::LiveUnavailable, Kind::HistoryUnavailable])
}
