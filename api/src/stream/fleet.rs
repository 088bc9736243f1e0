//! What an instance knows of the devices that are heard: enough to tell a change
//! from a repetition, to notice a silence, and to begin a client with a whole
//! picture. Pure; time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;
use nemeses_protocol::{DeviceId, PositionRecord};
use nemeses_reports::{Doubt, Settings, Track};
use nemeses_store::NumberHash;
use nemeses_store::history::{AlarmNews, LastKnown};
use nemeses_store::live::{LiveEntry, LiveValues, Moved, Version};

use super::event::{Event, place};
use super::id::EventId;
use super::status::{Rhythm, Status};
use super::window::Window;
use crate::fleet::Place;
use crate::output::asks_history;

/// Devices looked after: 200 000 of some 600 bytes with their last event, 120 MB;
/// 6 MB for the founding fleet. Further ones are streamed all the same, but their
/// silence is not noticed and they are not in a client's first picture.
const MOST: usize = 200_000;
/// Bytes of values held of all devices: 40 000 with ten channels each. Of further devices
/// clients get all values whenever one is new, and none in the first picture.
const MOST_VALUE_BYTES: usize = 64 << 20;

struct Known {
    entry: LiveEntry,
    position: Option<Arc<Event>>,
    rhythm: Rhythm,
    status: Status,
    track: Track,
    /// When the newest frame of the track was recorded.
    tracked_to: u32,
    /// What the track says of it.
    doubt: Option<Doubt>,
    /// When the first that is known of it here arrived, Unix milliseconds. What arrived later
    /// comes by the stream.
    since_ms: u64,
    /// What its channels say.
    values: Option<Arc<LiveValues>>,
}

impl Known {
    /// A device that is told of for the first time.
    fn new(entry: LiveEntry, status: Status) -> Self {
        let (rhythm, track) = (Rhythm::default(), Track::new(&Settings::default()));
        let since_ms = entry.seen_at_ms;
        Self {
            entry,
            position: None,
            rhythm,
            status,
            track,
            tracked_to: 0,
            doubt: None,
            since_ms,
            values: None,
        }
    }

    /// Makes an event of the newest frame, if there is one.
    fn tell_position(&mut self, id: EventId, at_ms: u64) -> Option<Arc<Event>> {
        let newest = self.entry.latest()?.0.position;
        if newest.recorded_at < self.tracked_to {
            // The one before was ahead: nothing follows from it.
            self.track = Track::new(&Settings::default());
        }
        self.tracked_to = newest.recorded_at;
        self.doubt = self.track.step(&newest).doubt;
        self.position = Event::position(id, &self.entry, at_ms, self.doubt).map(Arc::new);
        self.position.clone()
    }

    /// Joins what history says of the time before. Nothing is told: it is no news.
    fn recall(&mut self, device: DeviceId, past: &LastKnown, now_ms: u64) {
        let before = |row: &&PositionRecord| row.received_at_ms <= self.since_ms;
        let newest = past.newest.as_ref().filter(before);
        let fix = past.fix.as_ref().filter(before);
        let held = version(&self.entry);
        self.entry.merge(LiveEntry::from_history(device, newest, fix));
        let id = EventId::default();
        if version(&self.entry) == held {
            // The same frame, perhaps with a place.
            self.position = Event::position(id, &self.entry, now_ms, self.doubt).map(Arc::new);
        } else {
            self.tell_position(id, now_ms);
        }
    }
}

pub(crate) struct Fleet {
    /// In the order in which they were first heard, which is nearly that in which they
    /// are heard again: neighbours in memory are looked at one after the other.
    devices: IndexMap<DeviceId, Known, NumberHash>,
    /// Those of whom the live store does not say all, as of one that only pings: history is
    /// to be asked about them, once; of those who come while we look, those without a place.
    wanting: BTreeSet<DeviceId>,
    ttl_ms: u64,
    most: usize,
    value_bytes: usize,
}

/// Names and units of channels, with how many devices have each.
pub(crate) type HeardChannels = BTreeMap<(Box<str>, Option<Box<str>>), u32>;

/// What a client is shown first of a device.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) event: Arc<Event>,
    pub(crate) status: Status,
}

impl Fleet {
    pub(crate) fn new(ttl_ms: u64) -> Self {
        let (devices, wanting) = (IndexMap::default(), BTreeSet::new());
        Self { devices, wanting, ttl_ms, most: MOST, value_bytes: 0 }
    }

