//! `GET /readyz`: both stores answer, so requests can be served.

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::output;
use crate::problem::Problem;
use crate::state::ApiState;

pub(crate) async fn get(State(state): State<ApiState>) -> Result<Response, Problem> {
    let (live, history) = tokio::join!(
        state.live.ask(state.stores.live.ping()),
        state.history.ask(state.stores.history.ping()),
    );
    live?;
    history?;
    output::json(&json!({"status": "ready", "live": "ok", "history": "ok"}))
}
