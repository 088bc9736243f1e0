//! Acknowledgement handles and the connection they belong to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAck, Unsubscribe};
use tokio::sync::Notify;

use crate::leaving::{Leaving, Step};
use crate::v5::V5;
use crate::window::Window;
use crate::wire::{Version as _, Wire};

/// Proof owed to the broker for one message. [`Ack::done`] may be called in any
/// order; the PUBACKs go out in the order of delivery. Dropped undone, the
/// message stays unacknowledged and holds back those behind it until the
/// connection ends: then, at the next connection, the broker delivers it again.
/// So drop it only when the process is about to end or the work was given up.
///
/// After its connection has ended, a handle does nothing.
#[derive(Debug)]
#[must_use = "an undone acknowledgement blocks those behind it"]
pub struct Ack(Option<Owed>);

#[derive(Debug)]
struct Owed {
    deliveries: Arc<Deliveries>,
    number: u64,
}

impl Ack {
    /// For QoS 0, where nothing is owed.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// The work is done; the broker may forget the message. Never waits.
    pub fn done(self) {
        if let Some(Owed { deliveries, number }) = self.0 {
            deliveries.finish(number);
        }
    }

    /// Whether the broker waits for this acknowledgement (QoS 1).
    pub const fn is_promised(&self) -> bool {
        self.0.is_some()
    }
}

/// The deliveries of one connection, and what is to be written for them.
#[derive(Debug)]
pub(crate) struct Deliveries {
    /// Asked about again and again while leaving.
    filter: String,
    state: Mutex<State>,
    /// Told when there is something to write.
    attention: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    window: Window,
    leaving: Option<Leaving>,
    /// Encoded packets. At most a PUBACK of 4 bytes for each delivery and one
    /// UNSUBSCRIBE; dropped with the connection.
    outgoing: BytesMut,
}

impl Deliveries {
    pub(crate) fn new(filter: String, leaving: Option<Leaving>, attention: Arc<Notify>) -> Self {
        let state = State { window: Window::default(), leaving, outgoing: BytesMut::new() };
        Self { filter, state: Mutex::new(state), attention }
    }

    pub(crate) fn deliver(self: &Arc<Self>, packet_id: u16) -> Ack {
        let number = self.lock().window.deliver(packet_id);
        Ack(Some(Owed { deliveries: Arc::clone(self), number }))
    }

    /// Hands what is to be written to the connection.
    pub(crate) fn flush_into(&self, wire: &mut Wire<V5>) {
        wire.send_bytes(&mut self.lock().outgoing);
    }

    /// Deliveries that are not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.lock().window.len()
    }

    /// An UNSUBACK came; true when this subscriber has left and holds nothing more.
    pub(crate) fn unsubscribed(&self) -> bool {
        let mut state = self.lock();
        let (delivered, empty) = (state.window.delivered(), state.window.is_empty());
        let step = state.leaving.as_mut().map(|leaving| leaving.answered(delivered, empty));
        self.act(step, &mut state)
    }

    fn finish(&self, number: u64) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let before = state.outgoing.len();
        state.window.finish(number, |packet_id| {
            V5::write(&Packet::PubAck(PubAck::new(packet_id, None)), &mut state.outgoing);
        });
        let (delivered, empty) = (state.window.delivered(), state.window.is_empty());
        let step = state.leaving.as_mut().map(|leaving| leaving.acknowledged(delivered, empty));
        self.act(step, state);
        if before == 0 && !state.outgoing.is_empty() {
            drop(guard);
            self.attention.notify_one();
        }
    }

    fn act(&self, step: Option<Step>, state: &mut State) -> bool {
        if step == Some(Step::Ask) {
            V5::write(&unsubscribe(&self.filter), &mut state.outgoing);
        }
        step == Some(Step::Drained)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Packet ids need not differ: one question is open at a time, and the answers
/// are counted, not told apart.
pub(super) fn unsubscribe(filter: &str) -> Packet {
    let mut unsubscribe = Unsubscribe::new(filter, None);
    unsubscribe.pkid = 1;
    Packet::Unsubscribe(unsubscribe)
}
