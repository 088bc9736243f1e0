//! `POST /register/user`: makes an account that sees no device until one is
//! granted; the first one, on loopback, is the admin's.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::accounts::NewAccount;
use crate::input::Fields;
use crate::output;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

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
    let answer = output::json(&json!({
        "user_id": made.id, "email": email, "name": name, "role": made.role.name(),
    }))?;
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
