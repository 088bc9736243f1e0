//! Who may do what: one pure decision for the whole API. The route table says
//! which right each route asks for, the router has it decided before the handler
//! runs, and a handler that learns which device is meant has that decided here too.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use nemeses_protocol::DeviceId;
use nemeses_store::history::{Access, Role};

use crate::problem::{Kind, Problem};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Someone without a token.
    Anyone,
    /// Someone who signed in.
    User(Arc<Access>),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing of anyone: health, an account, a token.
    Open,
    /// Devices, of which the handler names one and has [`Right::See`] decided.
    Devices,
    /// Devices, of which the handler leaves out what may not be seen.
    List,
    /// A group, which the handler has decided by [`Right::SeeGroup`].
    Groups,
    /// The live stream, from which is left out what may not be seen.
    Stream,
    /// This device's positions.
    See(DeviceId),
    /// This group's devices.
    SeeGroup(u64),
    /// Changing what is said of devices, and groups of them.
    Manage,
    /// The books, and what became of any frame.
    Books,
    /// Other people's accounts.
    People,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    Deny(Because),
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Because {
    /// Nobody is signed in.
    NotSignedIn,
    /// The role does not reach so far.
    Role,
    /// The device was not granted, which must look as if it did not exist.
    Hidden,
}

/// Decides every access to the API.
pub(crate) fn decide(principal: &Principal, right: Right) -> Decision {
    use Decision::{Allow, Deny};
    let Principal::User(access) = principal else {
        return if right == Right::Open { Allow } else { Deny(Because::NotSignedIn) };
    };
    match (right, access.role) {
        (Right::Open | Right::Devices | Right::List | Right::Groups | Right::Stream, _)
        | (Right::See(_) | Right::SeeGroup(_) | Right::Manage, Role::Admin | Role::Operator)
        | (Right::Books | Right::People, Role::Admin) => Allow,
        (Right::See(device), Role::Viewer) if access.devices.binary_search(&device).is_ok() => {
            Allow
        }
        (Right::SeeGroup(group), Role::Viewer) if access.groups.binary_search(&group).is_ok() => {
            Allow
        }
        (Right::See(_) | Right::SeeGroup(_), Role::Viewer) => Deny(Because::Hidden),
        (Right::Manage, Role::Viewer)
        | (Right::Books | Right::People, Role::Operator | Role::Viewer) => Deny(Because::Role),
    }
}

impl Principal {
    /// Nothing if this is allowed, else what to answer.
    pub(crate) fn must(&self, right: Right) -> Result<(), Problem> {
        match decide(self, right) {
            Decision::Allow => Ok(()),
            Decision::Deny(because) => Err(denied(because, right)),
        }
    }

    /// Nothing if the device may be seen; else the answer of an unknown one.
    pub(crate) fn must_see(&self, device: DeviceId) -> Result<(), Problem> {
        self.must(Right::See(device))
    }

    /// Whether the device may be seen, for lists.
    pub(crate) fn sees(&self, device: DeviceId) -> bool {
        decide(self, Right::See(device)) == Decision::Allow
    }

    /// Whether the group may be seen, for lists.
    pub(crate) fn sees_group(&self, group: u64) -> bool {
        decide(self, Right::SeeGroup(group)) == Decision::Allow
    }
}

fn denied(because: Because, right: Right) -> Problem {
    match (because, right) {
        (Because::Hidden, Right::See(device)) => unknown_device(device),
        (Because::Hidden, Right::SeeGroup(group)) => unknown_group(group, "group_id"),
        (Because::NotSignedIn, _) => Problem::new(
            Kind::Unauthorized,
            "Send the token of POST /login in the header Authorization: Bearer TOKEN.",
        ),
        (Because::Role | Because::Hidden, _) => Problem::new(
            Kind::Forbidden,
            "Your account may not do this. Ask an administrator of this server.",
        ),
    }
}

/// The answer for a device that nobody has heard of, and for one that the caller
/// may not know of.
pub(crate) fn unknown_device(device: DeviceId) -> Problem {
    Problem::new(Kind::UnknownDevice, format!("Nothing is known of {device}.")).blaming("device_id")
}

/// The answer for a group that is not there, and for one that the caller may not
/// know of.
pub(crate) fn unknown_group(group: u64, parameter: &'static str) -> Problem {
    Problem::new(Kind::UnknownGroup, format!("There is no group {group}.")).blaming(parameter)
}

/// The router has put it there before the handler runs; without it nothing is served.
impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!(path = parts.uri.path(), "a route runs without a decision on access");
            Problem::new(Kind::Internal, "The server could not do this; its log says why.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Because::{Hidden, NotSignedIn, Role as ByRole};
    use super::Decision::{Allow, Deny};
    use super::*;

    const GRANTED: DeviceId = DeviceId::new(0x0A_3F73);
    const OTHER: DeviceId = DeviceId::new(0x0A_3F74);

    fn user(role: Role, devices: &[DeviceId]) -> Principal {
        Principal::User(Arc::new(Access { role, devices: devices.to_vec(), groups: vec![] }))
    }

    fn in_group(principal: Principal) -> Principal {
        let Principal::User(access) = principal else { panic!("nobody") };
        Principal::User(Arc::new(Access { groups: vec![5, 7], ..(*access).clone() }))
    }

    #[test]
    fn the_whole_table() {
        let principals = [
            Principal::Anyone,
            user(Role::Viewer, &[]),
            in_group(user(Role::Viewer, &[DeviceId::new(1), GRANTED, DeviceId::new(0xFF_FFFF)])),
            user(Role::Operator, &[]),
            user(Role::Admin, &[]),
        ];
        let anyone = Deny(NotSignedIn);
        let table = [
            (Right::Open, [Allow, Allow, Allow, Allow, Allow]),
            (Right::Devices, [anyone, Allow, Allow, Allow, Allow]),
            (Right::List, [anyone, Allow, Allow, Allow, Allow]),
            (Right::Groups, [anyone, Allow, Allow, Allow, Allow]),
            (Right::Stream, [anyone, Allow, Allow, Allow, Allow]),
            (Right::See(GRANTED), [anyone, Deny(Hidden), Allow, Allow, Allow]),
            (Right::See(OTHER), [anyone, Deny(Hidden), Deny(Hidden), Allow, Allow]),
            (Right::SeeGroup(7), [anyone, Deny(Hidden), Allow, Allow, Allow]),
            (Right::SeeGroup(8), [anyone, Deny(Hidden), Deny(Hidden), Allow, Allow]),
            (Right::Manage, [anyone, Deny(ByRole), Deny(ByRole), Allow, Allow]),
            (Right::Books, [anyone, Deny(ByRole), Deny(ByRole), Deny(ByRole), Allow]),
            (Right::People, [anyone, Deny(ByRole), Deny(ByRole), Deny(ByRole), Allow]),
        ];
        for (right, decisions) in table {
            for (principal, expected) in principals.iter().zip(decisions) {
                assert_eq!(decide(principal, right), expected, "{principal:?} {right:?}");
            }
        }
    }

    #[test]
    fn a_hidden_device_is_answered_like_an_unknown_one() {
        let hidden = user(Role::Viewer, &[GRANTED]).must_see(OTHER).unwrap_err();
        assert_eq!(hidden, unknown_device(OTHER));
        assert_eq!(Principal::Anyone.must_see(OTHER).unwrap_err().kind(), Kind::Unauthorized);
        let role = user(Role::Operator, &[]).must(Right::Books).unwrap_err();
        assert_eq!(role.kind(), Kind::Forbidden);
    }
}
