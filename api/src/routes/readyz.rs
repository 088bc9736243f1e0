//! `GET /readyz`: whether requests can be served, frames can be committed where this process
//! does that, and what is degraded.

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::openapi::{Answer, Doc, Tag};
use crate::output;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

/// Requests can be served.
#[derive(Serialize, JsonSchema)]
struct Ready {
    /// `ready`, or `degraded`: then `degraded` says what does not work.
    status: &'static str,
    /// `ok`, or `read_only`.
    live: &'static str,
    /// `ok`, or `read_only`.
    history: &'static str,
    /// In words; empty when all is well.
    degraded: Vec<&'static str>,
}

const LIVE_READ_ONLY: &str = "The live store cannot be written: live positions stand still, and no ticket for a stream is good.";
const HISTORY_READ_ONLY: &str = "The history cannot be written: frames are not acknowledged, nobody can sign in, and nothing can be changed.";

pub(crate) async fn get(State(state): State<ApiState>) -> Result<Response, Problem> {
    state.ready().await?;
    output::json(&ready(state.writable.check(&state.backend).await))
}

fn ready([live, history]: [bool; 2]) -> Ready {
    let degraded: Vec<&'static str> = [(live, LIVE_READ_ONLY), (history, HISTORY_READ_ONLY)]
        .into_iter()
        .filter(|(writable, _)| !writable)
        .map(|(_, says)| says)
        .collect();
    let word = |writable| if writable { "ok" } else { "read_only" };
    let status = if degraded.is_empty() { "ready" } else { "degraded" };
    Ready { status, live: word(live), history: word(history), degraded }
}

pub(crate) fn doc() -> Doc {
    let example = json!({"status": "ready", "live": "ok", "history": "ok", "degraded": []});
    Doc::new("getReadiness", Tag::Service, "Whether requests can be served")
        .about(
            "Asks both stores, reads what reports read, and asks a node whether frames can be \
             committed, which it tries every ten seconds unless frames come; the problem names what \
             fails. `degraded` says what does not work all the same.",
        )
        .careless()
        .answers(Answer::json::<Ready>("Both stores can be read.", example))
        .problems(&[Kind::LiveUnavailable, Kind::HistoryUnavailable])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_degraded_is_said() {
        let shown = |writable| serde_json::to_value(ready(writable)).unwrap();
        let well = json!({"status": "ready", "live": "ok", "history": "ok", "degraded": []});
        assert_eq!(shown([true, true]), well);
        let full = shown([true, false]);
        assert_eq!((&full["status"], &full["history"]), (&json!("degraded"), &json!("read_only")));
        assert_eq!(full["degraded"].as_array().unwrap().len(), 1);
        assert_eq!(shown([false, false])["degraded"].as_array().unwrap().len(), 2);
    }
}
