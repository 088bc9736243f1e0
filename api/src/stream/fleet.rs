//! What an instance knows of the devices that are heard: enough to tell a change
//! from a repetition, to notice a silence, and to begin a client with a whole
//! picture. Pure; time is an argument.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;
use nemeses_protocol::{DeviceId, PositionRecord};
use nemeses_reports::{Doubt, Settings, Track};
use nemeses_store::NumberHash;
use nemeses_store::history::LastKnown;
use nemeses_store::live::{LiveEntry, Moved, Version};

use super::event::{Event, place};
use super::id::EventId;
use super::status::{Rhythm, Status};
use super::window::Window;
use crate::output::asks_history;

/// Devices looked after: 200 000 of some 600 bytes with their last event, 120 MB;
/// 6 MB for the founding fleet. Further ones are streamed all the same, but their
/// silence is not noticed and they are not in a client's first picture.
const MOST: usize = 200_000;

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
}

impl Known {
    /// A device that is told of for the first time.
    fn new(entry: LiveEntry, status: Status) -> Self {
        let (rhythm, track) = (Rhythm::default(), Track::new(&Settings::default()));
        let since_ms = entry.seen_at_ms;
        Self { entry, position: None, rhythm, status, track, tracked_to: 0, doubt: None, since_ms }
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
}

/// What a client is shown first of a device.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) event: Arc<Event>,
    pub(crate) status: Status,
}

impl Fleet {
    pub(crate) fn new(ttl_ms: u64) -> Self {
        Self { devices: IndexMap::default(), wanting: BTreeSet::new(), ttl_ms, most: MOST }
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
        for Moved { id, entry } in moved {
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
            }
            stays
        });
        window.push(events);
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

fn version(entry: &LiveEntry) -> Option<Version> {
    entry.latest().map(|(frame, _)| frame.version())
}

