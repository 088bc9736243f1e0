//! Rules and geofences as they are stored: what they mean is decided elsewhere (`crates/rules`).

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use crate::StoreError;

/// Rules at most, so that whoever evaluates them can hold all.
pub const MAX_RULES: u32 = 1_000;
/// Geofences at most.
pub const MAX_GEOFENCES: u32 = 10_000;
/// Devices that a rule names at most; more are a group.
pub const MAX_RULE_DEVICES: usize = 1_000;
/// Characters of the name of a rule or a geofence.
pub const MAX_RULE_NAME: usize = 190;

/// The devices that a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleScope {
    /// All that its owner sees.
    All,
    /// Those of a group, whichever they are at the time.
    Group(u64),
    /// These, in order.
    Devices(Vec<DeviceId>),
}

/// A rule as it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRule {
    /// What people call it.
    pub name: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// What it says, JSON.
    pub spec: String,
    /// Which devices it is for.
    pub scope: RuleScope,
    /// Whether it is evaluated.
    pub enabled: bool,
    /// The receivers that it notifies, in order.
    pub receivers: Vec<u64>,
}

/// A rule that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRule {
    /// Its number.
    pub id: u64,
    /// Whose it is; `None` for everybody's.
    pub owner: Option<u64>,
    /// Grows with each change.
    pub version: u32,
    /// What it is.
    pub rule: NewRule,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds.
    pub updated_at_ms: u64,
}

/// A geofence that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGeofence {
    /// Its number.
    pub id: u64,
    /// Whose it is; `None` for everybody's.
    pub owner: Option<u64>,
    /// What people call it.
    pub name: String,
    /// Its area.
    pub geojson: String,
    /// Grows with each change.
    pub version: u32,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds.
    pub updated_at_ms: u64,
}

/// Rules and geofences.
#[async_trait]
pub trait Rules: Send + Sync {
    /// A number that grows with each change of rules and geofences.
    async fn changes(&self) -> Result<u64, StoreError>;

    /// All rules, by number.
    async fn rules(&self) -> Result<Vec<StoredRule>, StoreError>;

    /// The rule of a number.
    async fn rule(&self, id: u64) -> Result<Option<StoredRule>, StoreError>;

    /// Adds a rule and returns its number.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there are [`MAX_RULES`].
    async fn add_rule(
        &self,
        owner: Option<u64>,
        rule: &NewRule,
        now_ms: u64,
    ) -> Result<u64, StoreError>;

    /// Changes a rule; `false` when there is none of this number.
    async fn change_rule(&self, id: u64, rule: &NewRule, now_ms: u64) -> Result<bool, StoreError>;

    /// Removes a rule; `false` when there is none. Its alarms stay.
    async fn remove_rule(&self, id: u64) -> Result<bool, StoreError>;

    /// All geofences, by number.
    async fn geofences(&self) -> Result<Vec<StoredGeofence>, StoreError>;

    /// Geofences behind a number, in order of number: everybody's and, if a user is given, those of
    /// this user; else all.
    async fn geofences_after(
        &self,
        after: u64,
        of: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredGeofence>, StoreError>;

    /// How many geofences are of this user.
    async fn count_geofences_of(&self, owner: u64) -> Result<u64, StoreError>;

    /// The geofence of a number.
    async fn geofence(&self, id: u64) -> Result<Option<StoredGeofence>, StoreError>;

    /// Adds a geofence and returns its number.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there are [`MAX_GEOFENCES`].
    async fn add_geofence(
        &self,
        owner: Option<u64>,
        name: &str,
        geojson: &str,
        now_ms: u64,
    ) -> Result<u64, StoreError>;

    /// Changes a geofence; `false` when there is none of this number. Rules go on with the new
    /// area as they are.
    async fn change_geofence(
        &self,
        id: u64,
        name: &str,
        geojson: &str,
        now_ms: u64,
    ) -> Result<bool, StoreError>;

    /// Removes a geofence; `false` when there is none.
    async fn remove_geofence(&self, id: u64) -> Result<bool, StoreError>;
}
