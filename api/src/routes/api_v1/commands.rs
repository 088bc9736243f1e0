//! `/api/v1/devices/{device_id}/commands`: bytes for a device, kept until it has
//! acknowledged them or their time is over, and then as a record of who asked for what.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_protocol::DeviceId;
use nemeses_store::history::{self as kept, MAX_COMMAND_BYTES, MAX_OPEN_COMMANDS, NewCommand};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::{Credential, Principal, Right, SignedIn};
use crate::backend::Backend;
use crate::commands::{self, Counts, DEFAULT_EXPIRY_S, KeptCommand, MAX_EXPIRY_S};
use crate::input::{Fields, Params, Segments, number, unknown_id};
use crate::openapi::{self, Answer, Doc, Param, Tag, object};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem, fault};

const DEFAULT_LIMIT: u32 = 100;
/// A command in a list is 4 KB at most: an answer has 1 MB.
const MAX_LIMIT: u32 = 250;

/// A command that was kept, and how far it is known to have come.
#[derive(Serialize, JsonSchema)]
struct SentCommand {
    /// Its number, for the routes below it.
    id: u64,
    #[schemars(with = "openapi::Device")]
    device_id: String,
    /// How many were sent.
    bytes: usize,
    /// `sent` if it is on its way to the device, else `queued`.
    state: &'static str,
    /// Until when it may go out.
    #[schemars(with = "openapi::Time")]
    expires_at: String,
    /// `connection`: a client that listens for the device's commands is connected here.
    /// `broker`: the broker has a client that listens. `relay`: the other nodes know of it,
    /// of which none says whether it has the device. `watchers`: only clients with
    /// wildcards in their filters and operators were shown it; it waits for the device.
    /// `nobody`: nobody listens; it waits.
    delivered_to: &'static str,
}

