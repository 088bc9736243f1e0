//! `POST /register/user`: makes an account that sees no device until one is
//! granted; the first one, on loopback, is the admin's. Whether the address had an
//! account already is not told: signing in tells its owner.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::accounts::NewAccount;
use crate::guard::CameFrom;
use crate::input::{Fields, account_fields};
use crate::openapi::{Answer, Doc, Tag, object};
use crate::output;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

/// What was asked for.
#[derive(Serialize, JsonSchema)]
struct Registered {
    /// As it is kept: trimmed, in lower case.
    email: String,
    name: String,
}

pub(crate) async fn post(
    State(state): State<ApiState>,
    CameFrom(address): CameFrom,
    fields: Fields,
) -> Result<Response, Problem> {
    if !state.config.registration_open {
        return Err(closed());
    }
    let account = NewAccount::of(fields)?;
    let answer = Registered { email: account.email.clone(), name: account.name.clone() };
    let _counts = state.guard.attempt(address, state.clock.now_ms())?;
    match state.register_account(account).await {
        Err(problem) if problem.kind() != Kind::EmailTaken => return Err(problem),
        Ok(_) | Err(_) => {}
    }
    Ok((StatusCode::ACCEPTED, output::json(&answer)?).into_response())
}

/// The same for every address, taken or not.
fn closed() -> Problem {
    let detail = "People cannot register here. Ask an administrator of this server for an account.";
    Problem::new(Kind::Forbidden, detail)
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "email": "ana@example.org", "password": "correct horse battery staple", "name": "Ana",
    });
    let made = json!({"email": "ana@example.org", "name": "Ana"});
    Doc::new("registerUser", Tag::People, "Make an account")
        .about(
            "It sees no device until one is granted; the first one, on loopback, is the admin's. \
             An address that has an account keeps it, and gets the same answer: sign in to see.",
        )
        .careless()
        .body(object(&account_fields(), &[]), example)
        .answers(
            Answer::json::<Registered>("There is an account.", made).status(StatusCode::ACCEPTED),
        )
        .problems(&[Kind::Forbidden, Kind::TooManyAttempts, Kind::HistoryUnavailable, Kind::Busy])
}
