//! All known devices, read once for many requests: who they are, how they are, and where
//! the silent ones were. A small fleet is read for each request. Of a larger one what was
//! read is good for some seconds, so that a page of it costs a page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nemeses_protocol::DeviceId;

use super::member::{Census, Member, count, join_groups};
use super::{Place, Status};
use crate::backend::Backend;
use crate::problem::Problem;
use crate::stream::Hub;

/// Devices of a fleet that is read for each request: as many as one page may have.
pub(crate) const SMALL: usize = 1000;
/// What was read is good for so many times as long as reading it took, so that this share
/// of the time at most is spent on it,
const TIMES: u32 = 20;
/// and for so long at least and at most: 10 000 devices take some 50 ms, 100 000 ten times
/// that. Meanwhile what other instances change is not seen.
const GOOD_FOR: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// How old a census of a large fleet may be.
const CENSUS_EVERY: Duration = Duration::from_secs(1);

/// Every known device, in order of number, as it was a moment ago.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) members: Vec<Member>,
    read_at: Instant,
    good_for: Duration,
    census: Mutex<Option<(Instant, Arc<Census>)>>,
    /// Where silent devices were last, as far as somebody asked.
    places: Mutex<HashMap<DeviceId, Option<Place>>>,
}

/// What was read last.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    held: Mutex<Held>,
    /// Held by whoever reads a large fleet.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    snapshot: Option<Arc<Snapshot>>,
    is_large: bool,
    /// Changes that this instance knows of: what was read before one is not kept.
    changes: u64,
}

/// What there is for a request.
enum Found {
    Good(Arc<Snapshot>),
    /// To be read anew, unless another request does so already.
    Old(Arc<Snapshot>),
    Nothing,
}

impl Roster {
    /// Something was said of devices or groups: the next request reads anew.
    pub(crate) fn forget(&self) {
        let mut held = self.held();
        held.changes += 1;
        held.snapshot = None;
    }

    /// Every known device.
    pub(crate) async fn all(&self, backend: &Backend) -> Result<Arc<Snapshot>, Problem> {
        if !self.held().is_large {
            return self.read(backend).await;
        }
        let reading = match self.look(Instant::now()) {
            Found::Good(snapshot) => return Ok(snapshot),
            Found::Old(snapshot) => match self.reading.try_lock() {
                Ok(reading) => reading,
                Err(_) => return Ok(snapshot),
            },
            Found::Nothing => self.reading.lock().await,
        };
        if let Found::Good(snapshot) = self.look(Instant::now()) {
            return Ok(snapshot);
        }
        let snapshot = self.read(backend).await;
        drop(reading);
        snapshot
    }

    fn look(&self, now: Instant) -> Found {
        let Some(snapshot) = self.held().snapshot.clone() else { return Found::Nothing };
        let age = now.saturating_duration_since(snapshot.read_at);
        if age < snapshot.good_for {
            Found::Good(snapshot)
        } else if age < snapshot.good_for + GOOD_FOR.1 {
            Found::Old(snapshot)
        } else {
            Found::Nothing
        }
    }

    async fn read(&self, backend: &Backend) -> Result<Arc<Snapshot>, Problem> {
        let (started, changes) = (Instant::now(), self.held().changes);
        let known = backend.history.ask(backend.stores.devices.known()).await?;
        let pairs = backend.history.ask(backend.stores.groups.memberships()).await?;
        let snapshot = Arc::new(Snapshot {
            members: join_groups(known, pairs),
            read_at: started,
            good_for: good_for(started.elapsed()),
            census: Mutex::default(),
            places: Mutex::default(),
        });
        let mut held = self.held();
        held.is_large = snapshot.members.len() > SMALL;
        let keeps = held.is_large && held.changes == changes;
        held.snapshot = keeps.then(|| Arc::clone(&snapshot));
        Ok(snapshot)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long is good what took so long to read.
pub(super) fn good_for(reading: Duration) -> Duration {
    (reading * TIMES).clamp(GOOD_FOR.0, GOOD_FOR.1)
}

impl Snapshot {
    /// How all of them are, a second ago at most. By what the instance's stream knows, if it
    /// knows the fleet.
    pub(crate) fn census(&self, hub: &Hub, backend: &Backend) -> Option<Arc<Census>> {
        let mut held = self.census.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, census)) = held.as_ref().filter(|(at, _)| at.elapsed() < CENSUS_EVERY) {
            return Some(Arc::clone(census));
        }
        let now_ms = backend.clock.now_ms();
        let devices = self.members.iter().map(|member| member.known.device);
        let mut members = self.members.iter();
        let statuses: Vec<Status> = hub.look_up(devices, |entry| {
            members.next().map_or(Status::Never, |member| member.status(backend, entry, now_ms))
        })?;
        let counts = count(statuses.iter().copied());
        let census = Arc::new(Census { statuses, counts });
        *held = Some((Instant::now(), Arc::clone(&census)));
        Some(census)
    }

    /// Which of the devices were not asked for yet.
    pub(crate) fn without_place(&self, devices: &[DeviceId]) -> Vec<DeviceId> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        devices.iter().copied().filter(|device| !places.contains_key(device)).collect()
    }

    pub(crate) fn learn_places(&self, found: impl IntoIterator<Item = (DeviceId, Option<Place>)>) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
    }

    pub(crate) fn place(&self, device: DeviceId) -> Option<Place> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&device).copied().flatten()
    }
}
