//! The live entry: what is known of one device now, and how two such
//! knowledges join. Pure; the stores only differ in where they keep it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use nemeses_protocol::{DeviceId, PositionRecord, ReadingsRecord};

use super::values::LiveValues;
use crate::hash::NumberHash;

/// A live frame with what orders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFrame {
    /// The decoded frame.
    pub position: nemeses_protocol::Position,
    /// Its hash, which decides between frames of one second.
    pub frame_hash: u64,
    /// When it arrived, Unix milliseconds.
    pub received_at_ms: u64,
}

impl LiveFrame {
    const fn of(record: &PositionRecord) -> Self {
        let &PositionRecord { position, frame_hash, received_at_ms, .. } = record;
        Self { position, frame_hash, received_at_ms }
    }

    /// What "newer" compares.
    pub fn version(&self) -> Version {
        Version::new(self.position.recorded_at, self.received_at_ms, self.frame_hash)
    }
}

/// How far ahead of a frame's arrival its time may be and still be the work of two
/// clocks that differ, rather than a time that is wrong. Decides between frames of
/// one second only.
const SKEW_S: u32 = 60;

/// Orders the frames of a device: what "newest" means in live entries, in answers, and
/// where history is asked for the last known position. A clock that runs ahead must
/// not hide the frames after it, so nothing counts as recorded later than it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// When it was recorded, Unix seconds, or when it arrived if that is earlier.
    pub effective_at: u32,
    /// Whether its own time is at most [`SKEW_S`] beyond its arrival.
    plausible: bool,
    recorded_at: u32,
    frame_hash: u64,
}

impl Version {
    /// Of a frame recorded then (Unix seconds) that arrived then (Unix milliseconds).
    pub fn new(recorded_at: u32, received_at_ms: u64, frame_hash: u64) -> Self {
        let arrived_at = u32::try_from(received_at_ms / 1000).unwrap_or(u32::MAX);
        let plausible = recorded_at.saturating_sub(arrived_at) <= SKEW_S;
        Self { effective_at: recorded_at.min(arrived_at), plausible, recorded_at, frame_hash }
    }

    /// Whether a row may be a device's newest. Not one from memory that was recorded after it
    /// arrived: nothing remembers what is still to come.
    pub fn may_be_newest(record: &PositionRecord) -> bool {
        let version = Self::of(record);
        !record.position.composition.historical() || version.effective_at == version.recorded_at
    }

    /// Of a row.
    pub fn of(record: &PositionRecord) -> Self {
        Self::new(record.position.recorded_at, record.received_at_ms, record.frame_hash)
    }
}

/// The newest of some frames of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// The newest.
    pub newest: Option<LiveFrame>,
    /// The newest that had a GPS fix.
    pub fix: Option<LiveFrame>,
}

impl Frames {
    fn of(frame: LiveFrame) -> Self {
        let fix = frame.position.composition.gps_fix().then(|| frame.clone());
        Self { newest: Some(frame), fix }
    }

    fn merge(&mut self, other: Self) {
        merge_frame(&mut self.newest, other.newest);
        merge_frame(&mut self.fix, other.fix);
    }
}

/// Where a frame was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It arrived live.
    Live,
    /// It came from the device's memory.
    Historical,
}

/// What is known of a device now; also the unit of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveEntry {
    /// Which device.
    pub device: DeviceId,
    /// When any good frame of the device arrived last, Unix milliseconds. The
    /// TTL runs from here.
    pub seen_at_ms: u64,
    /// The newest live (not historical) frame.
    pub newest: Option<LiveFrame>,
    /// The newest live frame that had a GPS fix.
    pub fix: Option<LiveFrame>,
    /// The newest historical frames, kept apart: they never touch the live ones, but
    /// an answer must know of those that are newer. Nearly always none.
    pub historical: Option<Box<Frames>>,
    /// The newest values of its channels, when the entry is to be written. They are read apart
    /// ([`super::LiveStore::values`]), since those who ask where devices are have no use for
    /// them.
    pub values: Option<Box<LiveValues>>,
}

