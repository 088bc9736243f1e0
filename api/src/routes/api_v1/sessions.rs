//! `GET /api/v1/sessions/`: where the caller is signed in.
//! `DELETE /api/v1/sessions/{session_id}`: ends one of them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use nemeses_store::history::Session;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::access::Principal;
use crate::auth::AuthState;
use crate::input::{Params, Segments, number, unknown_id};
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem};

/// The caller's sessions.
#[derive(Serialize, JsonSchema)]
struct ListedSessions {
    sessions: Vec<ListedSession>,
}

/// A session.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
struct ListedSession {
    session_id: u64,
    /// Whether it is the one that asks.
    this: bool,
    /// What the client called itself.
    user_agent: String,
    created_at: String,
    /// When it was begun or refreshed last.
    used_at: String,
    expires_at: String,
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<AuthState>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let (user_id, this) = principal.person()?;
    let now_ms = state.clock.now_ms();
    let sessions = state.history.ask(state.stores.sessions.of_user(user_id, now_ms)).await?;
    let sessions = sessions.into_iter().map(|session| ListedSession::of(session, this)).collect();
    output::json(&ListedSessions { sessions })
}

pub(crate) async fn delete(
    principal: Principal,
    State(state): State<AuthState>,
    Segments(path): Segments<String>,
) -> Result<StatusCode, Problem> {
    let (user_id, _) = principal.person()?;
    let ended = state.end_session(number("session_id", &path)?, user_id).await?;
    if ended { Ok(StatusCode::NO_CONTENT) } else { Err(unknown_id("session_id")) }
}

impl ListedSession {
    fn of(session: Session, this: u64) -> Self {
        Self {
            session_id: session.id,
            this: session.id == this,
            user_agent: session.user_agent,
            created_at: time_ms(session.created_at_ms),
            used_at: time_ms(session.used_at_ms),
            expires_at: time_ms(session.expires_at_ms),
        }
    }
}

pub(crate) fn doc() -> Doc {
    let session = json!({
        "session_id": 12, "this": true, "user_agent": "curl/8.5.0",
        "created_at": "2020-07-01T21:00:00Z", "used_at": "2020-07-01T21:15:00Z",
        "expires_at": "2020-07-31T21:15:00Z",
    });
    let answer =
        Answer::json::<ListedSessions>("The last used first.", json!({ "sessions": [session] }));
    Doc::new("getSessions", Tag::People, "Where you are signed in").answers(answer)
}

pub(crate) fn doc_of_delete() -> Doc {
    Doc::new("endSession", Tag::People, "End one of your sessions")
        .takes(Param::path_number("session_id", "The session's number."))
        .answers(Answer::empty(StatusCode::NO_CONTENT, "It is over, everywhere within 2 s."))
        .problems(&[Kind::UnknownId])
}
