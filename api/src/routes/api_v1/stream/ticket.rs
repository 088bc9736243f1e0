//! `POST /api/v1/stream/ticket`: a word that opens one stream within seconds.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::input::Params;
use crate::openapi::{Answer, Doc, Tag};
use crate::output;
use crate::problem::{Kind, Problem};
use crate::stream::{Holder, StreamState, TICKET_LIFE_S};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StreamTicket")]
struct Issued {
    /// For the parameter `ticket`, once.
    ticket: String,
    /// Seconds.
    expires_in: u64,
}

pub(crate) fn doc() -> Doc {
    let example = json!({"ticket": "eyJ0eXAi...", "expires_in": TICKET_LIFE_S});
    Doc::new("createStreamTicket", Tag::Locations, "A ticket that opens one stream")
        .about("For browsers, which cannot send a header with a WebSocket. Good once, on any instance.")
        .answers(Answer::json::<Issued>("A ticket.", example))
}

pub(crate) async fn post(
    State(state): State<StreamState>,
    Extension(holder): Extension<Holder>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let ticket = state.tickets.issue(&holder, state.clock.now_ms() / 1000).map_err(|error| {
        tracing::error!(%error, "a ticket could not be signed");
        Problem::new(Kind::Internal, "The server could not do this; its log says why.")
    })?;
    output::json(&Issued { ticket, expires_in: TICKET_LIFE_S })
}