    /// Takes entries in that were there before anyone looked; nothing is told.
    pub(crate) fn learn(&mut self, entries: impl IntoIterator<Item = LiveEntry>, now_ms: u64) {
        for entry in entries {
            let room = self.devices.len() < self.most;
            match self.devices.entry(entry.device) {
                Entry::Occupied(mut known) => known.get_mut().entry.merge(entry),
                Entry::Vacant(free) if room && entry.lives_at(now_ms, self.ttl_ms) => {
                    let status = Rhythm::default().status(entry.seen_at_ms, self.ttl_ms, now_ms);
                    let known = free.insert(Known::new(entry, status));
                    // Older than anything that will come: never an id to resume from.
                    known.tell_position(EventId::default(), now_ms);
                    if asks_history(Some(&known.entry), self.ttl_ms) {
                        self.wanting.insert(known.entry.device);
                    }
                }
                Entry::Vacant(_) => {}
            }
        }
    }

    /// What entries that moved mean, told to the window in their order.
    pub(crate) fn moved(&mut self, moved: Vec<Moved>, window: &mut Window, now_ms: u64) {
        let mut events = Vec::with_capacity(moved.len());
        for Moved { id, entry, .. } in moved {
            window.reached(id);
            self.one_moved(id, entry, now_ms, window, &mut events);
        }
        window.push(events);
    }

    fn one_moved(
        &mut self,
        id: u64,
        entry: LiveEntry,
        now_ms: u64,
        window: &mut Window,
        events: &mut Vec<Arc<Event>>,
    ) {
        let (device, ttl_ms) = (entry.device, self.ttl_ms);
        let Some(known) = self.devices.get_mut(&device) else {
            let mut known = Known::new(entry, Status::Online);
            events.extend(known.tell_position(EventId::at(id), now_ms));
            if known.entry.lives_at(now_ms, ttl_ms) {
                let (added, at) = (window.added_id(), place(&known.entry));
                let online = Event::status(added, device, at, Status::Online, now_ms);
                events.push(Arc::new(online));
                if self.devices.len() < self.most {
                    // A read of each device whose frames come late, as after an outage, would
                    // hold up the commits of all.
                    if known.entry.latest_fix().is_none() {
                        self.wanting.insert(device);
                    }
                    self.devices.insert(device, known);
                }
            }
            return;
        };
        let (seen_ms, held, was_on) =
            (known.entry.seen_at_ms, version(&known.entry), ignition(&known.entry));
        known.entry.merge(entry);
        known.rhythm.learn(known.entry.seen_at_ms.saturating_sub(seen_ms), ttl_ms);
        let is_new = version(&known.entry) != held;
        if is_new && let Some(position) = known.tell_position(EventId::at(id), now_ms) {
            events.push(position);
            if was_on.is_some_and(|was| ignition(&known.entry) != Some(was)) {
                let switched = Event::ignition(window.added_id(), &known.entry, now_ms);
                events.extend(switched.map(Arc::new));
            }
        }
        let heard = known.rhythm.status(known.entry.seen_at_ms, ttl_ms, now_ms);
        if heard == Status::Online && known.status != Status::Online {
            known.status = heard;
            let at = place(&known.entry);
            let status = Event::status(window.added_id(), device, at, heard, now_ms);
            events.push(Arc::new(status));
        }
    }

    /// Looks who has fallen silent. Walks all devices: 10 000 take some 0.1 ms,
    /// once a second.
    pub(crate) fn sweep(&mut self, window: &mut Window, now_ms: u64) {
        let mut events = Vec::new();
        let ttl_ms = self.ttl_ms;
        self.devices.retain(|device, known| {
            let status = known.rhythm.status(known.entry.seen_at_ms, ttl_ms, now_ms);
            if status as u8 > known.status as u8 {
                known.status = status;
                let at = place(&known.entry);
                let silent = Event::status(window.added_id(), *device, at, status, now_ms);
                events.push(Arc::new(silent));
            }
            let stays = status != Status::Offline;
            if !stays {
                self.wanting.remove(device);
                self.value_bytes -= bytes_of(known.values.as_deref());
            }
            stays
        });
        window.push(events);
    }

