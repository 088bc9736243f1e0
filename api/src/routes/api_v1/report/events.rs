//! `GET /api/v1/report/events`: what happened in a range.

use axum::http::HeaderMap;
use axum::response::Response;
use nemeses_export::{CellKind, Column, Place, column};
use nemeses_reports::{Event, EventLimits, Events, What, Zone};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::found::{self, Telling, Whose};
use super::span::{Asked, Question, Span, computed_doc, example_answer};
use crate::access::Principal;
use crate::fleet::ForReports;
use crate::input::Params;
use crate::openapi::{Doc, Param, Time};
use crate::output::Here;
use crate::problem::Problem;

/// The fastest speed a frame can carry.
const FASTEST_KMH: u32 = 255;
const WEEK_S: u32 = 7 * 86_400;

pub(crate) async fn get(
    principal: Principal,
    ForReports(state): ForReports,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    let (asked, form) = (Asked::take(&mut params)?, found::form(&mut params, &headers)?);
    let limits = limits(&mut params, &asked)?;
    params.finish()?;
    let telling = Told { zone: asked.zone.clone(), limit_kmh: limits.speed_kmh };
    let make = move |_: &Span, walker, first| Events::new(walker, limits, first);
    found::answer((&state, &principal), (&asked, form), make, telling).await
}

const COLUMNS: [Column; 13] = [
    column("device_id", CellKind::Text),
    column("device_name", CellKind::Text),
    column("event", CellKind::Text),
    column("start", CellKind::Time),
    column("end", CellKind::Time),
    column("duration_s", CellKind::Whole),
    column("start_known", CellKind::Truth),
    column("open", CellKind::Truth),
    column("at.latitude", CellKind::Number),
    column("at.longitude", CellKind::Number),
    column("limit_kmh", CellKind::Whole),
    column("peak_kmh", CellKind::Whole),
    column("jump_m", CellKind::Whole),
];

/// Overspeed needs a limit: there is none that fits every vehicle.
fn limits(params: &mut Params, asked: &Asked) -> Result<EventLimits, Problem> {
    let speed_kmh = params.count("speed_limit_kmh", FASTEST_KMH, FASTEST_KMH)?;
    let offline_s = params.count("offline_s", asked.gap_s(), WEEK_S)?;
    Ok(EventLimits { speed_kmh: (speed_kmh < FASTEST_KMH).then_some(speed_kmh), offline_s })
}

struct Told {
    zone: Zone,
    limit_kmh: Option<u32>,
}

/// How the answer is put together; written piece by piece, never as a whole.
#[derive(JsonSchema)]
#[schemars(rename = "EventsAnswer")]
#[expect(dead_code, reason = "only its schema is used")]
struct Answer {
    #[serde(flatten)]
    question: Question,
    events: Vec<Happened>,
    count: u64,
}

pub(crate) fn doc() -> Doc {
    let overspeed = json!({
        "device_id": "0A3F73",
        "device_name": "Truck 7",
        "event": "overspeed",
        "start": "2020-07-01T18:10:00-03:00",
        "end": "2020-07-01T18:11:30-03:00",
        "duration_s": 90,
        "start_known": true,
        "open": false,
        "at": {"latitude": -19.9, "longitude": -43.95},
        "limit_kmh": 80,
        "peak_kmh": 84,
    });
    let limit = json!({"type": "integer", "minimum": 1, "maximum": FASTEST_KMH});
    let usual = nemeses_reports::Settings::default().gap_s;
    computed_doc::<Answer>("getEvents", "What happened in a range", example_answer(json!({"events": [overspeed], "count": 1})))
        .about("Ignition on and off, overspeed, stretches offline, odometer jumps; in the order in which they end.")
        .takes(Param::query("speed_limit_kmh", limit, "Asks for overspeed; there is none without it, nor with 255.").example(80))
        .takes(Param::count("offline_s", usual, WEEK_S, "The silence that counts as offline; `gap_s` unless given."))
}

/// One event.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
struct Happened {
    #[serde(flatten)]
    whose: Whose,
    /// `ignition_on`, `ignition_off`, `overspeed`, `offline` or `odometer_jump`.
    event: &'static str,
    #[schemars(with = "Time")]
    start: String,
    /// Not known of a stretch offline that is open.
    #[schemars(with = "Option<Time>")]
    end: Option<String>,
    duration_s: Option<u32>,
    /// False when it may have begun earlier.
    start_known: bool,
    /// It had not ended with the last row known.
    open: bool,
    at: Option<Here>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_kmh: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_kmh: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jump_m: Option<i64>,
}

impl Telling<Events> for Told {
    const LIST: &'static str = "events";
    const TITLE: &'static str = "Events";
    const PLACE: Place = Place::At;
    const COLUMNS: &'static [Column] = &COLUMNS;

    /// Silence that is open goes on.
    fn when(event: &Event) -> (u32, u32) {
        let silent = event.open && event.what == What::Offline;
        (event.first.at, if silent { u32::MAX } else { event.last.at })
    }

    fn tell(&self, whose: Whose, event: &Event) -> impl Serialize {
        let &Event { what, first, last, start_known, open } = event;
        let ended = !(open && what == What::Offline);
        let (name, peak_kmh, jump_m) = match what {
            What::IgnitionOn => ("ignition_on", None, None),
            What::IgnitionOff => ("ignition_off", None, None),
            What::Overspeed { peak_kmh } => ("overspeed", Some(peak_kmh), None),
            What::Offline => ("offline", None, None),
            What::OdometerJump(metres) => ("odometer_jump", None, Some(metres)),
        };
        Happened {
            whose,
            event: name,
            start: self.zone.time(first.at),
            end: ended.then(|| self.zone.time(last.at)),
            duration_s: ended.then(|| last.at - first.at),
            start_known,
            open,
            at: first.place.map(Here::from),
            limit_kmh: peak_kmh.and(self.limit_kmh),
            peak_kmh,
            jump_m,
        }
    }
}
