//! Alarms: what rules raised, and what people did about it.

use async_trait::async_trait;
use nemeses_protocol::DeviceId;

use crate::StoreError;

/// Alarms that are listed at once, at most.
pub const MAX_LISTED_ALARMS: u32 = 1_000;
/// Characters of a note or of the reason of a silence.
pub const MAX_ALARM_NOTE: usize = 1_000;
/// Characters of who acknowledged or silenced an alarm.
pub const MAX_ALARM_BY: usize = 190;

/// What makes an alarm the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlarmKey {
    /// The rule's number.
    pub rule: u64,
    /// The rule's version.
    pub version: u32,
    /// The device.
    pub device: DeviceId,
    /// Which alarm of these it is, from 1.
    pub episode: u32,
}

impl AlarmKey {
    /// The key as text: `rule.version.device.episode`.
    pub fn text(&self) -> String {
        format!("{}{}", self.text_without_episode(), self.episode)
    }

    /// What the keys of all alarms of the same rule and device begin with.
    pub fn text_without_episode(&self) -> String {
        format!("{}.{}.{:08x}.", self.rule, self.version, self.device.number())
    }
}

/// A way in which an alarm changes, in the order of time for one alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmStep {
    /// It opens.
    Opened,
    /// It was too old to notify anybody, and stands now.
    Confirmed,
    /// It is over.
    Cleared,
    /// Its rule was changed, removed or switched off.
    Withdrawn,
}

impl AlarmStep {
    /// The word in tables and messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Confirmed => "confirmed",
            Self::Cleared => "cleared",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A change of an alarm as the evaluator stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmChange {
    /// Which alarm.
    pub key: AlarmKey,
    /// What happened.
    pub step: AlarmStep,
    /// When, by the device's clock, Unix milliseconds.
    pub at_ms: u64,
    /// When it was noticed, by ours.
    pub raised_at_ms: u64,
    /// See [`Alarm::late`].
    pub late: bool,
    /// See [`Alarm::notified`].
    pub notified: bool,
    /// The value that the rule is about, as text.
    pub value: Option<String>,
    /// Latitude and longitude, 1e-6 degree.
    pub place: Option<(i32, i32)>,
    /// The rule's name.
    pub rule_name: String,
    /// The rule's owner.
    pub owner: Option<u64>,
    /// The rule's severity.
    pub severity: String,
}

/// An alarm that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// Its number.
    pub id: u64,
    /// What makes it the same.
    pub key: AlarmKey,
    /// The rule's name when it opened.
    pub rule_name: String,
    /// Whose rule it is; `None` for everybody's.
    pub owner: Option<u64>,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// Whether it is of late rows, or was too old to notify anybody when it opened and has not
    /// been confirmed since.
    pub late: bool,
    /// Whether somebody was to be notified.
    pub notified: bool,
    /// When it opened, by the device's clock, Unix milliseconds.
    pub opened_at_ms: u64,
    /// When that was noticed, by ours.
    pub raised_at_ms: u64,
    /// When it was over, by the device's clock; `None` while it is open.
    pub cleared_at_ms: Option<u64>,
    /// Whether it ended because its rule was changed.
    pub withdrawn: bool,
    /// The value when it opened.
    pub value: Option<String>,
    /// Latitude and longitude when it opened, 1e-6 degree.
    pub place: Option<(i32, i32)>,
    /// Who has seen it, and when.
    pub acknowledged: Option<Acknowledgement>,
    /// Until when nobody is notified of it.
    pub silence: Option<Silence>,
}

/// Somebody has seen an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Who.
    pub by: String,
    /// What they noted.
    pub note: Option<String>,
}

/// Nobody is to be notified of an alarm for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Unix milliseconds.
    pub until_ms: u64,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Which alarms are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmFilter {
    /// Of these devices; `None` for all.
    pub devices: Option<Vec<DeviceId>>,
    /// Of everybody's rules and those of this user; `None` for all rules.
    pub rules_of: Option<u64>,
    /// Of this rule.
    pub rule: Option<u64>,
    /// Those that are open, or those that are not.
    pub open: Option<bool>,
    /// Those of late rows, or those that are not.
    pub late: Option<bool>,
    /// Those that somebody has acknowledged, or those that nobody has.
    pub acknowledged: Option<bool>,
    /// Of this severity.
    pub severity: Option<String>,
    /// Opened from this moment on, by the device's clock, Unix milliseconds.
    pub opened_from_ms: Option<u64>,
    /// Opened not after this moment.
    pub opened_to_ms: Option<u64>,
    /// With these numbers.
    pub ids: Option<Vec<u64>>,
    /// With numbers above this one.
    pub after: Option<u64>,
    /// With numbers below this one.
    pub before: Option<u64>,
    /// How many, [`MAX_LISTED_ALARMS`] at most.
    pub limit: u32,
}

/// Figures that differ when an alarm opened since, or something changed of those that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlarmsMark {
    /// The newest alarm's number, 0 before the first.
    pub newest: u64,
    /// Of the open alarms: how many, and sums of their numbers and of what may change of them.
    pub open: [u64; 5],
}

/// What alarms are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedBy {
    /// The rule.
    Rule,
    /// The device.
    Device,
    /// The day (UTC) on which they opened, by the device's clock.
    Day,
}

/// How many alarms there are of a rule, a device or a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmCount {
    /// The rule's number, the device's, or when the day begins (Unix milliseconds).
    pub of: u64,
    /// A name that the rule had; empty for the others.
    pub rule_name: String,
    /// How many opened.
    pub opened: u64,
}

/// The alarms.
#[async_trait]
pub trait Alarms: Send + Sync {
    /// Alarms, newest numbers first.
    async fn list(&self, filter: &AlarmFilter) -> Result<Vec<Alarm>, StoreError>;

    /// What tells whether it is worth while to look at the open alarms again.
    async fn mark(&self) -> Result<AlarmsMark, StoreError>;

    /// The devices that have, or had, an alarm.
    async fn devices(&self) -> Result<Vec<DeviceId>, StoreError>;

    /// How many there are, of as many rules, devices or days as [`AlarmFilter::limit`] says: days in
    /// their order, of others those with the most.
    async fn counts(
        &self,
        filter: &AlarmFilter,
        by: CountedBy,
    ) -> Result<Vec<AlarmCount>, StoreError>;

    /// The alarm of a number.
    async fn find(&self, id: u64) -> Result<Option<Alarm>, StoreError>;

    /// Notes that somebody has seen an alarm; `false` when there is none of this number. The first to
    /// do so is kept.
    async fn acknowledge(&self, id: u64, by: &Acknowledgement) -> Result<bool, StoreError>;

    /// Notifies nobody of an alarm until a time; `false` when there is none of this number.
    async fn silence(&self, id: u64, silence: &Silence) -> Result<bool, StoreError>;
}
