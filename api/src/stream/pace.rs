//! `max_frequency`: at most so many positions a second of each device, the
//! newest never withheld for good. Pure; time is an argument.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use nemeses_protocol::DeviceId;

use super::event::Event;

/// Positions of one client that wait for their time: at most one a device, some
/// 100 bytes each, so 1 MB for a fleet of 10 000. Events stay shared.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Milliseconds between two positions of a device.
    period_ms: u64,
    /// Devices that were sent within the last period, and what waits of them: the
    /// number of the event.
    recent: HashMap<DeviceId, Option<u64>>,
    /// When each of those may be sent again, in order, since all have one period.
    due: VecDeque<(u64, DeviceId)>,
    held: BTreeMap<u64, Arc<Event>>,
}

impl Pace {
    pub(crate) fn new(period_ms: u64) -> Self {
        let (recent, due, held) = Default::default();
        Self { period_ms, recent, due, held }
    }

    /// Offers a position, numbered in the order of events; whether it goes at once.
    pub(crate) fn offer(&mut self, number: u64, event: &Arc<Event>, now_ms: u64) -> bool {
        let Some(waits) = self.recent.get_mut(&event.device) else {
            self.recent.insert(event.device, None);
            self.due.push_back((now_ms.saturating_add(self.period_ms), event.device));
            return true;
        };
        if let Some(older) = waits.replace(number) {
            self.held.remove(&older);
        }
        self.held.insert(number, Arc::clone(event));
        false
    }

    /// A position whose time has come.
    pub(crate) fn next_due(&mut self, now_ms: u64) -> Option<Arc<Event>> {
        while let Some((due_ms, device)) = self.due.front().copied()
            && due_ms <= now_ms
        {
            self.due.pop_front();
            let waited = self.recent.get_mut(&device).and_then(Option::take);
            if let Some(event) = waited.and_then(|number| self.held.remove(&number)) {
                self.due.push_back((now_ms.saturating_add(self.period_ms), device));
                return Some(event);
            }
            self.recent.remove(&device);
        }
        None
    }

    /// The oldest that waits: behind what comes before it nothing is missing.
    pub(crate) fn oldest_held(&self) -> Option<&Event> {
        self.held.values().next().map(AsRef::as_ref)
    }

    /// When to ask again, if anything waits.
    pub(crate) fn due_at_ms(&self) -> Option<u64> {
        if self.held.is_empty() { None } else { self.due.front().map(|(due_ms, _)| *due_ms) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::event::tests::entry;
    use super::super::id::EventId;
    use super::*;

    const PERIOD_MS: u64 = 100;

    fn position(device: u32, number: u64) -> Arc<Event> {
        let entry = entry(device, 1_593_637_200, 0x8000);
        Arc::new(Event::position(EventId::at(number), &entry, 0, None).unwrap())
    }

    proptest! {
        #[test]
        fn never_faster_and_the_newest_always_comes(
            offers in proptest::collection::vec((0..4_u32, 0..60_u64), 1..80),
        ) {
            let mut pace = Pace::new(PERIOD_MS);
            let (mut now_ms, mut newest) = (0, BTreeMap::new());
            let mut sent: Vec<(u64, u32, u64)> = Vec::new();
            for (number, (device, wait_ms)) in (1_u64..).zip(offers) {
                now_ms += wait_ms;
                while let Some(event) = pace.next_due(now_ms) {
                    sent.push((now_ms, event.device.number(), event.id.place));
                }
                newest.insert(device, number);
                if pace.offer(number, &position(device, number), now_ms) {
                    sent.push((now_ms, device, number));
                }
                prop_assert!(pace.held.len() <= 4 && pace.due.len() <= 4);
            }
            while let Some(due_ms) = pace.due_at_ms() {
                prop_assert!(due_ms <= now_ms + PERIOD_MS, "within one period");
                now_ms = now_ms.max(due_ms);
                while let Some(event) = pace.next_due(now_ms) {
                    sent.push((now_ms, event.device.number(), event.id.place));
                }
            }
            for (device, newest) in newest {
                let of_device: Vec<_> = sent.iter().filter(|sent| sent.1 == device).collect();
                prop_assert!(of_device.windows(2).all(|two| two[1].0 >= two[0].0 + PERIOD_MS));
                prop_assert!(of_device.windows(2).all(|two| two[1].2 > two[0].2));
                prop_assert_eq!(of_device.last().unwrap().2, newest);
            }
            prop_assert!(pace.next_due(u64::MAX).is_none());
            prop_assert!(pace.recent.is_empty() && pace.due.is_empty() && pace.held.is_empty());
        }
    }

    #[test]
    fn what_waits_is_known_to_be_missing() {
        let mut pace = Pace::new(PERIOD_MS);
        assert!(pace.offer(1, &position(1, 1), 0));
        assert!(pace.offer(2, &position(2, 2), 0));
        assert!(!pace.offer(3, &position(1, 3), 10));
        assert!(!pace.offer(4, &position(2, 4), 10));
        assert_eq!(pace.oldest_held().unwrap().id.place, 3);
        assert!(!pace.offer(5, &position(1, 5), 20));
        assert_eq!(pace.oldest_held().unwrap().id.place, 4);
        assert_eq!(pace.due_at_ms(), Some(100));
        assert!(pace.next_due(99).is_none());
    }
}
