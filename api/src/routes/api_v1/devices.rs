//! `/api/v1/devices`: the devices one may see, and what people say of them.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_protocol::{DeviceId, DeviceNames};
use nemeses_store::history::Profile;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::retention_classes;
use crate::access::{Principal, Right, unknown_device, unknown_group};
use crate::backend::Backend;
use crate::fleet::{
    Counts, Filter, FleetState, Member, Presence, Status, census, count, fleet, keep, presences,
};
use crate::input::{self, DeviceCursor, Fields, Params, Patch, Segments};
use crate::openapi::{Answer, Device, Doc, Param, Tag, Time, object};
use crate::output::{self, Location, Past, example_location, time_ms};
use crate::problem::{Kind, Problem};

const DEFAULT_LIMIT: u32 = 100;
/// A device is some 800 bytes: an answer has 800 KB at most.
const MAX_LIMIT: u32 = 1000;
const DAY_S: u32 = 86_400;
const MAX_MOTION_KMH: u32 = 100;

struct ListQuery {
    filter: Filter,
    status: Option<Status>,
    limit: usize,
    after: Option<DeviceId>,
}

impl ListQuery {
    fn read(mut params: Params) -> Result<Self, Problem> {
        let filter = Filter {
            text: params.take("q")?,
            tag: params.take("tag")?,
            group: params.number("group")?,
            ids: params.devices("ids")?.map(|ids| ids.into_iter().collect()),
            shard: params.shard()?,
        };
        let words = Status::WORDS.map(|(word, status)| (word, Some(status)));
        let status = params.choice("status", &words, None)?;
        let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
        let after = params.take("cursor")?.map(|text| DeviceCursor::decode(&text)).transpose()?;
        params.finish()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Self { filter, status, limit, after })
    }
}

/// A group by its number and name.
#[derive(Serialize, JsonSchema)]
struct GroupName {
    group_id: u64,
    name: String,
}

