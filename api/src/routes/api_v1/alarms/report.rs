//! `GET /api/v1/alarms/report`: all alarms of a range, in every form that reports have.

use async_trait::async_trait;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use nemeses_export::{CellKind, Column, FORMS, Form, Piece, Place, Report, column};
use nemeses_reports::Zone;
use nemeses_store::history::{self as kept, AlarmFilter, MAX_LISTED_ALARMS};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{filter, filter_doc};
use crate::access::Principal;
use crate::backend::Backend;
use crate::input::{Params, first_second, last_second};
use crate::openapi::{self, Answer, Doc, Param, Tag};
use crate::output::Here;
use crate::problem::{Kind, Problem, fault};
use crate::routes::api_v1::report::{Source, accepted, respond, tz_described, zone};

const COLUMNS: [Column; 16] = [
    column("id", CellKind::Whole),
    column("rule_id", CellKind::Whole),
    column("rule_name", CellKind::Text),
    column("device_id", CellKind::Text),
    column("severity", CellKind::Text),
    column("late", CellKind::Truth),
    column("opened_at", CellKind::Time),
    column("cleared_at", CellKind::Time),
    column("duration_s", CellKind::Whole),
    column("withdrawn", CellKind::Truth),
    column("value", CellKind::Text),
    column("at.latitude", CellKind::Number),
    column("at.longitude", CellKind::Number),
    column("acknowledged_at", CellKind::Time),
    column("acknowledged_by", CellKind::Text),
    column("note", CellKind::Text),
];

/// An alarm in a report.
#[derive(Serialize, JsonSchema)]
struct ReportedAlarm {
    id: u64,
    rule_id: u64,
    /// The rule's name when the alarm opened.
    rule_name: String,
    #[schemars(with = "openapi::Device")]
    device_id: String,
    severity: String,
    /// Whether it is of rows that came late, or was too old to notify anybody when it opened.
    late: bool,
    #[schemars(with = "openapi::Time")]
    opened_at: String,
    /// Null while it is open.
    #[schemars(with = "Option<openapi::Time>")]
    cleared_at: Option<String>,
    /// Null while it is open.
    duration_s: Option<u64>,
    withdrawn: bool,
    value: Option<String>,
    /// Where the device was when it opened.
    at: Option<Here>,
    #[schemars(with = "Option<openapi::Time>")]
    acknowledged_at: Option<String>,
    acknowledged_by: Option<String>,
    note: Option<String>,
}

/// What an answer repeats of its question.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlarmsReportQuestion")]
struct Question {
    #[schemars(with = "openapi::Time")]
    from: String,
    #[schemars(with = "openapi::Time")]
    to: String,
    tz: String,
}

/// How the answer is put together; written piece by piece, never as a whole.
#[derive(JsonSchema)]
#[schemars(rename = "AlarmsReport")]
#[expect(dead_code, reason = "only its schema is used")]
struct Whole {
    #[serde(flatten)]
    question: Question,
    /// Newest first.
    alarms: Vec<ReportedAlarm>,
    count: u64,
}

pub(crate) async fn get(
    principal: Principal,
    State(state): State<Backend>,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    let (from, to) = range(&mut params)?;
    let zone = zone(&mut params)?;
    let form = params.choice("format", &FORMS, accepted(&headers))?;
    let filter = filter(&principal, &mut params)?;
    params.finish()?;
    let question =
        Question { from: zone.time(from), to: zone.time(to), tz: zone.name().to_owned() };
    let report = Report {
        form,
        question: serde_json::to_string(&question).map_err(|error| fault(&error))?,
        list: "alarms",
        columns: &COLUMNS,
        title: "Alarms",
        totals: None,
        place: Place::At,
        zone: zone.clone(),
        file: "alarms".to_owned(),
    };
    let filter = AlarmFilter {
        opened_from_ms: Some(u64::from(from) * 1000),
        opened_to_ms: Some(u64::from(to) * 1000 + 999),
        limit: MAX_LISTED_ALARMS,
        ..filter
    };
    respond(report, Pages { state, zone, filter: Some(filter) }).await
}

/// `from` and `to`, recorded seconds, both included; all of time if nothing is said.
fn range(params: &mut Params) -> Result<(u32, u32), Problem> {
    let from = params.take("from")?.map_or(Ok(0), |text| first_second("from", &text))?;
    let to = params.take("to")?.map_or(Ok(u32::MAX), |text| last_second("to", &text))?;
    if from > to {
        return Err(Problem::parameter("from", "The range ends before it begins."));
    }
    Ok((from, to))
}

