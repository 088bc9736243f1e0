//! One connection's publishes under way: queued, then held by packet id until their
//! PUBACK, or at QoS 0 until they are written.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAck, Publish};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use super::{Answer, Delivered, PublishError};
use crate::client::published;
use crate::v5::V5;
use crate::wire::Wire;

/// Header, packet id and properties of a PUBLISH beside topic and payload, at most.
const PACKET_OVERHEAD_BYTES: usize = 16;
/// Encoded and not yet given to the socket: one packet more than this at most.
const ENCODED_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Outgoing {
    max_packet_bytes: usize,
    /// Unacknowledged at once, at most.
    inflight: usize,
    state: Mutex<State>,
    /// Told when there is something to send.
    pub(super) attention: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Not yet encoded. Bounded by the permits.
    queued: VecDeque<(Publish, Waiting)>,
    /// Encoded at QoS 1, by packet id.
    sent: HashMap<u16, Waiting>,
    /// Encoded at QoS 0, with the place in the stream behind it.
    unwritten: VecDeque<(u64, Waiting)>,
    last_id: u16,
    lost: bool,
}

#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Answer>,
    _permit: OwnedSemaphorePermit,
}

impl Waiting {
    fn resolve(self, answer: Answer) {
        // The caller may have given up waiting.
        let _ = self.answer.send(answer);
    }
}

impl Outgoing {
    pub(super) fn new(max_packet_bytes: usize, inflight: usize) -> Self {
        Self { max_packet_bytes, inflight, state: Mutex::default(), attention: Notify::new() }
    }

    pub(super) fn max_payload_bytes(&self, topic: &str) -> usize {
        self.max_packet_bytes.saturating_sub(PACKET_OVERHEAD_BYTES + topic.len())
    }

    /// Queues a publish; the answer is dropped with the connection.
    pub(super) fn send(
        &self,
        topic: &str,
        payload: Bytes,
        qos: QoS,
        permit: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Answer>, PublishError> {
        let size = PACKET_OVERHEAD_BYTES + topic.len() + payload.len();
        if size > self.max_packet_bytes {
            return Err(PublishError::TooLarge { size, max: self.max_packet_bytes });
        }
        let (answer, answered) = oneshot::channel();
        let mut state = self.lock();
        if state.lost {
            return Err(PublishError::ConnectionLost);
        }
        let publish = Publish::new(topic, qos, payload, None);
        state.queued.push_back((publish, Waiting { answer, _permit: permit }));
        drop(state);
        self.attention.notify_one();
        Ok(answered)
    }

    /// Encodes what may be sent now, and answers for what is written at QoS 0.
    pub(super) fn send_into(&self, wire: &mut Wire<V5>) {
        let mut state = self.lock();
        while state.unwritten.front().is_some_and(|(end, _)| *end <= wire.written()) {
            if let Some((_, waiting)) = state.unwritten.pop_front() {
                waiting.resolve(Ok(Delivered));
            }
        }
        while wire.queued_bytes() < ENCODED_BYTES {
            let Some((mut publish, waiting)) = state.next(self.inflight) else { return };
            if publish.qos == QoS::AtMostOnce {
                wire.send(&Packet::Publish(publish));
                state.unwritten.push_back((wire.queued_until(), waiting));
            } else {
                publish.pkid = state.free_id();
                state.sent.insert(publish.pkid, waiting);
                wire.send(&Packet::Publish(publish));
            }
        }
    }

    /// A PUBACK came; says whether it was one that counts.
    pub(super) fn acknowledged(&self, puback: &PubAck) -> bool {
        let Some(waiting) = self.lock().sent.remove(&puback.pkid) else { return false };
        let answer = published(puback.reason).map(|()| Delivered);
        let counts = answer.is_ok();
        waiting.resolve(answer);
        counts
    }

    /// The connection is over: whatever is under way is in doubt.
    pub(super) fn lost(&self) {
        let mut state = self.lock();
        state.lost = true;
        state.queued.clear();
        state.sent.clear();
        state.unwritten.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The oldest, unless it has to wait for an acknowledgement.
    fn next(&mut self, inflight: usize) -> Option<(Publish, Waiting)> {
        let (first, _) = self.queued.front()?;
        let waits = first.qos != QoS::AtMostOnce && self.sent.len() >= inflight;
        if waits { None } else { self.queued.pop_front() }
    }

    /// A packet id that is not in use. There is one: fewer are sent than there are ids.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.sent.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }
}
