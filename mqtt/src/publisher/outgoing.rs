//! One connection's publishes under way: queued in the order they are sent,
//! then held by packet id until their PUBACK.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{PubAck, PubAckReason};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Answer, Delivered, PublishError};

/// Header, packet id and properties of a PUBLISH beside topic and payload, at most.
const PACKET_OVERHEAD_BYTES: usize = 16;

#[derive(Debug)]
pub(super) struct Outgoing {
    client: AsyncClient,
    max_packet_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Queued, in the order of sending. Bounded by the permits.
    queued: VecDeque<Waiting>,
    /// Sent at QoS 1, by packet id.
    sent: HashMap<u16, Waiting>,
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
    pub(super) fn new(client: AsyncClient, max_packet_bytes: usize) -> Self {
        Self { client, max_packet_bytes, state: Mutex::default() }
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
        // Under the lock, so that both queues have one order.
        let mut state = self.lock();
        if state.lost {
            return Err(PublishError::ConnectionLost);
        }
        // There is room for every permit: it fails only when the connection is gone.
        self.client
            .try_publish(topic, qos, false, payload)
            .map_err(|_| PublishError::ConnectionLost)?;
        state.queued.push_back(Waiting { answer, _permit: permit });
        Ok(answered)
    }

    /// A PUBLISH went out; packet id 0 is QoS 0, which this completes.
    pub(super) fn sent(&self, packet_id: u16) {
        let mut state = self.lock();
        let Some(waiting) = state.queued.pop_front() else { return };
        if packet_id == 0 {
            waiting.resolve(Ok(Delivered));
        } else {
            state.sent.insert(packet_id, waiting);
        }
    }

    /// A PUBACK came; says whether it was one that counts.
    pub(super) fn acknowledged(&self, puback: &PubAck) -> bool {
        let Some(waiting) = self.lock().sent.remove(&puback.pkid) else { return false };
        let answer = match puback.reason {
            PubAckReason::Success => Ok(Delivered),
            PubAckReason::NoMatchingSubscribers => Err(PublishError::NoSubscriber),
            other => Err(PublishError::Refused(format!("{other:?}"))),
        };
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
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