/// A device, what people say of it, and how it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Device")]
struct Shown {
    #[schemars(with = "Device")]
    device_id: String,
    name: String,
    vehicle: String,
    tags: Vec<String>,
    groups: Vec<GroupName>,
    live_ttl_s: Option<u32>,
    motion_kmh: Option<u32>,
    stop_s: Option<u32>,
    retention: String,
    /// Of the profile; `null` where there is none.
    #[schemars(with = "Option<Time>")]
    created_at: Option<String>,
    #[schemars(with = "Option<Time>")]
    updated_at: Option<String>,
    status: Status,
    /// While it is online or late.
    #[schemars(with = "Option<Time>")]
    seen_at: Option<String>,
    /// What `/api/v1/location` says; null for a device that was never heard.
    location: Option<Location>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DevicesAnswer")]
struct List {
    devices: Vec<Shown>,
    counts: Counts,
    count: usize,
    /// Where the next page begins; null if nothing is left.
    next_cursor: Option<String>,
}

pub(crate) async fn list(
    principal: Principal,
    State(state): State<FleetState>,
    params: Params,
) -> Result<Response, Problem> {
    let query = ListQuery::read(params)?;
    if let Some(group) = query.filter.group {
        must_see_group(&state, &principal, group).await?;
    }
    let only = only(&state, &query.filter).await?;
    let fleet = fleet(&state, &principal, only).await?;
    let census = census(&state, &fleet).await?;
    let (at, next_cursor) = page(&fleet, &census.statuses, &query, &state.names);
    let members = at.iter().map(|at| fleet[*at].clone()).collect();
    let statuses = at.iter().map(|at| census.statuses[*at]).collect();
    let counts = if query.filter == Filter::default() {
        census.counts
    } else {
        let kept = fleet
            .iter()
            .zip(&census.statuses)
            .filter(|(one, _)| keep(&query.filter, one, &state.names));
        count(kept.map(|(_, status)| *status))
    };
    let shown = presences(&state, members, Some(statuses)).await?;
    let devices = describe(&state, &shown).await?;
    output::json(&List { count: devices.len(), devices, counts, next_cursor })
}

/// The devices that a filter names, by themselves or as a group.
async fn only(state: &FleetState, filter: &Filter) -> Result<Option<Vec<DeviceId>>, Problem> {
    let mut only: Option<Vec<DeviceId>> =
        filter.ids.as_ref().map(|ids| ids.iter().copied().collect());
    if let Some(group) = filter.group {
        let mut devices = state.history.ask(state.stores.groups.devices(group)).await?;
        devices.retain(|device| filter.ids.as_ref().is_none_or(|ids| ids.contains(device)));
        only = Some(devices);
    }
    Ok(only)
}

/// A group that is named as a filter has to be there.
pub(crate) async fn must_see_group(
    state: &Backend,
    principal: &Principal,
    group: u64,
) -> Result<(), Problem> {
    let seen = principal.sees_group(group);
    if seen && state.history.ask(state.stores.groups.find(group)).await?.is_some() {
        return Ok(());
    }
    Err(unknown_group(group, "group"))
}

/// Those to show, by their places in the fleet, and where the next page begins.
fn page(
    fleet: &[Member],
    statuses: &[Status],
    query: &ListQuery,
    names: &DeviceNames,
) -> (Vec<usize>, Option<String>) {
    let device = |at: usize| fleet[at].known.device;
    let begin =
        query.after.map_or(0, |after| fleet.partition_point(|member| member.known.device <= after));
    let like = |at: &usize| query.status.is_none_or(|status| statuses[*at] == status);
    let mut rest =
        (begin..fleet.len()).filter(like).filter(|at| keep(&query.filter, &fleet[*at], names));
    let shown: Vec<usize> = rest.by_ref().take(query.limit).collect();
    let more = rest.next().is_some();
    let cursor = shown.last().filter(|_| more).map(|last| DeviceCursor::encode(device(*last)));
    (shown, cursor)
}

async fn describe(state: &FleetState, shown: &[Presence]) -> Result<Vec<Shown>, Problem> {
    let groups = state.history.ask(state.stores.groups.list()).await?;
    let names: HashMap<u64, String> =
        groups.into_iter().map(|group| (group.id, group.name)).collect();
    let pasts = Presence::pasts(state, shown).await?;
    Ok(shown.iter().zip(&pasts).map(|(one, past)| device(state, one, past, &names)).collect())
}

fn device(
    state: &FleetState,
    presence: &Presence,
    past: &Past,
    names: &HashMap<u64, String>,
) -> Shown {
    let Member { known, groups } = &presence.member;
    let said = known.profile.is_some();
    let profile = known.profile.clone().unwrap_or_else(|| Profile::new(known.device, 0));
    let name = |group_id: &u64| names.get(group_id).map(|name| (*group_id, name.clone()));
    let groups = groups.iter().filter_map(name);
    Shown {
        device_id: state.written(known.device),
        name: profile.name,
        vehicle: profile.vehicle,
        tags: profile.tags,
        groups: groups.map(|(group_id, name)| GroupName { group_id, name }).collect(),
        live_ttl_s: profile.live_ttl_s,
        motion_kmh: profile.motion_kmh,
        stop_s: profile.stop_s,
        retention: profile.retention,
        created_at: said.then(|| time_ms(profile.created_at_ms)),
        updated_at: said.then(|| time_ms(profile.updated_at_ms)),
        status: presence.status,
        seen_at: presence.live.as_ref().map(|entry| time_ms(entry.seen_at_ms)),
        location: presence.location(state, past),
    }
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<FleetState>,
    Segments(device_id): Segments<String>,
    params: Params,
) -> Result<Response, Problem> {
    let device = state.device("device_id", &device_id)?;
    params.finish()?;
    principal.must_see(device)?;
    output::json(&one(&state, &principal, device).await?)
}

async fn one(
    state: &FleetState,
    principal: &Principal,
    device: DeviceId,
) -> Result<Shown, Problem> {
    let one = fleet(state, principal, Some(vec![device])).await?;
    let shown = presences(state, one.to_vec(), None).await?;
    describe(state, &shown).await?.pop().ok_or_else(|| unknown_device(device))
}

pub(crate) async fn put(
    principal: Principal,
    State(state): State<FleetState>,
    Segments(device_id): Segments<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let device = state.device_to_be("device_id", &device_id).await?;
    let bare = Profile::new(device, state.clock.now_ms());
    keep_profile(&state, &principal, changed(bare, fields)?).await
}

/// Changes what is named, of a profile that need not be there yet.
pub(crate) async fn patch(
    principal: Principal,
    State(state): State<FleetState>,
    Segments(device_id): Segments<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let device = state.device_to_be("device_id", &device_id).await?;
    let now_ms = state.clock.now_ms();
    let kept = state.history.ask(state.stores.devices.find(device)).await?;
    let kept = kept.unwrap_or_else(|| Profile::new(device, now_ms));
    let kept = Profile { updated_at_ms: now_ms, ..kept };
    keep_profile(&state, &principal, changed(kept, fields)?).await
}

async fn keep_profile(
    state: &FleetState,
    principal: &Principal,
    profile: Profile,
) -> Result<Response, Problem> {
    retention_classes::must_be_known(state, &profile.retention).await?;
    let made = state.history.ask(state.stores.devices.put(&profile)).await?;
    state.roster.forget();
    let answer = output::json(&one(state, principal, profile.device).await?)?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, answer).into_response())
}

