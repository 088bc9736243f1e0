//! `/api/v1/geofences`: areas that rules ask for, everybody's or somebody's own.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_rules::Fence;
use nemeses_store::StoreError;
use nemeses_store::history::{MAX_RULE_NAME, StoredGeofence};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::rules::{fences_of, limited, same_owner};
use crate::access::{Principal, Right};
use crate::backend::Backend;
use crate::input::{self, Fields, LargeFields, Params, Segments, number, unknown_id};
use crate::openapi::{Answer, Doc, Param, Tag, Time, object};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem};

/// KiB of a body: ten thousand points of sixty bytes, and some.
pub(crate) const MAX_BODY_KIB: usize = 1024;
/// Geofences of one person, everybody's left out.
const MAX_OWN: u64 = 500;
const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;
/// A page ends behind the geofence that brings it to this many bytes, so that an answer has at most one large
/// geofence more.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// How many are read at once: 20 MiB at most.
const READ_AT_ONCE: u32 = 20;

/// An area.
#[derive(Serialize, JsonSchema)]
struct Geofence {
    id: u64,
    name: String,
    /// A geometry or a feature of GeoJSON (docs/rules.md).
    #[schemars(with = "serde_json::Map<String, Value>")]
    area: Value,
    /// Whether it is everybody's.
    shared: bool,
    /// Whether you may change it.
    editable: bool,
    /// Grows with each change.
    version: u32,
    #[schemars(with = "Time")]
    created_at: String,
    #[schemars(with = "Time")]
    updated_at: String,
}

