//! `/api/v1/rules`: what raises alarms, for everybody or for one person. What a rule says is in
//! docs/rules.md.

pub(crate) mod test;
mod wanted;

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_rules::{DocumentError, RuleDocument, RuleSpec, Severity, spec_of};
use nemeses_store::StoreError;
use nemeses_store::history::{
    AlarmFilter, CountedBy, MAX_RULE_DEVICES, MAX_RULE_NAME, RuleScope, StoredRule,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use self::wanted::{MAX_RULE_RECEIVERS, to_be};
use crate::access::{Principal, Right};
use crate::backend::Backend;
use crate::input::{Fields, LargeFields, Params, Segments, number, unknown_id};
use crate::openapi::{Answer, DEVICE_PATTERN, Device, Doc, Param, Tag, Time, inlined, object};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem};

/// KiB of a body: a thousand devices with long names.
pub(crate) const MAX_BODY_KIB: usize = 256;
/// Rules of one person, everybody's left out.
const MAX_OWN: u64 = 100;
const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;

/// What raises alarms.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Rule")]
struct Answered {
    id: u64,
    name: String,
    /// `info`, `warning` or `critical`.
    severity: String,
    /// Only for these devices, those left out that you may not see; null if it names none.
    #[schemars(with = "Option<Vec<Device>>")]
    devices: Option<Vec<String>>,
    /// Only for the devices of this group; null if it names none, or none that you may see.
    group: Option<u64>,
    /// What it says; null if a later version of the server wrote it.
    rule: Option<RuleSpec>,
    /// Whether it is evaluated.
    enabled: bool,
    /// The numbers of the receivers that it notifies.
    receivers: Vec<u64>,
    /// Whether it is everybody's.
    shared: bool,
    /// Whether you may change it.
    editable: bool,
    /// Grows with each change.
    version: u32,
    /// Its open alarms of devices that you see.
    open_alarms: u64,
    #[schemars(with = "Time")]
    created_at: String,
    #[schemars(with = "Time")]
    updated_at: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RulesAnswer")]
struct Page {
    /// In order of number.
    rules: Vec<Answered>,
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
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let after = params.number("cursor")?.unwrap_or_default();
    params.finish()?;
    let rules = state.history.ask(state.stores.rules.rules()).await?;
    let seen = |stored: &StoredRule| stored.id > after && principal.sees_rule(stored.owner);
    let mut found: Vec<StoredRule> = rules.into_iter().filter(seen).take(limit + 1).collect();
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| is_more).map(|last| last.id.to_string());
    let open = open_alarms(&state, &principal, None).await?;
    let shown = Shown { state: &state, principal: &principal, open: &open };
    let rules: Vec<Answered> = found.into_iter().map(|stored| shown.rule(stored)).collect();
    output::json(&Page { count: rules.len(), rules, next_cursor })
}

/// How many alarms are open that the caller sees, by rule.
async fn open_alarms(
    state: &Backend,
    principal: &Principal,
    rule: Option<u64>,
) -> Result<HashMap<u64, u64>, Problem> {
    let (devices, rules_of) = principal.sees_alarms_of()?;
    let filter = AlarmFilter {
        devices,
        rules_of,
        rule,
        open: Some(true),
        limit: MAX_LIMIT,
        ..AlarmFilter::default()
    };
    let counts = state.stores.alarms.counts(&filter, CountedBy::Rule);
    let counts = state.history.ask(counts).await?;
    Ok(counts.into_iter().map(|count| (count.of, count.opened)).collect())
}

/// What an answer needs besides a rule.
struct Shown<'a> {
    state: &'a Backend,
    principal: &'a Principal,
    open: &'a HashMap<u64, u64>,
}

impl Shown<'_> {
    fn rule(&self, stored: StoredRule) -> Answered {
        let StoredRule { id, owner, version, rule, created_at_ms, updated_at_ms } = stored;
        let (devices, group) = self.scope(&rule.scope);
        Answered {
            id,
            name: rule.name,
            severity: rule.severity,
            devices,
            group,
            rule: serde_json::from_str(&rule.spec).ok(),
            enabled: rule.enabled,
            receivers: rule.receivers,
            shared: owner.is_none(),
            editable: self.principal.changes_rule(owner),
            version,
            open_alarms: self.open.get(&id).copied().unwrap_or_default(),
            created_at: time_ms(created_at_ms),
            updated_at: time_ms(updated_at_ms),
        }
    }

    /// Devices and group. A rule for what the caller does not see is one for no device.
    fn scope(&self, scope: &RuleScope) -> (Option<Vec<String>>, Option<u64>) {
        match scope {
            RuleScope::All => (None, None),
            RuleScope::Group(group) if self.principal.sees_group(*group) => (None, Some(*group)),
            RuleScope::Group(_) => (Some(Vec::new()), None),
            RuleScope::Devices(devices) => {
                let seen = devices.iter().filter(|device| self.principal.sees(**device));
                (Some(seen.map(|device| self.state.written(*device)).collect()), None)
            }
        }
    }
}

