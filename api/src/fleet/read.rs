//! Asks the stores about many devices: one statement for all that are known, one
//! pipelined read of their live entries, and history only about those that the
//! live store does not answer for.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nemeses_protocol::DeviceId;
use nemeses_store::history::KnownDevice;
use nemeses_store::live::LiveEntry;

use super::Place;
use super::status::{Status, status, ttl_ms};
use crate::access::Principal;
use crate::output::{self, Location, Need, Past};
use crate::problem::Problem;
use crate::routes::api_v1::ask_history;
use crate::state::ApiState;

/// Devices whose rows are looked for at the same time, where what was noted of
/// them is out of date.
const AT_ONCE: usize = 8;

/// A device that the caller may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) known: KnownDevice,
    /// Its groups, in order, as far as the caller may see them.
    pub(crate) groups: Vec<u64>,
}

/// Every known device that the caller may see, in order of number.
pub(crate) async fn members(
    state: &ApiState,
    principal: &Principal,
) -> Result<Vec<Member>, Problem> {
    let known = state.history.ask(state.stores.devices.known()).await?;
    let pairs = state.history.ask(state.stores.groups.memberships()).await?;
    let mut groups: HashMap<DeviceId, Vec<u64>> = HashMap::new();
    for (device, group) in pairs {
        if principal.sees_group(group) {
            groups.entry(device).or_default().push(group);
        }
    }
    let seen = known.into_iter().filter(|known| principal.sees(known.device));
    let member = |known: KnownDevice| {
        let groups = groups.remove(&known.device).unwrap_or_default();
        Member { known, groups }
    };
    Ok(seen.map(member).collect())
}

/// A device with what the live store says of it.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    pub(crate) member: Member,
    /// Within its TTL.
    pub(crate) live: Option<LiveEntry>,
    pub(crate) status: Status,
}

/// How the devices are now.
pub(crate) async fn presences(
    state: &ApiState,
    members: Vec<Member>,
) -> Result<Vec<Presence>, Problem> {
    let devices: Vec<DeviceId> = members.iter().map(|member| member.known.device).collect();
    let entries = state.live.ask(state.stores.live.get(&devices)).await?;
    let now_ms = state.clock.now_ms();
    let store_ttl_ms = state.live_ttl_ms();
    let presence = |(member, entry): (Member, Option<LiveEntry>)| {
        let known = &member.known;
        let override_s = known.profile.as_ref().and_then(|profile| profile.live_ttl_s);
        let ttl_ms = ttl_ms(store_ttl_ms, override_s);
        // The store's own TTL has been looked at; only a shorter one is ours to keep.
        let live = entry.filter(|entry| override_s.is_none() || entry.lives_at(now_ms, ttl_ms));
        let status = status(live.as_ref(), known.has_rows, known.rhythm, ttl_ms, now_ms);
        Presence { member, live, status }
    };
    Ok(members.into_iter().zip(entries).map(presence).collect())
}

impl Presence {
    pub(crate) fn device(&self) -> DeviceId {
        self.member.known.device
    }

    /// What history says of those for whom the live store does not say all.
    pub(crate) async fn pasts(state: &ApiState, of: &[&Self]) -> Result<Vec<Past>, Problem> {
        let ttl_ms = state.live_ttl_ms();
        let needs = |presence: &Self| output::needs(presence.live.as_ref(), ttl_ms);
        let asked: Vec<DeviceId> = of
            .iter()
            .filter(|presence| presence.member.known.has_rows && needs(presence) != Need::Nothing)
            .map(|presence| presence.device())
            .collect();
        let last = state.history.ask(state.stores.devices.last_known(&asked)).await?;
        let pasts = stream::iter(asked.into_iter().zip(last))
            .map(|(device, last)| async move {
                if last.stale || last.newest.is_none() {
                    return Ok((device, ask_history(state, device, Need::Everything).await?));
                }
                let past = Past { newest: last.newest, fix: last.fix, known: true };
                Ok::<_, Problem>((device, past))
            })
            .buffer_unordered(AT_ONCE);
        let mut pasts: HashMap<DeviceId, Past> = pasts.try_collect().await?;
        let past = |presence: &&Self| pasts.remove(&presence.device()).unwrap_or_default();
        Ok(of.iter().map(past).collect())
    }

    /// Where it is, or was; `None` for a device that was never heard.
    pub(crate) fn location(&self, past: &Past, now_ms: u64) -> Option<Location> {
        output::decide(self.device(), self.live.as_ref(), past, now_ms)
    }

    /// The place of [`Presence::location`].
    pub(crate) fn place(&self, past: &Past) -> Option<Place> {
        output::place(self.live.as_ref(), past)
    }
}
