//! `GET` and `POST /api/v1/tokens/`: tokens for programs, for a few devices and
//! purposes and until a moment. `DELETE /api/v1/tokens/{token_id}`: revokes one.

use std::ops::RangeInclusive;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_protocol::{DeviceId, DeviceNames, Identity};
use nemeses_store::history::{
    MAX_TOKEN_DEVICES, MAX_TOKENS, NewToken, Scope, ScopedToken, Scopes, TokenKind,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::{Credential, Principal};
use crate::auth::AuthState;
use crate::input::{Fields, Params, Segments, device_in_field, number, person_name, unknown_id};
use crate::openapi::{Answer, DEVICE_PATTERN, Doc, Param, Tag, object};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem, fault};

/// Seconds that a token or a link may be good for: a minute to a year.
const LIFE_S: RangeInclusive<u64> = 60..=365 * 86_400;
/// 30 days.
const DEFAULT_LIFE_S: u64 = 30 * 86_400;

/// The caller's tokens.
#[derive(Serialize, JsonSchema)]
struct ListedTokens {
    tokens: Vec<ListedToken>,
}

/// A token for a program.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScopedToken")]
struct ListedToken {
    token_id: u64,
    name: String,
    device_ids: Vec<String>,
    /// `read`, `stream`, `command`, `write`.
    scopes: Vec<&'static str>,
    created_at: String,
    expires_at: String,
}

/// A token that was just made.
#[derive(Serialize, JsonSchema)]
struct NewScopedToken {
    #[serde(flatten)]
    about: ListedToken,
    /// The token itself, which is not kept and cannot be shown again.
    token: String,
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
    let tokens = list(state, user_id, params, TokenKind::Token).await?;
    output::json(&ListedTokens {
        tokens: tokens.into_iter().map(|token| ListedToken::of(state, token)).collect(),
    })
}

pub(crate) async fn post(
    principal: Principal,
    State(state): State<AuthState>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let scopes = scopes(&fields.some_texts("scopes", Scope::ALL.len())?)?;
    let wish = Wish::take(&state, &principal, fields, DEFAULT_LIFE_S).await?;
    let of = (TokenKind::Token, scopes, 0);
    let kept = wish.keep(&state, of, None).await?;
    let times = (kept.created_at_ms / 1000, kept.expires_at_ms / 1000);
    let credential = Credential::Token(kept.id);
    let token = state
        .tokens
        .issue_scoped(kept.user_id, credential, times, &kept.devices, kept.scopes)
        .map_err(|error| fault(&error))?;
    let answer = output::json(&NewScopedToken { about: ListedToken::of(&state, kept), token })?;
    Ok((StatusCode::CREATED, answer).into_response())
}

pub(crate) async fn delete(
    principal: Principal,
    State(state): State<AuthState>,
    Segments(path): Segments<String>,
) -> Result<StatusCode, Problem> {
    let (user_id, _) = principal.person()?;
    revoke(&state, user_id, ("token_id", &path), TokenKind::Token).await
}

/// What a person made of this kind.
pub(super) async fn list(
    state: &AuthState,
    user_id: u64,
    params: Params,
    kind: TokenKind,
) -> Result<Vec<ScopedToken>, Problem> {
    params.finish()?;
    let now_ms = state.clock.now_ms();
    state.history.ask(state.stores.tokens.of_user(user_id, kind, now_ms)).await
}

