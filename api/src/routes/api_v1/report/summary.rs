//! `GET /api/v1/report/summary`: sums over a range, and by local day.

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::must_exist;
use super::pages::Pages;
use super::scan::{range, row_before};
use super::span::{Question, Span, computed_doc, example_answer};
use crate::access::Principal;
use crate::input::Params;
use crate::openapi::{Doc, Time};
use crate::output::{self, Sums, example_sums};
use crate::problem::Problem;
use crate::reports::{Summary, Tally, Zone, hour_meter_run_min};
use crate::state::ApiState;

pub(crate) async fn get(
    principal: Principal,
    State(state): State<ApiState>,
    mut params: Params,
) -> Result<Response, Problem> {
    let span = Span::take(&mut params)?;
    params.finish()?;
    principal.must_see(span.device)?;
    let summary = add_up(&state, &span).await?;
    output::json(&answer(&span, &summary))
}

async fn add_up(state: &ApiState, span: &Span) -> Result<Summary, Problem> {
    let mut summary = Summary::new(span.settings, span.zone.clone(), span.from);
    let before = row_before(state, span, span.from).await?;
    if let Some(row) = &before {
        summary.push(&row.position);
    }
    let mut pages = Pages::new(state.clone(), range(span, span.from, span.to), u64::MAX);
    loop {
        let page = pages.next().await?;
        for row in &page.rows {
            summary.push(&row.position);
        }
        if page.last {
            break;
        }
    }
    if before.is_none() && summary.days().is_empty() {
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
    computed_doc::<Answer>("getSummary", "Sums over a range, and by local day", example).about(
        "The way and the time between two rows belong to the day and range of the later one.",
    )
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SummaryAnswer")]
struct Answer {
    #[serde(flatten)]
    question: Question,
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

fn line(tally: &Tally, sums: Sums, zone: &Zone) -> Line {
    Line {
        first: zone.time(tally.first.at),
        last: zone.time(tally.last.at),
        rows: tally.rows,
        sums,
        hour_meter_run_min: hour_meter_run_min(tally),
    }
}

fn answer(span: &Span, summary: &Summary) -> Answer {
    let total = summary.total().map(|total| {
        let sums = Sums::new(&total.tally, total.metres, total.source);
        line(&total.tally, sums, &span.zone)
    });
    let day = |date: String, tally: &Tally| DayLine {
        date,
        line: line(tally, Sums::from(tally), &span.zone),
    };
    let days: Vec<_> =
        summary.days().iter().map(|each| day(each.date.to_string(), &each.tally)).collect();
    Answer { question: span.echo(), total, count: days.len(), days }
}
