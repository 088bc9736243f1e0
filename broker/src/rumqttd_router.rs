//! rumqttd's router as the carrier of messages on topics that are not ours. The
//! only file that imports rumqttd.
//!
//! What the router does well is kept: one bounded log, a cursor and pacing for
//! each listener. What it does not is kept away from it: it sees one topic, one
//! filter, QoS 0 and client ids of our making; matching, QoS towards clients and
//! retained messages are the door's (docs/mqtt.md, docs/decisions/0002).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet};
use rumqttd::{Notification, Router, RouterConfig};
use tokio_util::sync::CancellationToken;

use crate::message::{Envelope, Message};

/// The one topic inside the router.
const LANE: &str = "lane";
/// The log: at most 8 segments of 1 MiB, then the oldest is dropped, read or not.
const SEGMENT_BYTES: usize = 1024 * 1024;
const SEGMENTS: usize = 8;

/// The router's thread has ended; nothing can be carried any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the router has died")]
pub(crate) struct RouterDied;

/// Opens a link under a name.
type Open = dyn Fn(&str) -> Result<(LinkTx, LinkRx), RouterDied> + Send + Sync;

/// A running router.
pub(crate) struct Carrier {
    open: Box<Open>,
    /// Guarded together with the sequence, so that the log is in its order.
    publisher: Mutex<LinkTx>,
    sequence: AtomicU64,
    started: Instant,
    names: Arc<Mutex<BTreeSet<usize>>>,
    /// Cancelled when the router's thread has ended.
    died: CancellationToken,
}

impl Carrier {
    /// Starts the router's thread, whose end cancels `died`. Blocks for the moment that takes.
    pub(crate) fn start(max_listeners: usize, died: CancellationToken) -> Result<Self, RouterDied> {
        let router = Router::new(
            0,
            RouterConfig {
                // One link publishes.
                max_connections: max_listeners + 1,
                // Half of what makes the router think that a link is full.
                max_outgoing_packet_count: 100,
                max_segment_size: SEGMENT_BYTES,
                max_segment_count: SEGMENTS,
                ..RouterConfig::default()
            },
        );
        let sender = router.spawn();
        let open = Box::new(move |name: &str| {
            LinkBuilder::new(name, sender.clone())
                .build()
                .map(|(tx, rx, _)| (tx, rx))
                .map_err(|_| RouterDied)
        });
        let (publisher, watch) = open("publisher")?;
        #[expect(clippy::disallowed_methods, reason = "watches a thread that is not ours")]
        tokio::spawn(watch_over(watch, died.clone()));
        Ok(Self {
            open,
            publisher: Mutex::new(publisher),
            sequence: AtomicU64::new(0),
            started: Instant::now(),
            names: Arc::new(Mutex::new((0..max_listeners).collect())),
            died,
        })
    }

    /// Milliseconds since the router was started.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Hands a message over. Waits, on the calling thread, while a thousand
    /// hand-overs are before it; the router takes several hundred thousand a
    /// second and never waits for anybody itself.
    pub(crate) fn publish(&self, message: Message) -> Result<(), RouterDied> {
        let mut publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let envelope = Envelope { sequence, published_ms: self.now_ms(), message };
        let handed_over = publisher.publish(LANE, envelope.encode());
        handed_over.map(|_| ()).map_err(|_| self.fail())
    }

    /// Ends the router's thread by a topic that it cannot match.
    #[cfg(test)]
    pub(crate) fn kill(&self) {
        let _listener = self.listen().unwrap();
        let mut publisher = self.publisher.lock().unwrap();
        let _ = publisher.publish("ä", "x");
    }

    fn fail(&self) -> RouterDied {
        self.died.cancel();
        RouterDied
    }

    /// A new listener, from the next message on; `None` when there are as many as
    /// there may be. Blocks for a turn of the router.
    pub(crate) fn listen(&self) -> Result<Option<Listener>, RouterDied> {
        let Some(name) = Name::take(&self.names) else {
            return Ok(None);
        };
        let (mut tx, rx) =
            (self.open)(&format!("listener-{}", name.number)).map_err(|_| self.fail())?;
        tx.subscribe(LANE).map_err(|_| self.fail())?;
        Ok(Some(Listener { rx, tx, _name: name, next_sequence: None }))
    }
}

/// The publisher's link receives nothing; its end is the router's.
async fn watch_over(mut watch: LinkRx, died: CancellationToken) {
    while watch.next().await.is_ok() {}
    died.cancel();
}

/// A link's name. The router keeps something for every name it ever saw, so that
/// names are used again.
struct Name {
    number: usize,
    names: Arc<Mutex<BTreeSet<usize>>>,
}

impl Name {
    fn take(names: &Arc<Mutex<BTreeSet<usize>>>) -> Option<Self> {
        let number = names.lock().unwrap_or_else(PoisonError::into_inner).pop_first()?;
        Some(Self { number, names: Arc::clone(names) })
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(self.number);
    }
}

/// Hears every message that is carried.
pub(crate) struct Listener {
    rx: LinkRx,
    tx: LinkTx,
    /// Dropped last, after the link was told to end.
    _name: Name,
    next_sequence: Option<u64>,
}

/// What a listener heard.
pub(crate) struct Heard {
    pub(crate) envelope: Envelope,
    /// Messages that the log dropped before this listener read them.
    pub(crate) missed: u64,
}

impl Listener {
    /// The next message. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Heard, RouterDied> {
        loop {
            match self.rx.next().await.map_err(|_| RouterDied)? {
                Some(Notification::Forward(forward)) => {
                    if let Some(envelope) = Envelope::decode(forward.publish.payload) {
                        return Ok(self.heard(envelope));
                    }
                }
                // The link's buffer was full and is empty now.
                Some(Notification::Unschedule) => self.rx.ready().map_err(|_| RouterDied)?,
                _ => {}
            }
        }
    }

    fn heard(&mut self, envelope: Envelope) -> Heard {
        let expected = self.next_sequence.unwrap_or(envelope.sequence);
        self.next_sequence = Some(envelope.sequence + 1);
        let missed = envelope.sequence.saturating_sub(expected);
        Heard { envelope, missed }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let reason_code = DisconnectReasonCode::NormalDisconnection;
        let goodbye = Packet::Disconnect(Disconnect { reason_code }, None);
        // `send` has no point at which it waits; a dead router is noticed by others.
        let _ = futures_util::FutureExt::now_or_never(self.tx.send(goodbye));
    }
}
