//! Who may do what: one pure decision for the whole API. The route table says
//! which right each route asks for, the router has it decided before the handler
//! runs, and a handler that learns which device is meant has that decided here too.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use nemeses_protocol::DeviceId;
use nemeses_store::history::{Access, NO_HISTORY, Role, Scope, ScopedToken, Scopes, TokenKind};
use serde::{Deserialize, Serialize};

use crate::output::time_s;
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
/// every 2 s (`AuthState::standing`); whoever holds one for longer asks again.
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
    /// How far back.
    pub reach: Reach,
}

/// How far back may be looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At all that is stored.
    All,
    /// From this recorded second on.
    From(u32),
    /// At nothing that was recorded: where devices are, from this moment on (Unix
    /// milliseconds), when the link was made.
    Now {
        /// When the link was made.
        since_ms: u64,
    },
}

impl Reach {
    const fn of(token: &ScopedToken) -> Self {
        match token.history_from {
            0 => Self::All,
            NO_HISTORY => Self::Now { since_ms: token.created_at_ms },
            from => Self::From(from),
        }
    }

    /// From which moment on (Unix milliseconds) what happened may be told.
    pub(crate) fn since_ms(self) -> Option<u64> {
        match self {
            Self::All => None,
            Self::From(from) => Some(u64::from(from) * 1000),
            Self::Now { since_ms } => Some(since_ms),
        }
    }
}

impl SignedIn {
    /// Someone who signed in.
    pub(crate) fn by_session(user_id: u64, session: u64, access: Access) -> Self {
        let Access { role, devices, groups } = access;
        let sees = seen_by(role, devices);
        let credential = Credential::Session(session);
        let (scopes, reach) = (Scopes::ALL, Reach::All);
        Self { user_id, credential, role, scopes, sees, groups, reach }
    }

    /// The holder of a token or link, who never sees more than its maker does now.
    pub(crate) fn by_token(token: ScopedToken, maker: Access) -> Self {
        let reach = Reach::of(&token);
        let ScopedToken { id, user_id, kind, mut devices, scopes, .. } = token;
        let maker_sees = seen_by(maker.role, maker.devices);
        devices.retain(|device| maker_sees.has(*device));
        let (credential, most) = match kind {
            TokenKind::Token => (Credential::Token(id), Scopes::ALL),
            TokenKind::Share => (Credential::Share(id), Scopes::LOOK),
        };
        let scopes = scopes.iter().filter(|scope| most.has(*scope)).collect();
        let (role, sees, groups) = (maker.role, Sees::These(devices), Vec::new());
        Self { user_id, credential, role, scopes, sees, groups, reach }
    }

    /// Whether the device may be seen.
    pub fn may_see(&self, device: DeviceId) -> bool {
        self.sees.has(device)
    }

    /// Whether the group may be seen.
    pub fn may_see_group(&self, group: u64) -> bool {
        self.sees == Sees::All || self.groups.binary_search(&group).is_ok()
    }

    /// Whose rules may be seen beside everybody's; `None` if all may.
    pub(crate) fn rules_of(&self) -> Option<u64> {
        (self.role != Role::Admin).then_some(self.user_id)
    }

    /// Whether a rule of this owner may be seen.
    fn may_see_rule(&self, owner: Option<u64>) -> bool {
        owner.is_none_or(|owner| self.rules_of().is_none_or(|user| user == owner))
    }

