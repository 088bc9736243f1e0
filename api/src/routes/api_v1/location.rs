//! `GET /api/v1/location/?device_id=`: where the device is, or was last.

use axum::extract::State;
use axum::response::Response;
use nemeses_protocol::DeviceId;

use crate::access::{Principal, unknown_device};
use crate::input::Params;
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::output::{self, Location, Need, Past, example_location};
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

/// Frames recorded later than this beyond their arrival are dead letters, so
/// nothing newer can be a device's last position.
const FUTURE_SECONDS: u32 = 24 * 3600;

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
    let need = output::needs(live.as_ref(), state.live_ttl_ms());
    let past = ask_history(&state, device, need).await?;
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

pub(crate) async fn ask_history(
    state: &ApiState,
    device: DeviceId,
    need: Need,
) -> Result<Past, Problem> {
    let history = &state.stores.history;
    let not_after = state.clock.now_s().saturating_add(FUTURE_SECONDS);
    let last = async |with_fix| {
        state.history.ask(history.last_position(device, not_after, with_fix)).await
    };
    match need {
        Need::Nothing => Ok(Past::default()),
        Need::Fix => Ok(Past { fix: last(true).await?, ..Past::default() }),
        Need::Everything => {
            let newest = last(false).await?;
            let fix = match &newest {
                Some(row) if row.position.composition.gps_fix() => newest.clone(),
                Some(_) => last(true).await?,
                None => None,
            };
            let known = newest.is_some() || state.history.ask(history.knows_device(device)).await?;
            Ok(Past { newest, fix, known })
        }
    }
}