impl LiveEntry {
    /// What a ping says: the device is there.
    pub fn seen(device: DeviceId, seen_at_ms: u64) -> Self {
        Self { device, seen_at_ms, newest: None, fix: None, historical: None, values: None }
    }

    /// What a record of values, a position or both says.
    pub fn from_readings(device: DeviceId, record: &ReadingsRecord) -> Self {
        let place = record.position_of(device).map(|position| Self::from_record(&position));
        let entry = place.unwrap_or_else(|| Self::seen(device, record.received_at_ms));
        let values = !record.readings.is_empty();
        Self { values: values.then(|| Box::new(LiveValues::of(record))), ..entry }
    }

    /// The same of a device, whatever device it was of.
    #[must_use]
    pub(super) fn of_device(mut self, device: DeviceId) -> Self {
        self.device = device;
        let historical = self.historical.as_deref_mut();
        let historical = historical.map(|frames| [&mut frames.newest, &mut frames.fix]);
        let live = [&mut self.newest, &mut self.fix];
        for frame in live.into_iter().chain(historical.into_iter().flatten()).flatten() {
            frame.position.device = device;
        }
        self
    }

    /// What frames from a device's memory say, but for when it was heard.
    pub(super) fn from_memory(device: DeviceId, frames: Frames) -> Self {
        Self { historical: Some(Box::new(frames)), ..Self::seen(device, 0) }
    }

    /// What rows of history say, but for when the device was heard: they are no live frames,
    /// so they stand where those from the device's memory do.
    pub fn from_history(
        device: DeviceId,
        newest: Option<&PositionRecord>,
        fix: Option<&PositionRecord>,
    ) -> Self {
        let frames = Frames { newest: newest.map(LiveFrame::of), fix: fix.map(LiveFrame::of) };
        Self::from_memory(device, frames)
    }

    /// What a location frame says.
    pub fn from_record(record: &PositionRecord) -> Self {
        let position = record.position;
        let mut entry = Self::seen(position.device, record.received_at_ms);
        let frames = Frames::of(LiveFrame::of(record));
        if position.composition.historical() {
            entry.historical = Version::may_be_newest(record).then(|| Box::new(frames));
            return entry;
        }
        (entry.newest, entry.fix) = (frames.newest, frames.fix);
        entry
    }

    /// Joins another entry of the same device into this one.
    pub fn merge(&mut self, other: Self) {
        self.seen_at_ms = self.seen_at_ms.max(other.seen_at_ms);
        merge_frame(&mut self.newest, other.newest);
        merge_frame(&mut self.fix, other.fix);
        self.merge_historical(other.historical);
        match (&mut self.values, other.values) {
            (Some(held), Some(other)) => drop(held.merge(*other)),
            (None, other) => self.values = other,
            (Some(_), None) => {}
        }
    }

    /// Joins historical frames of the same device.
    pub(super) fn merge_historical(&mut self, other: Option<Box<Frames>>) {
        match (&mut self.historical, other) {
            (Some(held), Some(other)) => held.merge(*other),
            (None, other) => self.historical = other,
            (Some(_), None) => {}
        }
    }

    /// The newest frame, however it came.
    pub fn latest(&self) -> Option<(&LiveFrame, Origin)> {
        let historical = self.historical.as_ref().and_then(|frames| frames.newest.as_ref());
        later(self.newest.as_ref(), historical)
    }

    /// The newest frame with a GPS fix, however it came.
    pub fn latest_fix(&self) -> Option<(&LiveFrame, Origin)> {
        let historical = self.historical.as_ref().and_then(|frames| frames.fix.as_ref());
        later(self.fix.as_ref(), historical)
    }

    /// Whether the entry is still to be shown: until `seen_at_ms + ttl_ms`, exclusive.
    pub const fn lives_at(&self, now_ms: u64, ttl_ms: u64) -> bool {
        self.seen_at_ms.saturating_add(ttl_ms) > now_ms
    }
}

