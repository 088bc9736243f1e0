//! Who may do what: one pure decision for the whole API. The route table says
//! which right each route asks for, the router has it decided before the handler
//! runs, and a handler that learns which device is meant has that decided here too.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use nemeses_protocol::DeviceId;
use nemeses_store::history::{Access, Role, Scope, ScopedToken, Scopes, TokenKind};
use serde::{Deserialize, Serialize};

use crate::problem::{Kind, Problem};

/// What a request's token stands for; each can be revoked by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Credential {
    /// Someone signed in.
    Session(u64),
    /// A scoped token.
    Token(u64),
    /// A share link.
    Share(u64),
}

/// Which devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sees {
    /// Every one.
    All,
    /// These, in order.
    These(Vec<DeviceId>),
}

/// Someone with a good token, and what may be done with it now. It is read again
/// every 2 s ([`crate::ApiState::standing`]); whoever holds one for longer asks again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Who signed in, or who made the scoped token or link.
    pub user_id: u64,
    /// By what.
    pub credential: Credential,
    /// The role of the user.
    pub role: Role,
    /// What the token is for; a session is for everything.
    pub scopes: Scopes,
    /// What may be seen.
    pub sees: Sees,
    /// Groups granted to a viewer who signed in, in order.
    pub groups: Vec<u64>,
}

impl SignedIn {
    /// Someone who signed in.
    pub(crate) fn by_session(user_id: u64, session: u64, access: Access) -> Self {
        let Access { role, devices, groups } = access;
        let sees = seen_by(role, devices);
        let credential = Credential::Session(session);
        Self { user_id, credential, role, scopes: Scopes::ALL, sees, groups }
    }

    /// The holder of a token or link, who never sees more than its maker does now.
    pub(crate) fn by_token(token: ScopedToken, maker: Access) -> Self {
        let ScopedToken { id, user_id, kind, mut devices, scopes, .. } = token;
        let maker_sees = seen_by(maker.role, maker.devices);
        devices.retain(|device| maker_sees.has(*device));
        let (credential, most) = match kind {
            TokenKind::Token => (Credential::Token(id), Scopes::ALL),
            TokenKind::Share => (Credential::Share(id), Scopes::LOOK),
        };
        let scopes = scopes.iter().filter(|scope| most.has(*scope)).collect();
        let (role, sees, groups) = (maker.role, Sees::These(devices), Vec::new());
        Self { user_id, credential, role, scopes, sees, groups }
    }

    /// Whether the device may be seen.
    pub fn may_see(&self, device: DeviceId) -> bool {
        self.sees.has(device)
    }

    /// Whether the group may be seen.
    pub fn may_see_group(&self, group: u64) -> bool {
        self.sees == Sees::All || self.groups.binary_search(&group).is_ok()
    }

    /// The session's number, when this is a person who signed in.
    pub const fn session(&self) -> Option<u64> {
        match self.credential {
            Credential::Session(id) => Some(id),
            Credential::Token(_) | Credential::Share(_) => None,
        }
    }
}

impl Sees {
    /// Whether the device is one of them.
    pub fn has(&self, device: DeviceId) -> bool {
        match self {
            Self::All => true,
            Self::These(devices) => devices.binary_search(&device).is_ok(),
        }
    }
}