fn changed(mut profile: Profile, mut fields: Fields) -> Result<Profile, Problem> {
    if let Some(name) = fields.maybe_text("name")? {
        profile.name = input::label("name", &name, 0)?;
    }
    if let Some(vehicle) = fields.maybe_text("vehicle")? {
        profile.vehicle = input::label("vehicle", &vehicle, 0)?;
    }
    if let Some(tags) = fields.texts("tags")? {
        profile.tags = input::tags("tags", &tags)?;
    }
    if let Some(retention) = fields.maybe_text("retention")? {
        profile.retention = input::class("retention", retention)?;
    }
    for (name, most, place) in [
        ("live_ttl_s", 30 * DAY_S, &mut profile.live_ttl_s),
        ("motion_kmh", MAX_MOTION_KMH, &mut profile.motion_kmh),
        ("stop_s", DAY_S, &mut profile.stop_s),
    ] {
        match fields.number(name, most)? {
            Patch::Absent => {}
            Patch::Null => *place = None,
            Patch::Value(number) => *place = Some(number),
        }
    }
    fields.finish()?;
    Ok(profile)
}

pub(crate) async fn delete(
    principal: Principal,
    State(state): State<FleetState>,
    Segments(device_id): Segments<String>,
) -> Result<Response, Problem> {
    principal.must(Right::Manage)?;
    let device = state.device("device_id", &device_id)?;
    let removed = state.history.ask(state.stores.devices.remove(device)).await?;
    state.roster.forget();
    if removed {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let detail = format!("{} has no profile.", state.written(device));
    Err(Problem::new(Kind::UnknownDevice, detail).blaming("device_id"))
}

fn example() -> Value {
    json!({
        "device_id": "0A3F73",
        "name": "Truck 7",
        "vehicle": "Actros 1845",
        "tags": ["cold"],
        "groups": [{"group_id": 1, "name": "North"}],
        "live_ttl_s": null,
        "motion_kmh": null,
        "stop_s": null,
        "retention": "default",
        "created_at": "2020-07-01T20:00:00Z",
        "updated_at": "2020-07-01T20:00:00Z",
        "status": "online",
        "seen_at": "2020-07-01T21:00:30.500Z",
        "location": example_location(),
    })
}

fn answered(about: &'static str) -> Answer {
    Answer::json::<Shown>(about, example())
}

fn profile_fields() -> Value {
    let line = json!({"type": "string", "maxLength": 100});
    let number = |most: u32| json!({"type": ["integer", "null"], "minimum": 1, "maximum": most});
    let tag = json!({"type": "string", "minLength": 1, "maxLength": 40});
    object(
        &[],
        &[
            ("name", line.clone()),
            ("vehicle", line),
            ("tags", json!({"type": "array", "items": tag, "maxItems": 20})),
            ("live_ttl_s", number(30 * DAY_S)),
            ("motion_kmh", number(MAX_MOTION_KMH)),
            ("stop_s", number(DAY_S)),
            ("retention", json!({"type": "string", "pattern": "^[a-z0-9_-]{1,32}$"})),
        ],
    )
}

pub(crate) fn list_doc() -> Doc {
    let example = json!({
        "devices": [example()],
        "counts": {"online": 1, "late": 0, "offline": 0, "never": 0},
        "count": 1,
        "next_cursor": null,
    });
    Doc::new("listDevices", Tag::Devices, "The devices that you may see, and how they are")
        .about("All with frames, a login, a profile or a group, in order of id. `counts` are those of all that match but for `status`.")
        .takes(Param::text("q", 200, "A part of the id, the name or the vehicle, in any case."))
        .takes(Param::text("tag", 200, "A whole tag, in any case."))
        .takes(Param::query("group", json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}), "The number of a group."))
        .takes(Param::devices("ids", "Only these, at most 1000."))
        .takes(Param::query("status", json!({"type": "string", "enum": ["online", "late", "offline", "never"]}), "Only those."))
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Devices in this answer."))
        .takes(Param::text("cursor", 256, "`next_cursor` of the page before, as it came."))
        .takes(Param::shard())
        .answers(Answer::json::<List>("A page of devices.", example))
        .problems(&[Kind::UnknownGroup, Kind::LiveUnavailable])
}

