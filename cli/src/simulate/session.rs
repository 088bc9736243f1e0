//! What a connection has sent and not yet heard of: pairs packet ids with
//! messages, and says what must come again after a
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
    last_id: u16,
    /// By packet id.
    flying: HashMap<u16, Sent>,
    /// Of QoS 0, with the place in the stream behind each.
    unwritten: VecDeque<(u64, Sent)>,
}

impl Session {
    /// A packet id that is not in use, below 65535.
    pub(super) fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id % (u16::MAX - 1) + 1;
            if !self.flying.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Notes a message that was handed to the connection: under this packet id, or at
    /// QoS 0 (packet id 0) up to this place in the stream.
    pub(super) fn sent(&mut self, message: Message, packet_id: u16, end: u64, at: Instant) {
        self.next += 1;
        let sent = Sent { number: self.next, message, at };
        if packet_id == 0 {
            self.unwritten.push_back((end, sent));
        } else {
            self.flying.insert(packet_id, sent);
        }
    }

    /// The connection has written so much: of QoS 0 nothing more will be heard.
    pub(super) fn written(&mut self, until: u64) {
        while self.unwritten.front().is_some_and(|(end, _)| *end <= until) {
            self.unwritten.pop_front();
        }
    }

    /// The broker acknowledged this packet id.
    pub(super) fn acknowledged(&mut self, packet_id: u16) -> Option<Sent> {
        self.flying.remove(&packet_id)
    }

    /// Messages without an acknowledgement.
    pub(super) fn open(&self) -> usize {
        self.unwritten.len() + self.flying.len()
    }

    /// The connection is lost: what was not acknowledged comes again from the
    /// trackers' memories, historical, each tracker's frames in few large
    /// messages. Pings do not come again: a late reply is of no use.
    pub(super) fn lost(&mut self) -> Vec<Message> {
        let mut open: Vec<Sent> = self.flying.drain().map(|(_, sent)| sent).collect();
        open.extend(self.unwritten.drain(..).map(|(_, sent)| sent));
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
    fn packet_ids_are_paired_and_not_used_twice() {
        let mut session = Session::default();
        let all = messages(3);
        session.last_id = u16::MAX - 2;
        let ids: Vec<u16> = all[..3]
            .iter()
            .map(|message| {
                let id = session.free_id();
                session.sent(message.clone(), id, 0, Instant::now());
                id
            })
            .collect();
        assert_eq!(ids, [u16::MAX - 1, 1, 2]);
        session.last_id = 0;
        assert_eq!(session.free_id(), 3, "1 and 2 are in use");
        assert_eq!(session.acknowledged(1).unwrap().message, all[1]);
        assert_eq!(session.acknowledged(u16::MAX - 1).unwrap().message, all[0]);
        assert!(session.acknowledged(1).is_none());
        assert_eq!(session.open(), 1);
    }

    #[test]
    fn qos_0_is_done_when_written() {
        let mut session = Session::default();
        let all = messages(2);
        session.sent(all[0].clone(), 0, 20, Instant::now());
        session.sent(all[1].clone(), 0, 40, Instant::now());
        session.written(39);
        assert_eq!(session.open(), 1);
        session.written(40);
        assert_eq!(session.open(), 0);
    }

    #[test]
    fn a_loss_brings_back_all_that_was_open_as_few_historical_messages() {
        let mut session = Session::default();
        let all = messages(30);
        for message in &all {
            let id = session.free_id();
            session.sent(message.clone(), id, 0, Instant::now());
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