pub(crate) async fn post(
    principal: Principal,
    State(state): State<Backend>,
    LargeFields(fields): LargeFields<MAX_BODY_KIB>,
) -> Result<Response, Problem> {
    let document = document(fields)?;
    let owner = principal.owner_of_new(document.shared)?;
    if let Some(owner) = owner {
        let rules = state.history.ask(state.stores.rules.rules()).await?;
        let own = rules.iter().filter(|stored| stored.owner == Some(owner)).count();
        limited(u64::try_from(own).unwrap_or(u64::MAX), MAX_OWN, "rules")?;
    }
    let rule = to_be(&state, &principal, owner, document).await?;
    let added = state.stores.rules.add_rule(owner, &rule, state.clock.now_ms());
    let added = state.history.ask_knowing(added).await?;
    let id = added.map_err(|error| full(&state, &error))?;
    let user_id = principal.signed_in()?.user_id;
    tracing::info!(id, user_id, "a rule was added");
    Ok((StatusCode::CREATED, answer(&state, &principal, id).await?).into_response())
}

/// A change of a rule or a geofence leaves it with its owner: rules of others may ask for a geofence.
pub(super) fn same_owner(shared: Option<bool>, owner: Option<u64>) -> Result<(), Problem> {
    if shared.is_none_or(|shared| shared == owner.is_none()) {
        return Ok(());
    }
    Err(Problem::field("shared", "This cannot be changed. Make a new one."))
}

/// Nothing if one more of one's own may be made.
pub(super) fn limited(count: u64, most: u64, what: &str) -> Result<(), Problem> {
    if count < most {
        return Ok(());
    }
    let detail = format!("You have {most} {what} of your own; delete one first.");
    Err(Problem::new(Kind::TooMany, detail))
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
    Segments(rule_id): Segments<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    answer(&state, &principal, number("rule_id", &rule_id)?).await
}

pub(crate) async fn put(
    principal: Principal,
    State(state): State<Backend>,
    Segments(rule_id): Segments<String>,
    LargeFields(fields): LargeFields<MAX_BODY_KIB>,
) -> Result<Response, Problem> {
    let stored = changeable(&state, &principal, &rule_id).await?;
    let document = document(fields)?;
    same_owner(document.shared, stored.owner)?;
    let rule = to_be(&state, &principal, stored.owner, document).await?;
    let changed = state.stores.rules.change_rule(stored.id, &rule, state.clock.now_ms());
    if !state.history.ask(changed).await? {
        return Err(unknown());
    }
    let (id, user_id) = (stored.id, principal.signed_in()?.user_id);
    tracing::info!(id, user_id, "a rule was changed");
    answer(&state, &principal, id).await
}

