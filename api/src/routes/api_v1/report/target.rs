//! Whose report: one device, several, or the devices of a group. Who may not see
//! one of several learns as little as of one.

use nemeses_protocol::{DeviceId, DeviceNames};
use nemeses_store::history::Profile;
use serde_json::json;

use crate::access::{Principal, unknown_device};
use crate::fleet::{FleetState, fleet};
use crate::input::Params;
use crate::openapi::Param;
use crate::problem::Problem;
use crate::routes::api_v1::devices::must_see_group;

/// Who is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    One(DeviceId),
    /// In order, each once.
    Many(Vec<DeviceId>),
    Group(u64),
}

impl Target {
    /// Exactly one of the three parameters.
    pub(super) fn take(params: &mut Params) -> Result<Self, Problem> {
        let (many, group) = (params.devices("device_ids")?, params.number("group")?);
        let one = match (&many, group) {
            (None, None) => Some(params.device("device_id")?),
            _ => params.take("device_id")?.map(|_| Err(twice("device_id"))).transpose()?,
        };
        match (one, many, group) {
            (Some(device), _, _) => Ok(Self::One(device)),
            (None, Some(devices), None) => Ok(Self::Many(devices)),
            (None, None, Some(group)) => Ok(Self::Group(group)),
            (None, Some(_), Some(_)) | (None, None, None) => Err(twice("group")),
        }
    }

    /// The device, if it is one.
    pub(super) const fn one(&self) -> Option<DeviceId> {
        match self {
            Self::One(device) => Some(*device),
            Self::Many(_) | Self::Group(_) => None,
        }
    }

    /// The devices in order with what their profiles say; each may be seen and,
    /// where several were asked for, is known.
    pub(super) async fn devices(
        &self,
        state: &FleetState,
        principal: &Principal,
    ) -> Result<Vec<(DeviceId, Option<Profile>)>, Problem> {
        match self {
            Self::One(device) => {
                principal.must_see(*device)?;
                let profile = state.history.ask(state.stores.devices.find(*device)).await?;
                return Ok(vec![(*device, profile)]);
            }
            Self::Many(devices) => {
                for device in devices {
                    principal.must_see(*device).map_err(|problem| problem.blaming("device_ids"))?;
                }
            }
            Self::Group(group) => must_see_group(state, principal, *group).await?,
        }
        let meant = match self {
            Self::One(device) => vec![*device],
            Self::Many(devices) => devices.clone(),
            Self::Group(group) => state.history.ask(state.stores.groups.devices(*group)).await?,
        };
        let fleet = fleet(state, principal, Some(meant)).await?;
        let meant: Vec<_> = fleet
            .iter()
            .map(|member| (member.known.device, member.known.profile.clone()))
            .collect();
        if let Self::Many(devices) = self
            && let Some(unknown) = devices
                .iter()
                .find(|one| meant.binary_search_by_key(*one, |(device, _)| *device).is_err())
        {
            return Err(unknown_device(*unknown).blaming("device_ids"));
        }
        Ok(meant)
    }

    /// The name of a file with a report of this kind, without its suffix.
    pub(super) fn file(&self, what: &str, names: &DeviceNames) -> String {
        match self {
            Self::One(device) => format!("{what}-{}", file_of(*device, names)),
            Self::Many(devices) => format!("{what}-{}-devices", devices.len()),
            Self::Group(group) => format!("{what}-group-{group}"),
        }
    }

    /// Its parameters, for the API's own description.
    pub(super) fn described() -> [Param; 3] {
        let group = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
        [
            Param::device("device_id", "Whose report; this, `device_ids` or `group`.").optional(),
            Param::devices("device_ids", "Whose reports, at most 1000; one after the other.")
                .no_example(),
            Param::query("group", group, "Reports of the devices of this group."),
        ]
    }
}

/// A device in the name of a file, where colons are not possible everywhere.
pub(in crate::routes::api_v1) fn file_of(device: DeviceId, names: &DeviceNames) -> String {
    names.identity(device).segment().replace(':', "-")
}

fn twice(name: &'static str) -> Problem {
    Problem::parameter(name, "Give one of device_id, device_ids and group.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(query: &str) -> Result<Target, Option<String>> {
        let mut params = Params::of(&format!("/?{query}").parse().unwrap()).unwrap();
        Target::take(&mut params).map_err(|problem| problem.at_fault().map(str::to_owned))
    }

    #[test]
    fn one_of_three() {
        let (one, two) = (DeviceId::new(1), DeviceId::new(2));
        assert_eq!(take("device_id=000001"), Ok(Target::One(one)));
        assert_eq!(take("device_ids=000002,000001,000002"), Ok(Target::Many(vec![one, two])));
        assert_eq!(take("group=7"), Ok(Target::Group(7)));
        for (query, name) in [
            ("", "device_id"),
            ("device_id=1", "device_id"),
            ("device_id=000001&group=1", "device_id"),
            ("device_id=000001&device_ids=000001", "device_id"),
            ("device_ids=000001&group=1", "group"),
            ("group=x", "group"),
        ] {
            assert_eq!(take(query), Err(Some(name.to_owned())), "{query}");
        }
        let boiler = DeviceId::new(1 << 24);
        let names = DeviceNames::of_these(&[(boiler, "id:a/b".parse().unwrap())]);
        assert_eq!(Target::One(boiler).file("trips", &names), "trips-id-a%2Fb");
        assert_eq!(Target::Many(vec![one, two]).file("trips", &names), "trips-2-devices");
        assert_eq!(Target::One(one).file("stops", &names), "stops-000001");
    }
}
