//! Acknowledgement handles and the connection they belong to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Publish;

use crate::leaving::{Leaving, Step};
use crate::window::Window;

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

/// The deliveries of one connection.
#[derive(Debug)]
pub(crate) struct Deliveries {
    client: AsyncClient,
    /// Asked about again and again while leaving.
    filter: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window: Window,
    leaving: Option<Leaving>,
}

impl Deliveries {
    pub(crate) fn new(client: AsyncClient, filter: String, leaving: Option<Leaving>) -> Self {
        let state = Mutex::new(State { window: Window::default(), leaving });
        Self { client, filter, state }
    }

    pub(crate) fn deliver(self: &Arc<Self>, packet_id: u16) -> Ack {
        let number = self.lock().window.deliver(packet_id);
        Ack(Some(Owed { deliveries: Arc::clone(self), number }))
    }

    /// An UNSUBACK came; true when this subscriber has left and holds nothing more.
    pub(crate) fn unsubscribed(&self) -> bool {
        let mut state = self.lock();
        let (delivered, empty) = (state.window.delivered(), state.window.is_empty());
        let Some(leaving) = &mut state.leaving else { return false };
        let step = leaving.answered(delivered, empty);
        self.act(step)
    }

    fn finish(&self, number: u64) {
        let mut state = self.lock();
        // Sent under the lock, so that the order on the wire is the window's.
        state.window.finish(number, |packet_id| {
            // The channel has room for the whole window; it fails only when the
            // connection is gone, and then there is nothing to acknowledge.
            let _ = self.client.try_ack(&delivered_as(packet_id));
        });
        let (delivered, empty) = (state.window.delivered(), state.window.is_empty());
        if let Some(leaving) = &mut state.leaving {
            let step = leaving.acknowledged(delivered, empty);
            self.act(step);
        }
    }

    fn act(&self, step: Step) -> bool {
        if step == Step::Ask {
            // As above: room is there unless the connection is gone.
            let _ = self.client.try_unsubscribe(self.filter.clone());
        }
        step == Step::Drained
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// rumqttc takes QoS and packet id from here and nothing else.
fn delivered_as(packet_id: u16) -> Publish {
    let mut publish = Publish::new(String::new(), QoS::AtLeastOnce, Bytes::new(), None);
    publish.pkid = packet_id;
    publish
}
