//! What a connection has sent and not yet heard of: pairs packet ids with
//! messages, in the order of sending, and says what must come again after a
//! loss. Without IO.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use nemeses_protocol::DeviceId;

use super::device::{Kind, Message};

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Order of sending.
    number: u64,
    pub(super) message: Message,
    pub(super) at: Instant,
}

/// One connection's unacknowledged messages; bounded by its window.
#[derive(Debug, Default)]
pub(super) struct Session {
    next: u64,
    /// Handed to the client, without a packet id yet.
    queued: VecDeque<Sent>,
    /// By packet id. An id is used again before its acknowledgement is seen only
    /// by a broker that acknowledges out of order; the older message comes first.
    flying: HashMap<u16, VecDeque<Sent>>,
}

impl Session {
    /// Notes a message that is handed to the client now.
    pub(super) fn queue(&mut self, message: Message, at: Instant) {
        self.next += 1;
        self.queued.push_back(Sent { number: self.next, message, at });
    }

    /// The client wrote the next message under this packet id; 0 is QoS 0, whose
    /// message is returned, as nothing more will be heard of it.
    pub(super) fn written(&mut self, packet_id: u16) -> Option<Sent> {
        let sent = self.queued.pop_front()?;
        if packet_id == 0 {
            return Some(sent);
        }
        self.flying.entry(packet_id).or_default().push_back(sent);
        None
    }

    /// The broker acknowledged this packet id.
    pub(super) fn acknowledged(&mut self, packet_id: u16) -> Option<Sent> {
        self.flying.get_mut(&packet_id)?.pop_front()
    }

    /// Messages without an acknowledgement.
    pub(super) fn open(&self) -> usize {
        self.queued.len() + self.flying.values().map(VecDeque::len).sum::<usize>()
    }

    /// The connection is lost: what was not acknowledged comes again from the
    /// trackers' memories, historical, each tracker's frames in few large
    /// messages. Pings do not come again: a late reply is of no use.
    pub(super) fn lost(&mut self) -> Vec<Message> {
        let mut open: Vec<Sent> = self.flying.drain().flat_map(|(_, sent)| sent).collect();
        open.extend(self.queued.drain(..));
        open.sort_by_key(|sent| sent.number);
        let mut order: Vec<Message> = Vec::new();
        let mut last_of: BTreeMap<DeviceId, usize> = BTreeMap::new();
        for Sent { mut message, .. } in open {
            if message.kind == Kind::Ping {
                continue;
            }
            message.mark_historical();
            let place = last_of.get(&message.device).copied();
            if !place.is_some_and(|place| order[place].absorb(&message)) {
                last_of.insert(message.device, order.len());
                order.push(message);
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::{Device, Schedule};
    use super::super::world::World;
    use super::*;

    /// Messages of two trackers in turn, the pings left out.
    fn messages(count: u32) -> Vec<Message> {
        let world = World::new(1);
        let devices = [1, 2].map(|number| Device::new(1, DeviceId::new(number), None));
        let schedule = Schedule { start_s: 1_783_000_000, interval_s: 10, devices: 2 };
        let mut out = Vec::new();
        for round in 0..u64::from(count) {
            for (index, device) in (0..).zip(&devices) {
                device.send(&world, &schedule, index, round, &mut out);
            }
        }
        out.retain(|message| message.kind == Kind::Locations && message.frames == 1);
        out
    }

    #[test]
    fn packet_ids_are_paired_in_the_order_of_sending() {
        let mut session = Session::default();
        let all = messages(3);
        for message in &all {
            session.queue(message.clone(), Instant::now());
        }
        for packet_id in [7, 8, 9] {
            assert!(session.written(packet_id).is_none());
        }
        assert_eq!(session.acknowledged(8).unwrap().message, all[1]);
        assert_eq!(session.acknowledged(7).unwrap().message, all[0]);
        assert!(session.acknowledged(7).is_none());
        assert_eq!(session.open(), all.len() - 2);
    }

    #[test]
    fn an_id_used_twice_belongs_to_the_older_message_first() {
        let mut session = Session::default();
        let all = messages(2);
        for message in &all[..2] {
            session.queue(message.clone(), Instant::now());
            assert!(session.written(1).is_none());
        }
        assert_eq!(session.acknowledged(1).unwrap().message, all[0]);
        assert_eq!(session.acknowledged(1).unwrap().message, all[1]);
    }

    #[test]
    fn qos_0_is_done_when_written() {
        let mut session = Session::default();
        session.queue(messages(1).remove(0), Instant::now());
        assert!(session.written(0).is_some());
        assert_eq!(session.open(), 0);
    }

    #[test]
    fn a_loss_brings_back_all_that_was_open_as_few_historical_messages() {
        let mut session = Session::default();
        let all = messages(30);
        for message in &all {
            session.queue(message.clone(), Instant::now());
        }
        for packet_id in 1..=20 {
            assert!(session.written(packet_id).is_none());
        }
        for packet_id in 1..=5 {
            session.acknowledged(packet_id).unwrap();
        }
        let again = session.lost();
        assert_eq!(session.open(), 0);
        assert_eq!(again.len(), 2, "one message a tracker");
        let sum =
            |messages: &[Message]| messages.iter().map(|message| message.frames).sum::<usize>();
        assert_eq!(sum(&again), all.len() - 5);
        let hashes = |messages: &[Message]| {
            let each = messages.iter().flat_map(Message::each).map(nemeses_protocol::frame_hash);
            each.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(hashes(&again), hashes(&all[5..]));
        for frame in again.iter().flat_map(Message::each) {
            assert_eq!(frame[20] & 0x40, 0x40);
        }
    }
}
