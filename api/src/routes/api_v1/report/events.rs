//! `GET /api/v1/report/events`: what happened in a range.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::found::{self, Telling};
use super::span::Span;
use crate::access::Principal;
use crate::input::Params;
use crate::output::Here;
use crate::problem::Problem;
use crate::reports::{Event, EventLimits, Events, What, Zone};
use crate::state::ApiState;

/// The fastest speed a frame can carry.
const FASTEST_KMH: u32 = 255;
const WEEK_S: u32 = 7 * 86_400;

pub(crate) async fn get(
    principal: Principal,
    State(state): State<ApiState>,
    mut params: Params,
) -> Result<Response, Problem> {
    let span = Span::take(&mut params)?;
    let limits = limits(&mut params, &span)?;
    params.finish()?;
    principal.must_see(span.device)?;
    let telling = Told { zone: span.zone.clone(), limit_kmh: limits.speed_kmh };
    let make = |first| Events::new(span.settings, limits, first);
    found::answer(&state, &span, make, telling).await
}

/// Overspeed needs a limit: there is none that fits every vehicle.
fn limits(params: &mut Params, span: &Span) -> Result<EventLimits, Problem> {
    let speed_kmh = params.count("speed_limit_kmh", FASTEST_KMH, FASTEST_KMH)?;
    let offline_s = params.count("offline_s", span.settings.gap_s, WEEK_S)?;
    Ok(EventLimits { speed_kmh: (speed_kmh < FASTEST_KMH).then_some(speed_kmh), offline_s })
}

struct Told {
    zone: Zone,
    limit_kmh: Option<u32>,
}

#[derive(Serialize)]
struct Happened {
    event: &'static str,
    start: String,
    /// Not known of a stretch offline that is open.
    end: Option<String>,
    duration_s: Option<u32>,
    start_known: bool,
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

    /// Silence that is open goes on.
    fn when(event: &Event) -> (u32, u32) {
        let silent = event.open && event.what == What::Offline;
        (event.first.at, if silent { u32::MAX } else { event.last.at })
    }

    fn tell(&self, event: &Event) -> impl Serialize {
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
