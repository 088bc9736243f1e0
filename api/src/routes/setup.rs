//! `POST /setup`: the first account, an admin's, for the token that the first start
//! prints where registering makes no admin.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::accounts::NewAccount;
use crate::auth::AuthState;
use crate::guard::{Arrival, Knock};
use crate::input::{Fields, account_fields};
use crate::openapi::{Answer, Doc, Tag, object};
use crate::output;
use crate::problem::{Kind, Problem};

/// The admin.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FirstAccount")]
struct Account {
    user_id: u64,
    /// As it is kept: trimmed, in lower case.
    email: String,
    name: String,
    /// Always `admin`.
    role: &'static str,
}

pub(crate) async fn post(
    State(state): State<AuthState>,
    arrival: Arrival,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let token = fields.text("token")?;
    let account = NewAccount::of(fields)?;
    let (email, name) = (account.email.clone(), account.name.clone());
    let attempt = state.attempts.attempt(Knock::from(arrival), state.clock.now_ms())?;
    let made = state.set_up(&token, account).await?;
    attempt.good();
    let made = Account { user_id: made.id, email, name, role: made.role.name() };
    Ok((StatusCode::CREATED, output::json(&made)?).into_response())
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "token": "Zm9yIHRoZSBmaXJzdCBhZG1pbiBvZiB0aGlz", "email": "ana@example.org",
        "password": "correct horse battery staple", "name": "Ana",
    });
    let mut fields = account_fields().to_vec();
    fields.push(("token", json!({"type": "string"})));
    let made = json!({"user_id": 1, "email": "ana@example.org", "name": "Ana", "role": "admin"});
    Doc::new("setUp", Tag::People, "Make the first account, an admin's")
        .about("With the token that the first start prints where registering makes no admin; once, and within a day.")
        .careless()
        .body(object(&fields, &[]), example)
        .answers(Answer::json::<Account>("The account.", made).status(StatusCode::CREATED))
        .problems(&[
            Kind::WrongSetupToken,
            Kind::TooManyAttempts,
            Kind::HistoryUnavailable,
            Kind::Busy,
        ])
}
