//! `POST /api/v1/devices/{device_id}/commands`: sends bytes to a device that is
//! connected, and says how far they are known to have come. Nothing is kept of them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::access::{Principal, Right};
use crate::commands::{self, MAX_COMMAND_BYTES};
use crate::input::{self, Fields, Segments};
use crate::openapi::{self, Answer, Doc, Param, Tag, object};
use crate::output;
use crate::problem::{Kind, Problem, fault};
use crate::state::ApiState;

/// How far a command is known to have come.
#[derive(Serialize, JsonSchema)]
struct SentCommand {
    #[schemars(with = "openapi::Device")]
    device_id: String,
    /// How many were sent.
    bytes: usize,
    /// `connection`: a client that listens for the device's commands is connected here.
    /// `relay`: handed to the other nodes, of which none says whether it has the device.
    /// `broker`: the broker has a client that listens. `nobody`: none listens; it is gone.
    delivered_to: &'static str,
}

pub(crate) async fn post(
    principal: Principal,
    State(state): State<ApiState>,
    Segments(device_id): Segments<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let device = input::device("device_id", &device_id)?;
    principal.must(Right::Command(device))?;
    let user_id = principal.signed_in()?.user_id;
    let payload = commands::payload(fields)?;
    let Some(sink) = &state.stores.commands else {
        return Err(fault(&"this process was started without a way for commands"));
    };
    let bytes = payload.len();
    let outcome = sink.send(device, payload).await;
    state.commands.sent(&outcome);
    match outcome {
        Ok(delivered) => {
            let delivered_to = delivered.name();
            // Who made a device do something is worth a line; the bytes may be secret.
            tracing::info!(user_id, %device, bytes, delivered_to, "a command was sent");
            let sent = SentCommand { device_id: device.to_string(), bytes, delivered_to };
            Ok((StatusCode::ACCEPTED, output::json(&sent)?).into_response())
        }
        Err(error) => {
            tracing::warn!(user_id, %device, bytes, %error, "a command was not passed on");
            Err(commands::problem(&error))
        }
    }
}

pub(crate) fn doc() -> Doc {
    let form = |pattern: &str, most: usize| json!({"type": "string", "pattern": pattern, "minLength": 1, "maxLength": most});
    let base64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
    let mut body = object(
        &[],
        &[
            ("hex", form("^([0-9A-Fa-f]{2})+$", 2 * MAX_COMMAND_BYTES)),
            ("text", json!({"type": "string", "minLength": 1, "maxLength": MAX_COMMAND_BYTES})),
            ("base64", form(base64, MAX_COMMAND_BYTES.div_ceil(3) * 4)),
        ],
    );
    body["minProperties"] = 1.into();
    body["maxProperties"] = 1.into();
    let example = json!({"device_id": "0A3F73", "bytes": 6, "delivered_to": "connection"});
    let answer =
        Answer::json::<SentCommand>("Sent, and how far it is known to have come.", example);
    Doc::new("sendCommand", Tag::Devices, "Send a command to a device")
        .about(
            "For operators, admins and tokens of the scope command. One of hex, text and base64: \
             1 to 1024 bytes, which go to the device as they are. Commands are not kept: a \
             device that is not connected gets nothing.",
        )
        .takes(Param::path_device())
        .body(body, json!({"text": "reboot"}))
        .answers(answer.status(StatusCode::ACCEPTED))
        .problems(&[Kind::UnknownDevice, Kind::CommandsUnavailable])
}
