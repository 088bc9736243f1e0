//! What waits to be written: one joined entry a device, in the order in which
//! the devices began to wait. Pure.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use crate::hash::NumberHash;

use nemeses_protocol::DeviceId;

use super::LiveEntry;

/// Bytes of channels' values that wait; beyond, offers are kept without theirs (history has
/// them). 40 000 devices with ten channels each, 60 MB.
const MAX_VALUE_BYTES: usize = 60 << 20;
/// Bytes of values that are taken at once, and one entry more.
const VALUE_BYTES_AT_ONCE: usize = 4 << 20;

/// What became of the offers so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Joined into an entry that waited already.
    pub(super) coalesced: u64,
    /// Not kept, or without its values, since a bound was reached.
    pub(super) dropped: u64,
}

/// Positions count every device that began to wait since the start, from 1, so
/// that "written up to position n" says that all before have been written too.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<LiveEntry>,
    /// The position of each device that waits.
    positions: HashMap<DeviceId, u64, NumberHash>,
    max_waiting: usize,
    /// What the values of those that wait take.
    value_bytes: usize,
    last_position: u64,
    pub(super) counts: Counts,
}

impl Queue {
    pub(super) fn new(max_waiting: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            positions: HashMap::default(),
            max_waiting,
            value_bytes: 0,
            last_position: 0,
            counts: Counts::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The position of the device that began to wait last.
    pub(super) const fn last_position(&self) -> u64 {
        self.last_position
    }

    pub(super) fn offer(&mut self, mut entry: LiveEntry) {
        if entry.values.is_some() && self.value_bytes > MAX_VALUE_BYTES {
            entry.values = None;
            self.counts.dropped += 1;
        }
        let room = self.waiting.len() < self.max_waiting;
        match self.place(entry, room) {
            Placed::Joined => self.counts.coalesced += 1,
            Placed::Dropped => self.counts.dropped += 1,
            Placed::Waits => {}
        }
    }

    /// Takes the oldest entries, and says up to which position nothing waits any more.
    pub(super) fn take(&mut self, most: usize) -> (Vec<LiveEntry>, u64) {
        let mut bytes = 0;
        let small = |entry: &&LiveEntry| {
            let before = bytes;
            bytes += value_bytes(entry);
            before < VALUE_BYTES_AT_ONCE
        };
        let count = self.waiting.iter().take(most).take_while(small).count();
        let taken: Vec<LiveEntry> = self.waiting.drain(..count).collect();
        for entry in &taken {
            self.positions.remove(&entry.device);
            self.value_bytes -= value_bytes(entry);
        }
        (taken, self.first_position() - 1)
    }

    /// Lets entries that could not be written wait again. Taken entries always
    /// find room, so what waits never exceeds the bound by more than one chunk.
    pub(super) fn put_back(&mut self, entries: Vec<LiveEntry>) {
        for entry in entries {
            self.place(entry, true);
        }
    }

    /// The position of the entry at the front, or of the next one to come.
    fn first_position(&self) -> u64 {
        self.last_position + 1 - self.waiting.len() as u64
    }

    fn place(&mut self, entry: LiveEntry, room: bool) -> Placed {
        let first_position = self.first_position();
        match self.positions.entry(entry.device) {
            Entry::Occupied(held) => {
                let index = usize::try_from(*held.get() - first_position).ok();
                if let Some(waiting) = index.and_then(|index| self.waiting.get_mut(index)) {
                    self.value_bytes -= value_bytes(waiting);
                    waiting.merge(entry);
                    self.value_bytes += value_bytes(waiting);
                }
                Placed::Joined
            }
            Entry::Vacant(free) if room => {
                self.last_position += 1;
                free.insert(self.last_position);
                self.value_bytes += value_bytes(&entry);
                self.waiting.push_back(entry);
                Placed::Waits
            }
            Entry::Vacant(_) => Placed::Dropped,
        }
    }
}

fn value_bytes(entry: &LiveEntry) -> usize {
    entry.values.as_ref().map_or(0, |values| values.bytes())
}

enum Placed {
    Waits,
    Joined,
    Dropped,
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::Value;

    use super::*;
    use crate::live::{LiveValue, LiveValues};

    fn seen(device: u32, seen_at_ms: u64) -> LiveEntry {
        LiveEntry::seen(DeviceId::new(device), seen_at_ms)
    }

    #[test]
    fn entries_of_a_device_wait_as_one_and_leave_in_order() {
        let mut queue = Queue::new(10);
        for entry in [seen(1, 5), seen(2, 6), seen(1, 7)] {
            queue.offer(entry);
        }
        assert_eq!(queue.counts, Counts { coalesced: 1, dropped: 0 });
        assert_eq!(queue.last_position(), 2);
        assert_eq!(queue.take(1), (vec![seen(1, 7)], 1));
        assert_eq!(queue.take(9), (vec![seen(2, 6)], 2));
        assert_eq!(queue.take(9), (vec![], 2));
    }

    #[test]
    fn beyond_the_bound_new_devices_are_dropped_and_known_ones_move_on() {
        let mut queue = Queue::new(2);
        for entry in [seen(1, 1), seen(2, 1), seen(3, 1), seen(1, 9)] {
            queue.offer(entry);
        }
        assert_eq!(queue.counts, Counts { coalesced: 1, dropped: 1 });
        assert_eq!(queue.take(9).0, [seen(1, 9), seen(2, 1)]);
    }

    #[test]
    fn values_that_wait_are_bounded_and_leave_in_bounded_chunks() {
        let with_values = |device| {
            let value = |number: u32| LiveValue {
                channel: format!("c{number}").into(),
                unit: None,
                value: Value::Text("x".repeat(200).into()),
                cut: false,
                recorded_at_ms: 1,
                received_at_ms: 1,
                content_hash: 1,
            };
            let values = LiveValues::new(1, (0..1_000).map(value).collect());
            LiveEntry { values: Some(Box::new(values)), ..seen(device, 1) }
        };
        let mut queue = Queue::new(1_000);
        let some: Vec<LiveEntry> = (0..400).map(with_values).collect();
        let each = value_bytes(&some[0]);
        for entry in some {
            queue.offer(entry);
        }
        let kept = MAX_VALUE_BYTES / each + 1;
        assert_eq!(queue.counts, Counts { coalesced: 0, dropped: (400 - kept) as u64 });
        assert_eq!(queue.len(), 400, "they are heard all the same");
        let (taken, _) = queue.take(1_000);
        assert_eq!(taken.len(), VALUE_BYTES_AT_ONCE / each + 1);
        while !queue.take(1_000).0.is_empty() {}
        assert_eq!(queue.value_bytes, 0);
    }

    #[test]
    fn what_could_not_be_written_joins_what_came_since() {
        let mut queue = Queue::new(2);
        queue.offer(seen(1, 9));
        queue.offer(seen(2, 1));
        let (failed, _) = queue.take(2);
        queue.offer(seen(1, 3));
        queue.offer(seen(4, 1));
        queue.put_back(failed);
        assert_eq!(queue.len(), 3);
        let (taken, written_to) = queue.take(9);
        assert_eq!(taken, [seen(1, 9), seen(4, 1), seen(2, 1)]);
        assert_eq!(written_to, queue.last_position());
    }
}
