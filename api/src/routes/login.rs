//! `POST /login`: a session for an address and its password. An unknown address
//! and a disabled account take as long and get the same answer as a wrong password.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use nemeses_store::history::email_key;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::auth::AuthState;
use crate::auth::{Carrier, Signed, Turn, browser_cookie, cookie};
use crate::guard::{Arrival, Knock};
use crate::input::Fields;
use crate::openapi::{Answer, Doc, Tag, object};
use crate::output;
use crate::problem::{Kind, Problem, fault};

/// A session, begun or gone on with.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SignedIn {
    /// For the header `Authorization: Bearer TOKEN`.
    token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds for which the token is good.
    expires_in: u64,
    user_id: u64,
    /// Good once, for `POST /token/refresh`; missing where a cookie holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Seconds for which the refresh token is good.
    refresh_expires_in: u64,
}

pub(crate) async fn post(
    State(state): State<AuthState>,
    arrival: Arrival,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let email = email_key(&fields.text("email")?);
    let password = fields.text("password")?;
    let by_cookie = fields.maybe_flag("cookie")?.unwrap_or(false);
    fields.finish()?;

    let (https, now_ms) = (arrival.https, state.clock.now_ms());
    let browser = state.familiar.browser(&headers, https, &email, now_ms / 1000);
    let knock =
        Knock { address: arrival.client, account: Some(&email), browser: browser.as_deref() };
    let attempt = state.attempts.attempt(knock, now_ms)?;
    let turn = if browser.is_some() { Turn::Reserved } else { Turn::Anyone };
    let user = state.history.ask(state.stores.users.by_email(&email)).await?;
    let enabled = user.as_ref().is_some_and(|user| !user.disabled);
    let (user_id, hash) = user.map(|user| (user.id, user.password_hash)).unzip();
    let matches = state.passwords.matches(password, hash, turn).await?;
    let Some(user_id) = user_id.filter(|_| matches && enabled) else {
        attempt.wrong();
        return Err(wrong());
    };
    attempt.good();

    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let signed = state.begin_session(user_id, agent.unwrap_or_default()).await?;
    if !by_cookie {
        return answer(signed, Carrier::Body, https);
    }
    let mut response = answer(signed, Carrier::Cookie, https)?;
    let known = state.familiar.issue(&email, now_ms / 1000).map_err(|error| fault(&error))?;
    response.headers_mut().append(header::SET_COOKIE, browser_cookie(&known, https)?);
    Ok(response)
}

/// Hands out both tokens, the refresh token the way it is to travel.
pub(crate) fn answer(signed: Signed, carrier: Carrier, https: bool) -> Result<Response, Problem> {
    let Signed { user_id, token, expires_in, refresh, refresh_expires_in } = signed;
    let (in_body, in_cookie) = match carrier {
        Carrier::Body => (Some(refresh.text()), None),
        Carrier::Cookie => {
            let cookie = cookie(&refresh.text(), refresh_expires_in, https)?;
            (None, Some(cookie))
        }
    };
    let mut response = output::json(&SignedIn {
        token,
        token_type: "Bearer",
        expires_in,
        user_id,
        refresh_token: in_body,
        refresh_expires_in,
    })?;
    response.headers_mut().extend(in_cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    Ok(response)
}

fn wrong() -> Problem {
    Problem::new(Kind::WrongCredentials, "There is no account with this address and password.")
}

/// How it looks, for the API's own description.
pub(crate) fn example() -> Value {
    json!({
        "token": "eyJ0eXAi...", "token_type": "Bearer", "expires_in": 900, "user_id": 1,
        "refresh_token": "WxGm0q...", "refresh_expires_in": 2_592_000,
    })
}

pub(crate) fn doc() -> Doc {
    let text = json!({"type": "string"});
    let cookie = json!({
        "type": "boolean", "default": false,
        "description": "The refresh token is to be in a cookie that scripts cannot read.",
    });
    let wanted = object(&[("email", text.clone()), ("password", text)], &[("cookie", cookie)]);
    let wish = json!({"email": "ana@example.org", "password": "correct horse battery staple"});
    let answer = Answer::json::<SignedIn>("Signed in.", example())
        .header("Set-Cookie", "`nemeses_refresh` (by HTTPS `__Host-nemeses_refresh`), when a cookie was asked for; and `nemeses_browser`, by which the browser is known for 90 days as one that has signed in to this account.");
    Doc::new("login", Tag::People, "Sign in")
        .about("A wrong password, an unknown address and a disabled account get the same answer after the same time. Whoever tries many, from one address or at one account, gets 429 and is told when to come back; a browser that has signed in to the account before has a pace of its own.")
        .careless()
        .body(wanted, wish)
        .answers(answer)
        .problems(&[
            Kind::WrongCredentials,
            Kind::TooManyAttempts,
            Kind::HistoryUnavailable,
            Kind::Busy,
        ])
}