fn ignition(entry: &LiveEntry) -> Option<bool> {
    entry.latest().map(|(newest, _)| newest.position.composition.ignition())
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::Composition;
    use nemeses_store::live::LiveFrame;

    use super::super::event::tests::entry;
    use super::*;

    const TTL_MS: u64 = 300_000;
    const RECORDED: u32 = 1_593_637_200;
    const RECEIVED_MS: u64 = RECORDED as u64 * 1000 + 250;
    const ON: u16 = Composition::GPS_FIX | Composition::IGNITION;
    const OFF: u16 = Composition::GPS_FIX;

    struct Watched {
        fleet: Fleet,
        window: Window,
        next: u64,
    }

    impl Watched {
        fn new() -> Self {
            Self { fleet: Fleet::new(TTL_MS), window: Window::new(1, 1_000), next: 1 }
        }

        fn moves(&mut self, entry: LiveEntry, now_ms: u64) -> Vec<String> {
            let from = self.window.end();
            let moved = Moved { id: self.next, entry };
            self.next += 1;
            self.fleet.moved(vec![moved], &mut self.window, now_ms);
            self.told(from)
        }

        fn sweeps(&mut self, now_ms: u64) -> Vec<String> {
            let from = self.window.end();
            self.fleet.sweep(&mut self.window, now_ms);
            self.told(from)
        }

        /// Type, and what it says.
        fn told(&self, from: u64) -> Vec<String> {
            let chunks = self.window.from(from).unwrap();
            let told = chunks.iter().flat_map(|chunk| chunk.from(from)).map(|event| {
                let text: serde_json::Value = serde_json::from_str(event.json()).unwrap();
                let what = match text["type"].as_str().unwrap() {
                    "position" => &text["recorded_at"],
                    "status" => &text["status"],
                    _ => &text["event"],
                };
                what.as_str().unwrap().to_owned()
            });
            told.collect()
        }
    }

    #[test]
    fn a_device_comes_is_late_is_gone_and_comes_back() {
        let mut watched = Watched::new();
        let (first, second) = ("2020-07-01T21:00:00Z", "2020-07-01T21:00:10Z");
        assert_eq!(watched.moves(entry(1, RECORDED, ON), RECEIVED_MS), [first, "online"]);
        let later = RECEIVED_MS + 10_000;
        assert_eq!(watched.moves(entry(1, RECORDED + 10, OFF), later), [second, "ignition_off"]);
        assert_eq!(watched.sweeps(later + 29_999), [""; 0]);
        assert_eq!(watched.sweeps(later + 30_000), ["late"]);
        assert_eq!(watched.sweeps(later + 31_000), [""; 0]);
        let ping = LiveEntry::seen(DeviceId::new(1), later + 40_000);
        assert_eq!(watched.moves(ping, later + 40_000), ["online"]);
        assert_eq!(watched.sweeps(later + 40_000 + TTL_MS), ["offline"]);
        assert_eq!(watched.fleet.len(), 0);
        let back = LiveEntry::seen(DeviceId::new(1), later + 900_000);
        assert_eq!(watched.moves(back, later + 900_000), ["online"]);
    }

    #[test]
    fn memory_that_is_newer_is_a_position_and_older_is_none() {
        const MEMORY: u16 = ON | Composition::HISTORICAL;
        let mut watched = Watched::new();
        watched.moves(entry(1, RECORDED, ON), RECEIVED_MS);
        let newer = "2020-07-01T21:00:20Z";
        let later = RECEIVED_MS + 20_000;
        assert_eq!(watched.moves(entry(1, RECORDED + 20, MEMORY), later), [newer]);
        assert_eq!(watched.moves(entry(1, RECORDED + 10, MEMORY), later), [""; 0]);
        let standing = watched.fleet.standing(&watched.window, later);
        assert!(standing[0].event.json().contains("\"position_from\":\"history\""));
        let live = "2020-07-01T21:00:30Z";
        assert_eq!(watched.moves(entry(1, RECORDED + 30, ON), RECEIVED_MS + 30_000), [live]);
        let standing = watched.fleet.standing(&watched.window, later);
        assert!(standing[0].event.json().contains("\"position_from\":\"live\""));
    }

    #[test]
    fn a_place_that_is_not_believed_is_told_to_be_so() {
        let mut watched = Watched::new();
        let mut moves = |seconds: u32, latitude_udeg: i32| {
            let mut entry = entry(1, RECORDED + seconds, ON);
            for frame in [&mut entry.newest, &mut entry.fix] {
                frame.as_mut().unwrap().position.latitude_udeg = latitude_udeg;
            }
            watched.moves(entry, RECEIVED_MS + u64::from(seconds) * 1000);
            let standing = watched.fleet.standing(&watched.window, RECEIVED_MS);
            let text: serde_json::Value = serde_json::from_str(standing[0].event.json()).unwrap();
            text["doubtful"].clone()
        };
        assert_eq!(moves(0, -19_932_833), serde_json::Value::Null);
        assert_eq!(moves(10, -19_933_833), serde_json::Value::Null);
        assert_eq!(moves(20, -20_533_833), "jump");
        assert_eq!(moves(30, -19_934_833), serde_json::Value::Null);
    }

    #[test]
    fn a_clock_that_runs_ahead_pins_nothing() {
        let mut watched = Watched::new();
        let mut ahead = entry(1, RECORDED + 43_200, ON);
        for frame in [&mut ahead.newest, &mut ahead.fix] {
            frame.as_mut().unwrap().received_at_ms = RECEIVED_MS;
        }
        ahead.seen_at_ms = RECEIVED_MS;
        let wrong = "2020-07-02T09:00:00Z";
        assert_eq!(watched.moves(ahead, RECEIVED_MS), [wrong, "online"]);
        let right = "2020-07-01T21:00:10Z";
        assert_eq!(watched.moves(entry(1, RECORDED + 10, ON), RECEIVED_MS + 10_000), [right]);
    }

    fn row(recorded_at: u32, bits: u16) -> PositionRecord {
        let LiveEntry { newest, .. } = entry(1, recorded_at, bits);
        let LiveFrame { position, frame_hash, received_at_ms } = newest.unwrap();
        PositionRecord { position, frame_hash, received_at_ms, packed: None }
    }

    fn stands(watched: &Watched) -> serde_json::Value {
        let standing = watched.fleet.standing(&watched.window, RECEIVED_MS);
        serde_json::from_str(standing[0].event.json()).unwrap()
    }

    #[test]
    fn one_that_only_pings_stands_where_it_was_last() {
        let mut watched = Watched::new();
        let device = DeviceId::new(1);
        let pinged_ms = RECEIVED_MS + 900_000;
        assert_eq!(watched.moves(LiveEntry::seen(device, pinged_ms), pinged_ms), ["online"]);
        assert_eq!(stands(&watched)["type"], "status");
        assert_eq!(watched.fleet.wanting(9), [device]);
        let past = LastKnown { newest: Some(row(RECORDED + 30, 0)), fix: Some(row(RECORDED, ON)) };
        watched.fleet.recall(device, &past, pinged_ms);
        assert_eq!(watched.fleet.wanting(9), []);
        assert_eq!(watched.window.end(), 1, "it is no news");
        let here = stands(&watched);
        assert_eq!(here["recorded_at"], "2020-07-01T21:00:30Z");
        assert_eq!((&here["latitude"], &here["gps_fix"]), (&(-19.932_833).into(), &false.into()));
        assert_eq!(
            (&here["position_from"], &here["status"]),
            (&"history".into(), &"online".into())
        );
        // Late, and still there; then it moves.
        assert_eq!(watched.sweeps(pinged_ms + TTL_MS / 2), ["late"]);
        let live = entry(1, RECORDED + 1000, ON);
        assert_eq!(
            watched.moves(live, pinged_ms + 160_000),
            ["2020-07-01T21:16:40Z", "ignition_on", "online"]
        );
        assert_eq!(stands(&watched)["position_from"], "live");
    }

    #[test]
    fn without_a_fix_it_stands_where_it_had_one() {
        let mut watched = Watched::new();
        watched.moves(entry(1, RECORDED + 30, 0), RECEIVED_MS + 30_000);
        assert_eq!(stands(&watched)["latitude"], serde_json::Value::Null);
        let past = LastKnown { newest: Some(row(RECORDED, ON)), fix: Some(row(RECORDED, ON)) };
        watched.fleet.recall(DeviceId::new(1), &past, RECEIVED_MS);
        let here = stands(&watched);
        assert_eq!((&here["latitude"], &here["gps_fix"]), (&(-19.932_833).into(), &false.into()));
        assert_eq!(here["recorded_at"], "2020-07-01T21:00:30Z");
    }

    /// A frame is committed before its event is read: the event must come all the same.
    #[test]
    fn history_does_not_overtake_the_stream() {
        let mut watched = Watched::new();
        let device = DeviceId::new(1);
        watched.moves(LiveEntry::seen(device, RECEIVED_MS - 5_000), RECEIVED_MS - 5_000);
        let newer = row(RECORDED, ON);
        let past = LastKnown { newest: Some(newer.clone()), fix: Some(newer) };
        watched.fleet.recall(device, &past, RECEIVED_MS);
        assert_eq!(stands(&watched)["type"], "status");
        assert_eq!(watched.moves(entry(1, RECORDED, ON), RECEIVED_MS), ["2020-07-01T21:00:00Z"]);
    }

    #[test]
    fn who_is_gone_is_not_asked_about() {
        let mut watched = Watched::new();
        let device = DeviceId::new(1);
        watched.fleet.learn([LiveEntry::seen(device, RECEIVED_MS)], RECEIVED_MS);
        assert_eq!(watched.fleet.wanting(9), [device]);
        watched.sweeps(RECEIVED_MS + TTL_MS);
        assert_eq!(watched.fleet.wanting(9), []);
        watched.fleet.recall(device, &LastKnown::default(), RECEIVED_MS);
        assert_eq!(watched.fleet.len(), 0);
    }

    #[test]
    fn what_was_there_before_is_not_told_and_not_forgotten() {
        let mut watched = Watched::new();
        let heard = LiveEntry::seen(DeviceId::new(2), RECEIVED_MS);
        let long_gone = LiveEntry::seen(DeviceId::new(3), RECEIVED_MS - TTL_MS);
        watched.fleet.learn([entry(1, RECORDED, ON), heard, long_gone], RECEIVED_MS);
        assert_eq!(watched.window.end(), 0);
        let mut standing = watched.fleet.standing(&watched.window, RECEIVED_MS);
        standing.sort_by_key(|standing| standing.event.device);
        assert_eq!(standing.len(), 2);
        assert!(standing[0].event.json().contains("\"type\":\"position\""));
        assert!(standing[1].event.json().contains("\"status\":\"online\""));
        // The stream of the store may begin with what is known already.
        assert_eq!(watched.moves(entry(1, RECORDED, ON), RECEIVED_MS), [""; 0]);
        assert_eq!(watched.sweeps(RECEIVED_MS + TTL_MS / 2), ["late", "late"]);
        let standing = watched.fleet.standing(&watched.window, RECEIVED_MS);
        assert!(standing.iter().all(|standing| standing.status == Status::Late));
    }

    #[test]
    fn devices_beyond_the_bound_are_streamed_all_the_same() {
        let mut watched = Watched::new();
        watched.fleet.most = 1;
        watched.moves(entry(1, RECORDED, ON), RECEIVED_MS);
        for _ in 0..2 {
            assert_eq!(watched.moves(entry(2, RECORDED, ON), RECEIVED_MS).len(), 2);
        }
        assert_eq!(watched.fleet.len(), 1);
    }
}