/// Revokes one that this person made.
pub(super) async fn revoke(
    state: &AuthState,
    user_id: u64,
    (name, text): (&'static str, &str),
    kind: TokenKind,
) -> Result<StatusCode, Problem> {
    let id = number(name, text)?;
    let revoked = state.history.ask(state.stores.tokens.revoke(id, user_id, kind)).await?;
    state.known_access.forget(user_id);
    if revoked { Ok(StatusCode::NO_CONTENT) } else { Err(unknown_id(name)) }
}

impl ListedToken {
    fn of(state: &AuthState, token: ScopedToken) -> Self {
        Self {
            token_id: token.id,
            name: token.name,
            device_ids: token.devices.iter().map(|device| state.written(*device)).collect(),
            scopes: token.scopes.names(),
            created_at: time_ms(token.created_at_ms),
            expires_at: time_ms(token.expires_at_ms),
        }
    }
}

/// A checked wish for a token or link.
pub(super) struct Wish {
    user_id: u64,
    name: String,
    devices: Vec<DeviceId>,
    life_s: u64,
}

impl Wish {
    /// Takes the fields that both kinds have, and refuses others. Every device
    /// must be one that the caller sees.
    pub(super) async fn take(
        state: &AuthState,
        principal: &Principal,
        mut fields: Fields,
        default_life_s: u64,
    ) -> Result<Self, Problem> {
        let (user_id, _) = principal.person()?;
        let name = person_name(&fields.text("name")?)?;
        let ids = fields.some_texts("device_ids", MAX_TOKEN_DEVICES)?;
        let named: Vec<Identity> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        state.learn(&named).await?;
        let devices = devices(&state.names, &ids)?;
        let life_s = fields.maybe_number("expires_in", LIFE_S)?.unwrap_or(default_life_s);
        fields.finish()?;
        for device in &devices {
            let seen = principal.must_see(*device);
            seen.map_err(|problem| problem.blaming("device_ids"))?;
        }
        Ok(Self { user_id, name, devices, life_s })
    }

    pub(super) async fn keep(
        self,
        state: &AuthState,
        (kind, scopes, history_from): (TokenKind, Scopes, u32),
        secret: Option<&[u8; 32]>,
    ) -> Result<ScopedToken, Problem> {
        let Self { user_id, name, devices, life_s } = self;
        let tokens = &state.stores.tokens;
        let now_ms = state.clock.now_ms();
        // To the second, as tokens tell it.
        let expires_at_ms = (now_ms / 1000 + life_s) * 1000;
        let new = NewToken {
            user_id,
            kind,
            name: &name,
            devices: &devices,
            scopes,
            history_from,
            secret,
            expires_at_ms,
        };
        let added = state.history.ask_knowing(tokens.add(new, now_ms)).await?;
        let id = added.map_err(|_| {
            let detail = format!("You have {MAX_TOKENS} of these; revoke one first.");
            Problem::new(Kind::TooMany, detail)
        })?;
        let created_at_ms = now_ms;
        Ok(ScopedToken {
            id,
            user_id,
            kind,
            name,
            devices,
            scopes,
            history_from,
            created_at_ms,
            expires_at_ms,
        })
    }
}

fn scopes(names: &[String]) -> Result<Scopes, Problem> {
    let wrong = || Problem::field("scopes", "A scope is read, stream, command or write.");
    names.iter().map(|name| Scope::from_name(name).ok_or_else(wrong)).collect()
}

/// In order, each once.
fn devices(names: &DeviceNames, ids: &[String]) -> Result<Vec<DeviceId>, Problem> {
    let device = |id: &String| device_in_field(names, "device_ids", id);
    let mut devices = ids.iter().map(device).collect::<Result<Vec<DeviceId>, _>>()?;
    devices.sort_unstable();
    devices.dedup();
    Ok(devices)
}

/// The fields that tokens and links have, for the API's own description.
pub(super) fn wish_fields(default_life_s: u64) -> [(&'static str, Value); 3] {
    let device = json!({"type": "string", "pattern": DEVICE_PATTERN});
    let (least, most) = LIFE_S.into_inner();
    [
        ("name", json!({"type": "string", "minLength": 1, "maxLength": 100})),
        (
            "device_ids",
            json!({"type": "array", "items": device, "minItems": 1, "maxItems": MAX_TOKEN_DEVICES}),
        ),
        (
            "expires_in",
            json!({
                "type": "integer", "minimum": least, "maximum": most, "default": default_life_s,
                "description": "Seconds.",
            }),
        ),
    ]
}

fn example() -> Value {
    json!({
        "token_id": 3, "name": "plotter", "device_ids": ["0A3F73"], "scopes": ["read"],
        "created_at": "2020-07-01T21:00:00Z", "expires_at": "2020-07-31T21:00:00Z",
    })
}

/// A list of tokens, for the API's own description.
pub(super) fn listed_answer() -> Answer {
    Answer::json::<ListedTokens>("The newest first.", json!({"tokens": [example()]}))
}

pub(crate) fn doc() -> Doc {
    Doc::new("getTokens", Tag::People, "Your tokens for programs").answers(listed_answer())
}

pub(crate) fn doc_of_post() -> Doc {
    let [name, devices, life] = wish_fields(DEFAULT_LIFE_S);
    let names = Scope::ALL.map(Scope::name);
    let scopes = json!({
        "type": "array", "items": {"type": "string", "enum": names},
        "minItems": 1, "maxItems": names.len(),
    });
    let mut made = example();
    made["token"] = json!("eyJ0eXAi...");
    Doc::new("makeToken", Tag::People, "Make a token for a program")
        .about(
            "For some devices that you see, some purposes, and until a moment. It never sees \
             more than you do.",
        )
        .careless()
        .body(
            object(&[name, devices, ("scopes", scopes)], &[life]),
            json!({"name": "plotter", "device_ids": ["0A3F73"], "scopes": ["read"]}),
        )
        .answers(
            Answer::json::<NewScopedToken>("The token, shown once.", made)
                .status(StatusCode::CREATED),
        )
        .problems(&[Kind::UnknownDevice, Kind::TooMany])
}

pub(crate) fn doc_of_delete() -> Doc {
    Doc::new("revokeToken", Tag::People, "Revoke a token")
        .takes(Param::path_number("token_id", "The token's number."))
        .answers(Answer::empty(
            StatusCode::NO_CONTENT,
            "It is good no more, everywhere within 2 s.",
        ))
        .problems(&[Kind::UnknownId])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_in_order_and_each_once() {
        let ids = |ids: &[&str]| {
            devices(
                &DeviceNames::default(),
                &ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(),
            )
        };
        let sorted = [DeviceId::new(5), DeviceId::new(0x0A_3F73)];
        assert_eq!(ids(&["0A3F73", "000005", "0a3f73"]).unwrap(), sorted);
        assert_eq!(ids(&["0A3F73", "5"]).unwrap_err().at_fault(), Some("device_ids"));
    }

    #[test]
    fn scopes_are_words() {
        let names =
            |names: &[&str]| scopes(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["stream", "read"]).unwrap(), Scopes::LOOK);
        assert_eq!(names(&["admin"]).unwrap_err().at_fault(), Some("scopes"));
    }
}
