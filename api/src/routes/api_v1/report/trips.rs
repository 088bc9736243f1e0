//! `GET /api/v1/report/trips`: the trips that touch a range.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::found::{self, Telling};
use super::span::Span;
use crate::access::Principal;
use crate::input::Params;
use crate::output::{Here, Sums};
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
    let trips = Trips(span.zone.clone());
    let make = |first| OneKind::new(SegmentKind::Trip, span.settings, first);
    found::answer(&state, &span, make, trips).await
}

struct Trips(Zone);

#[derive(Serialize)]
struct Trip {
    start: String,
    end: String,
    duration_s: u32,
    start_known: bool,
    open: bool,
    unobserved: bool,
    from: Option<Here>,
    to: Option<Here>,
    #[serde(flatten)]
    sums: Sums,
}

impl Telling<OneKind> for Trips {
    const LIST: &'static str = "trips";

    fn when(trip: &Segment) -> (u32, u32) {
        (trip.tally.first.at, trip.tally.last.at)
    }

    fn tell(&self, trip: &Segment) -> impl Serialize {
        let &Segment { tally, start_known, open, unobserved, .. } = trip;
        Trip {
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
