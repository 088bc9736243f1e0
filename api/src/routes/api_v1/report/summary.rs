//! `GET /api/v1/report/summary`: sums over a range, and by local day.

use std::collections::VecDeque;

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::response::Response;
use nemeses_export::{CellKind, Column, Form, Piece, Place, Report, Totals, column};
use nemeses_reports::{Summary, Tally, Zone, hour_meter_run_min};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::found::{self, Whose};
use super::must_exist;
use super::pages::Pages;
use super::respond::{Source, respond};
use super::scan::{range, starts};
use super::span::{Asked, Question, Span, computed_doc, example_answer};
use crate::access::Principal;
use crate::fleet::{FleetState, ForReports};
use crate::input::Params;
use crate::openapi::{Doc, Param, Time};
use crate::output::{self, Sums, example_sums};
use crate::problem::{Problem, fault};

pub(crate) async fn get(
    principal: Principal,
    ForReports(state): ForReports,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    let (asked, form) = (Asked::take(&mut params)?, found::form(&mut params, &headers)?);
    let lines = params.choice("lines", &LINES, Lines::Days)?;
    params.finish()?;
    let spans = asked.spans(&state, &principal).await?;
    let question = asked.echo(&spans);
    let one = asked.target.one().is_some();
    if let (true, Form::Json, [span]) = (one, form, &spans[..]) {
        let sums = sums(span, &add_up(&state, span, true).await?);
        return output::json(&Answer { question, sums });
    }
    let report = Report {
        form,
        question: serde_json::to_string(&question).map_err(|error| fault(&error))?,
        list: "devices",
        columns: if lines == Lines::Days { &COLUMNS } else { &TOTAL_COLUMNS },
        title: if lines == Lines::Days { "Days" } else { TOTALS.title },
        totals: (lines == Lines::Days).then_some(TOTALS),
        place: Place::None,
        zone: asked.zone.clone(),
        file: asked.target.file("summary", &state.names),
    };
    let whole = form == Form::Json;
    let (spans, totals) = (spans.into(), Vec::new());
    respond(report, Devices { state, spans, one, whole, lines, totals }).await
}

/// What the lines of a table are about; JSON has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    /// A device's day each.
    Days,
    /// A device's whole range each.
    Totals,
}

const LINES: [(&str, Lines); 2] = [("days", Lines::Days), ("totals", Lines::Totals)];

/// The sums of device after device: whole, or line by line.
struct Devices {
    state: FleetState,
    spans: VecDeque<Span>,
    one: bool,
    whole: bool,
    lines: Lines,
    /// Of devices whose days were told: some 500 bytes each, of 10 000 at most.
    totals: Vec<String>,
}

#[async_trait]
impl Source for Devices {
    async fn next(&mut self) -> Result<Option<Vec<Piece>>, Problem> {
        let Some(span) = self.spans.pop_front() else { return Ok(None) };
        let summary = add_up(&self.state, &span, self.one).await?;
        let (whose, sums) = (Whose::from(&span), sums(&span, &summary));
        let told: serde_json::Result<Vec<String>> = if self.whole {
            serde_json::to_string(&OfDevice { whose, sums }).map(|one| vec![one])
        } else {
            let whose = &whose;
            let total =
                sums.total.iter().map(|sums| serde_json::to_string(&TableLine { whose, sums }));
            let total: Vec<String> =
                total.collect::<Result<_, _>>().map_err(|error| fault(&error))?;
            let day = |sums| serde_json::to_string(&TableLine { whose, sums });
            match self.lines {
                Lines::Totals => Ok(total),
                Lines::Days => {
                    self.totals.extend(total);
                    sums.days.iter().map(day).collect()
                }
            }
        };
        let told = told.map_err(|error| fault(&error))?;
        Ok(Some(told.into_iter().map(Piece::Thing).collect()))
    }

    fn totals(&mut self) -> Vec<String> {
        std::mem::take(&mut self.totals)
    }
}

/// A line of a table.
#[derive(Serialize)]
struct TableLine<'a, S> {
    #[serde(flatten)]
    whose: &'a Whose,
    #[serde(flatten)]
    sums: &'a S,
}

const TOTALS: Totals = Totals { title: "Totals", columns: &TOTAL_COLUMNS };

