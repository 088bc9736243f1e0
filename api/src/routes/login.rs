//! `POST /login`: a token for an address and its password. An unknown address
//! takes as long and gets the same answer as a wrong password.

use axum::extract::State;
use axum::response::Response;
use nemeses_store::history::email_key;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::input::Fields;
use crate::openapi::{Answer, Doc, Tag, object};
use crate::output;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

/// A login.
#[derive(Serialize, JsonSchema)]
struct SignedIn {
    /// For the header `Authorization: Bearer TOKEN`.
    token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds for which the token is good.
    expires_in: u64,
    user_id: u64,
}

pub(crate) async fn post(
    State(state): State<ApiState>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let email = email_key(&fields.text("email")?);
    let password = fields.text("password")?;
    fields.finish()?;

    let user = state.history.ask(state.stores.users.by_email(&email)).await?;
    let (user_id, hash) = user.map(|user| (user.id, user.password_hash)).unzip();
    let matches = state.passwords.matches(password, hash).await?;
    let user_id = user_id.filter(|_| matches).ok_or_else(wrong)?;

    let token = state.tokens.issue(user_id, state.clock.now_ms() / 1000).map_err(|error| {
        tracing::error!(%error, "a token could not be signed");
        Problem::new(Kind::Internal, "The server could not do this; its log says why.")
    })?;
    let expires_in = state.tokens.life_s();
    output::json(&SignedIn { token, token_type: "Bearer", expires_in, user_id })
}

fn wrong() -> Problem {
    Problem::new(Kind::WrongCredentials, "There is no account with this address and password.")
}

pub(crate) fn doc() -> Doc {
    let text = json!({"type": "string"});
    let wanted = object(&[("email", text.clone()), ("password", text)], &[]);
    let example = json!({"email": "ana@example.org", "password": "correct horse battery staple"});
    let signed_in =
        json!({"token": "eyJ0eXAi...", "token_type": "Bearer", "expires_in": 3600, "user_id": 1});
    Doc::new("login", Tag::People, "Sign in")
        .about("A wrong password and an unknown address get the same answer after the same time.")
        .careless()
        .body(wanted, example)
        .answers(Answer::json::<SignedIn>("Signed in.", signed_in))
        .problems(&[Kind::WrongCredentials, Kind::HistoryUnavailable, Kind::Busy])
}
