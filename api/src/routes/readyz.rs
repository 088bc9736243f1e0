//! `GET /readyz`: both stores answer, and frames can be committed where this process does
//! that, so requests can be served.

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
    if state.stores.commits_fail.as_ref().is_some_and(|fail| fail()) {
        let detail = "Frames cannot be committed at the moment; the server's log says why.";
        return Err(Problem::new(Kind::HistoryUnavailable, detail));
    }
    output::json(&Ready { status: "ready", live: "ok", history: "ok" })
}

pub(crate) fn doc() -> Doc {
    let example = json!({"status": "ready", "live": "ok", "history": "ok"});
    Doc::new("getReadiness", Tag::Service, "Whether requests can be served")
        .about(
            "Asks both stores, and a node whether frames can be committed, which it tries every ten \
             seconds unless frames come; the problem names what fails.",
        )
        .careless()
        .answers(Answer::json::<Ready>("Both stores answer.", example))
        .problems(&[Kind::LiveUnavailable, Kind::HistoryUnavailable])
}
