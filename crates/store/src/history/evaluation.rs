//! What an evaluator of rules reads, and what it writes in one transaction (decision 0062).

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use super::alarms::{AlarmChange, AlarmKey};
use super::marked::MarkedRow;
use crate::StoreError;

/// The name of the evaluators' lease.
pub const RULES_LEASE: &str = "rules";

/// What a commit newly stored of devices that rules concern.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Its number.
    pub id: u64,
    /// The rows; `None` when this version cannot read them.
    pub rows: Option<Vec<MarkedRow>>,
}

/// The stored states of a device's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredState {
    /// Whose.
    pub device: DeviceId,
    /// When time alone will change them, Unix milliseconds.
    pub due_at_ms: Option<u64>,
    /// As `nemeses_rules::encode_state` wrote them.
    pub state: Vec<u8>,
}

/// A notification that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotification {
    /// The alarm; together with `transition` and `receiver` the notification's key.
    pub alarm: AlarmKey,
    /// What happened to the alarm.
    pub transition: &'static str,
    /// To which receiver.
    pub receiver: u64,
    /// What is sent.
    pub body: String,
    /// Why it is not sent, if it is not.
    pub suppressed: Option<&'static str>,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// What an evaluator writes together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// The marks that are evaluated, to be deleted.
    pub marks: Vec<u64>,
    /// The states that changed.
    pub states: Vec<StoredState>,
    /// The alarms that changed, in order.
    pub alarms: Vec<AlarmChange>,
    /// Whom to notify.
    pub notifications: Vec<NewNotification>,
}

/// The store of whoever evaluates rules. There is one at a time, who holds the lease [`RULES_LEASE`]
/// ([`super::Daily::lease`]) under a name that nobody used before, himself included.
#[async_trait]
pub trait Evaluation: Send + Sync {
    /// The marks that are there, by number.
    async fn marks(&self, limit: u32) -> Result<Vec<Mark>, StoreError>;

    /// How many marks are there, counted up to a bound.
    async fn count_marks(&self, most: u32) -> Result<u32, StoreError>;

    /// The states of all devices.
    async fn states(&self) -> Result<Vec<StoredState>, StoreError>;

    /// Writes a turn and renews the lease, all or nothing. `false` when the holder has no lease any more,
    /// or a mark was gone: then somebody else evaluates, and nothing was written.
    ///
    /// # Errors
    /// After [`StoreError::Unavailable`] it is open whether it was written.
    async fn write_turn(
        &self,
        holder: &str,
        until_ms: u64,
        turn: &Turn,
    ) -> Result<bool, StoreError>;
}
