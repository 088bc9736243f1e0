//! Which deliveries of one connection are unfinished. Pure: PUBACKs go out in
//! the order of delivery, for the finished prefix.

use std::collections::VecDeque;

#[derive(Debug)]
struct Slot {
    packet_id: u16,
    finished: bool,
}

/// The unacknowledged deliveries of one connection. The subscriber takes no more
/// when [`Window::len`] reaches its receive maximum.
#[derive(Debug, Default)]
pub(crate) struct Window {
    slots: VecDeque<Slot>,
    /// Number of the first slot, counted from the connection's first delivery.
    first: u64,
}

impl Window {
    /// Notes a delivery; returns its number.
    pub(crate) fn deliver(&mut self, packet_id: u16) -> u64 {
        self.slots.push_back(Slot { packet_id, finished: false });
        self.delivered() - 1
    }

    /// Deliveries so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// Marks one as finished and calls `acknowledge` with the packet ids that
    /// may go out now, in order.
    pub(crate) fn finish(&mut self, number: u64, mut acknowledge: impl FnMut(u16)) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) {
            slot.finished = true;
        }
        while let Some(Slot { packet_id, finished: true }) = self.slots.front() {
            acknowledge(*packet_id);
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// Deliveries that are not acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether everything delivered is acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_prefix_goes_out_when_its_last_gap_is_filled() {
        let mut window = Window::default();
        let numbers: Vec<u64> = [7, 8, 9].map(|id| window.deliver(id)).into();
        let mut sent = Vec::new();
        window.finish(numbers[1], |id| sent.push(id));
        assert!(sent.is_empty());
        window.finish(numbers[0], |id| sent.push(id));
        assert_eq!(sent, [7, 8]);
        window.finish(numbers[0], |id| sent.push(id));
        window.finish(numbers[2], |id| sent.push(id));
        assert_eq!(sent, [7, 8, 9]);
        assert!(window.is_empty());
    }

    proptest! {
        /// Whatever the order of finishing, and however deliveries come between:
        /// every id goes out once, in the order of delivery, never before its
        /// own finish or that of one before it.
        #[test]
        fn acknowledges_in_order_and_never_early(
            choices in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200)
        ) {
            let mut window = Window::default();
            let (mut unfinished, mut finished, mut sent) = (Vec::new(), Vec::new(), Vec::new());
            let mut next_id = 1_u16;
            let mut finish = |window: &mut Window, unfinished: &mut Vec<(u64, u16)>, at: usize| {
                let (number, id) = unfinished.swap_remove(at);
                finished.push(id);
                window.finish(number, |id| sent.push(id));
                assert!(sent.iter().all(|id| finished.contains(id)), "early");
            };
            for (deliver, index) in choices {
                if deliver || unfinished.is_empty() {
                    unfinished.push((window.deliver(next_id), next_id));
                    next_id += 1;
                } else {
                    let at = index.index(unfinished.len());
                    finish(&mut window, &mut unfinished, at);
                }
            }
            while !unfinished.is_empty() {
                finish(&mut window, &mut unfinished, 0);
            }
            prop_assert_eq!(sent, (1..next_id).collect::<Vec<_>>());
            prop_assert!(window.is_empty());
        }
    }
}