/// The later of the two, the live one if they are equally new.
fn later<'f>(
    live: Option<&'f LiveFrame>,
    historical: Option<&'f LiveFrame>,
) -> Option<(&'f LiveFrame, Origin)> {
    match (live, historical) {
        (Some(live), Some(historical)) if historical.version() > live.version() => {
            Some((historical, Origin::Historical))
        }
        (Some(live), _) => Some((live, Origin::Live)),
        (None, historical) => historical.map(|frame| (frame, Origin::Historical)),
    }
}

/// Replaces the held frame by a newer one. Frames of one version are one frame
/// that arrived twice; the earlier arrival stays, so that the order of the two
/// does not matter. (One whose time is ahead is as new as its last arrival.)
fn merge_frame(held: &mut Option<LiveFrame>, offered: Option<LiveFrame>) {
    let order = |frame: &LiveFrame| (frame.version(), std::cmp::Reverse(frame.received_at_ms));
    let newer = match (&held, &offered) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(held), Some(offered)) => order(offered) > order(held),
    };
    if newer {
        *held = offered;
    }
}

/// One entry a device, those that are past their time left out: what a store
/// has to write of a batch, in no particular order. As it is, nearly always: the
/// live writer offers no device twice.
pub(super) fn coalesce(entries: &[LiveEntry], now_ms: u64, ttl_ms: u64) -> Cow<'_, [LiveEntry]> {
    let mut devices: HashSet<DeviceId, NumberHash> =
        HashSet::with_capacity_and_hasher(entries.len(), NumberHash::default());
    let mut is_new = |entry: &LiveEntry| devices.insert(entry.device);
    if entries.iter().all(|entry| entry.lives_at(now_ms, ttl_ms) && is_new(entry)) {
        return Cow::Borrowed(entries);
    }
    let mut newest: Vec<LiveEntry> = Vec::with_capacity(entries.len());
    let mut places: HashMap<DeviceId, usize, NumberHash> =
        HashMap::with_capacity_and_hasher(entries.len(), NumberHash::default());
    for entry in entries.iter().filter(|entry| entry.lives_at(now_ms, ttl_ms)) {
        let place = *places.entry(entry.device).or_insert(newest.len());
        match newest.get_mut(place) {
            Some(held) => held.merge(entry.clone()),
            None => newest.push(entry.clone()),
        }
    }
    Cow::Owned(newest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::live::strategies::entries;

    fn joined(entries: &[&LiveEntry]) -> LiveEntry {
        let mut first = entries[0].clone();
        for entry in &entries[1..] {
            first.merge((*entry).clone());
        }
        first
    }

    const DEVICE: DeviceId = DeviceId::new(0x0A_3F73);

    proptest! {
        #[test]
        fn merging_is_a_join(a in entries(DEVICE), b in entries(DEVICE), c in entries(DEVICE)) {
            prop_assert_eq!(joined(&[&a, &b]), joined(&[&b, &a]), "commutative");
            prop_assert_eq!(
                joined(&[&joined(&[&a, &b]), &c]),
                joined(&[&a, &joined(&[&b, &c])]),
                "associative"
            );
            prop_assert_eq!(joined(&[&a, &a]), a, "idempotent");
        }

        #[test]
        fn a_batch_comes_down_to_one_entry_a_device(
            batch in proptest::collection::vec(
                (0..3_u32).prop_flat_map(|number| entries(DeviceId::new(number))), 0..12)
        ) {
            let one_each = coalesce(&batch, 0, 1);
            for number in 0..3 {
                let of_device = |entry: &&LiveEntry| entry.device.number() == number;
                let offered: Vec<_> = batch.iter().filter(of_device).collect();
                let kept: Vec<_> = one_each.iter().filter(of_device).collect();
                prop_assert_eq!(kept.len(), usize::from(!offered.is_empty()));
                if let Some(kept) = kept.first() {
                    prop_assert_eq!(*kept, &joined(&offered));
                }
            }
        }
    }

    fn frame(recorded_at: u32, received_at_ms: u64) -> LiveEntry {
        LiveEntry::from_record(&record(recorded_at, received_at_ms))
    }

    fn record(recorded_at: u32, received_at_ms: u64) -> PositionRecord {
        let position = nemeses_protocol::Position {
            device: DEVICE,
            recorded_at,
            direction_cdeg: 0,
            odometer_m: 0,
            hour_meter_min: 0,
            composition: nemeses_protocol::Composition(nemeses_protocol::Composition::GPS_FIX),
            extension: None,
            speed_kmh: 0,
            latitude_udeg: 0,
            longitude_udeg: 0,
        };
        let frame_hash = u64::from(recorded_at);
        PositionRecord { position, frame_hash, received_at_ms, packed: None }
    }

    /// Recorded and arrived, in the order in which the frames are sent; the newest of
    /// them by place.
    #[test]
    fn a_clock_that_runs_ahead_pins_nothing() {
        const AHEAD: u32 = 12 * 3600;
        for (what, frames, newest) in [
            ("good ones after it", vec![(1_000 + AHEAD, 1_000_400), (1_010, 1_010_200)], 1),
            ("one of the same second", vec![(1_000 + AHEAD, 1_000_400), (1_000, 1_000_900)], 1),
            ("it alone", vec![(990, 990_100), (1_000 + AHEAD, 1_000_400)], 1),
            ("always ahead", vec![(1_000 + AHEAD, 1_000_400), (1_010 + AHEAD, 1_010_300)], 1),
            ("two clocks that differ", vec![(1_000, 1_000_300), (1_001, 1_000_900)], 1),
            ("from memory behind it", vec![(1_000 + AHEAD, 1_000_400), (900, 1_100_000)], 0),
            ("written late", vec![(1_010, 1_010_200), (1_000 + AHEAD, 1_000_400)], 0),
            ("the clock went back", vec![(1_000, 1_000_100), (900, 1_001_000)], 0),
        ] {
            let entries: Vec<LiveEntry> = frames.iter().map(|(at, ms)| frame(*at, *ms)).collect();
            let joined = joined(&entries.iter().collect::<Vec<_>>());
            assert_eq!(joined.newest, entries[newest].newest, "{what}");
            assert_eq!(joined.fix, entries[newest].fix, "{what}");
        }
    }

    #[test]
    fn what_a_device_sends_from_memory_is_kept_apart_and_may_be_the_latest() {
        let historical = |recorded_at: u32| {
            let mut entry = frame(recorded_at, 1_100_000);
            let frames = Frames { newest: entry.newest.take(), fix: entry.fix.take() };
            LiveEntry { historical: Some(Box::new(frames)), ..entry }
        };
        let live = frame(1_000, 1_000_400);
        let latest = |entry: &LiveEntry| {
            let (frame, origin) = entry.latest().unwrap();
            assert_eq!(entry.latest_fix().unwrap(), (frame, origin));
            (frame.position.recorded_at, origin)
        };
        let mut held = joined(&[&live, &historical(990)]);
        assert_eq!(latest(&held), (1_000, Origin::Live));
        held.merge(historical(1_010));
        assert_eq!((&held.newest, &held.fix), (&live.newest, &live.fix));
        assert_eq!(latest(&held), (1_010, Origin::Historical));
        // The same frame, repeated as historical since its acknowledgement was lost.
        assert_eq!(latest(&joined(&[&live, &historical(1_000)])), (1_000, Origin::Live));
        assert_eq!(latest(&historical(1_010)), (1_010, Origin::Historical));
        held.merge(frame(1_020, 1_101_000));
        assert_eq!(latest(&held), (1_020, Origin::Live));
        // Nothing remembers what is still to come.
        let mut future = record(1_101, 1_100_999);
        future.position.composition.0 |= nemeses_protocol::Composition::HISTORICAL;
        assert_eq!(LiveEntry::from_record(&future), LiveEntry::seen(DEVICE, 1_100_999));
        future.received_at_ms = 1_101_000;
        assert!(LiveEntry::from_record(&future).historical.is_some());
    }

    #[test]
    fn an_entry_lives_until_its_time_exclusive() {
        let entry = LiveEntry::seen(DEVICE, 1_000);
        assert!(entry.lives_at(1_299, 300));
        assert!(!entry.lives_at(1_300, 300));
        assert!(coalesce(&[entry], 1_300, 300).is_empty());
    }
}
