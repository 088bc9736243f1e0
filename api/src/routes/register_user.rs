//! `POST /register/user`: makes an account that sees no device until one is
//! granted; the first one made at this machine is the admin's. Whether the address had
//! an account already is not told. Signing in would tell it, so an account that was
//! asked for from elsewhere is disabled until an admin enables it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::accounts::NewAccount;
use crate::auth::AuthState;
use crate::config::Registration;
use crate::guard::{Arrival, Knock};
use crate::input::{Fields, account_fields};
use crate::openapi::{Answer, Doc, Tag, object};
use crate::output;
use crate::problem::{Kind, Problem};

/// What was asked for.
#[derive(Serialize, JsonSchema)]
struct Registered {
    /// As it is kept: trimmed, in lower case.
    email: String,
    name: String,
}

pub(crate) async fn post(
    State(state): State<AuthState>,
    arrival: Arrival,
    fields: Fields,
) -> Result<Response, Problem> {
    let local = arrival.is_local_person().await;
    match state.config.registration {
        Registration::Open => {}
        Registration::Local if local => {}
        Registration::Local | Registration::Closed => return Err(closed()),
    }
    let account = NewAccount::of(fields)?;
    let answer = Registered { email: account.email.clone(), name: account.name.clone() };
    let attempt = state.attempts.attempt(Knock::from(arrival), state.clock.now_ms())?;
    let registered = state.register_account(account, local).await;
    attempt.wrong();
    match registered {
        Err(problem) if problem.kind() != Kind::EmailTaken => return Err(problem),
        Ok(_) | Err(_) => {}
    }
    Ok((StatusCode::ACCEPTED, output::json(&answer)?).into_response())
}

/// The same for every address, taken or not.
fn closed() -> Problem {
    let detail = "People cannot register here. Ask an administrator of this server for an account. The \
        first account is its administrator's: make it with the set-up token in the log of the \
        server's start, at /#/setup.";
    Problem::new(Kind::Forbidden, detail)
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "email": "ana@example.org", "password": "correct horse battery staple", "name": "Ana",
    });
    let made = json!({"email": "ana@example.org", "name": "Ana"});
    Doc::new("registerUser", Tag::People, "Make an account")
        .about(
            "It sees no device until one is granted; the first one made at the server's own machine \
             is the admin's. One that was asked for from elsewhere is disabled until an admin enables \
             it. An address that has an account keeps it, and gets the same answer.",
        )
        .careless()
        .body(object(&account_fields(), &[]), example)
        .answers(
            Answer::json::<Registered>("There is an account, unless there was one.", made).status(StatusCode::ACCEPTED),
        )
        .problems(&[Kind::Forbidden, Kind::TooManyAttempts, Kind::HistoryUnavailable, Kind::Busy])
}