fn seen_by(role: Role, devices: Vec<DeviceId>) -> Sees {
    match role {
        Role::Admin | Role::Operator => Sees::All,
        Role::Viewer => Sees::These(devices),
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Someone without a token.
    Anyone,
    /// Someone with a good token.
    User(Arc<SignedIn>),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing of anyone: health, an account, a token.
    Open,
    /// Any good token.
    SignedIn,
    /// Devices, of which the handler names some and has [`Right::See`] decided.
    Devices,
    /// Devices, of which the handler leaves out what may not be seen.
    List,
    /// A group, which the handler has decided by [`Right::SeeGroup`].
    Groups,
    /// This group's devices.
    SeeGroup(u64),
    /// Changing what is said of devices, and groups of them.
    Manage,
    /// Commands to devices, of which the handler names one and has [`Right::Command`]
    /// decided.
    Commands,
    /// Commands to this device.
    Command(DeviceId),
    /// The live stream, of which the handler leaves out what may not be seen.
    Stream,
    /// This device's positions.
    See(DeviceId),
    /// The caller's own sessions, tokens, links and password.
    Own,
    /// The books, dead letters, storage, and what became of any frame.
    Books,
    /// The processes of this system.
    System,
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
    /// The token is for something else.
    Scope,
    /// The device was not granted, which must look as if it did not exist.
    Hidden,
}

/// Decides every access to the API.
pub(crate) fn decide(principal: &Principal, right: Right) -> Decision {
    use Decision::{Allow, Deny};
    let Principal::User(by) = principal else {
        return if right == Right::Open { Allow } else { Deny(Because::NotSignedIn) };
    };
    let person = by.session().is_some();
    let or = |allowed: bool, because| if allowed { Allow } else { Deny(because) };
    match right {
        Right::Open | Right::SignedIn => Allow,
        Right::Devices | Right::List | Right::Groups => {
            or(by.scopes.has(Scope::Read), Because::Scope)
        }
        Right::Stream => or(by.scopes.has(Scope::Stream), Because::Scope),
        Right::See(device) => or(by.may_see(device), Because::Hidden),
        Right::SeeGroup(group) => or(by.may_see_group(group), Because::Hidden),
        // A token never does what its maker may not.
        Right::Commands if by.scopes.has(Scope::Command) => {
            or(by.role != Role::Viewer, Because::Role)
        }
        Right::Commands => Deny(Because::Scope),
        Right::Command(device) => match decide(principal, Right::Commands) {
            Allow => or(by.may_see(device), Because::Hidden),
            denied @ Deny(_) => denied,
        },
        Right::Own => or(person, Because::Scope),
        Right::Manage | Right::Books | Right::System | Right::People if !person => {
            Deny(Because::Scope)
        }
        Right::Manage => or(by.role != Role::Viewer, Because::Role),
        Right::Books | Right::System | Right::People => or(by.role == Role::Admin, Because::Role),
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

    /// Who signed in, for routes that are not open.
    pub(crate) fn signed_in(&self) -> Result<&Arc<SignedIn>, Problem> {
        match self {
            Self::User(by) => Ok(by),
            Self::Anyone => Err(denied(Because::NotSignedIn, Right::SignedIn)),
        }
    }

    /// The user and session of someone who signed in, for routes of [`Right::Own`].
    pub(crate) fn person(&self) -> Result<(u64, u64), Problem> {
        let by = self.signed_in()?;
        let session = by.session().ok_or_else(|| denied(Because::Scope, Right::Own))?;
        Ok((by.user_id, session))
    }
}

fn denied(because: Because, right: Right) -> Problem {
    match (because, right) {
        (Because::Hidden, Right::See(device) | Right::Command(device)) => unknown_device(device),
        (Because::Hidden, Right::SeeGroup(group)) => unknown_group(group, "group_id"),
        (Because::NotSignedIn, _) => Problem::new(
            Kind::Unauthorized,
            "Send the token of POST /login in the header Authorization: Bearer TOKEN.",
        ),
        (Because::Scope, _) => Problem::new(
            Kind::Forbidden,
            "This token is not for that. Sign in, or use another token.",
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
    use super::Because::{Hidden, NotSignedIn, Role as ByRole, Scope as ByScope};
    use super::Decision::{Allow, Deny};
    use super::*;

    const GRANTED: DeviceId = DeviceId::new(0x0A_3F73);
    const OTHER: DeviceId = DeviceId::new(0x0A_3F74);

    fn access(role: Role, devices: &[DeviceId]) -> Access {
        Access { role, devices: devices.to_vec(), groups: vec![] }
    }

    fn user(role: Role, devices: &[DeviceId]) -> Principal {
        Principal::User(Arc::new(SignedIn::by_session(7, 1, access(role, devices))))
    }

    fn token(kind: TokenKind, scopes: &[Scope], maker: Access) -> Principal {
        let token = ScopedToken {
            id: 3,
            user_id: 7,
            kind,
            name: "n".into(),
            devices: vec![GRANTED],
            scopes: scopes.iter().copied().collect(),
            created_at_ms: 0,
            expires_at_ms: 1,
        };
        Principal::User(Arc::new(SignedIn::by_token(token, maker)))
    }

    fn in_group(principal: Principal) -> Principal {
        let Principal::User(access) = principal else { panic!("nobody") };
        Principal::User(Arc::new(SignedIn { groups: vec![5, 7], ..(*access).clone() }))
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
        let role = Deny(ByRole);
        let table = [
            (Right::Open, [Allow, Allow, Allow, Allow, Allow]),
            (Right::SignedIn, [anyone, Allow, Allow, Allow, Allow]),
            (Right::Devices, [anyone, Allow, Allow, Allow, Allow]),
            (Right::List, [anyone, Allow, Allow, Allow, Allow]),
            (Right::Groups, [anyone, Allow, Allow, Allow, Allow]),
            (Right::Stream, [anyone, Allow, Allow, Allow, Allow]),
            (Right::See(GRANTED), [anyone, Deny(Hidden), Allow, Allow, Allow]),
            (Right::See(OTHER), [anyone, Deny(Hidden), Deny(Hidden), Allow, Allow]),
            (Right::SeeGroup(7), [anyone, Deny(Hidden), Allow, Allow, Allow]),
            (Right::SeeGroup(8), [anyone, Deny(Hidden), Deny(Hidden), Allow, Allow]),
            (Right::Manage, [anyone, role, role, Allow, Allow]),
            (Right::Commands, [anyone, role, role, Allow, Allow]),
            // Viewers never learn whether there is a device.
            (Right::Command(GRANTED), [anyone, role, role, Allow, Allow]),
            (Right::Command(OTHER), [anyone, role, role, Allow, Allow]),
            (Right::Books, [anyone, role, role, role, Allow]),
            (Right::System, [anyone, role, role, role, Allow]),
            (Right::People, [anyone, role, role, role, Allow]),
            (Right::Stream, [anyone, Allow, Allow, Allow, Allow]),
            (Right::Own, [anyone, Allow, Allow, Allow, Allow]),
        ];
        for (right, decisions) in table {
            for (principal, expected) in principals.iter().zip(decisions) {
                assert_eq!(decide(principal, right), expected, "{principal:?} {right:?}");
            }
        }
    }

    #[test]
    fn the_whole_table_of_tokens_and_links() {
        let all = [Scope::Read, Scope::Stream, Scope::Command];
        let admin = access(Role::Admin, &[]);
        let principals = [
            token(TokenKind::Token, &all, admin.clone()),
            token(TokenKind::Token, &[Scope::Read], admin.clone()),
            token(TokenKind::Token, &[Scope::Stream], access(Role::Viewer, &[GRANTED, OTHER])),
            token(TokenKind::Token, &[], access(Role::Viewer, &[OTHER])),
            token(TokenKind::Share, &all, admin.clone()),
            token(TokenKind::Token, &[Scope::Command], access(Role::Operator, &[])),
            token(TokenKind::Token, &all, access(Role::Viewer, &[GRANTED])),
        ];
        let role = Deny(ByRole);
        let scope = Deny(ByScope);
        let table = [
            (Right::Open, [Allow; 7]),
            (Right::SignedIn, [Allow; 7]),
            (Right::Devices, [Allow, Allow, scope, scope, Allow, scope, Allow]),
            (Right::List, [Allow, Allow, scope, scope, Allow, scope, Allow]),
            (Right::Groups, [Allow, Allow, scope, scope, Allow, scope, Allow]),
            (Right::Stream, [Allow, scope, Allow, scope, Allow, scope, Allow]),
            (Right::See(GRANTED), [Allow, Allow, Allow, Deny(Hidden), Allow, Allow, Allow]),
            // Neither what the maker sees nor what the token names alone is enough.
            (Right::See(OTHER), [Deny(Hidden); 7]),
            (Right::SeeGroup(7), [Deny(Hidden); 7]),
            (Right::Own, [scope; 7]),
            (Right::Manage, [scope; 7]),
            // Nor is the scope alone, where the maker is a viewer.
            (Right::Commands, [Allow, scope, scope, scope, scope, Allow, role]),
            (Right::Command(GRANTED), [Allow, scope, scope, scope, scope, Allow, role]),
            (Right::Command(OTHER), [Deny(Hidden), scope, scope, scope, scope, Deny(Hidden), role]),
            (Right::Books, [scope; 7]),
            (Right::System, [scope; 7]),
            (Right::People, [scope; 7]),
        ];
        for (right, decisions) in table {
            for (principal, expected) in principals.iter().zip(decisions) {
                assert_eq!(decide(principal, right), expected, "{principal:?} {right:?}");
            }
        }
    }

    #[test]
    fn a_link_never_commands() {
        let Principal::User(by) =
            token(TokenKind::Share, &[Scope::Command, Scope::Read], access(Role::Admin, &[]))
        else {
            panic!("nobody");
        };
        assert_eq!(by.scopes.names(), ["read"]);
        assert_eq!((by.credential, by.session()), (Credential::Share(3), None));
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
