//! Which acknowledgements a connection is owed, in the order of its messages: a
//! state machine without IO.

use std::collections::VecDeque;

use crate::batches::Batches;
use crate::packet::Reason;

/// An acknowledgement that may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) packet_id: u16,
    /// PUBREC rather than PUBACK.
    pub(super) exactly_once: bool,
    pub(super) reason: Reason,
    /// The client has released the message without waiting for PUBREC: PUBCOMP follows it.
    pub(super) released: bool,
}

impl Due {
    /// PUBREC of success.
    pub(super) const fn received(packet_id: u16) -> Self {
        Self { packet_id, exactly_once: true, reason: Reason::SUCCESS, released: false }
    }
}

#[derive(Clone, Copy, Debug)]
struct Owed {
    due: Due,
    /// Sent only after this batch; `None` when it waits for its predecessors only.
    batch: Option<u64>,
}

/// Acknowledgements owed and batches that wait for their commit.
#[derive(Debug, Default)]
pub(super) struct Acks {
    owed: VecDeque<Owed>,
    batches: Batches,
    owed_at_least_once: usize,
}

impl Acks {
    /// The number that the next batch will have.
    pub(super) fn next_batch(&self) -> u64 {
        self.batches.next()
    }

    /// Opens the next batch.
    pub(super) fn open(&mut self, messages: usize, bytes: usize) -> u64 {
        self.batches.open(messages, bytes)
    }

    /// A batch was committed.
    pub(super) fn committed(&mut self, batch: u64) {
        self.batches.committed(batch);
    }

    /// Owes an acknowledgement, after everything owed before it and, if given,
    /// after a batch.
    pub(super) fn owe(&mut self, due: Due, batch: Option<u64>) {
        self.owed_at_least_once += usize::from(!due.exactly_once);
        self.owed.push_back(Owed { due, batch });
    }

    /// The next one that may be sent.
    pub(super) fn next_due(&mut self) -> Option<Due> {
        let ready = self
            .owed
            .front()
            .is_some_and(|owed| owed.batch.is_none_or(|batch| self.batches.is_kept(batch)));
        let due = if ready { self.owed.pop_front().map(|owed| owed.due) } else { None };
        self.owed_at_least_once -= usize::from(due.is_some_and(|due| !due.exactly_once));
        if self.owed.is_empty() {
            self.owed.shrink_to(8);
        }
        due
    }

    /// Whether the acknowledgement of a message of QoS 2 was not sent yet.
    pub(super) fn owes_received(&self, packet_id: u16) -> bool {
        self.owed.iter().any(|owed| owed.due.exactly_once && owed.due.packet_id == packet_id)
    }

    /// A PUBREL came; whether it came before its PUBREC was sent, which PUBCOMP follows
    /// then: PUBCOMP means that the message is committed, as PUBREC does.
    pub(super) fn release(&mut self, packet_id: u16) -> bool {
        let early = self.owed.iter_mut().find(|owed| {
            let Due { packet_id: id, exactly_once, reason, .. } = owed.due;
            exactly_once && id == packet_id && !reason.is_error()
        });
        early.map(|owed| owed.due.released = true).is_some()
    }

    /// Acknowledgements of QoS 1 that are owed.
    pub(super) const fn owed_at_least_once(&self) -> usize {
        self.owed_at_least_once
    }

    /// Acknowledgements owed, those behind a commit too.
    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Messages that wait for their commit.
    pub(super) const fn waiting_messages(&self) -> usize {
        self.batches.waiting_messages()
    }

    /// Their bytes.
    pub(super) const fn waiting_bytes(&self) -> usize {
        self.batches.waiting_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn due(packet_id: u16) -> Due {
        Due { exactly_once: false, ..Due::received(packet_id) }
    }

    fn all_due(acks: &mut Acks) -> Vec<u16> {
        std::iter::from_fn(|| acks.next_due()).map(|due| due.packet_id).collect()
    }

    #[test]
    fn an_acknowledgement_waits_for_its_batch_and_for_those_before_it() {
        let mut acks = Acks::default();
        acks.owe(due(1), Some(acks.next_batch()));
        let first = acks.open(1, 10);
        acks.owe(due(2), None);
        acks.owe(due(3), Some(acks.next_batch()));
        let second = acks.open(1, 10);
        assert!(all_due(&mut acks).is_empty());
        acks.committed(second);
        assert!(all_due(&mut acks).is_empty());
        assert_eq!(acks.waiting_messages(), 1);
        acks.committed(first);
        assert_eq!(all_due(&mut acks), [1, 2, 3]);
        assert_eq!((acks.waiting_messages(), acks.waiting_bytes()), (0, 0));
    }

    #[test]
    fn a_message_released_early_is_completed_after_it_was_received() {
        let mut acks = Acks::default();
        acks.owe(Due::received(7), Some(acks.next_batch()));
        let batch = acks.open(1, 10);
        assert!(!acks.release(8));
        assert!(acks.release(7) && acks.release(7));
        assert_eq!(acks.next_due(), None);
        acks.committed(batch);
        assert_eq!(acks.next_due(), Some(Due { released: true, ..Due::received(7) }));
        assert!(!acks.release(7));
        acks.owe(Due { reason: Reason::NOT_AUTHORIZED, ..Due::received(9) }, None);
        assert!(!acks.release(9), "a refused message has ended");
    }

    #[test]
    fn a_batch_is_kept_once_and_a_strange_one_not_at_all() {
        let mut acks = Acks::default();
        let batch = acks.open(2, 20);
        acks.committed(batch);
        acks.committed(batch);
        acks.committed(99);
        assert_eq!(acks.waiting_messages(), 0);
    }

    proptest! {
        /// Whatever the order of commits, acknowledgements come in the order of
        /// messages, none before its batch, and all in the end.
        #[test]
        fn in_order_whatever_the_order_of_commits(
            sizes in proptest::collection::vec(0_u16..4, 1..20),
            order in proptest::collection::vec(any::<proptest::sample::Index>(), 20),
        ) {
            let mut acks = Acks::default();
            let (mut id, mut open) = (0, Vec::new());
            let mut batch_of = Vec::new();
            for size in sizes {
                for _ in 0..size {
                    id += 1;
                    acks.owe(due(id), Some(acks.next_batch()));
                    batch_of.push(acks.next_batch());
                }
                open.push(acks.open(usize::from(size), 1));
            }
            let (mut sent, mut committed) = (Vec::new(), Vec::new());
            for index in order {
                if open.is_empty() { break; }
                let batch = open.remove(index.index(open.len()));
                acks.committed(batch);
                committed.push(batch);
                sent.extend(all_due(&mut acks));
                for id in &sent {
                    prop_assert!(committed.contains(&batch_of[usize::from(*id) - 1]));
                }
            }
            for batch in open { acks.committed(batch); }
            sent.extend(all_due(&mut acks));
            prop_assert_eq!(sent, (1..=id).collect::<Vec<_>>());
        }
    }
}
