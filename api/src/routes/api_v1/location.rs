//! `GET /api/v1/location/?device_id=`: where the device is, or was last.

use axum::extract::State;
use axum::response::Response;
use nemeses_protocol::DeviceId;

use crate::access::{Principal, unknown_device};
use crate::fleet::{FleetState, past};
use crate::input::Params;
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::output::{self, Location, example_location};
use crate::problem::{Kind, Problem};

pub(crate) async fn get(
    principal: Principal,
    State(state): State<FleetState>,
    mut params: Params,
) -> Result<Response, Problem> {
    let device = params.device("device_id")?;
    params.finish()?;
    output::json(&location(&principal, &state, device).await?)
}

/// Where a device is, for who may see it.
pub(crate) async fn location(
    principal: &Principal,
    state: &FleetState,
    device: DeviceId,
) -> Result<Location, Problem> {
    principal.must_see(device)?;
    let entries = state.live.ask(state.stores.live.get(&[device])).await?;
    let live = entries.into_iter().next().flatten();
    let past = past(state, device, live.as_ref()).await?;
    let location =
        output::decide(state.written(device), live.as_ref(), &past, state.clock.now_ms());
    location.ok_or_else(|| unknown_device(device))
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
