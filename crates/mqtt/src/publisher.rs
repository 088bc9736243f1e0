//! The sending end: `publish` returns when the broker has acknowledged.
//!
//! Publishes are sent in the order they were queued, no more unacknowledged at once
//! than we and the broker allow. A lost connection fails what was under way as
//! doubtful; repeating it is the caller's, who knows whether that is safe.

use std::sync::Arc;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::PublisherConfig;
use crate::link::ConnectError;
use crate::stats::LinkStats;

mod driver;
mod outgoing;

use driver::Driver;
use outgoing::Outgoing;

/// The broker has acknowledged: handed over to at least one subscriber's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered;

/// Why a publish was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The broker has it and has dropped it: nobody is subscribed (0x10).
    #[error("nobody is subscribed to the topic")]
    NoSubscriber,
    /// The login may not publish there (0x87).
    #[error(
        "this login may not publish there (nemeses mosquitto-roles gives Mosquitto the rights of a worker)"
    )]
    NotAuthorised,
    /// The broker refuses it.
    #[error("the broker refuses it: {0}")]
    Refused(String),
    /// The connection broke before the acknowledgement: it may have arrived or not.
    #[error("the connection was lost before the acknowledgement")]
    ConnectionLost,
    /// Larger than the broker takes.
    #[error("{size} bytes are more than the broker's {max}")]
    TooLarge {
        /// The packet's size in bytes, about.
        size: usize,
        /// What the broker takes.
        max: usize,
    },
    /// The topic is empty or has wildcards.
    #[error("'{0}' is not a topic name")]
    BadTopic(String),
    /// The publisher was closed.
    #[error("the publisher was closed")]
    Closed,
}

type Answer = Result<Delivered, PublishError>;

/// Publishes. Clones share the connection; it closes when the last is dropped.
#[derive(Clone, Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The connection's outgoing side; none while there is no connection.
    outgoing: watch::Receiver<Option<Arc<Outgoing>>>,
    acknowledged: Arc<Semaphore>,
    unacknowledged: Arc<Semaphore>,
    stats: LinkStats,
    closing: CancellationToken,
    driver: std::sync::Mutex<Option<JoinHandle<()>>>,
    _abort: DropGuard,
}

impl Publisher {
    /// Connects, trying until the broker is there.
    ///
    /// # Errors
    /// The broker refuses the client.
    pub async fn connect(config: PublisherConfig) -> Result<Self, ConnectError> {
        let inflight = usize::from(config.inflight.max(1));
        let stats = LinkStats::default();
        let (set_outgoing, outgoing) = watch::channel(None);
        let (closing, abort) = (CancellationToken::new(), CancellationToken::new());
        let (ready, is_ready) = oneshot::channel();
        let driver = Driver {
            config,
            outgoing: set_outgoing,
            stats: stats.clone(),
            closing: closing.clone(),
            ready: Some(ready),
        };
        let abort_guard = abort.clone().drop_guard();
        #[expect(clippy::disallowed_methods, reason = "aborted and awaited by its handle")]
        let driver = tokio::spawn(async move {
            tokio::select! {
                () = driver.run() => {}
                () = abort.cancelled() => {}
            }
        });
        is_ready.await.unwrap_or(Err(ConnectError::Closed))?;
        Ok(Self {
            shared: Arc::new(Shared {
                outgoing,
                acknowledged: Arc::new(Semaphore::new(inflight)),
                unacknowledged: Arc::new(Semaphore::new(inflight)),
                stats,
                closing,
                driver: std::sync::Mutex::new(Some(driver)),
                _abort: abort_guard,
            }),
        })
    }

    /// Publishes at QoS 1 and waits for the PUBACK. Waits for a connection and
    /// for room among [`PublisherConfig::inflight`] first. Dropped half-way, the
    /// publish may still be sent.
    ///
    /// # Errors
    /// See [`PublishError`]; only `ConnectionLost` is doubtful.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl Into<Bytes> + Send,
    ) -> Result<Delivered, PublishError> {
        self.send(topic, payload.into(), QoS::AtLeastOnce, &self.shared.acknowledged).await
    }

    /// Publishes at QoS 0 and returns when it is written to the connection,
    /// which proves nothing about its arrival.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish_qos0(
        &self,
        topic: &str,
        payload: impl Into<Bytes> + Send,
    ) -> Result<(), PublishError> {
        self.send(topic, payload.into(), QoS::AtMostOnce, &self.shared.unacknowledged)
            .await
            .map(|Delivered| ())
    }

    async fn send(&self, topic: &str, payload: Bytes, qos: QoS, room: &Arc<Semaphore>) -> Answer {
        if topic.is_empty() || topic.contains(['+', '#', '\0']) {
            return Err(PublishError::BadTopic(topic.to_owned()));
        }
        // Held until the answer, even when this future is dropped meanwhile: it
        // bounds what is queued.
        let permit: OwnedSemaphorePermit =
            Arc::clone(room).acquire_owned().await.map_err(|_| PublishError::Closed)?;
        let outgoing = self.connected().await?;
        let answer = outgoing.send(topic, payload, qos, permit)?;
        answer.await.unwrap_or(Err(PublishError::ConnectionLost))
    }

    async fn connected(&self) -> Result<Arc<Outgoing>, PublishError> {
        let mut outgoing = self.shared.outgoing.clone();
        let now = outgoing.wait_for(Option::is_some).await.map_err(|_| PublishError::Closed)?;
        now.clone().ok_or(PublishError::Closed)
    }

    /// What the broker takes in a payload on this topic, as far as the connection of
    /// this moment says; the next one's broker may take less.
    pub fn max_payload_bytes(&self, topic: &str) -> Option<usize> {
        self.shared.outgoing.borrow().as_ref().map(|outgoing| outgoing.max_payload_bytes(topic))
    }

    /// Whether there is a connection now.
    pub fn is_connected(&self) -> bool {
        self.shared.stats.connected.get() == 1
    }

    /// The counters.
    pub fn stats(&self) -> &LinkStats {
        &self.shared.stats
    }

    /// Disconnects. What is under way fails as doubtful, so await it first.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        let driver =
            self.shared.driver.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(Err(error)) = match driver {
            Some(driver) => Some(driver.await),
            None => None,
        } {
            tracing::error!(%error, "the publisher's task ended badly");
        }
    }
}