pub(crate) async fn delete(
    principal: Principal,
    State(state): State<Backend>,
    Segments(rule_id): Segments<String>,
) -> Result<Response, Problem> {
    let stored = changeable(&state, &principal, &rule_id).await?;
    if !state.history.ask(state.stores.rules.remove_rule(stored.id)).await? {
        return Err(unknown());
    }
    let (id, user_id) = (stored.id, principal.signed_in()?.user_id);
    tracing::info!(id, user_id, "a rule was deleted");
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn answer(state: &Backend, principal: &Principal, id: u64) -> Result<Response, Problem> {
    let stored = seen(state, principal, id).await?;
    let open = open_alarms(state, principal, Some(id)).await?;
    output::json(&Shown { state, principal, open: &open }.rule(stored))
}

async fn seen(state: &Backend, principal: &Principal, id: u64) -> Result<StoredRule, Problem> {
    let found = state.history.ask(state.stores.rules.rule(id)).await?;
    found.filter(|stored| principal.sees_rule(stored.owner)).ok_or_else(unknown)
}

async fn changeable(
    state: &Backend,
    principal: &Principal,
    rule_id: &str,
) -> Result<StoredRule, Problem> {
    let stored = seen(state, principal, number("rule_id", rule_id)?).await?;
    principal.must(Right::ChangeRule(stored.owner))?;
    Ok(stored)
}

fn unknown() -> Problem {
    unknown_id("rule_id")
}

fn document(fields: Fields) -> Result<RuleDocument, Problem> {
    RuleDocument::from_json(fields.into_json()).map_err(wrong)
}

/// What is wrong with a document, as other fields are answered.
fn wrong(error: DocumentError) -> Problem {
    let DocumentError { member, detail, column } = error;
    let mut detail = detail;
    if let Some(first) = detail.get(..1).map(str::to_ascii_uppercase) {
        detail.replace_range(..1, &first);
    }
    Problem::field(member, format!("{detail}.")).at_column(column)
}

/// The geofences that a stored rule asks for; none if it cannot be read.
pub(super) fn fences_of(spec: &str) -> Vec<u64> {
    let spec: Option<RuleSpec> = serde_json::from_str(spec).ok();
    let compiled = spec.and_then(|spec| nemeses_rules::Rule::compile(0, 0, &spec, |_| true).ok());
    compiled.map(|rule| rule.fences()).unwrap_or_default()
}

/// What `rule` says in a body, checked.
fn spec_in(fields: &mut Fields) -> Result<RuleSpec, Problem> {
    let rule = fields.value("rule").ok_or_else(|| Problem::field("rule", "Missing."))?;
    spec_of(rule).map_err(wrong)
}

fn example_spec() -> Value {
    json!({
        "test": {"kind": "overspeed", "limit_kmh": 90.0}, "for_s": 60, "keep_for_s": 0,
        "hold_s": 3600, "notify_if_younger_s": 900,
    })
}

fn example() -> Value {
    json!({
        "id": 1, "name": "Too fast", "severity": "critical", "devices": ["0A3F73"], "group": null,
        "rule": example_spec(), "enabled": true, "receivers": [], "shared": true, "editable": true, "version": 1,
        "open_alarms": 0, "created_at": "2020-07-01T20:00:00Z",
        "updated_at": "2020-07-01T20:00:00Z",
    })
}

fn with_body(doc: Doc) -> Doc {
    let flag = |about: &str| json!({"type": "boolean", "description": about});
    let body = object(
        &[
            ("name", json!({"type": "string", "minLength": 1, "maxLength": MAX_RULE_NAME})),
            ("rule", inlined::<RuleSpec>()),
        ],
        &[
            ("severity", json!({"type": "string", "enum": Severity::ALL.map(Severity::word)})),
            (
                "devices",
                json!({
                    "type": ["array", "null"], "minItems": 1, "maxItems": MAX_RULE_DEVICES,
                    "items": {"type": "string", "pattern": DEVICE_PATTERN},
                    "description": "Only for these devices; not together with `group`.",
                }),
            ),
            (
                "group",
                json!({
                    "type": ["integer", "null"], "minimum": 0,
                    "description": "Only for the devices of this group, whichever they are at the time.",
                }),
            ),
            ("enabled", flag("Whether it is evaluated; true if nothing is said.")),
            (
                "receivers",
                json!({
                    "type": ["array", "null"], "maxItems": MAX_RULE_RECEIVERS,
                    "items": {"type": "integer", "minimum": 0},
                    "description": "The numbers of the receivers that it notifies: everybody's, or the owner's.",
                }),
            ),
            (
                "shared",
                flag(
                    "Whether it is everybody's; if nothing is said, that of operators and admins.",
                ),
            ),
        ],
    );
    let example = json!({
        "name": "Too fast", "severity": "critical", "devices": ["0A3F73"],
        "rule": {"test": {"kind": "overspeed", "limit_kmh": 90}, "for_s": 60},
    });
    doc.body(body, example).problems(&[Kind::UnknownDevice, Kind::UnknownGroup])
}

fn of_rule(doc: Doc) -> Doc {
    doc.takes(Param::path_number("rule_id", "The rule's `id`.")).problems(&[Kind::UnknownId])
}

pub(crate) fn list_doc() -> Doc {
    let cursor = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
    Doc::new("listRules", Tag::Rules, "The rules that you may see")
        .about("Everybody's and your own, in order of number; admins see all. Not for share links.")
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Rules in this answer."))
        .takes(Param::query("cursor", cursor, "`next_cursor` of the page before, as it came."))
        .answers(Answer::json::<Page>(
            "A page of rules.",
            json!({"rules": [example()], "count": 1, "next_cursor": null}),
        ))
}

pub(crate) fn post_doc() -> Doc {
    with_body(Doc::new("addRule", Tag::Rules, "Make a rule"))
        .about(
            "Everybody's rules are made by operators and admins, own ones by anybody. A rule of a \
             viewer concerns only devices that the viewer sees. It takes effect within a second.",
        )
        .answers(Answer::json::<Answered>("The rule.", example()).status(StatusCode::CREATED))
        .problems(&[Kind::TooMany])
}

pub(crate) fn get_doc() -> Doc {
    of_rule(Doc::new("getRule", Tag::Rules, "One rule"))
        .answers(Answer::json::<Answered>("The rule.", example()))
}

pub(crate) fn put_doc() -> Doc {
    with_body(of_rule(Doc::new("changeRule", Tag::Rules, "Replace a rule")))
        .about("Its open alarms are withdrawn, and it begins anew. Whose it is cannot be changed.")
        .answers(Answer::json::<Answered>("The rule.", example()))
}

pub(crate) fn delete_doc() -> Doc {
    of_rule(Doc::new("deleteRule", Tag::Rules, "Delete a rule"))
        .about("Its alarms remain; those that are open are withdrawn.")
        .answers(Answer::empty(StatusCode::NO_CONTENT, "Deleted."))
}
