//! What a notification says: a CloudEvent (1.0, structured).

use jiff::Timestamp;
use nemeses_protocol::DeviceNames;
use nemeses_store::history::AlarmChange;
use serde_json::json;

/// What is to be said.
pub(crate) struct Event<'a> {
    pub(crate) receiver: u64,
    pub(crate) change: &'a AlarmChange,
    pub(crate) names: &'a DeviceNames,
}

/// The event as JSON. Its id is the notification's key: it is the same however often it is sent.
pub(crate) fn body(event: &Event<'_>) -> String {
    let AlarmChange { key, step, .. } = event.change;
    let device = event.names.identity(key.device).to_string();
    json!({
        "specversion": "1.0",
        "id": format!("{}.{}.{}", key.text(), step.word(), event.receiver),
        "source": "nemeses/rules",
        "type": format!("nemeses.alarm.{}", step.word()),
        "subject": device,
        "time": time(event.change.raised_at_ms),
        "datacontenttype": "application/json",
        "data": {
            "rule_id": key.rule,
            "rule_name": event.change.rule_name,
            "rule_version": key.version,
            "device_id": device,
            "episode": key.episode,
            "severity": event.change.severity,
            "at": time(event.change.at_ms),
            "value": event.change.value,
            "latitude": event.change.place.map(|(latitude, _)| degrees(latitude)),
            "longitude": event.change.place.map(|(_, longitude)| degrees(longitude)),
        },
    })
    .to_string()
}

fn degrees(udeg: i32) -> f64 {
    f64::from(udeg) / 1e6
}

/// A time as RFC 3339 has it; one that there is not, as 1970.
fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or_default();
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
