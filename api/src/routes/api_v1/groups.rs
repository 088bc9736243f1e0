//! `/api/v1/groups`: groups of devices, their members, and who may see them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_store::StoreError;
use nemeses_store::history::Group;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::access::{Principal, Right, unknown_group};
use crate::fleet::FleetState;
use crate::input::{self, Fields, Params, Segments};
use crate::openapi::{Answer, Device, Doc, Param, Tag, Time, object};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GroupBrief")]
struct Brief {
    group_id: u64,
    name: String,
    /// How many devices are in it.
    devices: u64,
    #[schemars(with = "Time")]
    created_at: String,
}

impl From<Group> for Brief {
    fn from(group: Group) -> Self {
        let Group { id, name, devices, created_at_ms } = group;
        Self { group_id: id, name, devices, created_at: time_ms(created_at_ms) }
    }
}

/// A group with its devices, in order of id.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Group")]
struct Whole {
    group_id: u64,
    name: String,
    #[schemars(with = "Vec<Device>")]
    device_ids: Vec<String>,
    #[schemars(with = "Time")]
    created_at: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GroupsAnswer")]
struct List {
    groups: Vec<Brief>,
    count: usize,
}

pub(crate) async fn list(
    principal: Principal,
    State(state): State<FleetState>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let groups = state.history.ask(state.stores.groups.list()).await?;
    let seen = groups.into_iter().filter(|group| principal.sees_group(group.id));
    let groups: Vec<Brief> = seen.map(Brief::from).collect();
    output::json(&List { count: groups.len(), groups })
}

pub(crate) async fn post(
    principal: Principal,
    State(state): State<FleetState>,
    fields: Fields,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let name = name(fields)?;
    let added = state.stores.groups.add(&name, state.clock.now_ms());
    let id = state.history.ask_knowing(added).await?.map_err(|error| refused(&state, &error))?;
    Ok((StatusCode::CREATED, output::json(&whole(&state, id).await?)?).into_response())
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<FleetState>,
    Segments(group_id): Segments<String>,
    params: Params,
) -> Result<Response, Problem> {
    let id = input::number("group_id", &group_id)?;
    params.finish()?;
    principal.must(Right::SeeGroup(id))?;
    output::json(&whole(&state, id).await?)
}

pub(crate) async fn patch(
    principal: Principal,
    State(state): State<FleetState>,
    Segments(group_id): Segments<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let id = input::number("group_id", &group_id)?;
    let name = name(fields)?;
    let renamed = state.history.ask_knowing(state.stores.groups.rename(id, &name)).await?;
    if !renamed.map_err(|error| refused(&state, &error))? {
        return Err(unknown_group(id, "group_id"));
    }
    output::json(&whole(&state, id).await?)
}

pub(crate) async fn delete(
    principal: Principal,
    State(state): State<FleetState>,
    Segments(group_id): Segments<String>,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let id = input::number("group_id", &group_id)?;
    let removed = state.history.ask(state.stores.groups.remove(id)).await?;
    state.roster.forget();
    if !removed {
        return Err(unknown_group(id, "group_id"));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Puts a device into a group; once more does no harm.
pub(crate) async fn put_device(
    principal: Principal,
    State(state): State<FleetState>,
    Segments((group_id, device_id)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let id = input::number("group_id", &group_id)?;
    let device = state.device_to_be("device_id", &device_id).await?;
    let put = state.stores.groups.put(id, device, state.clock.now_ms());
    let put = state.history.ask_knowing(put).await?;
    state.roster.forget();
    done(put.map_err(|error| refused(&state, &error)))
}

pub(crate) async fn delete_device(
    principal: Principal,
    State(state): State<FleetState>,
    Segments((group_id, device_id)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let id = input::number("group_id", &group_id)?;
    let device = state.device("device_id", &device_id)?;
    let taken = state.history.ask(state.stores.groups.take(id, device)).await;
    state.roster.forget();
    done(taken)
}

/// Lets a person see the devices of a group.
pub(crate) async fn grant(
    State(state): State<FleetState>,
    Segments((user_id, group_id)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    let user = input::number("user_id", &user_id)?;
    let id = input::number("group_id", &group_id)?;
    let granted = state.stores.groups.grant(user, id, state.clock.now_ms());
    let granted = state.history.ask_knowing(granted).await?;
    done(granted.map_err(|error| refused(&state, &error)))
}

pub(crate) async fn revoke(
    State(state): State<FleetState>,
    Segments((user_id, group_id)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    let user = input::number("user_id", &user_id)?;
    let id = input::number("group_id", &group_id)?;
    done(state.history.ask(state.stores.groups.revoke(user, id)).await)
}

/// What was wanted holds now, whether it did before or not.
fn done(outcome: Result<bool, Problem>) -> Result<Response, Problem> {
    outcome.map(|_| StatusCode::NO_CONTENT.into_response())
}

fn name(mut fields: Fields) -> Result<String, Problem> {
    let name = input::label("name", &fields.text("name")?, 1)?;
    fields.finish()?;
    Ok(name)
}

async fn whole(state: &FleetState, id: u64) -> Result<Whole, Problem> {
    let found = state.history.ask(state.stores.groups.find(id)).await?;
    let group = found.ok_or_else(|| unknown_group(id, "group_id"))?;
    let devices = state.history.ask(state.stores.groups.devices(id)).await?;
    Ok(Whole {
        group_id: id,
        name: group.name,
        device_ids: devices.iter().map(|device| state.written(*device)).collect(),
        created_at: time_ms(group.created_at_ms),
    })
}

fn refused(state: &FleetState, error: &StoreError) -> Problem {
    match error {
        StoreError::Exists(_) => {
            Problem::new(Kind::NameTaken, "There is a group of this name.").blaming("name")
        }
        StoreError::Missing(what) => Problem::new(Kind::NotFound, format!("There is no {what}.")),
        StoreError::Full(what) => Problem::new(Kind::TooMany, format!("Not done: {what}.")),
        _ => state.history.failed(error),
    }
}

fn answered(about: &'static str) -> Answer {
    let example = json!({
        "group_id": 1, "name": "North", "device_ids": ["0A3F73"],
        "created_at": "2020-07-01T20:00:00Z",
    });
    Answer::json::<Whole>(about, example)
}

fn named(doc: Doc) -> Doc {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 100});
    doc.body(object(&[("name", name)], &[]), json!({"name": "North"})).problems(&[Kind::NameTaken])
}

fn of_group(doc: Doc) -> Doc {
    doc.takes(Param::path_number("group_id", "Which group."))
}

fn without_body(doc: Doc) -> Doc {
    let about = "Done, whether it was so before or not.";
    doc.answers(Answer::empty(StatusCode::NO_CONTENT, about))
}

pub(crate) fn list_doc() -> Doc {
    let example = json!({
        "groups": [{
            "group_id": 1, "name": "North", "devices": 2, "created_at": "2020-07-01T20:00:00Z",
        }],
        "count": 1,
    });
    Doc::new("listGroups", Tag::Devices, "The groups that you may see")
        .conditional()
        .answers(Answer::json::<List>("All of them, by name.", example))
}

pub(crate) fn post_doc() -> Doc {
    named(Doc::new("addGroup", Tag::Devices, "Make a group"))
        .answers(answered("The group.").status(StatusCode::CREATED))
        .problems(&[Kind::TooMany])
}

pub(crate) fn get_doc() -> Doc {
    of_group(Doc::new("getGroup", Tag::Devices, "One group"))
        .conditional()
        .answers(answered("The group."))
        .problems(&[Kind::UnknownGroup])
}

pub(crate) fn patch_doc() -> Doc {
    named(of_group(Doc::new("renameGroup", Tag::Devices, "Give a group another name")))
        .answers(answered("The group."))
        .problems(&[Kind::UnknownGroup])
}

pub(crate) fn delete_doc() -> Doc {
    of_group(Doc::new("deleteGroup", Tag::Devices, "Delete a group"))
        .about("Its grants end; no device is deleted.")
        .answers(Answer::empty(StatusCode::NO_CONTENT, "Deleted."))
        .problems(&[Kind::UnknownGroup])
}

pub(crate) fn put_device_doc() -> Doc {
    let doc = Doc::new("putGroupDevice", Tag::Devices, "Put a device into a group");
    without_body(of_group(doc).takes(Param::path_device()))
        .problems(&[Kind::NotFound, Kind::TooMany])
}

pub(crate) fn delete_device_doc() -> Doc {
    let doc = Doc::new("deleteGroupDevice", Tag::Devices, "Take a device out of a group");
    without_body(of_group(doc).takes(Param::path_device()))
}

fn of_user(doc: Doc) -> Doc {
    of_group(doc.takes(Param::path_number("user_id", "Whose account.")))
}

pub(crate) fn grant_doc() -> Doc {
    let doc = Doc::new("grantGroup", Tag::Devices, "Let a person see the devices of a group");
    without_body(of_user(doc)).problems(&[Kind::NotFound, Kind::TooMany])
}

pub(crate) fn revoke_doc() -> Doc {
    let doc = Doc::new("revokeGroup", Tag::Devices, "Take a group away from a person");
    without_body(of_user(doc))
}
