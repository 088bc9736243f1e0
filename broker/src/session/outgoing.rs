//! Messages of QoS 1 and 2 on their way to a client: a state machine without IO.
//!
//! Sessions do not outlive connections, so that nothing is ever sent twice by this
//! connection, and only packet ids are kept, and the receipts of commands.

use std::collections::BTreeMap;

use crate::commands::{Fate, Handed};
use crate::packet::{Qos, Reason};

/// Unacknowledged messages of the door to one client, at most.
const MOST_IN_FLIGHT: u16 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Acknowledged,
    Received,
    Completed,
}

/// What a client has not acknowledged.
#[derive(Debug)]
pub(super) struct Outgoing {
    in_flight: BTreeMap<u16, Awaited>,
    /// Of those in flight that are commands: few, if any.
    handed: BTreeMap<u16, Handed>,
    last_id: u16,
    limit: usize,
}

impl Outgoing {
    /// `receive_maximum` is the client's.
    pub(super) fn new(receive_maximum: u16) -> Self {
        let limit = usize::from(receive_maximum.min(MOST_IN_FLIGHT));
        Self { in_flight: BTreeMap::new(), handed: BTreeMap::new(), last_id: 0, limit }
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < self.limit
    }

    /// The packet id of the next message; 0 at QoS 0. There must be room.
    pub(super) fn send(&mut self, qos: Qos) -> u16 {
        let awaited = match qos {
            Qos::AtMostOnce => return 0,
            Qos::AtLeastOnce => Awaited::Acknowledged,
            Qos::ExactlyOnce => Awaited::Received,
        };
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if let std::collections::btree_map::Entry::Vacant(free) =
                self.in_flight.entry(self.last_id)
            {
                free.insert(awaited);
                return self.last_id;
            }
        }
    }

    /// The message with this packet id, just sent, is a command.
    pub(super) fn keep(&mut self, id: u16, handed: Handed) {
        if id == 0 {
            handed.ends(Fate::SentForGood);
        } else {
            handed.sent();
            self.handed.insert(id, handed);
        }
    }

    /// A PUBACK came; whether it was awaited.
    pub(super) fn acknowledged(&mut self, id: u16, reason: Reason) -> bool {
        let awaited = self.advance(id, Awaited::Acknowledged, None);
        if let Some(handed) = self.handed.remove(&id).filter(|_| awaited) {
            let refused = reason.is_error();
            handed.ends(if refused { Fate::Refused(reason.0) } else { Fate::Acknowledged });
        }
        awaited
    }

    /// A PUBREC came; whether it is to be answered by a plain PUBREL. A failed
    /// one ends the message (MQTT 5, 4.3.3).
    pub(super) fn received(&mut self, id: u16, failed: bool) -> bool {
        // A PUBREC may be repeated.
        let next = if failed { None } else { Some(Awaited::Completed) };
        self.advance(id, Awaited::Received, next) || self.advance(id, Awaited::Completed, next)
    }

    /// A PUBCOMP came; whether it was awaited.
    pub(super) fn completed(&mut self, id: u16) -> bool {
        self.advance(id, Awaited::Completed, None)
    }

    fn advance(&mut self, id: u16, from: Awaited, to: Option<Awaited>) -> bool {
        if self.in_flight.get(&id) != Some(&from) {
            return false;
        }
        match to {
            Some(next) => self.in_flight.insert(id, next),
            None => self.in_flight.remove(&id),
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_qos_1_ends_with_its_puback() {
        let mut outgoing = Outgoing::new(1);
        assert_eq!(outgoing.send(Qos::AtMostOnce), 0);
        let id = outgoing.send(Qos::AtLeastOnce);
        assert!(!outgoing.has_room());
        assert!(!outgoing.completed(id));
        assert!(outgoing.acknowledged(id, Reason::SUCCESS));
        assert!(!outgoing.acknowledged(id, Reason::SUCCESS));
        assert!(outgoing.has_room());
    }

    #[test]
    fn a_message_of_qos_2_takes_two_rounds() {
        let mut outgoing = Outgoing::new(10);
        let id = outgoing.send(Qos::ExactlyOnce);
        assert!(!outgoing.acknowledged(id, Reason::SUCCESS));
        assert!(outgoing.received(id, false));
        assert!(outgoing.received(id, false), "a repeated PUBREC is answered again");
        assert!(outgoing.completed(id));
        assert!(!outgoing.received(id, false));
        let failed = outgoing.send(Qos::ExactlyOnce);
        assert!(outgoing.received(failed, true));
        assert!(!outgoing.completed(failed));
    }

    #[test]
    fn ids_in_use_are_left_out_and_0_is_none() {
        let mut outgoing = Outgoing::new(u16::MAX);
        let held = outgoing.send(Qos::AtLeastOnce);
        for _ in 0..u32::from(u16::MAX) + 10 {
            let id = outgoing.send(Qos::AtLeastOnce);
            assert_ne!(id, held);
            assert_ne!(id, 0);
            assert!(outgoing.acknowledged(id, Reason::SUCCESS));
        }
    }
}
