//! One device of the fleet, and how many are how.

use std::collections::HashMap;

use nemeses_protocol::DeviceId;
use nemeses_store::history::KnownDevice;
use nemeses_store::live::LiveEntry;
use schemars::JsonSchema;
use serde::Serialize;

use super::status::{Status, status, ttl_ms};
use crate::backend::Backend;

/// A known device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) known: KnownDevice,
    /// Its groups, in order.
    pub(crate) groups: Vec<u64>,
}

impl Member {
    /// How it is, given what the live store holds of it within the store's own TTL.
    pub(crate) fn status(
        &self,
        backend: &Backend,
        live: Option<&LiveEntry>,
        now_ms: u64,
    ) -> Status {
        let ttl_ms = self.ttl_ms(backend);
        let live = live.filter(|entry| entry.lives_at(now_ms, ttl_ms));
        status(live, self.known.has_rows, self.known.rhythm, ttl_ms, now_ms)
    }

    /// Milliseconds for which it counts as there.
    pub(super) fn ttl_ms(&self, backend: &Backend) -> u64 {
        let profile_s = self.known.profile.as_ref().and_then(|profile| profile.live_ttl_s);
        ttl_ms(backend.live_ttl_ms(), profile_s)
    }
}

pub(super) fn join_groups(known: Vec<KnownDevice>, pairs: Vec<(DeviceId, u64)>) -> Vec<Member> {
    let mut groups: HashMap<DeviceId, Vec<u64>> = HashMap::new();
    for (device, group) in pairs {
        groups.entry(device).or_default().push(group);
    }
    let member = |known: KnownDevice| {
        let groups = groups.remove(&known.device).unwrap_or_default();
        Member { known, groups }
    };
    known.into_iter().map(member).collect()
}

/// How many devices are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "StatusCounts")]
pub(crate) struct Counts {
    online: usize,
    late: usize,
    offline: usize,
    never: usize,
}

pub(crate) fn count(statuses: impl Iterator<Item = Status>) -> Counts {
    let mut counts = Counts::default();
    for status in statuses {
        *match status {
            Status::Online => &mut counts.online,
            Status::Late => &mut counts.late,
            Status::Offline => &mut counts.offline,
            Status::Never => &mut counts.never,
        } += 1;
    }
    counts
}

/// How the devices of a fleet are, each by its place in it.
#[derive(Debug)]
pub(crate) struct Census {
    pub(crate) statuses: Vec<Status>,
    pub(crate) counts: Counts,
}
