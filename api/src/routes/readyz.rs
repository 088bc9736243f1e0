//! `GET /readyz`: whether requests can be served, frames can be committed where this process
//! does that, and what is degraded.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Response;
use nemeses_runtime::Outage;
use nemeses_store::StoreError;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;

use crate::openapi::{Answer, Doc, Tag};
use crate::output;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

/// Whether the stores can be written is tried at most so often: it writes a row, and
/// whoever asks needs no token.
const TRIED_EVERY: Duration = Duration::from_secs(5);

/// Whether the stores take what is written, as it was found last.
#[derive(Debug)]
pub(crate) struct Writable {
    tried: Mutex<Option<(Instant, [bool; 2])>>,
    outages: [Outage; 2],
}

impl Default for Writable {
    fn default() -> Self {
        Self { tried: Mutex::default(), outages: [Outage::new(), Outage::new()] }
    }
}

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
    output::json(&ready(writable(&state).await))
}

/// Tables that are missing make no request's fault, but nothing can be served.
fn unreadable(problem: Problem) -> Problem {
    if problem.kind() != Kind::Internal {
        return problem;
    }
    let detail = "The history cannot be read: its tables are missing, not those of this version, or closed to this login. Run nemeses doctor; the log says more.";
    Problem::new(Kind::HistoryUnavailable, detail)
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

async fn writable(state: &ApiState) -> [bool; 2] {
    let writable = Arc::clone(&state.writable);
    let mut tried = writable.tried.lock().await;
    if let Some((_, found)) = tried.as_ref().filter(|(at, _)| at.elapsed() < TRIED_EVERY) {
        return *found;
    }
    let [live, history] = &writable.outages;
    let (live, history) = tokio::join!(
        takes(state, "live store", live, state.stores.live.check_writes()),
        takes(state, "history store", history, state.stores.health.check_writes()),
    );
    *tried = Some((Instant::now(), [live, history]));
    [live, history]
}

/// Whether a store takes what is written, in time.
async fn takes(
    state: &ApiState,
    store: &'static str,
    outage: &Outage,
    write: impl Future<Output = Result<(), StoreError>>,
) -> bool {
    let within = state.config.store_timeout;
    let cause = match tokio::time::timeout(within, write).await {
        Ok(Ok(())) => {
            if let Some(down) = outage.ends() {
                tracing::info!(store, ?down, "the store can be written again");
            }
            return true;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {within:?}"),
    };
    if outage.begins() {
        tracing::warn!(store, cause, "the store cannot be written");
    }
    false
}

impl ApiState {
    /// Whether requests can be served: both stores can be read, and frames committed
    /// where this process does that.
    ///
    /// # Errors
    /// What fails.
    pub async fn ready(&self) -> Result<(), Problem> {
        let (live, history) = tokio::join!(
            self.live.ask(self.stores.live.ping()),
            self.history.ask(self.stores.health.check_reads()),
        );
        live?;
        history.map_err(unreadable)?;
        if self.stores.commits_fail.as_ref().is_some_and(|fail| fail()) {
            let detail = "Frames cannot be committed at the moment; the server's log says why.";
            return Err(Problem::new(Kind::HistoryUnavailable, detail));
        }
        Ok(())
    }
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