const COLUMNS: [Column; 19] = [
    column("device_id", CellKind::Text),
    column("device_name", CellKind::Text),
    column("date", CellKind::Day),
    column("first", CellKind::Time),
    column("last", CellKind::Time),
    column("rows", CellKind::Whole),
    column("distance_m", CellKind::Whole),
    column("distance_from", CellKind::Text),
    column("moving_s", CellKind::Whole),
    column("idle_s", CellKind::Whole),
    column("engine_s", CellKind::Whole),
    column("silent_s", CellKind::Whole),
    column("max_speed_kmh", CellKind::Whole),
    column("mean_speed_kmh", CellKind::Number),
    column("odometer_start_m", CellKind::Whole),
    column("odometer_end_m", CellKind::Whole),
    column("hour_meter_start_min", CellKind::Whole),
    column("hour_meter_end_min", CellKind::Whole),
    column("hour_meter_run_min", CellKind::Whole),
];

/// The same without the date, which is the third.
const TOTAL_COLUMNS: [Column; 18] = {
    let mut columns = [COLUMNS[0]; 18];
    let mut to = 1;
    while to < columns.len() {
        columns[to] = if to < 2 { COLUMNS[to] } else { COLUMNS[to + 1] };
        to += 1;
    }
    columns
};

async fn add_up(state: &FleetState, span: &Span, one: bool) -> Result<Summary, Problem> {
    let walker = state.history.ask(starts(state, span).before(span.from)).await?;
    let is_new = walker.last().is_none();
    let mut summary = Summary::new(walker, span.zone.clone(), span.from);
    let mut pages = Pages::new(state.clone(), range(span, span.from, span.to), u64::MAX);
    loop {
        let page = pages.next().await?;
        for row in &page.rows {
            summary.push(row);
        }
        if page.last {
            break;
        }
    }
    if one && is_new && summary.days().is_empty() {
        must_exist(state, span.device).await?;
    }
    Ok(summary)
}

pub(crate) fn doc() -> Doc {
    let line = |more: Value| {
        let mut line = example_sums();
        line["first"] = "2020-07-01T18:00:00-03:00".into();
        line["last"] = "2020-07-01T18:30:00-03:00".into();
        line["rows"] = 181.into();
        line["hour_meter_run_min"] = 30.into();
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        line
    };
    let days = [line(json!({"date": "2020-07-01"}))];
    let example = example_answer(json!({"total": line(json!({})), "days": days, "count": 1}));
    computed_doc::<Either>("getSummary", "Sums over a range, and by local day", example)
        .about("The way and the time between two rows belong to the day and range of the later one.")
        .takes(Param::choice(
            "lines",
            &LINES,
            "What the lines of ndjson and tables are: a device's day, or its whole range. JSON has both, and XLSX has the whole ranges as a second sheet.",
        ))
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SummaryAnswer")]
struct Answer {
    #[serde(flatten)]
    question: Question,
    #[serde(flatten)]
    sums: DeviceSums,
}

/// Of one device, or of several.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "SummaryAnswers")]
#[expect(dead_code, reason = "only its schema is used")]
enum Either {
    One(Answer),
    Many(Answers),
}

/// How the answer about several is put together; written piece by piece.
#[derive(JsonSchema)]
#[schemars(rename = "SummariesAnswer")]
#[expect(dead_code, reason = "only its schema is used")]
struct Answers {
    #[serde(flatten)]
    question: Question,
    devices: Vec<OfDevice>,
    count: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SummaryOfDevice")]
struct OfDevice {
    #[serde(flatten)]
    whose: Whose,
    #[serde(flatten)]
    sums: DeviceSums,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeviceSums")]
struct DeviceSums {
    /// Of all days; `null` when nothing was recorded in the range.
    total: Option<Line>,
    days: Vec<DayLine>,
    count: usize,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SummaryDay")]
struct DayLine {
    /// By the viewer's time zone.
    date: String,
    #[serde(flatten)]
    line: Line,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SummaryTotal")]
struct Line {
    /// When the first row was recorded.
    #[schemars(with = "Time")]
    first: String,
    /// When the last row was recorded.
    #[schemars(with = "Time")]
    last: String,
    rows: u64,
    #[serde(flatten)]
    sums: Sums,
    /// Minutes by the hour meter; `null` if it was set in between.
    hour_meter_run_min: Option<u32>,
}

fn line(tally: &Tally, zone: &Zone) -> Line {
    Line {
        first: zone.time(tally.first.at),
        last: zone.time(tally.last.at),
        rows: tally.rows,
        sums: Sums::from(tally),
        hour_meter_run_min: hour_meter_run_min(tally),
    }
}

fn sums(span: &Span, summary: &Summary) -> DeviceSums {
    let total = summary.total().map(|total| line(&total, &span.zone));
    let day = |date: String, tally: &Tally| DayLine { date, line: line(tally, &span.zone) };
    let days: Vec<_> =
        summary.days().iter().map(|each| day(each.date.to_string(), &each.tally)).collect();
    DeviceSums { total, count: days.len(), days }
}
