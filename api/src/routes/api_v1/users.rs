//! `/api/v1/users/`: the accounts, for admins: list, make, change, reset, and the
//! devices granted one by one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_store::history::{MAX_GRANTS, Role, User};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::Principal;
use crate::accounts::NewAccount;
use crate::auth::AuthState;
use crate::auth::draw_password;
use crate::backend::Backend;
use crate::input::{Fields, Params, Segments, account_fields, number, unknown_id};
use crate::openapi::{Answer, Doc, Param, Tag, object};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem, fault};

const DEFAULT_LIMIT: u32 = 100;
/// Some 200 bytes each: 200 KB.
const MAX_LIMIT: u32 = 1000;

/// A page of the accounts.
#[derive(Serialize, JsonSchema)]
struct ListedUsers {
    users: Vec<ListedUser>,
    /// For `after`, when there are more.
    next_after: Option<u64>,
}

/// An account.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
struct ListedUser {
    user_id: u64,
    email: String,
    name: String,
    /// `admin`, `operator` or `viewer`.
    role: &'static str,
    /// May do nothing until enabled again.
    disabled: bool,
    created_at: String,
}

/// An account and what was granted to it.
#[derive(Serialize, JsonSchema)]
struct WholeUser {
    #[serde(flatten)]
    user: ListedUser,
    /// Devices granted one by one; an admin or operator sees all without.
    device_ids: Vec<String>,
    /// Groups whose devices are granted.
    group_ids: Vec<u64>,
}

/// A password that was just drawn.
#[derive(Serialize, JsonSchema)]
struct DrawnPassword {
    user_id: u64,
    email: String,
    /// Not kept anywhere, and cannot be shown again.
    password: String,
}

impl From<User> for ListedUser {
    fn from(user: User) -> Self {
        Self {
            user_id: user.id,
            email: user.email,
            name: user.name,
            role: user.role.name(),
            disabled: user.disabled,
            created_at: time_ms(user.created_at_ms),
        }
    }
}

pub(crate) async fn get(
    State(state): State<AuthState>,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
    let after = params.take("after")?.map_or(Ok(0), |text| number("after", &text))?;
    params.finish()?;
    let users = state.history.ask(state.stores.users.list(after, limit)).await?;
    let full = u32::try_from(users.len()).is_ok_and(|count| count == limit);
    let next_after = users.last().filter(|_| full).map(|user| user.id);
    output::json(&ListedUsers { users: users.into_iter().map(Into::into).collect(), next_after })
}

pub(crate) async fn get_one(
    State(state): State<AuthState>,
    Segments(user_id): Segments<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let user = user_of(&state, &user_id).await?;
    let devices = state.history.ask(state.stores.users.grants(user.id)).await?;
    let group_ids = state.history.ask(state.stores.groups.granted(user.id)).await?;
    let device_ids = devices.iter().map(|device| state.written(*device)).collect();
    output::json(&WholeUser { user: user.into(), device_ids, group_ids })
}

pub(crate) async fn post(
    State(state): State<AuthState>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let (email, name) = (fields.text("email")?, fields.text("name")?);
    let role = role(&mut fields)?.unwrap_or(Role::Viewer);
    fields.finish()?;
    let password = draw_password().map_err(|error| fault(&error))?;
    let account = NewAccount::new(&email, password.clone(), &name)?;
    let email = account.email().to_owned();
    let made = state.add_account(account, role).await?;
    let answer = output::json(&DrawnPassword { user_id: made.id, email, password })?;
    Ok((StatusCode::CREATED, answer).into_response())
}

