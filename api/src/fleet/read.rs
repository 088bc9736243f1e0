//! Asks the stores about many devices: who there is, by a few statements or not at all
//! (`roster.rs`), one pipelined read of live entries, and history, by a few statements,
//! only about those that the live store does not answer for.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use nemeses_protocol::DeviceId;
use nemeses_store::live::LiveEntry;

use super::member::{Census, Member, count, join_groups};
use super::past::pasts;
use super::roster::{SMALL, Snapshot};
use super::status::Status;
use super::{FleetState, Place};
use crate::access::{Principal, Sees};
use crate::output::{self, Location, Past};
use crate::problem::Problem;

/// Devices that the caller may see, in order of number.
pub(crate) enum Fleet {
    /// Every known one.
    All(Arc<Snapshot>),
    /// Some, as they are now.
    Some(Vec<Member>),
}

impl Deref for Fleet {
    type Target = [Member];

    fn deref(&self) -> &[Member] {
        match self {
            Self::All(snapshot) => &snapshot.members,
            Self::Some(members) => members,
        }
    }
}

/// The known devices that the caller may see, of some if `only` says which: then what they
/// are costs by how many they are.
pub(crate) async fn fleet(
    state: &FleetState,
    principal: &Principal,
    only: Option<Vec<DeviceId>>,
) -> Result<Fleet, Problem> {
    let sees = principal.sees_which();
    let devices = match (only, sees) {
        (None, Sees::All) => return Ok(Fleet::All(state.roster.all(state).await?)),
        (None, Sees::These(devices)) => devices.clone(),
        (Some(devices), sees) => devices.into_iter().filter(|device| sees.has(*device)).collect(),
    };
    let known = state.history.ask(state.stores.devices.known_among(&devices)).await?;
    let pairs = state.history.ask(state.stores.groups.memberships_of(&devices)).await?;
    let mut members = join_groups(known, pairs);
    if *sees != Sees::All {
        for member in &mut members {
            member.groups.retain(|group| principal.sees_group(*group));
        }
    }
    Ok(Fleet::Some(members))
}

/// How the devices are now; of a large fleet, as the instance's stream knows it.
pub(crate) async fn census(state: &FleetState, fleet: &Fleet) -> Result<Arc<Census>, Problem> {
    if let Fleet::All(snapshot) = fleet
        && fleet.len() > SMALL
        && let Some(census) = snapshot.census(&state.hub, state)
    {
        return Ok(census);
    }
    let devices: Vec<DeviceId> = fleet.iter().map(|member| member.known.device).collect();
    let live = state.live.ask(state.stores.live.get(&devices)).await?;
    let now_ms = state.clock.now_ms();
    let status = |(member, entry): (&Member, &Option<LiveEntry>)| {
        member.status(state, entry.as_ref(), now_ms)
    };
    let statuses: Vec<Status> = fleet.iter().zip(&live).map(status).collect();
    let counts = count(statuses.iter().copied());
    Ok(Arc::new(Census { statuses, counts }))
}

/// A device with what the live store says of it.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    pub(crate) member: Member,
    /// Within its TTL.
    pub(crate) live: Option<LiveEntry>,
    pub(crate) status: Status,
}

/// How some devices are now, each as the census has it where there is one.
pub(crate) async fn presences(
    state: &FleetState,
    members: Vec<Member>,
    statuses: Option<Vec<Status>>,
) -> Result<Vec<Presence>, Problem> {
    let devices: Vec<DeviceId> = members.iter().map(|member| member.known.device).collect();
    let entries = state.live.ask(state.stores.live.get(&devices)).await?;
    let now_ms = state.clock.now_ms();
    let mut statuses = statuses.unwrap_or_default().into_iter();
    let presence = |(member, entry): (Member, Option<LiveEntry>)| {
        let live = entry.filter(|entry| entry.lives_at(now_ms, member.ttl_ms(state)));
        let status = statuses.next().unwrap_or_else(|| member.status(state, live.as_ref(), now_ms));
        Presence { member, live, status }
    };
    Ok(members.into_iter().zip(entries).map(presence).collect())
}

impl Presence {
    pub(crate) fn device(&self) -> DeviceId {
        self.member.known.device
    }

    /// What history says of those for whom the live store does not say all.
    pub(crate) async fn pasts(state: &FleetState, of: &[Self]) -> Result<Vec<Past>, Problem> {
        let ttl_ms = state.live_ttl_ms();
        let asks = |presence: &Self| output::asks_history(presence.live.as_ref(), ttl_ms);
        let asked: Vec<DeviceId> = of
            .iter()
            .filter(|presence| presence.member.known.has_rows && asks(presence))
            .map(Self::device)
            .collect();
        let pasts = pasts(state, &asked).await?;
        let mut pasts: HashMap<DeviceId, Past> = asked.into_iter().zip(pasts).collect();
        let past = |presence: &Self| pasts.remove(&presence.device()).unwrap_or_default();
        Ok(of.iter().map(past).collect())
    }

    /// Where it is, or was; `None` for a device that was never heard.
    pub(crate) fn location(&self, state: &FleetState, past: &Past) -> Option<Location> {
        let (device_id, now_ms) = (state.written(self.device()), state.clock.now_ms());
        output::decide(device_id, self.live.as_ref(), past, now_ms)
    }

    /// The place of [`Presence::location`].
    pub(crate) fn place(&self, past: &Past) -> Option<Place> {
        output::place(self.live.as_ref(), past)
    }
}

/// Where the devices of a fleet are or were, each by its place in it. Of a large one, as the
/// instance's stream knows those that are there, and as history knew the others some seconds
/// ago at most.
pub(crate) async fn places(
    state: &FleetState,
    fleet: &Fleet,
) -> Result<Vec<Option<Place>>, Problem> {
    let devices = || fleet.iter().map(|member| member.known.device);
    if let Fleet::All(snapshot) = fleet
        && fleet.len() > SMALL
        && let Some(live) = state.hub.look_up(devices(), |entry| {
            entry.map(|entry| entry.latest_fix().map(|(fix, _)| Place::of(&fix.position)))
        })
    {
        let silent: Vec<DeviceId> = devices()
            .zip(&live)
            .filter(|(_, place)| place.flatten().is_none())
            .map(|(device, _)| device)
            .collect();
        let asked = snapshot.without_place(&silent);
        let found = pasts(state, &asked).await?;
        let found = found.iter().map(|past| output::place(None, past));
        snapshot.learn_places(asked.into_iter().zip(found));
        let place = |(device, live): (DeviceId, Option<Option<Place>>)| {
            live.flatten().or_else(|| snapshot.place(device))
        };
        return Ok(devices().zip(live).map(place).collect());
    }
    let present = presences(state, fleet.to_vec(), None).await?;
    let pasts = Presence::pasts(state, &present).await?;
    Ok(present.iter().zip(&pasts).map(|(one, past)| one.place(past)).collect())
}
