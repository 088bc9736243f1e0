//! The live entry: what is known of one device now, and how two such
//! knowledges join. Pure; the stores only differ in where they keep it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use nemeses_protocol::{DeviceId, PositionRecord};

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
    /// What "newer" compares: recorded time, then hash.
    pub fn version(&self) -> (u32, u64) {
        (self.position.recorded_at, self.frame_hash)
    }
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
}

impl LiveEntry {
    /// What a ping says: the device is there.
    pub fn seen(device: DeviceId, seen_at_ms: u64) -> Self {
        Self { device, seen_at_ms, newest: None, fix: None }
    }

    /// What a location frame says. A historical frame only says that the device is there.
    pub fn from_record(record: &PositionRecord) -> Self {
        let position = record.position;
        let mut entry = Self::seen(position.device, record.received_at_ms);
        if !position.composition.historical() {
            let frame = LiveFrame {
                position,
                frame_hash: record.frame_hash,
                received_at_ms: record.received_at_ms,
            };
            if position.composition.gps_fix() {
                entry.fix = Some(frame.clone());
            }
            entry.newest = Some(frame);
        }
        entry
    }

    /// Joins another entry of the same device into this one.
    pub fn merge(&mut self, other: Self) {
        self.seen_at_ms = self.seen_at_ms.max(other.seen_at_ms);
        merge_frame(&mut self.newest, other.newest);
        merge_frame(&mut self.fix, other.fix);
    }

    /// Whether the entry is still to be shown: until `seen_at_ms + ttl_ms`, exclusive.
    pub const fn lives_at(&self, now_ms: u64, ttl_ms: u64) -> bool {
        self.seen_at_ms.saturating_add(ttl_ms) > now_ms
    }
}

/// Replaces the held frame by a newer one. Frames of one version are one frame
/// that arrived twice; the earlier arrival stays, so that the order of the two
/// does not matter.
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

    #[test]
    fn an_entry_lives_until_its_time_exclusive() {
        let entry = LiveEntry::seen(DEVICE, 1_000);
        assert!(entry.lives_at(1_299, 300));
        assert!(!entry.lives_at(1_300, 300));
        assert!(coalesce(&[entry], 1_300, 300).is_empty());
    }
}
