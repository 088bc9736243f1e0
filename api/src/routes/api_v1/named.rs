//! A device that a request names by its number or by its kind and name.

use nemeses_protocol::{DeviceId, Identity};

use crate::access::{Principal, unknown_device};
use crate::backend::Backend;
use crate::problem::{Kind, Problem};

/// What a device may be called in a request, for documents.
pub(super) const NAMED_DEVICE: &str = "A device: six hex digits such as 0A3F73, or a kind and a \
    name such as imei:356307042441013.";

/// A device and how it is written in answers.
pub(super) struct Named {
    pub(super) device: DeviceId,
    pub(super) identity: Identity,
}

/// Finds the device of a parameter.
pub(super) async fn named(
    state: &Backend,
    parameter: &'static str,
    text: &str,
) -> Result<Named, Problem> {
    let identity: Identity =
        text.parse().map_err(|error| Problem::parameter(parameter, format!("Must be {error}.")))?;
    let Identity::Number(device) = identity else {
        let found = state.history.ask(state.stores.identities.number_of(&identity)).await?;
        let device = found.ok_or_else(|| nobody(&identity))?;
        return Ok(Named { device, identity });
    };
    Ok(Named { device, identity: name_of(state, device).await? })
}

/// How a device is written in answers.
async fn name_of(state: &Backend, device: DeviceId) -> Result<Identity, Problem> {
    let before = device.number().checked_sub(1).map(DeviceId::new);
    if device.number() <= DeviceId::MAX_SFT9001 {
        return Ok(Identity::Number(device));
    }
    let next = state.history.ask(state.stores.identities.named_after(before, 1)).await?;
    let own = next.into_iter().find(|(found, _)| *found == device);
    Ok(own.map_or(Identity::Number(device), |(_, identity)| identity))
}

/// The same answer as for a device that is there and may not be seen.
fn nobody(identity: &Identity) -> Problem {
    Problem::new(Kind::UnknownDevice, format!("Nothing is known of {identity}."))
        .blaming("device_id")
}

/// Refuses a device that may not be seen, in the words for one that is not there.
pub(super) fn must_see(principal: &Principal, named: &Named) -> Result<(), Problem> {
    match principal.must_see(named.device) {
        Err(problem) if problem == unknown_device(named.device) => Err(nobody(&named.identity)),
        other => other,
    }
}