impl Geofence {
    fn of(principal: &Principal, stored: StoredGeofence) -> Self {
        let StoredGeofence { id, owner, name, geojson, version, created_at_ms, updated_at_ms } =
            stored;
        Self {
            id,
            name,
            area: serde_json::from_str(&geojson).unwrap_or_else(|_| json!({})),
            shared: owner.is_none(),
            editable: principal.changes_rule(owner),
            version,
            created_at: time_ms(created_at_ms),
            updated_at: time_ms(updated_at_ms),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GeofencesAnswer")]
struct Page {
    /// In order of number.
    geofences: Vec<Geofence>,
    count: usize,
    /// Where the next page begins; null if nothing is left.
    next_cursor: Option<String>,
}

pub(crate) async fn list(
    principal: Principal,
    State(state): State<Backend>,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
    let after = params.number("cursor")?.unwrap_or_default();
    params.finish()?;
    let (found, next) = page(&state, &principal, after, limit).await?;
    let geofences: Vec<Geofence> =
        found.into_iter().map(|stored| Geofence::of(&principal, stored)).collect();
    let next_cursor = next.map(|next| next.to_string());
    output::json(&Page { count: geofences.len(), geofences, next_cursor })
}

/// A page, and behind which number the next one begins.
async fn page(
    state: &Backend,
    principal: &Principal,
    mut after: u64,
    limit: u32,
) -> Result<(Vec<StoredGeofence>, Option<u64>), Problem> {
    let of = principal.signed_in()?.rules_of();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut found, mut bytes) = (Vec::new(), 0);
    loop {
        let read = state.stores.rules.geofences_after(after, of, READ_AT_ONCE);
        let read = state.history.ask(read).await?;
        if read.is_empty() {
            return Ok((found, None));
        }
        for fence in read {
            if found.len() >= limit || bytes >= PAGE_BYTES {
                return Ok((found, Some(after)));
            }
            after = fence.id;
            bytes += fence.geojson.len();
            found.push(fence);
        }
    }
}

pub(crate) async fn post(
    principal: Principal,
    State(state): State<Backend>,
    LargeFields(fields): LargeFields<MAX_BODY_KIB>,
) -> Result<Response, Problem> {
    let asked = Asked::take(fields)?;
    let owner = principal.owner_of_new(asked.shared)?;
    if let Some(owner) = owner {
        let count = state.history.ask(state.stores.rules.count_geofences_of(owner)).await?;
        limited(count, MAX_OWN, "geofences")?;
    }
    let rules = &state.stores.rules;
    let added = rules.add_geofence(owner, &asked.name, &asked.geojson, state.clock.now_ms());
    let added = state.history.ask_knowing(added).await?;
    let id = added.map_err(|error| full(&state, &error))?;
    let user_id = principal.signed_in()?.user_id;
    tracing::info!(id, user_id, "a geofence was added");
    let stored = stored(&state, id).await?.ok_or_else(unknown)?;
    Ok((StatusCode::CREATED, output::json(&Geofence::of(&principal, stored))?).into_response())
}

fn full(state: &Backend, error: &StoreError) -> Problem {
    match error {
        StoreError::Full(what) => Problem::new(Kind::TooMany, format!("Not done: {what}.")),
        _ => state.history.failed(error),
    }
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<Backend>,
    Segments(geofence_id): Segments<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    output::json(&Geofence::of(&principal, seen(&state, &principal, &geofence_id).await?))
}

pub(crate) async fn put(
    principal: Principal,
    State(state): State<Backend>,
    Segments(geofence_id): Segments<String>,
    LargeFields(fields): LargeFields<MAX_BODY_KIB>,
) -> Result<Response, Problem> {
    let fence = changeable(&state, &principal, &geofence_id).await?;
    let asked = Asked::take(fields)?;
    same_owner(asked.shared, fence.owner)?;
    let (id, now_ms) = (fence.id, state.clock.now_ms());
    let changed = state.stores.rules.change_geofence(id, &asked.name, &asked.geojson, now_ms);
    if !state.history.ask(changed).await? {
        return Err(unknown());
    }
    let user_id = principal.signed_in()?.user_id;
    tracing::info!(id, user_id, "a geofence was changed");
    let stored = stored(&state, id).await?.ok_or_else(unknown)?;
    output::json(&Geofence::of(&principal, stored))
}

pub(crate) async fn delete(
    principal: Principal,
    State(state): State<Backend>,
    Segments(geofence_id): Segments<String>,
) -> Result<Response, Problem> {
    let fence = changeable(&state, &principal, &geofence_id).await?;
    unused(&state, &principal, fence.id).await?;
    if !state.history.ask(state.stores.rules.remove_geofence(fence.id)).await? {
        return Err(unknown());
    }
    let (id, user_id) = (fence.id, principal.signed_in()?.user_id);
    tracing::info!(id, user_id, "a geofence was deleted");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Nothing if no rule asks for it; else the names of those that do and that the caller sees.
async fn unused(state: &Backend, principal: &Principal, fence: u64) -> Result<(), Problem> {
    let rules = state.history.ask(state.stores.rules.rules()).await?;
    let (seen, hidden): (Vec<_>, Vec<_>) = rules
        .iter()
        .filter(|stored| fences_of(&stored.rule.spec).contains(&fence))
        .partition(|stored| principal.sees_rule(stored.owner));
    if seen.is_empty() && hidden.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = seen.iter().map(|stored| format!("\"{}\"", stored.rule.name)).collect();
    let others = match (names.is_empty(), hidden.len()) {
        (_, 0) => String::new(),
        (true, _) => "of somebody else".to_owned(),
        (false, _) => ", and of somebody else".to_owned(),
    };
    let detail = format!("Rules ask for it: {}{others}.", names.join(", "));
    Err(Problem::new(Kind::InUse, detail))
}

async fn stored(state: &Backend, id: u64) -> Result<Option<StoredGeofence>, Problem> {
    state.history.ask(state.stores.rules.geofence(id)).await
}

async fn seen(
    state: &Backend,
    principal: &Principal,
    geofence_id: &str,
) -> Result<StoredGeofence, Problem> {
    let found = stored(state, number("geofence_id", geofence_id)?).await?;
    found.filter(|fence| principal.sees_rule(fence.owner)).ok_or_else(unknown)
}

async fn changeable(
    state: &Backend,
    principal: &Principal,
    geofence_id: &str,
) -> Result<StoredGeofence, Problem> {
    let fence = seen(state, principal, geofence_id).await?;
    principal.must(Right::ChangeRule(fence.owner))?;
    Ok(fence)
}

fn unknown() -> Problem {
    unknown_id("geofence_id")
}

/// What a body says.
struct Asked {
    name: String,
    geojson: String,
    shared: Option<bool>,
}

impl Asked {
    fn take(mut fields: Fields) -> Result<Self, Problem> {
        let name = input::rule_name(&fields.text("name")?)?;
        let shared = fields.maybe_flag("shared")?;
        let area = fields.value("area").ok_or_else(|| Problem::field("area", "Missing."))?;
        fields.finish()?;
        if !area.is_object() {
            return Err(Problem::field("area", "Must be a geometry or a feature of GeoJSON."));
        }
        Fence::from_geojson(&area)
            .map_err(|error| Problem::field("area", format!("Not an area: {error}.")))?;
        Ok(Self { name, geojson: area.to_string(), shared })
    }
}

fn example_area() -> Value {
    json!({"type": "Point", "coordinates": [-43.938_493, -19.932_833], "radius_m": 200})
}

fn example() -> Value {
    json!({
        "id": 1, "name": "Depot", "area": example_area(), "shared": true, "editable": true,
        "version": 1, "created_at": "2020-07-01T20:00:00Z", "updated_at": "2020-07-01T20:00:00Z",
    })
}

fn with_body(doc: Doc) -> Doc {
    let name = json!({"type": "string", "minLength": 1, "maxLength": MAX_RULE_NAME});
    let area = json!({
        "type": "object",
        "description": "A geometry or a feature of GeoJSON (docs/rules.md), of at most 10 000 points.",
    });
    let shared = json!({
        "type": "boolean",
        "description": "Whether it is everybody's; if nothing is said, that of operators and admins.",
    });
    let body = object(&[("name", name), ("area", area)], &[("shared", shared)]);
    doc.body(body, json!({"name": "Depot", "area": example_area()}))
}

fn of_fence(doc: Doc) -> Doc {
    doc.takes(Param::path_number("geofence_id", "The geofence's `id`."))
        .problems(&[Kind::UnknownId])
}

pub(crate) fn list_doc() -> Doc {
    let cursor = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
    Doc::new("listGeofences", Tag::Rules, "The geofences that you may see")
        .about(
            "Everybody's and your own, in order of number; admins see all. An answer ends before \
             `limit` when its areas are large. Not for share links.",
        )
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Geofences in this answer."))
        .takes(Param::query("cursor", cursor, "`next_cursor` of the page before, as it came."))
        .answers(Answer::json::<Page>(
            "A page of geofences.",
            json!({"geofences": [example()], "count": 1, "next_cursor": null}),
        ))
}

pub(crate) fn post_doc() -> Doc {
    with_body(Doc::new("addGeofence", Tag::Rules, "Make a geofence"))
        .about("Everybody's geofences are made by operators and admins, own ones by anybody.")
        .answers(Answer::json::<Geofence>("The geofence.", example()).status(StatusCode::CREATED))
        .problems(&[Kind::TooMany])
}

pub(crate) fn get_doc() -> Doc {
    of_fence(Doc::new("getGeofence", Tag::Rules, "One geofence"))
        .answers(Answer::json::<Geofence>("The geofence.", example()))
}

pub(crate) fn put_doc() -> Doc {
    with_body(of_fence(Doc::new("changeGeofence", Tag::Rules, "Replace a geofence")))
        .about("Rules go on with the new area within a second. Whose it is cannot be changed.")
        .answers(Answer::json::<Geofence>("The geofence.", example()))
}

pub(crate) fn delete_doc() -> Doc {
    of_fence(Doc::new("deleteGeofence", Tag::Rules, "Delete a geofence"))
        .about("Refused while a rule asks for it.")
        .answers(Answer::empty(StatusCode::NO_CONTENT, "Deleted."))
        .problems(&[Kind::InUse])
}
