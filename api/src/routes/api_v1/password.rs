//! `POST /api/v1/me/password`: changes the caller's password and ends all other
//! sessions of the account.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use crate::access::Principal;
use crate::auth::AuthState;
use crate::auth::Turn;
use crate::guard::{Arrival, Knock};
use crate::input::{Fields, account_fields, check_password, unknown_id};
use crate::openapi::{Answer, Doc, Tag, object};
use crate::problem::{Kind, Problem};

pub(crate) async fn post(
    principal: Principal,
    State(state): State<AuthState>,
    arrival: Arrival,
    mut fields: Fields,
) -> Result<StatusCode, Problem> {
    let (user_id, session) = principal.person()?;
    let (old, new) = (fields.text("old_password")?, fields.text("password")?);
    fields.finish()?;
    check_password(&new)?;
    // Signed in, so strangers behind the same address do not slow it.
    let (account, browser) = (user_id.to_string(), session.to_string());
    let knock = Knock { account: Some(&account), browser: Some(&browser), ..Knock::from(arrival) };
    let attempt = state.attempts.attempt(knock, state.clock.now_ms())?;
    let users = &state.stores.users;
    let user = state.history.ask(users.by_id(user_id)).await?;
    let user = user.ok_or_else(|| unknown_id("user_id"))?;
    if !state.passwords.matches(old, Some(user.password_hash), Turn::Reserved).await? {
        attempt.wrong();
        return Err(Problem::field("old_password", "This is not your password."));
    }
    attempt.good();
    let hash = state.passwords.hash(new).await?;
    state.history.ask(users.set_password(user_id, &hash)).await?;
    state.history.ask(state.stores.sessions.end_others(user_id, Some(session))).await?;
    state.known_access.forget(user_id);
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn doc() -> Doc {
    let [_, (_, password), _] = account_fields();
    let old = ("old_password", json!({"type": "string"}));
    let example =
        json!({"old_password": "correct horse battery", "password": "another battery staple"});
    Doc::new("changePassword", Tag::People, "Change your password")
        .about("Ends all your other sessions.")
        .careless()
        .body(object(&[old, ("password", password)], &[]), example)
        .answers(Answer::empty(StatusCode::NO_CONTENT, "The new password holds."))
        .problems(&[Kind::UnknownId, Kind::Busy])
}