    /// Whether what a rule of this owner is or raised may be changed, if it may be seen.
    fn may_change(&self, owner: Option<u64>) -> bool {
        self.role != Role::Viewer || owner == Some(self.user_id)
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
    /// What was recorded, of devices as in [`Right::Devices`]; the handler leaves out what
    /// lies before [`Reach`].
    History,
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
    /// Alarms, of which the handler leaves out those that may not be seen
    /// ([`Right::SeeAlarm`]). They name people and rules, which a link is not for.
    Alarms,
    /// Changes of alarms, of which the handler names one and has [`Right::ChangeAlarm`] decided.
    AlarmChanges,
    /// The alarm of this device by a rule of this owner, `None` if it is everybody's.
    SeeAlarm(DeviceId, Option<u64>),
    /// Acknowledging and silencing such an alarm.
    ChangeAlarm(DeviceId, Option<u64>),
    /// Rules and geofences, of which the handler leaves out those that may not be seen
    /// ([`Right::SeeRule`]), as for alarms.
    Rules,
    /// Changes of rules and geofences, which the handler has decided by [`Right::ChangeRule`].
    RuleChanges,
    /// The rule or geofence of this owner, `None` if it is everybody's.
    SeeRule(Option<u64>),
    /// Making and changing such a one.
    ChangeRule(Option<u64>),
    /// Values of devices, of which the handler refuses those that may not be seen.
    Send,
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
    /// The link shows nothing that was recorded.
    NoHistory,
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
        Right::History => match decide(principal, Right::Devices) {
            Allow => or(!matches!(by.reach, Reach::Now { .. }), Because::NoHistory),
            denied @ Deny(_) => denied,
        },
        Right::Stream => or(by.scopes.has(Scope::Stream), Because::Scope),
        Right::See(device) => or(by.may_see(device), Because::Hidden),
        Right::SeeGroup(group) => or(by.may_see_group(group), Because::Hidden),
        // A token never does what its maker may not.
        Right::Commands if by.scopes.has(Scope::Command) => {
            or(by.role != Role::Viewer, Because::Role)
        }
        Right::Send if by.scopes.has(Scope::Write) => or(by.role != Role::Viewer, Because::Role),
        Right::Commands | Right::Send => Deny(Because::Scope),
        Right::Command(device) => match decide(principal, Right::Commands) {
            Allow => or(by.may_see(device), Because::Hidden),
            denied @ Deny(_) => denied,
        },
        Right::Alarms | Right::Rules if matches!(by.credential, Credential::Share(_)) => {
            Deny(Because::Scope)
        }
        Right::Alarms | Right::Rules => decide(principal, Right::List),
        Right::SeeRule(owner) => or(by.may_see_rule(owner), Because::Hidden),
        Right::ChangeRule(owner) => match decide(principal, Right::SeeRule(owner)) {
            Allow => or(by.may_change(owner), Because::Role),
            denied @ Deny(_) => denied,
        },
        Right::SeeAlarm(device, owner) => {
            let is_link = matches!(by.credential, Credential::Share(_));
            or(!is_link && by.may_see(device) && by.may_see_rule(owner), Because::Hidden)
        }
        Right::ChangeAlarm(device, owner) => {
            match decide(principal, Right::SeeAlarm(device, owner)) {
                Allow => or(by.may_change(owner), Because::Role),
                denied @ Deny(_) => denied,
            }
        }
        Right::Own | Right::AlarmChanges | Right::RuleChanges => or(person, Because::Scope),
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

    /// The devices of which alarms may be seen, and whose rules' beside everybody's; `None` for
    /// all, for lists.
    pub(crate) fn sees_alarms_of(&self) -> Result<(Option<Vec<DeviceId>>, Option<u64>), Problem> {
        let by = self.signed_in()?;
        let devices = match &by.sees {
            Sees::All => None,
            Sees::These(devices) => Some(devices.clone()),
        };
        Ok((devices, by.rules_of()))
    }

    /// Which devices may be seen, for lists.
    pub(crate) fn sees_which(&self) -> &Sees {
        const NONE: &Sees = &Sees::These(Vec::new());
        match self {
            Self::User(by) => &by.sees,
            Self::Anyone => NONE,
        }
    }

    /// Whether the group may be seen, for lists.
    pub(crate) fn sees_group(&self, group: u64) -> bool {
        decide(self, Right::SeeGroup(group)) == Decision::Allow
    }

    /// Whether an alarm of this device and of a rule of this owner may be seen, for streams.
    pub(crate) fn sees_alarm(&self, device: DeviceId, owner: Option<u64>) -> bool {
        decide(self, Right::SeeAlarm(device, owner)) == Decision::Allow
    }

    /// Whether a rule or geofence of this owner may be seen, for lists.
    pub(crate) fn sees_rule(&self, owner: Option<u64>) -> bool {
        decide(self, Right::SeeRule(owner)) == Decision::Allow
    }

    /// Whether a rule or geofence of this owner may be changed, for answers.
    pub(crate) fn changes_rule(&self, owner: Option<u64>) -> bool {
        [Right::RuleChanges, Right::ChangeRule(owner)]
            .into_iter()
            .all(|right| decide(self, right) == Decision::Allow)
    }

    /// Whose rule or geofence a new one is, if it is to be `shared` with everybody, or nothing is
    /// said: `None` for everybody's.
    pub(crate) fn owner_of_new(&self, shared: Option<bool>) -> Result<Option<u64>, Problem> {
        let by = self.signed_in()?;
        let owner = (!shared.unwrap_or(by.role != Role::Viewer)).then_some(by.user_id);
        self.must(Right::ChangeRule(owner))?;
        Ok(owner)
    }

    /// How far back the caller may look.
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::User(by) => by.reach,
            Self::Anyone => Reach::All,
        }
    }

    /// The first recorded second of a range that the caller may look at.
    pub(crate) fn history_from(&self, from: u32, to: u32) -> Result<u32, Problem> {
        match self.reach() {
            Reach::All => Ok(from),
            Reach::From(first) if first <= to => Ok(from.max(first)),
            Reach::From(first) => {
                let detail =
                    format!("This link shows what was recorded from {} on.", time_s(first));
                Err(Problem::parameter("to", detail))
            }
            Reach::Now { .. } => Err(denied(Because::NoHistory, Right::History)),
        }
    }

    /// Who signed in, for routes that are not open.
    pub(crate) fn signed_in(&self) -> Result<&Arc<SignedIn>, Problem> {
        match self {
            Self::User(by) => Ok(by),
            Self::Anyone => Err(denied(Because::NotSignedIn, Right::SignedIn)),
        }
    }

    /// What the request's token stands for.
    pub(crate) fn credential(&self) -> Option<Credential> {
        match self {
            Self::User(by) => Some(by.credential),
            Self::Anyone => None,
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
        (Because::Hidden, Right::SeeAlarm(..) | Right::ChangeAlarm(..)) => unknown_alarm(),
        (Because::NotSignedIn, _) => Problem::new(
            Kind::Unauthorized,
            "Send the token of POST /login in the header Authorization: Bearer TOKEN.",
        ),
        (Because::Scope, _) => Problem::new(
            Kind::Forbidden,
            "This token is not for that. Sign in, or use another token.",
        ),
        (Because::NoHistory, _) => Problem::new(
            Kind::Forbidden,
            "This link shows where devices are now, and nothing that was recorded.",
        ),
        (Because::Role | Because::Hidden, _) => Problem::new(
            Kind::Forbidden,
            "Your account may not do this. Ask an administrator of this server.",
        ),
    }
}

/// The answer for a device that nobody has heard of, and for one that the caller
/// may not know of. It tells no name by a number, and no number by a name.
pub(crate) fn unknown_device(device: DeviceId) -> Problem {
    if device.number() > DeviceId::MAX_SFT9001 {
        return unknown_name();
    }
    Problem::new(Kind::UnknownDevice, format!("Nothing is known of {device}.")).blaming("device_id")
}

/// The same for a name without a number.
pub(crate) fn unknown_name() -> Problem {
    let detail = "Nothing is known of a device that is named here.";
    Problem::new(Kind::UnknownDevice, detail).blaming("device_id")
}

/// The answer for a group that is not there, and for one that the caller may not
/// know of.
pub(crate) fn unknown_group(group: u64, parameter: &'static str) -> Problem {
    Problem::new(Kind::UnknownGroup, format!("There is no group {group}.")).blaming(parameter)
}

/// The answer for an alarm that is not there, and for one that the caller may not know of.
pub(crate) fn unknown_alarm() -> Problem {
    Problem::new(Kind::UnknownId, "There is no alarm of this number.").blaming("alarm_id")
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
mod tests;
