//! `GET /api/v1/alarms/`: what rules raised for the devices that the caller sees. Below it what
//! people do about one; what raises alarms is in docs/rules.md.

pub(crate) mod acknowledge;
pub(crate) mod silence;

use axum::extract::State;
use axum::response::Response;
use nemeses_reports::number::degrees;
use nemeses_store::history::{self as kept, AlarmFilter, MAX_ALARM_BY, MAX_LISTED_ALARMS};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::commands::asked_by;
use crate::access::{Principal, Right, unknown_alarm};
use crate::backend::Backend;
use crate::input::{Params, number};
use crate::openapi::{self, Answer, Doc, Param, Tag};
use crate::output::{self, time_ms};
use crate::problem::{Kind, Problem};

const DEFAULT_LIMIT: u32 = 100;
/// One more is read than is shown.
const MAX_LIMIT: u32 = MAX_LISTED_ALARMS - 1;

const FLAGS: [(&str, Option<bool>); 2] = [("true", Some(true)), ("false", Some(false))];
const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];

/// What a rule raised for a device.
#[derive(Serialize, JsonSchema)]
struct Alarm {
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

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlarmsAnswer")]
struct Page {
    /// Newest first.
    alarms: Vec<Alarm>,
    count: usize,
    /// Where the next page begins; null if nothing is left.
    next_cursor: Option<String>,
}

pub(crate) async fn list(
    principal: Principal,
    State(state): State<Backend>,
    params: Params,
) -> Result<Response, Problem> {
    let (filter, limit) = read(&principal, params)?;
    let found = state.history.ask(state.stores.alarms.list(&filter)).await?;
    output::json(&page(&state, &found, limit))
}

/// Asks for one alarm more than is shown, to know whether anything follows.
fn read(principal: &Principal, mut params: Params) -> Result<(AlarmFilter, usize), Problem> {
    let (mut devices, rules_of) = principal.sees_alarms_of()?;
    if let Some(device) = params.maybe_device("device_id")? {
        principal.must_see(device)?;
        devices = Some(vec![device]);
    }
    let severities = SEVERITIES.map(|word| (word, Some(word)));
    let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
    let filter = AlarmFilter {
        devices,
        rules_of,
        rule: params.number("rule_id")?,
        open: params.choice("open", &FLAGS, None)?,
        late: params.choice("late", &FLAGS, None)?,
        severity: params.choice("severity", &severities, None)?.map(str::to_owned),
        before: params.number("cursor")?,
        limit: limit + 1,
    };
    params.finish()?;
    Ok((filter, usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn page(state: &Backend, found: &[kept::Alarm], limit: usize) -> Page {
    let shown = &found[..found.len().min(limit)];
    Page {
        alarms: shown.iter().map(|alarm| Alarm::of(state, alarm)).collect(),
        count: shown.len(),
        next_cursor: shown.last().filter(|_| found.len() > limit).map(|last| last.id.to_string()),
    }
}

impl Alarm {
    fn of(state: &Backend, alarm: &kept::Alarm) -> Self {
        let now_ms = state.clock.now_ms();
        let silence = alarm.silence.as_ref().filter(|silence| silence.until_ms > now_ms);
        Self {
            id: alarm.id,
            rule_id: alarm.key.rule,
            rule_version: alarm.key.version,
            rule_name: alarm.rule_name.clone(),
            device_id: state.written(alarm.key.device),
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

/// The alarm, if the caller may change it.
async fn changeable(
    state: &Backend,
    principal: &Principal,
    alarm_id: &str,
) -> Result<kept::Alarm, Problem> {
    let alarm = find(state, number("alarm_id", alarm_id)?).await?;
    principal.must(Right::ChangeAlarm(alarm.key.device, alarm.owner))?;
    Ok(alarm)
}

async fn find(state: &Backend, id: u64) -> Result<kept::Alarm, Problem> {
    state.history.ask(state.stores.alarms.find(id)).await?.ok_or_else(unknown_alarm)
}

/// Who changes an alarm, in words that stay when the account is gone.
async fn changed_by(state: &Backend, principal: &Principal) -> Result<String, Problem> {
    let who = asked_by(state, principal.signed_in()?).await?;
    Ok(who.chars().take(MAX_ALARM_BY).collect())
}

/// The alarm as it is after a change.
async fn changed(state: &Backend, id: u64) -> Result<Response, Problem> {
    output::json(&Alarm::of(state, &find(state, id).await?))
}

fn example() -> Value {
    json!({
        "id": 12, "rule_id": 1, "rule_version": 1, "rule_name": "Too fast",
        "device_id": "0A3F73", "episode": 1, "severity": "critical", "late": false,
        "opened_at": "2020-07-01T21:00:00.000Z", "raised_at": "2020-07-01T21:00:00.250Z",
        "cleared_at": null, "withdrawn": false, "value": "97",
        "latitude": -19.932_833, "longitude": -43.938_493,
        "acknowledged": {
            "at": "2020-07-01T21:05:00.000Z", "by": "anna@example.org", "note": "called the driver",
        },
        "silenced": null,
    })
}

pub(crate) fn list_doc() -> Doc {
    let flag = || json!({"type": "string", "enum": ["true", "false"]});
    let number = || json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
    let example = json!({"alarms": [example()], "count": 1, "next_cursor": null});
    Doc::new("listAlarms", Tag::Alarms, "What rules raised")
        .about(
            "Newest first, of the devices that the caller sees. Alarms of a rule that belongs to \
             somebody are for him and for admins. Not for share links.",
        )
        .takes(Param::device("device_id", "Only this device's.").optional())
        .takes(Param::query("rule_id", number(), "Only of this rule.").example(1))
        .takes(Param::query("open", flag(), "Only those that are open, or that are over."))
        .takes(Param::query("late", flag(), "Only those of late rows, or only others."))
        .takes(Param::query(
            "severity",
            json!({"type": "string", "enum": SEVERITIES}),
            "Only of this severity.",
        ))
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Alarms in this answer."))
        .takes(Param::query("cursor", number(), "`next_cursor` of the page before, as it came."))
        .answers(Answer::json::<Page>("A page of alarms.", example))
        .problems(&[Kind::UnknownDevice])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nemeses_protocol::DeviceId;
    use nemeses_store::history::{Access, Role};

    use super::*;
    use crate::access::SignedIn;

    const DEVICE: DeviceId = DeviceId::new(0x0A_3F73);

    fn asked(role: Role, query: &str) -> Result<(AlarmFilter, usize), Problem> {
        let access = Access { role, devices: vec![DEVICE], groups: vec![] };
        let principal = Principal::User(Arc::new(SignedIn::by_session(7, 1, access)));
        read(&principal, Params::of(&format!("/?{query}").parse().unwrap()).unwrap())
    }

    #[test]
    fn filters_are_read() {
        let query =
            "device_id=0A3F74&rule_id=3&open=true&late=false&severity=info&limit=5&cursor=9";
        let (filter, limit) = asked(Role::Admin, query).unwrap();
        let expected = AlarmFilter {
            devices: Some(vec![DeviceId::new(0x0A_3F74)]),
            rules_of: None,
            rule: Some(3),
            open: Some(true),
            late: Some(false),
            severity: Some("info".into()),
            before: Some(9),
            limit: 6,
        };
        assert_eq!((filter, limit), (expected, 5));
        let all = AlarmFilter { limit: 101, ..AlarmFilter::default() };
        assert_eq!(asked(Role::Admin, "").unwrap(), (all, 100));
    }

    #[test]
    fn what_may_not_be_seen_is_not_asked_for() {
        let (viewers, _) = asked(Role::Viewer, "").unwrap();
        assert_eq!((viewers.devices, viewers.rules_of), (Some(vec![DEVICE]), Some(7)));
        let (operators, _) = asked(Role::Operator, "").unwrap();
        assert_eq!((operators.devices, operators.rules_of), (None, Some(7)));
        let hidden = asked(Role::Viewer, "device_id=0A3F74").unwrap_err();
        assert_eq!(hidden.at_fault(), Some("device_id"));
    }

    #[test]
    fn hostile_parameters_are_named() {
        for (query, name) in [
            ("device_id=x", "device_id"),
            ("rule_id=-1", "rule_id"),
            ("open=yes", "open"),
            ("late=1", "late"),
            ("severity=fatal", "severity"),
            ("limit=1000", "limit"),
            ("cursor=x", "cursor"),
            ("page=2", "page"),
        ] {
            assert_eq!(asked(Role::Admin, query).unwrap_err().at_fault(), Some(name), "{query}");
        }
    }
}
