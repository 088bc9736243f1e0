//! `GET /api/v1/alarms/`: what rules raised for the devices that the caller sees. Below it what
//! people do about one; what raises alarms is in docs/rules.md.

pub(crate) mod acknowledge;
pub(crate) mod counts;
pub(crate) mod report;
pub(crate) mod silence;

use axum::extract::State;
use axum::response::Response;
use nemeses_store::history::{self as kept, AlarmFilter, MAX_ALARM_BY, MAX_LISTED_ALARMS};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::commands::asked_by;
use crate::access::{Principal, Right, unknown_alarm};
use crate::backend::Backend;
use crate::input::{Params, Segments, number};
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::output::{self, Alarm};
use crate::problem::{Kind, Problem};

const DEFAULT_LIMIT: u32 = 100;
/// One more is read than is shown.
const MAX_LIMIT: u32 = MAX_LISTED_ALARMS - 1;

const FLAGS: [(&str, Option<bool>); 2] = [("true", Some(true)), ("false", Some(false))];
const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];

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

pub(crate) async fn get(
    principal: Principal,
    State(state): State<Backend>,
    Segments(alarm_id): Segments<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let alarm = find(&state, number("alarm_id", &alarm_id)?).await?;
    principal.must(Right::SeeAlarm(alarm.key.device, alarm.owner))?;
    output::json(&shown(&state, &alarm))
}

/// The alarm as it is answered.
fn shown(state: &Backend, alarm: &kept::Alarm) -> Alarm {
    Alarm::of(alarm, state.written(alarm.key.device), state.clock.now_ms())
}

/// Asks for one alarm more than is shown, to know whether anything follows.
fn read(principal: &Principal, mut params: Params) -> Result<(AlarmFilter, usize), Problem> {
    let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
    let before = params.number("cursor")?;
    let filter = filter(principal, &mut params)?;
    params.finish()?;
    let filter = AlarmFilter { before, limit: limit + 1, ..filter };
    Ok((filter, usize::try_from(limit).unwrap_or(usize::MAX)))
}

/// Which alarms are asked for, of those that the caller sees.
fn filter(principal: &Principal, params: &mut Params) -> Result<AlarmFilter, Problem> {
    let (mut devices, rules_of) = principal.sees_alarms_of()?;
    if let Some(device) = params.maybe_device("device_id")? {
        principal.must_see(device)?;
        devices = Some(vec![device]);
    }
    let severities = SEVERITIES.map(|word| (word, Some(word)));
    Ok(AlarmFilter {
        devices,
        rules_of,
        rule: params.number("rule_id")?,
        open: params.choice("open", &FLAGS, None)?,
        late: params.choice("late", &FLAGS, None)?,
        acknowledged: params.choice("acknowledged", &FLAGS, None)?,
        severity: params.choice("severity", &severities, None)?.map(str::to_owned),
        ..AlarmFilter::default()
    })
}

fn page(state: &Backend, found: &[kept::Alarm], limit: usize) -> Page {
    let on_page = &found[..found.len().min(limit)];
    Page {
        alarms: on_page.iter().map(|alarm| shown(state, alarm)).collect(),
        count: on_page.len(),
        next_cursor: on_page.last().filter(|_| found.len() > limit).map(|last| last.id.to_string()),
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
    output::json(&shown(state, &find(state, id).await?))
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

/// What says which alarms are asked for.
fn filter_doc(doc: Doc) -> Doc {
    let flag = || json!({"type": "string", "enum": ["true", "false"]});
    let severity = json!({"type": "string", "enum": SEVERITIES});
    doc.takes(Param::device("device_id", "Only this device's.").optional())
        .takes(Param::query("rule_id", number_schema(), "Only of this rule.").example(1))
        .takes(Param::query("open", flag(), "Only those that are open, or that are over."))
        .takes(Param::query("late", flag(), "Only those of late rows, or only others."))
        .takes(Param::query(
            "acknowledged",
            flag(),
            "Only those that somebody has acknowledged, or that nobody has.",
        ))
        .takes(Param::query("severity", severity, "Only of this severity."))
}

fn number_schema() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": i64::MAX})
}

pub(crate) fn list_doc() -> Doc {
    let example = json!({"alarms": [example()], "count": 1, "next_cursor": null});
    let doc = Doc::new("listAlarms", Tag::Alarms, "What rules raised").about(
        "Newest first, of the devices that the caller sees. Alarms of a rule that belongs to \
         somebody are for him and for admins. Not for share links.",
    );
    let cursor = "`next_cursor` of the page before, as it came.";
    filter_doc(doc)
        .takes(Param::count("limit", DEFAULT_LIMIT, MAX_LIMIT, "Alarms in this answer."))
        .takes(Param::query("cursor", number_schema(), cursor))
        .answers(Answer::json::<Page>("A page of alarms.", example))
        .problems(&[Kind::UnknownDevice])
}

pub(crate) fn get_doc() -> Doc {
    Doc::new("getAlarm", Tag::Alarms, "One alarm")
        .about("Not for share links.")
        .takes(Param::path_number("alarm_id", "The alarm's `id`."))
        .answers(Answer::json::<Alarm>("The alarm.", example()))
        .problems(&[Kind::UnknownId])
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
        let query = "device_id=0A3F74&rule_id=3&open=true&late=false&acknowledged=false\
             &severity=info&limit=5&cursor=9";
        let (filter, limit) = asked(Role::Admin, query).unwrap();
        let expected = AlarmFilter {
            devices: Some(vec![DeviceId::new(0x0A_3F74)]),
            rules_of: None,
            rule: Some(3),
            open: Some(true),
            late: Some(false),
            acknowledged: Some(false),
            severity: Some("info".into()),
            before: Some(9),
            limit: 6,
            ..AlarmFilter::default()
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
            ("acknowledged=0", "acknowledged"),
            ("severity=fatal", "severity"),
            ("limit=1000", "limit"),
            ("cursor=x", "cursor"),
            ("page=2", "page"),
        ] {
            assert_eq!(asked(Role::Admin, query).unwrap_err().at_fault(), Some(name), "{query}");
        }
    }
}
