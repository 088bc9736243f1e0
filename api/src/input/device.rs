//! Device ids as a client writes them: six hex digits, or a kind and a name
//! (docs/protocol.md, "Device ids"). A name in a list is percent-encoded, so that no comma
//! is in it.

use nemeses_protocol::{DeviceId, DeviceNames, Identity, ParseIdentityError};

use crate::access::unknown_name;
use crate::problem::Problem;

/// Devices named in one request.
const MAX_DEVICES: usize = 1000;

/// What a device may be called.
pub(crate) fn identity(parameter: &'static str, text: &str) -> Result<Identity, Problem> {
    text.parse().map_err(|error| wrong(parameter, &error))
}

/// A device; of one whose name is not known the answer is that of any unknown one.
pub(crate) fn device(
    names: &DeviceNames,
    parameter: &'static str,
    text: &str,
) -> Result<DeviceId, Problem> {
    numbered(names, parameter, &identity(parameter, text)?)
}

/// What a device may be called, in a field of a body.
pub(crate) fn identity_in_field(field: &'static str, text: &str) -> Result<Identity, Problem> {
    text.parse().map_err(|error| Problem::field(field, what_is_wrong(&error)))
}

/// A device in a field of a body.
pub(crate) fn device_in_field(
    names: &DeviceNames,
    field: &'static str,
    text: &str,
) -> Result<DeviceId, Problem> {
    numbered(names, field, &identity_in_field(field, text)?)
}

/// Devices with commas between them, each once, in order of number.
pub(super) fn devices(
    names: &DeviceNames,
    parameter: &'static str,
    text: &str,
) -> Result<Vec<DeviceId>, Problem> {
    let one = |segment: &str| {
        let identity = Identity::from_segment(segment.trim());
        numbered(names, parameter, &identity.map_err(|error| wrong(parameter, &error))?)
    };
    let mut devices = text.split(',').map(one).collect::<Result<Vec<_>, _>>()?;
    devices.sort_unstable();
    devices.dedup();
    if devices.len() > MAX_DEVICES {
        let detail = format!("At most {MAX_DEVICES} devices; ask for a group instead.");
        return Err(Problem::parameter(parameter, detail));
    }
    Ok(devices)
}

fn numbered(
    names: &DeviceNames,
    parameter: &'static str,
    identity: &Identity,
) -> Result<DeviceId, Problem> {
    names.number(identity).ok_or_else(|| unknown_name().blaming(parameter))
}

fn wrong(parameter: &'static str, error: &ParseIdentityError) -> Problem {
    Problem::parameter(parameter, what_is_wrong(error))
}

fn what_is_wrong(error: &ParseIdentityError) -> String {
    format!("Not a device id: {error}.")
}