    /// Alarms that opened or changed.
    pub(crate) fn alarmed(&self, news: Vec<AlarmNews>, window: &mut Window, now_ms: u64) {
        let event = |one: AlarmNews| {
            let at = self.devices.get(&one.alarm.key.device).and_then(|known| place(&known.entry));
            Arc::new(Event::alarm(window.added_id(), at, one, now_ms))
        };
        let events = news.into_iter().map(event).collect();
        window.push(events);
    }

    /// Takes what devices' channels say that were asked for; what of it is new is told.
    pub(crate) fn valued(
        &mut self,
        read: impl IntoIterator<Item = (DeviceId, LiveValues)>,
        window: &mut Window,
        now_ms: u64,
    ) {
        let mut events = Vec::new();
        for (device, values) in read {
            let known = self.devices.get(&device);
            let news = values.news(known.and_then(|known| known.values.as_deref()));
            let at = known.and_then(|known| place(&known.entry));
            if !news.is_empty() {
                let id = window.added_id();
                events.push(Arc::new(Event::values(id, device, at, news, now_ms)));
            }
            self.hold_values(device, values);
        }
        window.push(events);
    }

    /// Takes what devices' channels said before anyone looked; nothing is told.
    pub(crate) fn hold_values(&mut self, device: DeviceId, values: LiveValues) {
        let Some(known) = self.devices.get_mut(&device) else { return };
        self.value_bytes -= bytes_of(known.values.take().as_deref());
        if self.value_bytes + values.bytes() <= MOST_VALUE_BYTES {
            self.value_bytes += values.bytes();
            known.values = Some(Arc::new(values));
        }
    }

    /// What a device's channels say, and where it is.
    pub(crate) fn values(&self, device: DeviceId) -> Option<(Arc<LiveValues>, Option<Place>)> {
        let known = self.devices.get(&device)?;
        Some((known.values.clone()?, place(&known.entry)))
    }

    /// The names and units of values that are held of devices that pass, each with how many
    /// devices have one, in order.
    pub(crate) fn channels(&self, passes: impl Fn(DeviceId) -> bool) -> HeardChannels {
        let mut channels = BTreeMap::new();
        for (_, known) in self.devices.iter().filter(|(device, _)| passes(**device)) {
            for value in known.values.iter().flat_map(|values| values.values()) {
                let key = (value.channel.clone(), value.unit.clone());
                *channels.entry(key).or_default() += 1;
            }
        }
        channels
    }

    /// The devices of whom values are held.
    pub(crate) fn with_values(&self) -> Vec<DeviceId> {
        let held = |(_, known): &(&DeviceId, &Known)| known.values.is_some();
        self.devices.iter().filter(held).map(|(device, _)| *device).collect()
    }

    /// Some of those about whom history is to be asked.
    pub(crate) fn wanting(&self, most: usize) -> Vec<DeviceId> {
        self.wanting.iter().take(most).copied().collect()
    }

    /// What history says of one of them.
    pub(crate) fn recall(&mut self, device: DeviceId, past: &LastKnown, now_ms: u64) {
        self.wanting.remove(&device);
        if let Some(known) = self.devices.get_mut(&device) {
            known.recall(device, past, now_ms);
        }
    }

    /// Where everyone stands of whom a position is known, and who is merely heard.
    pub(crate) fn standing(&self, window: &Window, now_ms: u64) -> Vec<Standing> {
        let standing = |(device, known): (&DeviceId, &Known)| {
            let heard = || {
                let status = known.status;
                Arc::new(Event::status(window.last(), *device, None, status, now_ms))
            };
            let event = known.position.clone().unwrap_or_else(heard);
            Standing { event, status: known.status }
        };
        self.devices.iter().map(standing).collect()
    }

    /// What is known of a device that is heard.
    pub(crate) fn entry(&self, device: DeviceId) -> Option<&LiveEntry> {
        self.devices.get(&device).map(|known| &known.entry)
    }

    pub(crate) fn len(&self) -> usize {
        self.devices.len()
    }
}

fn bytes_of(values: Option<&LiveValues>) -> usize {
    values.map_or(0, LiveValues::bytes)
}

fn version(entry: &LiveEntry) -> Option<Version> {
    entry.latest().map(|(frame, _)| frame.version())
}

fn ignition(entry: &LiveEntry) -> Option<bool> {
    entry.latest().map(|(newest, _)| newest.position.composition.ignition())
}

#[cfg(test)]
mod tests;
