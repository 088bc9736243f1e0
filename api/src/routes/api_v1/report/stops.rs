//! `GET /api/v1/report/stops`: the stops that touch a range.

use axum::http::HeaderMap;
use axum::response::Response;
use nemeses_export::{CellKind, Column, Place, column};
use nemeses_reports::{OneKind, Segment, SegmentKind, Zone};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::found::{self, Telling, Whose};
use super::span::{Asked, Question, Span, computed_doc, example_answer};
use crate::access::Principal;
use crate::fleet::ForReports;
use crate::input::Params;
use crate::openapi::{Doc, Time};
use crate::output::Here;
use crate::problem::Problem;

pub(crate) async fn get(
    principal: Principal,
    ForReports(state): ForReports,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    let (asked, form) = (Asked::take(&mut params)?, found::form(&mut params, &headers)?);
    params.finish()?;
    let stops = Stops(asked.zone.clone());
    let make = |_: &Span, walker, first| OneKind::new(SegmentKind::Stop, walker, first);
    found::answer((&state, &principal), (&asked, form), make, stops).await
}

const COLUMNS: [Column; 15] = [
    column("device_id", CellKind::Text),
    column("device_name", CellKind::Text),
    column("start", CellKind::Time),
    column("end", CellKind::Time),
    column("duration_s", CellKind::Whole),
    column("start_known", CellKind::Truth),
    column("open", CellKind::Truth),
    column("at.latitude", CellKind::Number),
    column("at.longitude", CellKind::Number),
    column("idle_s", CellKind::Whole),
    column("engine_s", CellKind::Whole),
    column("silent_s", CellKind::Whole),
    column("odometer_m", CellKind::Whole),
    column("hour_meter_start_min", CellKind::Whole),
    column("hour_meter_end_min", CellKind::Whole),
];

struct Stops(Zone);

/// How the answer is put together; written piece by piece, never as a whole.
#[derive(JsonSchema)]
#[schemars(rename = "StopsAnswer")]
#[expect(dead_code, reason = "only its schema is used")]
struct Answer {
    #[serde(flatten)]
    question: Question,
    stops: Vec<Stop>,
    count: u64,
}

pub(crate) fn doc() -> Doc {
    let stop = json!({
        "device_id": "0A3F73",
        "device_name": "Truck 7",
        "start": "2020-07-01T18:30:00-03:00",
        "end": "2020-07-01T19:10:00-03:00",
        "duration_s": 2400,
        "start_known": true,
        "open": false,
        "at": {"latitude": -19.854_1, "longitude": -43.999_9},
        "idle_s": 300,
        "engine_s": 300,
        "silent_s": 0,
        "odometer_m": 25_024_300,
        "hour_meter_start_min": 36_030,
        "hour_meter_end_min": 36_035,
    });
    computed_doc::<Answer>(
        "getStops",
        "Stops that touch a range",
        example_answer(json!({"stops": [stop], "count": 1})),
    )
    .about("A stop is shown whole in every range that it touches.")
}

#[derive(Serialize, JsonSchema)]
struct Stop {
    #[serde(flatten)]
    whose: Whose,
    #[schemars(with = "Time")]
    start: String,
    #[schemars(with = "Time")]
    end: String,
    duration_s: u32,
    /// False when it may have begun earlier.
    start_known: bool,
    /// It had not ended with the last row known.
    open: bool,
    at: Option<Here>,
    /// With the ignition on.
    idle_s: u64,
    /// The same.
    engine_s: u64,
    /// In gaps between rows.
    silent_s: u64,
    odometer_m: u32,
    hour_meter_start_min: u32,
    hour_meter_end_min: u32,
}

impl Telling<OneKind> for Stops {
    const LIST: &'static str = "stops";
    const TITLE: &'static str = "Stops";
    const PLACE: Place = Place::At;
    const COLUMNS: &'static [Column] = &COLUMNS;

    fn when(stop: &Segment) -> (u32, u32) {
        (stop.tally.first.at, stop.tally.last.at)
    }

    fn tell(&self, whose: Whose, stop: &Segment) -> impl Serialize {
        let &Segment { tally, start_known, open, .. } = stop;
        Stop {
            whose,
            start: self.0.time(tally.first.at),
            end: self.0.time(tally.last.at),
            duration_s: tally.seconds(),
            start_known,
            open,
            at: tally.first.place.or(tally.last.place).map(Here::from),
            idle_s: tally.idle_s,
            engine_s: tally.engine_s,
            silent_s: tally.silent_s,
            odometer_m: tally.first.odometer_m,
            hour_meter_start_min: tally.first.hour_meter_min,
            hour_meter_end_min: tally.last.hour_meter_min,
        }
    }
}