pub(crate) async fn patch(
    principal: Principal,
    State(state): State<AuthState>,
    Segments(user_id): Segments<String>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let (role, disabled) = (role(&mut fields)?, fields.maybe_flag("disabled")?);
    fields.finish()?;
    let user = user_of(&state, &user_id).await?;
    if principal.person()?.0 == user.id {
        let detail = "Another admin has to change your account, so that one always remains.";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let users = &state.stores.users;
    if let Some(role) = role {
        state.history.ask(users.set_role(&user.email, role)).await?;
    }
    if let Some(disabled) = disabled {
        state.history.ask(users.set_disabled(user.id, disabled)).await?;
    }
    if disabled == Some(true) {
        state.end_all_sessions(user.id).await?;
    }
    state.known_access.forget(user.id);
    output::json(&ListedUser::from(user_of(&state, &user_id).await?))
}

pub(crate) async fn reset(
    State(state): State<AuthState>,
    Segments(user_id): Segments<String>,
) -> Result<Response, Problem> {
    let user = user_of(&state, &user_id).await?;
    let password = draw_password().map_err(|error| fault(&error))?;
    let hash = state.passwords.hash(password.clone()).await?;
    state.history.ask(state.stores.users.set_password(user.id, &hash)).await?;
    // Whoever knew the old password may have handed out more than sessions.
    state.history.ask(state.stores.tokens.revoke_all(user.id)).await?;
    state.end_all_sessions(user.id).await?;
    output::json(&DrawnPassword { user_id: user.id, email: user.email, password })
}

pub(crate) async fn grant(
    State(state): State<AuthState>,
    Segments((user_id, device_id)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let user = user_of(&state, &user_id).await?;
    let device = state.device_to_be("device_id", &device_id).await?;
    let users = &state.stores.users;
    let granted = state.history.ask(users.grants(user.id)).await?;
    let most = usize::try_from(MAX_GRANTS).unwrap_or(usize::MAX);
    if granted.len() >= most && granted.binary_search(&device).is_err() {
        let detail = format!("{MAX_GRANTS} devices were granted already; make it an operator.");
        return Err(Problem::new(Kind::TooMany, detail));
    }
    state.history.ask(users.grant(user.id, device, state.clock.now_ms())).await?;
    state.known_access.forget(user.id);
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn revoke(
    State(state): State<AuthState>,
    Segments((user_id, device_id)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let device = state.device("device_id", &device_id)?;
    let user = user_of(&state, &user_id).await?;
    state.history.ask(state.stores.users.revoke(user.id, device)).await?;
    state.known_access.forget(user.id);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn user_of(state: &Backend, user_id: &str) -> Result<User, Problem> {
    let id = number("user_id", user_id)?;
    let found = state.history.ask(state.stores.users.by_id(id)).await?;
    found.ok_or_else(|| unknown_id("user_id"))
}

fn role(fields: &mut Fields) -> Result<Option<Role>, Problem> {
    let wrong = || Problem::field("role", "A role is admin, operator or viewer.");
    let name = fields.maybe_text("role")?;
    name.map(|name| Role::from_name(&name).ok_or_else(wrong)).transpose()
}

fn example() -> Value {
    json!({
        "user_id": 2, "email": "bob@example.org", "name": "Bob", "role": "viewer",
        "disabled": false, "created_at": "2020-07-01T21:00:00Z",
    })
}

fn drawn_example() -> Value {
    json!({"user_id": 2, "email": "bob@example.org", "password": "Zx0mG2b1kQ7tY9cV4nL8wR3s"})
}

fn role_field() -> (&'static str, Value) {
    ("role", json!({"type": "string", "enum": Role::ALL.map(Role::name)}))
}

pub(super) fn user_number() -> Param {
    Param::path_number("user_id", "The account's number.")
}

pub(crate) fn get_doc() -> Doc {
    let page = json!({"users": [example()], "next_after": null});
    Doc::new("getUsers", Tag::People, "The accounts")
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Accounts at most."))
        .takes(
            Param::query(
                "after",
                json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
                "Only accounts behind this number.",
            )
            .example(1),
        )
        .answers(Answer::json::<ListedUsers>("In order of number.", page))
}

pub(crate) fn get_one_doc() -> Doc {
    let mut whole = example();
    whole["device_ids"] = json!(["0A3F73"]);
    whole["group_ids"] = json!([1]);
    Doc::new("getUser", Tag::People, "One account, and what was granted to it")
        .takes(user_number())
        .answers(Answer::json::<WholeUser>("The account.", whole))
        .problems(&[Kind::UnknownId])
}

pub(crate) fn post_doc() -> Doc {
    let [email, _, name] = account_fields();
    let wish = json!({"email": "bob@example.org", "name": "Bob", "role": "viewer"});
    Doc::new("makeUser", Tag::People, "Make an account for somebody")
        .about("A password is drawn and shown once.")
        .careless()
        .body(object(&[email, name], &[role_field()]), wish)
        .answers(
            Answer::json::<DrawnPassword>("The account.", drawn_example())
                .status(StatusCode::CREATED),
        )
        .problems(&[Kind::EmailTaken, Kind::Busy])
}

pub(crate) fn patch_doc() -> Doc {
    let disabled = ("disabled", json!({"type": "boolean"}));
    Doc::new("changeUser", Tag::People, "Change somebody's role, disable or enable the account")
        .about("Holds everywhere within 2 s. Nobody can change the own account.")
        .careless()
        .takes(user_number())
        .body(object(&[], &[role_field(), disabled]), json!({"disabled": true}))
        .answers(Answer::json::<ListedUser>("The account now.", example()))
        .problems(&[Kind::UnknownId, Kind::InvalidParameter])
}

pub(crate) fn reset_doc() -> Doc {
    Doc::new("resetUser", Tag::People, "Draw a new password for somebody")
        .about("The old one ends, and with it all sessions, tokens and share links of the account.")
        .careless()
        .takes(user_number())
        .answers(Answer::json::<DrawnPassword>("The password, shown once.", drawn_example()))
        .problems(&[Kind::UnknownId, Kind::InvalidParameter, Kind::Busy])
}

pub(crate) fn grant_doc() -> Doc {
    Doc::new("grantDevice", Tag::People, "Let somebody see a device")
        .careless()
        .takes(user_number())
        .takes(Param::path_device())
        .answers(Answer::empty(StatusCode::NO_CONTENT, "It is granted."))
        .problems(&[Kind::UnknownId, Kind::InvalidParameter, Kind::TooMany])
}

pub(crate) fn revoke_doc() -> Doc {
    Doc::new("ungrantDevice", Tag::People, "Take a device away from somebody")
        .careless()
        .takes(user_number())
        .takes(Param::path_device())
        .answers(Answer::empty(StatusCode::NO_CONTENT, "It is not granted."))
        .problems(&[Kind::UnknownId, Kind::InvalidParameter])
}
