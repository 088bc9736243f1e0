//! What history says of devices of which the live store does not say all.

use nemeses_protocol::DeviceId;
use nemeses_store::live::LiveEntry;

use super::FleetState;
use crate::output::{self, Past};
use crate::problem::Problem;

/// What history says of a device, as far as the live store does not say all.
pub(crate) async fn past(
    state: &FleetState,
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
pub(crate) async fn pasts(state: &FleetState, devices: &[DeviceId]) -> Result<Vec<Past>, Problem> {
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let not_after = output::newest_s(state.clock.now_s());
    let last = state.history.ask(state.stores.history.last_known(devices, not_after)).await?;
    Ok(last.into_iter().map(Past::from).collect())
}
