//! `POST /register/user`: makes an account that sees no device until one is
//! granted; the first one, on loopback, is the admin's.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::accounts::NewAccount;
use crate::input::{Fields, account_fields};
use crate::openapi::{Answer, Doc, Tag, object};
use crate::output;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

/// An account.
#[derive(Serialize, JsonSchema)]
struct Account {
    user_id: u64,
    /// As it is kept: trimmed, in lower case.
    email: String,
    name: String,
    /// `admin` for the first account of a database on loopback, else `viewer`.
    role: &'static str,
}

pub(crate) async fn post(
    State(state): State<ApiState>,
    fields: Fields,
) -> Result<Response, Problem> {
    if !state.config.registration_open {
        return Err(closed());
    }
    let account = wanted(fields)?;
    let (email, name) = (account.email.clone(), account.name.clone());
    let made = state.register_account(account).await?;
    let made = Account { user_id: made.id, email, name, role: made.role.name() };
    let answer = output::json(&made)?;
    Ok((StatusCode::CREATED, answer).into_response())
}

/// The same for every address, taken or not.
fn closed() -> Problem {
    let detail = "People cannot register here. Ask an administrator of this server for an account.";
    Problem::new(Kind::Forbidden, detail)
}

fn wanted(mut fields: Fields) -> Result<NewAccount, Problem> {
    let (email, password) = (fields.text("email")?, fields.text("password")?);
    let name = fields.text("name")?;
    fields.finish()?;
    NewAccount::new(&email, password, &name)
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "email": "ana@example.org", "password": "correct horse battery staple", "name": "Ana",
    });
    let made = json!({"user_id": 1, "email": "ana@example.org", "name": "Ana", "role": "admin"});
    Doc::new("registerUser", Tag::People, "Make an account")
        .about(
            "It sees no device until one is granted; the first one, on loopback, is the admin's.",
        )
        .careless()
        .body(object(&account_fields(), &[]), example)
        .answers(Answer::json::<Account>("The account.", made).status(StatusCode::CREATED))
        .problems(&[Kind::Forbidden, Kind::EmailTaken, Kind::HistoryUnavailable, Kind::Busy])
}
