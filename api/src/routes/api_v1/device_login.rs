//! `POST /api/v1/devices/{device_id}/login`: creates the secret with which a tracker
//! signs in at the MQTT listener. It is answered once and stored only as a hash.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_store::StoreError;
use nemeses_store::history::{LoginRole, device_login_name};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::access::{Principal, Right};
use crate::fleet::FleetState;
use crate::input::Segments;
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::output;
use crate::problem::{Kind, Problem};

/// What a tracker needs to sign in.
#[derive(Serialize, JsonSchema)]
struct DeviceLogin {
    /// The MQTT user name: the device's id, percent-encoded as in a topic.
    username: String,
    /// The MQTT password. It is not kept and cannot be shown again.
    secret: String,
    /// Whether this took the place of a secret that was good until now.
    replaced: bool,
}

pub(crate) async fn post(
    principal: Principal,
    State(state): State<FleetState>,
    Segments(device_id): Segments<String>,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let device = state.device_to_be("device_id", &device_id).await?;
    let name = device_login_name(device, &state.names.identity(device));
    let now_ms = state.clock.now_ms();
    let (logins, role) = (&state.stores.logins, LoginRole::Device(device));
    let drawn = state
        .history
        .ask_knowing(async {
            // Rotated first: adding a name that is taken is an error.
            if let Some(secret) = logins.rotate(&name, Some(role), now_ms).await? {
                return Ok::<_, StoreError>((secret, true));
            }
            Ok((logins.add(&name, role, now_ms).await?, false))
        })
        .await?;
    let (secret, replaced) = drawn.map_err(|_| of_another_role(&name))?;
    state.roster.forget();
    let login = DeviceLogin { username: name, secret: secret.reveal().to_owned(), replaced };
    let status = if replaced { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, output::json(&login)?).into_response())
}

/// The name is a worker's, a gateway's, or another device's: its secret is not for
/// whoever looks after devices.
fn of_another_role(name: &str) -> Problem {
    let detail = format!(
        "The login {name} is not this device's. Have it renamed with `nemeses device`, or make \
         the device's login under another name there."
    );
    Problem::new(Kind::NameTaken, detail).blaming("device_id")
}

pub(crate) fn doc() -> Doc {
    let example = |replaced: bool| json!({"username": "0A3F73", "secret": "8rJq3V7v3kYd0m1cX2pQbA", "replaced": replaced});
    Doc::new("drawDeviceSecret", Tag::Devices, "Create the secret with which a device signs in")
        .about(
            "Creates the device's login at the MQTT listener, or gives it a new secret: the old \
             one stops working, and open connections with it are closed.",
        )
        .takes(Param::path_device())
        .answers(Answer::json::<DeviceLogin>("A new secret of a login.", example(true)))
        .answers(
            Answer::json::<DeviceLogin>("The secret of the device's first login.", example(false))
                .status(StatusCode::CREATED),
        )
        .problems(&[Kind::NameTaken])
}
