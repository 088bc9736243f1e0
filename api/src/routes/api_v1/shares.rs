//! `GET` and `POST /api/v1/shares/`: links for people without an account, to look
//! at a few devices until a moment. `DELETE /api/v1/shares/{share_id}`: revokes one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nemeses_store::history::{NO_HISTORY, ScopedToken, Scopes, TokenKind};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::tokens::{Wish, list, revoke, wish_fields};
use crate::access::Principal;
use crate::auth::AuthState;
use crate::auth::{digest, draw};
use crate::input::{Fields, Params, Segments, first_second};
use crate::openapi::{Answer, Doc, Param, Tag, Time, object};
use crate::output::{self, time_ms, time_s};
use crate::problem::{Kind, Problem, fault};

/// A day.
const DEFAULT_LIFE_S: u64 = 86_400;

/// The caller's links.
#[derive(Serialize, JsonSchema)]
struct ListedShares {
    shares: Vec<ListedShare>,
}

/// A share link.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Share")]
struct ListedShare {
    share_id: u64,
    name: String,
    device_ids: Vec<String>,
    created_at: String,
    expires_at: String,
    /// From which recorded second on it shows what was recorded, too; null shows only
    /// where the devices are now.
    #[schemars(with = "Option<Time>")]
    history_from: Option<String>,
}

/// As it is told: null for nothing of the past.
pub(crate) fn told_from(history_from: u32) -> Option<String> {
    (history_from != NO_HISTORY).then(|| time_s(history_from))
}

/// A link that was just made.
#[derive(Serialize, JsonSchema)]
struct NewShare {
    #[serde(flatten)]
    about: ListedShare,
    /// To be put behind the server's address. Its secret is not kept and cannot be
    /// shown again.
    url: String,
}

impl ListedShare {
    fn of(state: &AuthState, token: ScopedToken) -> Self {
        Self {
            share_id: token.id,
            name: token.name,
            device_ids: token.devices.iter().map(|device| state.written(*device)).collect(),
            created_at: time_ms(token.created_at_ms),
            expires_at: time_ms(token.expires_at_ms),
            history_from: told_from(token.history_from),
        }
    }
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<AuthState>,
    params: Params,
) -> Result<Response, Problem> {
    let (user_id, _) = principal.person()?;
    answer_list(&state, user_id, params).await
}

/// What a person has, for that person and for admins.
pub(super) async fn answer_list(
    state: &AuthState,
    user_id: u64,
    params: Params,
) -> Result<Response, Problem> {
    let shares = list(state, user_id, params, TokenKind::Share).await?;
    output::json(&ListedShares {
        shares: shares.into_iter().map(|share| ListedShare::of(state, share)).collect(),
    })
}

pub(crate) async fn post(
    principal: Principal,
    State(state): State<AuthState>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let from = fields.maybe_text("history_from")?;
    let from = from.map(|text| history_from(&text)).transpose()?.unwrap_or(NO_HISTORY);
    let wish = Wish::take(&state, &principal, fields, DEFAULT_LIFE_S).await?;
    let secret: [u8; 32] = draw().map_err(|error| fault(&error))?;
    let hash = digest(&secret);
    let kept = wish.keep(&state, (TokenKind::Share, Scopes::LOOK, from), Some(&hash)).await?;
    // In the fragment, which browsers send to no server.
    let url = format!("/#share={}", URL_SAFE_NO_PAD.encode(secret));
    let answer = output::json(&NewShare { about: ListedShare::of(&state, kept), url })?;
    Ok((StatusCode::CREATED, answer).into_response())
}

fn history_from(text: &str) -> Result<u32, Problem> {
    let wrong = |_| Problem::field("history_from", "Must be a time such as 2020-07-01T21:00:00Z.");
    first_second("history_from", text).map_err(wrong)
}

pub(crate) async fn delete(
    principal: Principal,
    State(state): State<AuthState>,
    Segments(path): Segments<String>,
) -> Result<StatusCode, Problem> {
    let (user_id, _) = principal.person()?;
    revoke(&state, user_id, ("share_id", &path), TokenKind::Share).await
}

fn example() -> Value {
    json!({
        "share_id": 4, "name": "for the customer", "device_ids": ["0A3F73"],
        "created_at": "2020-07-01T21:00:00Z", "expires_at": "2020-07-02T21:00:00Z",
        "history_from": null,
    })
}

/// A list of links, for the API's own description.
pub(super) fn listed_answer() -> Answer {
    Answer::json::<ListedShares>("The newest first.", json!({"shares": [example()]}))
}

pub(crate) fn doc() -> Doc {
    Doc::new("getShares", Tag::People, "Your share links").answers(listed_answer())
}

pub(crate) fn doc_of_post() -> Doc {
    let [name, devices, life] = wish_fields(DEFAULT_LIFE_S);
    let from = json!({
        "type": "string", "format": "date-time",
        "description": "The first recorded second that it shows; without it, nothing recorded.",
    });
    let mut made = example();
    made["url"] = json!("/#share=bX9n...");
    Doc::new("makeShare", Tag::People, "Make a share link")
        .about(
            "To look at some devices that you see, without an account, until a moment. It \
             shows where they are now, without odometer and hour meter; with `history_from`, \
             everything that was recorded from that second on, too. It never shows more than \
             you see.",
        )
        .careless()
        .body(
            object(&[name, devices], &[life, ("history_from", from)]),
            json!({"name": "for the customer", "device_ids": ["0A3F73"]}),
        )
        .answers(
            Answer::json::<NewShare>("The link, shown once.", made).status(StatusCode::CREATED),
        )
        .problems(&[Kind::UnknownDevice, Kind::TooMany])
}

pub(crate) fn doc_of_delete() -> Doc {
    Doc::new("revokeShare", Tag::People, "Revoke a share link")
        .takes(Param::path_number("share_id", "The link's number."))
        .answers(Answer::empty(
            StatusCode::NO_CONTENT,
            "It is good no more, everywhere within 2 s.",
        ))
        .problems(&[Kind::UnknownId])
}
