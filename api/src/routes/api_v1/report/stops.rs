//! `GET /api/v1/report/stops`: the stops that touch a range.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::found::{self, Telling};
use super::span::Span;
use crate::access::Principal;
use crate::input::Params;
use crate::output::Here;
use crate::problem::Problem;
use crate::reports::{OneKind, Segment, SegmentKind, Zone};
use crate::state::ApiState;

pub(crate) async fn get(
    principal: Principal,
    State(state): State<ApiState>,
    mut params: Params,
) -> Result<Response, Problem> {
    let span = Span::take(&mut params)?;
    params.finish()?;
    principal.must_see(span.device)?;
    let stops = Stops(span.zone.clone());
    let make = |first| OneKind::new(SegmentKind::Stop, span.settings, first);
    found::answer(&state, &span, make, stops).await
}

struct Stops(Zone);

#[derive(Serialize)]
struct Stop {
    start: String,
    end: String,
    duration_s: u32,
    start_known: bool,
    open: bool,
    at: Option<Here>,
    idle_s: u64,
    engine_s: u64,
    silent_s: u64,
    odometer_m: u32,
    hour_meter_start_min: u32,
    hour_meter_end_min: u32,
}

impl Telling<OneKind> for Stops {
    const LIST: &'static str = "stops";

    fn when(stop: &Segment) -> (u32, u32) {
        (stop.tally.first.at, stop.tally.last.at)
    }

    fn tell(&self, stop: &Segment) -> impl Serialize {
        let &Segment { tally, start_known, open, .. } = stop;
        Stop {
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
