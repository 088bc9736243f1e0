//! `GET /api/v1/me`: who the caller is, and what may be done with the token.

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::access::{Credential, Principal, Sees, SignedIn};
use crate::backend::Backend;
use crate::input::Params;
use crate::openapi::{Answer, Doc, Tag};
use crate::output;
use crate::problem::Problem;

/// The caller.
#[derive(Serialize, JsonSchema)]
struct Me {
    /// What the token is: `session`, `token` or `share`.
    kind: &'static str,
    /// The number of the session, token or share.
    id: u64,
    /// What it may be used for: `read`, `stream`, `command`.
    scopes: Vec<&'static str>,
    devices: SeenDevices,
    /// Whose token it is; null for a share, which tells nothing of its maker.
    user: Option<MyAccount>,
}

/// What may be seen.
#[derive(Serialize, JsonSchema)]
struct SeenDevices {
    /// Whether that is every device.
    all: bool,
    /// How many it is, unless it is every one.
    count: Option<usize>,
    /// Which they are, for tokens and shares.
    device_ids: Option<Vec<String>>,
}

/// An account.
#[derive(Serialize, JsonSchema)]
struct MyAccount {
    user_id: u64,
    email: String,
    name: String,
    /// `admin`, `operator` or `viewer`.
    role: &'static str,
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<Backend>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let by = principal.signed_in()?;
    let (kind, id) = match by.credential {
        Credential::Session(id) => ("session", id),
        Credential::Token(id) => ("token", id),
        Credential::Share(id) => ("share", id),
    };
    let scopes = by.scopes.names();
    output::json(&Me {
        kind,
        id,
        scopes,
        devices: devices(&state, by),
        user: user(&state, by).await?,
    })
}

fn devices(state: &Backend, by: &SignedIn) -> SeenDevices {
    match (&by.sees, by.credential) {
        (Sees::All, _) => SeenDevices { all: true, count: None, device_ids: None },
        // A session's may be thousands.
        (Sees::These(devices), Credential::Session(_)) => {
            SeenDevices { all: false, count: Some(devices.len()), device_ids: None }
        }
        (Sees::These(devices), _) => {
            let ids = devices.iter().map(|device| state.written(*device)).collect();
            SeenDevices { all: false, count: Some(devices.len()), device_ids: Some(ids) }
        }
    }
}

/// Whoever has only a link learns nothing of who made it.
async fn user(state: &Backend, by: &SignedIn) -> Result<Option<MyAccount>, Problem> {
    if matches!(by.credential, Credential::Share(_)) {
        return Ok(None);
    }
    let user = state.history.ask(state.stores.users.by_id(by.user_id)).await?;
    Ok(user.map(|user| MyAccount {
        user_id: user.id,
        email: user.email,
        name: user.name,
        role: user.role.name(),
    }))
}

pub(crate) fn doc() -> Doc {
    let example = json!({
        "kind": "session",
        "id": 12,
        "scopes": ["read", "stream", "command", "write"],
        "devices": {"all": true, "count": null, "device_ids": null},
        "user": {"user_id": 1, "email": "ana@example.org", "name": "Ana", "role": "admin"},
    });
    Doc::new("getMe", Tag::People, "Who you are and what you may do")
        .answers(Answer::json::<Me>("You.", example))
}