/// A command as it is kept.
#[derive(Serialize, JsonSchema)]
struct Command {
    id: u64,
    #[schemars(with = "openapi::Device")]
    device_id: String,
    /// Its bytes.
    hex: String,
    /// `queued`: it waits for its device. `sent`: it went out, and the device has not
    /// acknowledged it; at QoS 0 and by a broker it stays so. `answered`: the device has
    /// acknowledged or answered it. `failed`: see `reason`. `expired`: its time was over
    /// before the device acknowledged it.
    state: &'static str,
    /// Why it failed: `refused` (by the device), `too_long` (for it), `unanswered` (for a minute),
    /// `unsupported` (by its protocol), `withdrawn`, `no_way`.
    reason: Option<String>,
    /// What the device answered, if its protocol has answers.
    answer_hex: Option<String>,
    /// Who asked for it: the address of the account at that time.
    asked_by: String,
    /// The account's number.
    user_id: u64,
    #[schemars(with = "openapi::Time")]
    created_at: String,
    #[schemars(with = "openapi::Time")]
    expires_at: String,
    /// When it went out last.
    #[schemars(with = "Option<openapi::Time>")]
    sent_at: Option<String>,
    /// When it was answered, failed or expired.
    #[schemars(with = "Option<openapi::Time>")]
    closed_at: Option<String>,
    /// How often it went out: again when a connection ended before the device acknowledged.
    attempts: u32,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CommandsAnswer")]
struct Page {
    /// Newest first.
    commands: Vec<Command>,
    count: usize,
    /// Where the next page begins; null if nothing is left.
    next_cursor: Option<String>,
}

pub(crate) async fn post(
    principal: Principal,
    State(state): State<Backend>,
    State(counts): State<Counts>,
    Segments(device_id): Segments<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let device = state.device_to_be("device_id", &device_id).await?;
    principal.must(Right::Command(device))?;
    let (payload, expires_in_s) = commands::asked(fields)?;
    let Some(sink) = &state.stores.commands else {
        return Err(fault(&"this process was started without a way for commands"));
    };
    let by = principal.signed_in()?;
    let (asked_by, now_ms) = (asked_by(&state, by).await?, state.clock.now_ms());
    let expires_at_ms = now_ms.saturating_add(expires_in_s * 1000);
    let (user_id, bytes) = (by.user_id, payload.len());
    let new = NewCommand { device, payload: &payload, user_id, asked_by: &asked_by, expires_at_ms };
    // Who made a device do something is known before it does.
    let store = &state.stores.kept_commands;
    let id = state.history.ask(store.add(new, now_ms)).await?.ok_or_else(too_many)?;
    let outcome = sink.send(KeptCommand { id, device, payload }).await;
    counts.sent(outcome);
    let Ok(delivered) = outcome else {
        state.history.ask(store.withdraw(device, id, "no_way", now_ms)).await?;
        tracing::warn!(user_id, device = %state.written(device), bytes, "a command was not kept: nothing here reaches devices");
        return Err(commands::no_way());
    };
    let delivered_to = delivered.name();
    // The bytes may be secret.
    tracing::info!(id, user_id, device = %state.written(device), bytes, delivered_to, "a command was taken");
    let (device_id, expires_at) = (state.written(device), time_ms(expires_at_ms));
    let state = if delivered.is_sent() { "sent" } else { "queued" };
    let sent = SentCommand { id, device_id, bytes, state, expires_at, delivered_to };
    Ok((StatusCode::ACCEPTED, output::json(&sent)?).into_response())
}

/// The device, if the caller may command it.
fn allowed(state: &Backend, principal: &Principal, device_id: &str) -> Result<DeviceId, Problem> {
    let device = state.device("device_id", device_id)?;
    principal.must(Right::Command(device))?;
    Ok(device)
}

/// Who asks, in words that stay when the account is gone.
pub(super) async fn asked_by(state: &Backend, by: &SignedIn) -> Result<String, Problem> {
    let user = state.history.ask(state.stores.users.by_id(by.user_id)).await?;
    let who = user.map_or_else(|| format!("user {}", by.user_id), |user| user.email);
    Ok(match by.credential {
        Credential::Session(_) | Credential::Share(_) => who,
        Credential::Token(token) => {
            let with = format!(" by token {token}");
            let room = MAX_ASKED_BY - with.len();
            who.chars().take(room).collect::<String>() + &with
        }
    })
}

/// Characters of who asked: an address, as long as the table of accounts takes one.
const MAX_ASKED_BY: usize = 320;

fn too_many() -> Problem {
    let detail = format!(
        "{MAX_OPEN_COMMANDS} commands wait for this device; withdraw one, or wait until it has \
         acknowledged them or they expire."
    );
    Problem::new(Kind::TooMany, detail)
}

pub(crate) async fn list(
    principal: Principal,
    State(state): State<Backend>,
    Segments(device_id): Segments<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    let device = allowed(&state, &principal, &device_id)?;
    let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
    let below = params.number("cursor")?;
    params.finish()?;
    // One more than is shown, to know whether anything follows.
    let found = state.stores.kept_commands.of_device(device, below, limit + 1);
    let found = state.history.ask(found).await?;
    output::json(&page(&state, &found, limit))
}

fn page(state: &Backend, found: &[kept::Command], limit: u32) -> Page {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let shown = &found[..found.len().min(limit)];
    Page {
        commands: shown.iter().map(|command| Command::of(state, command)).collect(),
        count: shown.len(),
        next_cursor: shown.last().filter(|_| found.len() > limit).map(|last| last.id.to_string()),
    }
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<Backend>,
    Segments((device_id, command_id)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    let device = allowed(&state, &principal, &device_id)?;
    let id = number("command_id", &command_id)?;
    let found = state.history.ask(state.stores.kept_commands.get(device, id)).await?;
    let found = found.ok_or_else(|| unknown_id("command_id"))?;
    output::json(&Command::of(&state, &found))
}

pub(crate) async fn delete(
    principal: Principal,
    State(state): State<Backend>,
    Segments((device_id, command_id)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    let device = allowed(&state, &principal, &device_id)?;
    let id = number("command_id", &command_id)?;
    let user_id = principal.signed_in()?.user_id;
    let now_ms = state.clock.now_ms();
    let withdrawn = state.stores.kept_commands.withdraw(device, id, "withdrawn", now_ms);
    if !state.history.ask(withdrawn).await? {
        let found = state.history.ask(state.stores.kept_commands.get(device, id)).await?;
        return Err(found.map_or_else(|| unknown_id("command_id"), |found| closed(&found, now_ms)));
    }
    tracing::info!(id, user_id, device = %state.written(device), "a command was withdrawn");
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn closed(command: &kept::Command, now_ms: u64) -> Problem {
    let state = command.state_at(now_ms).name();
    let detail = format!("The command is closed (state {state}) and cannot be withdrawn.");
    Problem::new(Kind::Closed, detail)
}

impl Command {
    fn of(state: &Backend, command: &kept::Command) -> Self {
        let now_ms = state.clock.now_ms();
        Self {
            id: command.id,
            device_id: state.written(command.device),
            hex: hex::encode_upper(&command.payload),
            state: command.state_at(now_ms).name(),
            reason: Some(command.reason.clone()).filter(|reason| !reason.is_empty()),
            answer_hex: command.answer.as_ref().map(hex::encode_upper),
            asked_by: command.asked_by.clone(),
            user_id: command.user_id,
            created_at: time_ms(command.created_at_ms),
            expires_at: time_ms(command.expires_at_ms),
            sent_at: command.sent_at_ms.map(time_ms),
            closed_at: command.closed_at_ms.map(time_ms),
            attempts: command.attempts,
        }
    }
}

fn example() -> Value {
    json!({
        "id": 12, "device_id": "0A3F73", "hex": "7265626F6F74", "state": "answered",
        "reason": null, "answer_hex": null, "asked_by": "anna@example.org", "user_id": 1,
        "created_at": "2020-07-01T21:00:00.250Z", "expires_at": "2020-07-01T22:00:00.250Z",
        "sent_at": "2020-07-01T21:30:10.000Z", "closed_at": "2020-07-01T21:30:11.500Z",
        "attempts": 1,
    })
}

pub(crate) fn post_doc() -> Doc {
    let form = |pattern: &str, most: usize| json!({"type": "string", "pattern": pattern, "minLength": 1, "maxLength": most});
    let base64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
    let expiry = json!({
        "type": "integer", "minimum": 1, "maximum": MAX_EXPIRY_S, "default": DEFAULT_EXPIRY_S,
        "description": "For how many seconds it may wait for its device.",
    });
    let mut body = object(
        &[],
        &[
            ("hex", form("^([0-9A-Fa-f]{2})+$", 2 * MAX_COMMAND_BYTES)),
            ("text", json!({"type": "string", "minLength": 1, "maxLength": MAX_COMMAND_BYTES})),
            ("base64", form(base64, MAX_COMMAND_BYTES.div_ceil(3) * 4)),
            ("expires_in_s", expiry),
        ],
    );
    body["oneOf"] = ["hex", "text", "base64"].map(|form| json!({"required": [form]})).into();
    let example = json!({
        "id": 12, "device_id": "0A3F73", "bytes": 6, "state": "sent",
        "expires_at": "2020-07-01T22:00:00.250Z", "delivered_to": "connection",
    });
    let answer =
        Answer::json::<SentCommand>("Kept, and how far it is known to have come.", example);
    Doc::new("sendCommand", Tag::Devices, "Send a command to a device")
        .about(
            "For operators, admins and tokens of the scope command. One of hex, text and base64: \
             1 to 1024 bytes, which go to the device as they are. A device that is not \
             connected gets them when it connects and subscribes, unless they have expired by \
             then. A command that the device has acknowledged does not go out again; one that \
             it has not may go out twice.",
        )
        .takes(Param::path_device())
        .body(body, json!({"text": "reboot", "expires_in_s": 86_400}))
        .answers(answer.status(StatusCode::ACCEPTED))
        .problems(&[Kind::UnknownDevice, Kind::TooMany, Kind::CommandsUnavailable])
}

pub(crate) fn list_doc() -> Doc {
    let example = json!({"commands": [example()], "count": 1, "next_cursor": null});
    Doc::new("listCommands", Tag::Devices, "Commands of a device")
        .about(
            "Newest first, with who asked for each; they stay for 90 days. For operators, admins \
             and tokens of the scope command.",
        )
        .takes(Param::path_device())
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Commands in this answer."))
        .takes(Param::query(
            "cursor",
            json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
            "`next_cursor` of the page before, as it came.",
        ))
        .answers(Answer::json::<Page>("A page of commands.", example))
        .problems(&[Kind::UnknownDevice])
}

pub(crate) fn get_doc() -> Doc {
    Doc::new("getCommand", Tag::Devices, "What became of a command")
        .about("For operators, admins and tokens of the scope command.")
        .takes(Param::path_device())
        .takes(Param::path_number("command_id", "The command's `id`."))
        .answers(Answer::json::<Command>("The command.", example()))
        .problems(&[Kind::UnknownDevice, Kind::UnknownId])
}

pub(crate) fn delete_doc() -> Doc {
    Doc::new("withdrawCommand", Tag::Devices, "Withdraw a command")
        .about(
            "It does not go out any more, and is kept as failed. One that is on its way may reach \
             the device nevertheless. For operators, admins and tokens of the scope command.",
        )
        .takes(Param::path_device())
        .takes(Param::path_number("command_id", "The command's `id`."))
        .answers(Answer::empty(StatusCode::NO_CONTENT, "Withdrawn."))
        .problems(&[Kind::UnknownDevice, Kind::UnknownId, Kind::Closed])
}
