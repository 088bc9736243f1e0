//! `GET /api/v1/location/?device_id=`: where the device is, or was last.

use axum::extract::State;
use axum::response::Response;
use nemeses_protocol::DeviceId;
use nemeses_store::live::LiveEntry;

use crate::access::{Principal, unknown_device};
use crate::input::Params;
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::output::{self, Location, Past, example_location};
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

pub(crate) async fn get(
    principal: Principal,
    State(state): State<ApiState>,
    mut params: Params,
) -> Result<Response, Problem> {
    let device = params.device("device_id")?;
    params.finish()?;
    principal.must_see(device)?;

    let entries = state.live.ask(state.stores.live.get(&[device])).await?;
    let live = entries.into_iter().next().flatten();
    let past = past(&state, device, live.as_ref()).await?;
    let location = output::decide(device, live.as_ref(), &past, state.clock.now_ms());
    match location {
        Some(location) => output::json(&location),
        None => Err(unknown_device(device)),
    }
}

pub(crate) fn doc() -> Doc {
    let answer = Answer::json::<Location>(
        "The newest frame, and the last position that had a GPS fix.",
        example_location(),
    );
    Doc::new("getLocation", Tag::Locations, "Where a device is, or was last")
        .about("All fields are always there; what is not known is null.")
        .takes(Param::device("device_id", "Which device."))
        .answers(answer)
        .problems(&[Kind::UnknownDevice, Kind::LiveUnavailable])
}

/// What history says of a device, as far as the live store does not say all.
async fn past(
    state: &ApiState,
    device: DeviceId,
    live: Option<&LiveEntry>,
) -> Result<Past, Problem> {
    if !output::asks_history(live, state.live_ttl_ms()) {
        return Ok(Past::default());
    }
    if let Some(past) = live.and_then(|entry| state.late.recall(entry)) {
        return Ok(past);
    }
    let (history, not_after) = (&state.stores.history, output::newest_s(state.clock.now_s()));
    let ask = |devices: Vec<DeviceId>| async move { history.last_known(&devices, not_after).await };
    let past = Past::from(state.history.ask(state.gathered.last_known(device, ask)).await?);
    if let Some(entry) = live {
        state.late.keep(entry, &past);
    }
    let known = past.newest.is_some()
        || live.is_some()
        || state.history.ask(state.stores.history.knows_device(device)).await?;
    Ok(Past { known, ..past })
}

/// What history knows of devices, in their order.
pub(crate) async fn pasts(state: &ApiState, devices: &[DeviceId]) -> Result<Vec<Past>, Problem> {
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let not_after = output::newest_s(state.clock.now_s());
    let last = state.history.ask(state.stores.history.last_known(devices, not_after)).await?;
    Ok(last.into_iter().map(Past::from).collect())
}