/// The alarms, a page at a time.
struct Pages {
    state: Backend,
    zone: Zone,
    /// What is asked for next; `None` behind the last page.
    filter: Option<AlarmFilter>,
}

#[async_trait]
impl Source for Pages {
    async fn next(&mut self) -> Result<Option<Vec<Piece>>, Problem> {
        let Some(filter) = self.filter.take() else { return Ok(None) };
        let found = self.state.ask_in_turn(self.state.stores.alarms.list(&filter)).await?;
        if found.len() >= MAX_LISTED_ALARMS as usize {
            let before = found.last().map(|last| last.id);
            self.filter = Some(AlarmFilter { before, ..filter });
        }
        found.iter().map(|alarm| self.piece(alarm)).collect::<Result<_, _>>().map(Some)
    }
}

impl Pages {
    fn piece(&self, alarm: &kept::Alarm) -> Result<Piece, Problem> {
        let json = serde_json::to_string(&self.told(alarm));
        json.map(Piece::Thing).map_err(|error| fault(&error))
    }

    fn told(&self, alarm: &kept::Alarm) -> ReportedAlarm {
        let time = |ms: u64| self.zone.time_ms(i64::try_from(ms).unwrap_or(i64::MAX));
        let seen = alarm.acknowledged.as_ref();
        let lasted_ms =
            alarm.cleared_at_ms.map(|cleared| cleared.saturating_sub(alarm.opened_at_ms));
        ReportedAlarm {
            id: alarm.id,
            rule_id: alarm.key.rule,
            rule_name: alarm.rule_name.clone(),
            device_id: self.state.written(alarm.key.device),
            severity: alarm.severity.clone(),
            late: alarm.late,
            opened_at: time(alarm.opened_at_ms),
            cleared_at: alarm.cleared_at_ms.map(time),
            duration_s: lasted_ms.map(|ms| ms / 1000),
            withdrawn: alarm.withdrawn,
            value: alarm.value.clone(),
            at: alarm.place.map(|(latitude, longitude)| Here::at(latitude, longitude)),
            acknowledged_at: seen.map(|by| time(by.at_ms)),
            acknowledged_by: seen.map(|by| by.by.clone()),
            note: seen.and_then(|by| by.note.clone()),
        }
    }
}

pub(crate) fn doc() -> Doc {
    let alarm = json!({
        "id": 12, "rule_id": 1, "rule_name": "Too fast", "device_id": "0A3F73",
        "severity": "critical", "late": false, "opened_at": "2020-07-01T18:00:00-03:00",
        "cleared_at": "2020-07-01T18:05:00-03:00", "duration_s": 300, "withdrawn": false,
        "value": "97", "at": {"latitude": -19.932_833, "longitude": -43.938_493},
        "acknowledged_at": null, "acknowledged_by": null, "note": null,
    });
    let example = json!({
        "from": "2020-07-01T00:00:00-03:00", "to": "2020-07-01T23:59:59-03:00",
        "tz": "America/Sao_Paulo", "alarms": [alarm], "count": 1,
    });
    let doc = Doc::new("getAlarmsReport", Tag::Alarms, "The alarms of a range, as a report")
        .about("Newest first, of the devices that the caller sees; nothing is cut. Not for share links.")
        .takes(Param::time("from", "Opened from this second on; all of time if absent."))
        .takes(
            Param::time("to", "Opened not after this second.").example("2020-07-01T23:59:59Z"),
        )
        .takes(tz_described())
        .takes(Param::choice("format", &FORMS, "Goes before the header `Accept`."));
    filter_doc(doc)
        .answers(
            Answer::json::<Whole>("The question, and the alarms.", example)
                .or_json::<serde_json::Map<String, serde_json::Value>>(
                    Form::GeoJson.content_type(),
                    json!({"type": "FeatureCollection", "features": [], "count": 0}),
                )
                .or_files("id,rule_id,rule_name,device_id,severity\r\n")
                .header("Content-Disposition", "A file name, for forms that people keep as files."),
        )
        .problems(&[Kind::UnknownDevice, Kind::TooManyAtOnce])
}
