//! `POST /register/user`: makes an account. Open to whoever reaches the
//! listener, which is loopback until there are rights.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_store::StoreError;
use nemeses_store::history::NewUser;
use serde_json::json;

use crate::input::{self, Fields};
use crate::output;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

struct Wanted {
    email: String,
    name: String,
    password: String,
}

impl Wanted {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let email = input::email(&fields.text("email")?)?;
        let password = fields.text("password")?;
        input::check_password(&password)?;
        let name = input::person_name(&fields.text("name")?)?;
        fields.finish()?;
        Ok(Self { email, name, password })
    }
}

pub(crate) async fn post(
    State(state): State<ApiState>,
    fields: Fields,
) -> Result<Response, Problem> {
    let Wanted { email, name, password } = Wanted::read(fields)?;
    let password_hash = state.passwords.hash(password).await?;
    let user = NewUser { email: &email, name: &name, password_hash: &password_hash, admin: false };
    let added = state.stores.users.add(user, state.clock.now_ms());
    let user_id = state.history.ask_knowing(added).await?.map_err(taken)?;
    let answer = output::json(&json!({"user_id": user_id, "email": email, "name": name}))?;
    Ok((StatusCode::CREATED, answer).into_response())
}

/// The only error that is left to the caller is that the address exists.
fn taken(_: StoreError) -> Problem {
    Problem::new(Kind::EmailTaken, "There is an account with this address. Sign in instead.")
        .blaming("email")
}
