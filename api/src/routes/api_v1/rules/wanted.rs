//! A rule as a body asks for it, checked against what there is and what its owner may use.

use nemeses_protocol::{DeviceId, Identity};
use nemeses_rules::RuleDocument;
use nemeses_store::history::{MAX_RULE_DEVICES, NewRule, RuleScope};

use crate::access::{Principal, Right, unknown_group};
use crate::backend::Backend;
use crate::input;
use crate::problem::{Problem, fault};

/// Receivers that a rule names.
pub(super) const MAX_RULE_RECEIVERS: usize = 50;

/// The rule that a document makes for an owner.
pub(super) async fn to_be(
    state: &Backend,
    principal: &Principal,
    owner: Option<u64>,
    document: RuleDocument,
) -> Result<NewRule, Problem> {
    let name = input::rule_name(&document.name)?;
    for fence in document.fences() {
        is_for(state, fence, owner).await?;
    }
    let receivers = receivers_for(state, document.receivers.unwrap_or_default(), owner).await?;
    let spec = serde_json::to_string(&document.spec).map_err(|error| fault(&error))?;
    let scope = scope_to_be(state, principal, document.devices, document.group).await?;
    let severity = document.severity.word().to_owned();
    Ok(NewRule { name, severity, spec, scope, enabled: document.enabled, receivers })
}

/// A rule asks for everybody's geofences and its owner's: others may be deleted or moved by who
/// knows nothing of the rule.
async fn is_for(state: &Backend, fence: u64, owner: Option<u64>) -> Result<(), Problem> {
    let found = state.history.ask(state.stores.rules.geofence(fence)).await?;
    match found {
        Some(found) if found.owner.is_none() || found.owner == owner => Ok(()),
        _ => Err(no_fence(fence)),
    }
}

/// The receivers of a rule, each once: everybody's and its owner's.
async fn receivers_for(
    state: &Backend,
    mut wanted: Vec<u64>,
    owner: Option<u64>,
) -> Result<Vec<u64>, Problem> {
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.len() > MAX_RULE_RECEIVERS {
        let detail = format!("At most {MAX_RULE_RECEIVERS} receivers.");
        return Err(Problem::field("receivers", detail));
    }
    for id in &wanted {
        let found = state.history.ask(state.stores.receivers.receiver(*id)).await?;
        if found.is_none_or(|found| found.owner.is_some() && found.owner != owner) {
            let detail = format!("There is no receiver {id} for this rule.");
            return Err(Problem::field("receivers", detail));
        }
    }
    Ok(wanted)
}

pub(super) fn no_fence(fence: u64) -> Problem {
    Problem::field("rule.test", format!("There is no geofence {fence} for this rule."))
}

async fn scope_to_be(
    state: &Backend,
    principal: &Principal,
    devices: Option<Vec<String>>,
    group: Option<u64>,
) -> Result<RuleScope, Problem> {
    match (devices, group) {
        (Some(devices), _) => devices_to_be(state, principal, &devices).await,
        (None, Some(group)) => group_to_be(state, principal, group).await,
        (None, None) => Ok(RuleScope::All),
    }
}

/// The group, if it is there and the caller sees it.
async fn group_to_be(
    state: &Backend,
    principal: &Principal,
    group: u64,
) -> Result<RuleScope, Problem> {
    principal.must(Right::SeeGroup(group)).map_err(|problem| problem.blaming("group"))?;
    let found = state.history.ask(state.stores.groups.find(group)).await?;
    found.map(|_| RuleScope::Group(group)).ok_or_else(|| unknown_group(group, "group"))
}

/// The devices; who manages devices may name those that will be.
async fn devices_to_be(
    state: &Backend,
    principal: &Principal,
    texts: &[String],
) -> Result<RuleScope, Problem> {
    if texts.len() > MAX_RULE_DEVICES {
        let detail = format!("At most {MAX_RULE_DEVICES} devices; make a group of them.");
        return Err(Problem::field("devices", detail));
    }
    let identity = |text: &String| input::identity_in_field("devices", text);
    let identities = texts.iter().map(identity).collect::<Result<Vec<Identity>, _>>()?;
    let mut devices = if principal.must(Right::Manage).is_ok() {
        let given = state.stores.identities.give_numbers(&identities, state.clock.now_ms());
        state.history.ask(given).await?
    } else {
        state.learn(&identities).await?;
        seen_devices(state, principal, texts)?
    };
    devices.sort_unstable();
    devices.dedup();
    Ok(RuleScope::Devices(devices))
}

fn seen_devices(
    state: &Backend,
    principal: &Principal,
    texts: &[String],
) -> Result<Vec<DeviceId>, Problem> {
    let one = |text: &String| {
        let device = input::device_in_field(&state.names, "devices", text)?;
        principal.must_see(device).map_err(|problem| problem.blaming("devices"))?;
        Ok(device)
    };
    texts.iter().map(one).collect()
}
