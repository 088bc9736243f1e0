//! The rules and geofences as they are stored, compiled, and which of them concern a device.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use nemeses_protocol::DeviceId;
use nemeses_rules::{Fence, FenceIndex, Rule, RuleError, RuleSet, RuleSpec};
use nemeses_store::StoreError;
use nemeses_store::history::{Database, Role, RuleScope, StoredRule};

/// A rule that is evaluated, with what an alarm says of it.
pub(crate) struct Defined {
    pub(crate) rule: Arc<Rule>,
    pub(crate) stored: StoredRule,
    devices: Concerns,
}

/// Which devices a rule is for.
enum Concerns {
    All,
    Some(BTreeSet<DeviceId>),
}

impl Concerns {
    fn has(&self, device: DeviceId) -> bool {
        match self {
            Self::All => true,
            Self::Some(devices) => devices.contains(&device),
        }
    }
}

/// All that is to be evaluated.
pub(crate) struct Definitions {
    /// The number of the change that they are of.
    pub(crate) number: u64,
    pub(crate) rules: BTreeMap<u64, Defined>,
    /// Every rule that is stored, enabled or not.
    pub(crate) all: BTreeSet<u64>,
    pub(crate) fences: FenceIndex,
    /// Enabled rules that cannot be evaluated, with the reason.
    pub(crate) broken: Vec<(u64, String)>,
    sets: HashMap<Vec<u64>, Arc<RuleSet>>,
    of_device: HashMap<DeviceId, Arc<RuleSet>>,
}

/// All stored geofences that can be read.
///
/// # Errors
/// What the database reports.
pub async fn fences(database: &Database) -> Result<FenceIndex, StoreError> {
    let mut fences = Vec::new();
    for stored in database.rules().geofences().await? {
        match fence_of(&stored.geojson) {
            Ok(fence) => fences.push((stored.id, Arc::new(fence))),
            Err(error) => {
                tracing::debug!(geofence = stored.id, error, "a geofence cannot be read");
            }
        }
    }
    Ok(FenceIndex::new(fences))
}

/// Reads what a stored rule says.
///
/// # Errors
/// In words, what is wrong with it.
pub fn spec_of(spec: &str) -> Result<RuleSpec, String> {
    serde_json::from_str(spec).map_err(|error| error.to_string())
}

/// Compiles what a rule says. `is_fence` tells whether there is a geofence of a number.
///
/// # Errors
/// What is wrong with it.
pub fn compile(
    id: u64,
    version: u32,
    spec: &RuleSpec,
    is_fence: impl Fn(u64) -> bool,
) -> Result<Arc<Rule>, RuleError> {
    Rule::compile(id, version, spec, is_fence).map(Arc::new)
}

impl Definitions {
    /// Reads them all.
    pub(crate) async fn read(database: &Database) -> Result<Self, StoreError> {
        let rules = database.rules();
        let number = rules.changes().await?;
        let mut broken = Vec::new();
        let fences = fences(database).await?;
        let stored = rules.rules().await?;
        let all = stored.iter().map(|stored| stored.id).collect();
        let mut defined = BTreeMap::new();
        for stored in stored.into_iter().filter(|stored| stored.rule.enabled) {
            let compiled = spec_of(&stored.rule.spec).and_then(|spec| {
                let is_fence = |id| fences.get(id).is_some();
                compile(stored.id, stored.version, &spec, is_fence)
                    .map_err(|error| error.to_string())
            });
            match (compiled, concerns(database, &stored).await?) {
                (Ok(rule), Some(devices)) => {
                    defined.insert(stored.id, Defined { rule, stored, devices });
                }
                (Ok(_), None) => {
                    broken.push((stored.id, "its owner has no account any more".to_owned()));
                }
                (Err(error), _) => broken.push((stored.id, error)),
            }
        }
        Ok(Self {
            number,
            rules: defined,
            all,
            fences,
            broken,
            sets: HashMap::new(),
            of_device: HashMap::new(),
        })
    }

    /// The rules that concern a device.
    pub(crate) fn of(&mut self, device: DeviceId) -> Arc<RuleSet> {
        if let Some(set) = self.of_device.get(&device) {
            return Arc::clone(set);
        }
        let concerned = self.rules.values().filter(|defined| defined.devices.has(device));
        let rules: Vec<Arc<Rule>> = concerned.map(|defined| Arc::clone(&defined.rule)).collect();
        let ids: Vec<u64> = rules.iter().map(|rule| rule.id).collect();
        let set = self.sets.entry(ids).or_insert_with(|| Arc::new(RuleSet::new(rules)));
        let set = Arc::clone(set);
        self.of_device.insert(device, Arc::clone(&set));
        set
    }
}

/// Reads the area of a stored geofence.
///
/// # Errors
/// In words, what is wrong with it.
pub fn fence_of(geojson: &str) -> Result<Fence, String> {
    let document = serde_json::from_str(geojson).map_err(|error| error.to_string())?;
    Fence::from_geojson(&document).map_err(|error| error.to_string())
}

/// The devices of a rule, as far as its owner sees them now; `None` when there is no such person
/// any more, or they may nothing.
async fn concerns(
    database: &Database,
    stored: &StoredRule,
) -> Result<Option<Concerns>, StoreError> {
    let named = match &stored.rule.scope {
        RuleScope::All => Concerns::All,
        RuleScope::Group(group) => {
            Concerns::Some(database.groups().devices(*group).await?.into_iter().collect())
        }
        RuleScope::Devices(devices) => Concerns::Some(devices.iter().copied().collect()),
    };
    let Some(owner) = stored.owner else { return Ok(Some(named)) };
    let Some(access) = database.users().access(owner).await? else { return Ok(None) };
    if access.role != Role::Viewer {
        return Ok(Some(named));
    }
    let seen = access.devices.into_iter().filter(|device| named.has(*device));
    Ok(Some(Concerns::Some(seen.collect())))
}
