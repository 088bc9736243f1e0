//! An alarm as it is answered and streamed.

use nemeses_reports::number::{degrees, time_ms};
use nemeses_store::history as kept;
use schemars::JsonSchema;
use serde::Serialize;

use crate::openapi;

/// What a rule raised for a device.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Alarm {
    id: u64,
    rule_id: u64,
    /// The rule's version: it grows with each change of the rule.
    rule_version: u32,
    /// The rule's name when the alarm opened.
    rule_name: String,
    #[schemars(with = "openapi::Device")]
    device_id: String,
    /// Which alarm of this device and version of the rule it is, from 1.
    episode: u32,
    /// `info`, `warning` or `critical`.
    severity: String,
    /// Whether it is of rows that came late, or was too old to notify anybody when it opened.
    late: bool,
    /// When it opened, by the device's clock.
    #[schemars(with = "openapi::Time")]
    opened_at: String,
    /// When that was noticed, by the server's clock.
    #[schemars(with = "openapi::Time")]
    raised_at: String,
    /// When it was over, by the device's clock; null while it is open.
    #[schemars(with = "Option<openapi::Time>")]
    cleared_at: Option<String>,
    /// Whether it ended because its rule was changed, removed or switched off.
    withdrawn: bool,
    /// The value that the rule is about, when it opened.
    value: Option<String>,
    /// Where the device was when it opened, degrees.
    latitude: Option<f64>,
    longitude: Option<f64>,
    /// Who was the first to acknowledge it.
    acknowledged: Option<Acknowledged>,
    /// Null when it is not silenced at the moment.
    silenced: Option<Silenced>,
}

/// That somebody has seen an alarm.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlarmAcknowledged")]
struct Acknowledged {
    #[schemars(with = "openapi::Time")]
    at: String,
    /// The address of the account at that time.
    by: String,
    note: Option<String>,
}

/// That nobody is to be notified of an alarm for a while.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlarmSilenced")]
struct Silenced {
    #[schemars(with = "openapi::Time")]
    until: String,
    /// The address of the account at that time.
    by: String,
    reason: String,
}

impl Alarm {
    /// The alarm as it is at `now_ms`, of a device as it is written.
    pub(crate) fn of(alarm: &kept::Alarm, device_id: String, now_ms: u64) -> Self {
        let silence = alarm.silence.as_ref().filter(|silence| silence.until_ms > now_ms);
        Self {
            id: alarm.id,
            rule_id: alarm.key.rule,
            rule_version: alarm.key.version,
            rule_name: alarm.rule_name.clone(),
            device_id,
            episode: alarm.key.episode,
            severity: alarm.severity.clone(),
            late: alarm.late,
            opened_at: time_ms(alarm.opened_at_ms),
            raised_at: time_ms(alarm.raised_at_ms),
            cleared_at: alarm.cleared_at_ms.map(time_ms),
            withdrawn: alarm.withdrawn,
            value: alarm.value.clone(),
            latitude: alarm.place.map(|(latitude, _)| degrees(latitude)),
            longitude: alarm.place.map(|(_, longitude)| degrees(longitude)),
            acknowledged: alarm.acknowledged.as_ref().map(Acknowledged::of),
            silenced: silence.map(Silenced::of),
        }
    }
}

impl Acknowledged {
    fn of(by: &kept::Acknowledgement) -> Self {
        Self { at: time_ms(by.at_ms), by: by.by.clone(), note: by.note.clone() }
    }
}

impl Silenced {
    fn of(silence: &kept::Silence) -> Self {
        let kept::Silence { until_ms, by, reason } = silence;
        Self { until: time_ms(*until_ms), by: by.clone(), reason: reason.clone() }
    }
}
