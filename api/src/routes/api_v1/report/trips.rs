//! `GET /api/v1/report/trips`: the trips that touch a range.

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
use crate::output::{Here, Sums, example_sums};
use crate::problem::Problem;

pub(crate) async fn get(
    principal: Principal,
    ForReports(state): ForReports,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    let (asked, form) = (Asked::take(&mut params)?, found::form(&mut params, &headers)?);
    params.finish()?;
    let trips = Trips(asked.zone.clone());
    let make = |_: &Span, walker, first| OneKind::new(SegmentKind::Trip, walker, first);
    found::answer((&state, &principal), (&asked, form), make, trips).await
}

const COLUMNS: [Column; 24] = [
    column("device_id", CellKind::Text),
    column("device_name", CellKind::Text),
    column("start", CellKind::Time),
    column("end", CellKind::Time),
    column("duration_s", CellKind::Whole),
    column("start_known", CellKind::Truth),
    column("open", CellKind::Truth),
    column("unobserved", CellKind::Truth),
    column("from.latitude", CellKind::Number),
    column("from.longitude", CellKind::Number),
    column("to.latitude", CellKind::Number),
    column("to.longitude", CellKind::Number),
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
];

struct Trips(Zone);

/// How the answer is put together; written piece by piece, never as a whole.
#[derive(JsonSchema)]
#[schemars(rename = "TripsAnswer")]
#[expect(dead_code, reason = "only its schema is used")]
struct Answer {
    #[serde(flatten)]
    question: Question,
    trips: Vec<Trip>,
    count: u64,
}

pub(crate) fn doc() -> Doc {
    let mut trip = json!({
        "device_id": "0A3F73",
        "device_name": "Truck 7",
        "start": "2020-07-01T18:00:00-03:00",
        "end": "2020-07-01T18:30:00-03:00",
        "duration_s": 1800,
        "start_known": true,
        "open": false,
        "unobserved": false,
        "from": {"latitude": -19.932_833, "longitude": -43.938_493},
        "to": {"latitude": -19.854_1, "longitude": -43.999_9},
    });
    if let (Some(trip), serde_json::Value::Object(sums)) = (trip.as_object_mut(), example_sums()) {
        trip.extend(sums);
    }
    computed_doc::<Answer>("getTrips", "Trips that touch a range", example_answer(json!({"trips": [trip], "count": 1})))
        .about("A trip is shown whole in every range that it touches; to count each once, count those whose start is in the range.")
}

#[derive(Serialize, JsonSchema)]
struct Trip {
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
    /// Between two places, without a row on the way.
    unobserved: bool,
    from: Option<Here>,
    to: Option<Here>,
    #[serde(flatten)]
    sums: Sums,
}

impl Telling<OneKind> for Trips {
    const LIST: &'static str = "trips";
    const TITLE: &'static str = "Trips";
    const PLACE: Place = Place::FromTo;
    const COLUMNS: &'static [Column] = &COLUMNS;

    fn when(trip: &Segment) -> (u32, u32) {
        (trip.tally.first.at, trip.tally.last.at)
    }

    fn has_way(trip: &Segment) -> bool {
        !trip.unobserved
    }

    fn tell(&self, whose: Whose, trip: &Segment) -> impl Serialize {
        let &Segment { tally, start_known, open, unobserved, .. } = trip;
        Trip {
            whose,
            start: self.0.time(tally.first.at),
            end: self.0.time(tally.last.at),
            duration_s: tally.seconds(),
            start_known,
            open,
            unobserved,
            from: tally.first.place.map(Here::from),
            to: tally.last.place.map(Here::from),
            sums: Sums::from(&tally),
        }
    }
}
