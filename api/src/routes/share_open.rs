//! `POST /share/open`: a short access token for whoever has a share link.

use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::access::{Credential, Sees};
use crate::auth::AuthState;
use crate::auth::digest;
use crate::input::Fields;
use crate::openapi::{Answer, Doc, Tag, Time, object};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem, fault};
use crate::routes::api_v1::shares::told_from;

/// What a link shows.
#[derive(Serialize, JsonSchema)]
struct OpenedShare {
    /// For the header `Authorization: Bearer TOKEN`.
    token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds for which the token is good; then open the link again.
    expires_in: u64,
    /// What its maker calls it.
    name: String,
    device_ids: Vec<String>,
    /// `read` and `stream`.
    scopes: Vec<&'static str>,
    share_expires_at: String,
    /// From which recorded second on it shows what was recorded, too; null shows only
    /// where the devices are now.
    #[schemars(with = "Option<Time>")]
    history_from: Option<String>,
}

pub(crate) async fn post(
    State(state): State<AuthState>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let secret = secret(&fields.text("token")?).ok_or_else(not_good);
    fields.finish()?;
    let hash = digest(&secret?);
    let now_ms = state.clock.now_ms();
    let share = state.history.ask(state.stores.tokens.by_secret(&hash, now_ms)).await?;
    let share = share.ok_or_else(not_good)?;
    let credential = Credential::Share(share.id);
    // Its maker may be gone, or see less by now.
    let standing = state.standing(share.user_id, credential).await.map_err(|problem| {
        if problem.kind() == Kind::Unauthorized { not_good() } else { problem }
    })?;
    let Sees::These(devices) = &standing.sees else { return Err(not_good()) };

    let since = now_ms / 1000;
    let expires_in = state.config.token_life.as_secs().min(share.expires_at_ms / 1000 - since);
    let times = (since, since + expires_in);
    let token = state
        .tokens
        .issue_scoped(share.user_id, credential, times, devices, standing.scopes)
        .map_err(|error| fault(&error))?;
    output::json(&OpenedShare {
        token,
        token_type: "Bearer",
        expires_in,
        name: share.name,
        device_ids: devices.iter().map(|device| state.written(*device)).collect(),
        scopes: standing.scopes.names(),
        share_expires_at: time_ms(share.expires_at_ms),
        history_from: told_from(share.history_from),
    })
}

/// 43 characters of base64url.
fn secret(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text.trim()).ok()?.try_into().ok()
}

fn not_good() -> Problem {
    let detail = "The link is not good: it may have expired or been revoked. Ask for a new one.";
    Problem::new(Kind::WrongShare, detail)
}

pub(crate) fn doc() -> Doc {
    let opened = json!({
        "token": "eyJ0eXAi...", "token_type": "Bearer", "expires_in": 900,
        "name": "for the customer", "device_ids": ["0A3F73"], "scopes": ["read", "stream"],
        "share_expires_at": "2020-07-02T21:00:00Z", "history_from": null,
    });
    Doc::new("openShare", Tag::People, "Open a share link")
        .about("`token` is what stands behind `/#share=` in the link.")
        .careless()
        .body(object(&[("token", json!({"type": "string"}))], &[]), json!({"token": "bX9n..."}))
        .answers(Answer::json::<OpenedShare>("A short access token.", opened))
        .problems(&[Kind::WrongShare, Kind::HistoryUnavailable])
}