pub(crate) fn get_doc() -> Doc {
    Doc::new("getDevice", Tag::Devices, "One device")
        .takes(Param::path_device())
        .answers(answered("The device."))
        .problems(&[Kind::UnknownDevice, Kind::LiveUnavailable])
}

fn written(doc: Doc) -> Doc {
    let body = json!({"name": "Truck 7", "vehicle": "Actros 1845", "tags": ["cold"]});
    doc.takes(Param::path_device())
        .body(profile_fields(), body)
        .answers(answered("The device, which had a profile before."))
        .answers(answered("The device, with its first profile.").status(StatusCode::CREATED))
        .problems(&[Kind::LiveUnavailable])
}

pub(crate) fn put_doc() -> Doc {
    let doc = Doc::new("putDevice", Tag::Devices, "Replace the profile of a device");
    written(doc.about("A field that is left out gets its default."))
}

pub(crate) fn patch_doc() -> Doc {
    let doc = Doc::new("patchDevice", Tag::Devices, "Change fields of a device's profile");
    written(doc.about("A field that is left out stays as it is."))
}

pub(crate) fn delete_doc() -> Doc {
    Doc::new("deleteDeviceProfile", Tag::Devices, "Delete the profile of a device")
        .about("No frame, login or group is deleted with it.")
        .takes(Param::path_device())
        .answers(Answer::empty(StatusCode::NO_CONTENT, "Deleted."))
        .problems(&[Kind::UnknownDevice])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<ListQuery, Problem> {
        ListQuery::read(Params::of(&format!("/?{query}").parse().unwrap()).unwrap())
    }

    #[test]
    fn hostile_parameters_are_named() {
        let many = format!("ids={}", "0A3F73,".repeat(2000));
        for (query, name) in [
            ("status=gone", "status"),
            ("group=x", "group"),
            ("group=-1", "group"),
            ("ids=0A3F73,zz", "ids"),
            (&many, "ids"),
            ("limit=1001", "limit"),
            ("cursor=x", "cursor"),
            ("cursor=AQAAAAAH", "cursor"),
            ("device_id=0A3F73", "device_id"),
        ] {
            assert_eq!(read(query).err().unwrap().at_fault(), Some(name), "{query}");
        }
        let all =
            read("q=lorry&group=7&status=late&tag=cold&ids=0a3f73,000005&limit=1000").unwrap();
        assert_eq!(all.status, Some(Status::Late));
        assert_eq!(all.filter.ids.unwrap().len(), 2);
    }
}
