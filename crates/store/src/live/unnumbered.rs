//! Live entries of devices that are new: they wait until their device has its number, which
//! comes with the commit of its first record.

use std::collections::VecDeque;

use nemeses_protocol::{DeviceId, DeviceNames, Identity};

use super::LiveEntry;

/// Entries that wait: the first records of so many new devices at once. Of more the oldest
/// are dropped; history has them, and each device's next record is shown at once. Some
/// 300 bytes each, and their values.
const MAX_WAITING: usize = 10_000;
/// A commit that takes longer is an outage's, and what waited for it no news any more.
const MAX_AGE_MS: u64 = 60_000;

/// Entries without a number, with the identity that will have one. They are of
/// [`DeviceId::NONE`] until then.
#[derive(Debug, Default)]
pub(super) struct Unnumbered(VecDeque<(Identity, LiveEntry)>);

impl Unnumbered {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// More of them, the newest last; how many were dropped for them.
    pub(super) fn extend(&mut self, entries: Vec<(Identity, LiveEntry)>) -> usize {
        self.0.extend(entries);
        let excess = self.0.len().saturating_sub(MAX_WAITING);
        self.0.drain(..excess);
        excess
    }

    /// Takes out those whose device has a number by now, and drops the old ones; those, and how
    /// many were dropped.
    pub(super) fn numbered(&mut self, names: &DeviceNames, now_ms: u64) -> (Vec<LiveEntry>, usize) {
        let (mut numbered, before) = (Vec::new(), self.0.len());
        self.0.retain_mut(|(identity, entry)| {
            if let Some(device) = names.number(identity) {
                let nobody = LiveEntry::seen(DeviceId::NONE, 0);
                numbered.push(std::mem::replace(entry, nobody).of_device(device));
                return false;
            }
            now_ms.saturating_sub(entry.seen_at_ms) < MAX_AGE_MS
        });
        let dropped = before - self.0.len() - numbered.len();
        (numbered, dropped)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nemeses_protocol::{Composition, Position, PositionRecord};

    use super::*;
    use crate::named::NamedDevices;

    fn entry(seen_at_ms: u64) -> LiveEntry {
        let position = Position {
            device: DeviceId::NONE,
            recorded_at: 1,
            direction_cdeg: 0,
            odometer_m: 0,
            hour_meter_min: 0,
            composition: Composition(Composition::GPS_FIX),
            extension: None,
            speed_kmh: 0,
            latitude_udeg: 1,
            longitude_udeg: 1,
        };
        let record =
            PositionRecord { position, frame_hash: 1, received_at_ms: seen_at_ms, packed: None };
        LiveEntry::from_record(&record)
    }

    #[test]
    fn an_entry_waits_for_its_number_but_not_for_ever() {
        let table = NamedDevices::default();
        let names = DeviceNames::new(Arc::new(table.clone()));
        let identity: Identity = "id:a".parse().unwrap();
        let mut waiting = Unnumbered::default();
        let two = vec![(identity.clone(), entry(5)), ("id:b".parse().unwrap(), entry(5))];
        assert_eq!(waiting.extend(two), 0);
        assert_eq!(waiting.numbered(&names, 1000), (vec![], 0));
        let device = DeviceId::new(1 << 24);
        table.remember(device, &identity);
        let (numbered, dropped) = waiting.numbered(&names, 2000);
        assert_eq!((numbered.len(), dropped), (1, 0));
        assert_eq!(numbered[0].device, device);
        let frames = [&numbered[0].newest, &numbered[0].fix];
        assert!(frames.iter().all(|frame| frame.as_ref().unwrap().position.device == device));
        assert!(!waiting.is_empty());
        assert_eq!(waiting.numbered(&names, MAX_AGE_MS + 5), (vec![], 1));
        assert!(waiting.is_empty());
    }

    #[test]
    fn beyond_the_bound_the_oldest_go() {
        let mut waiting = Unnumbered::default();
        let many = (0..=MAX_WAITING as u64).map(|at| ("id:a".parse().unwrap(), entry(at)));
        assert_eq!(waiting.extend(many.collect()), 1);
        assert_eq!(waiting.0.len(), MAX_WAITING);
        assert_eq!(waiting.0[0].1.seen_at_ms, 1);
    }
}
