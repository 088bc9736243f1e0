//! The receiving end: messages whose acknowledgement is yours to time.
//!
//! A task polls the connection and does nothing else, so it never waits for
//! work. The broker's receive maximum bounds what can arrive unacknowledged; so
//! withholding acknowledgements is what slows the broker down. After any error a
//! new connection resumes the session and the broker delivers again what was
//! not acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::SubscriberConfig;
use crate::link::ConnectError;
use crate::stats::LinkStats;

mod ack;
mod driver;
mod inbox;

pub use ack::Ack;
use driver::Driver;
use inbox::Inbox;

/// One message.
#[derive(Debug)]
pub struct Message {
    /// Topic name.
    pub topic: String,
    /// Payload, in memory of its own.
    pub payload: Bytes,
    /// Whether the broker says that it delivered it before.
    pub redelivered: bool,
    /// The user property `traceparent`, when the publisher set one that may be one.
    pub traceparent: Option<String>,
    /// To be told when the work is done.
    pub ack: Ack,
}

impl Message {
    /// One that came by another way: nothing is owed to a broker for it.
    pub const fn unacknowledged(topic: String, payload: Bytes) -> Self {
        Self { topic, payload, redelivered: true, traceparent: None, ack: Ack::none() }
    }
}

/// Whether to take part in the subscription or to leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Take,
    Leave,
}

/// Receives messages until it is closed or dropped. Dropping it breaks the
/// connection; the session stays and keeps collecting.
#[derive(Debug)]
pub struct Subscriber {
    inbox: Arc<Inbox>,
    renewal: Arc<Renewal>,
    stats: LinkStats,
    closing: CancellationToken,
    driver: JoinHandle<()>,
    _abort: DropGuard,
}

impl Subscriber {
    /// Connects, trying until the broker is there, and resolves when the
    /// subscription is acknowledged: from then on the session collects.
    ///
    /// # Errors
    /// The broker refuses the client or a filter.
    pub async fn connect(config: SubscriberConfig) -> Result<Self, ConnectError> {
        Self::start(config, Mode::Take).await
    }

    /// Connects to leave for good: unsubscribes, and receives what the broker
    /// still holds for this client. [`Subscriber::receive`] returns `None` when
    /// everything was received and acknowledged; then [`Subscriber::close`]
    /// clears the session.
    ///
    /// # Errors
    /// The broker refuses the client.
    pub async fn leave(config: SubscriberConfig) -> Result<Self, ConnectError> {
        Self::start(config, Mode::Leave).await
    }

    async fn start(config: SubscriberConfig, mode: Mode) -> Result<Self, ConnectError> {
        if let Some(bad) = config.filters.iter().find(|filter| !rumqttc::valid_filter(filter)) {
            return Err(ConnectError::BadFilter(bad.clone()));
        }
        let stats = LinkStats::default();
        let inbox = Arc::new(Inbox::new(config.receive_maximum));
        let (closing, abort) = (CancellationToken::new(), CancellationToken::new());
        let (ready, is_ready) = oneshot::channel();
        let renewal = Arc::new(Renewal::default());
        let driver = Driver {
            config,
            mode,
            inbox: Arc::clone(&inbox),
            renewal: Arc::clone(&renewal),
            stats: stats.clone(),
            closing: closing.clone(),
            ready: Some(ready),
            session_reported: false,
        };
        let abort_guard = abort.clone().drop_guard();
        let ended = EndsInbox(Arc::clone(&inbox));
        #[expect(clippy::disallowed_methods, reason = "aborted and awaited by its handle")]
        let driver = tokio::spawn(async move {
            let _ended = ended;
            tokio::select! {
                () = driver.run() => {}
                () = abort.cancelled() => {}
            }
        });
        is_ready.await.unwrap_or(Err(ConnectError::Closed))?;
        Ok(Self { inbox, renewal, stats, closing, driver, _abort: abort_guard })
    }

    /// By which others ask for the subscription to be made once more.
    pub fn renewal(&self) -> Arc<Renewal> {
        Arc::clone(&self.renewal)
    }

    /// The next message; `None` when a subscriber that leaves is drained, or
    /// when the connecting task has died. Cancel-safe.
    pub async fn receive(&mut self) -> Option<Message> {
        self.inbox.receive().await
    }

    /// The next message, if one is there.
    pub fn try_receive(&mut self) -> Option<Message> {
        self.inbox.try_receive()
    }

    /// Whether a subscriber that leaves has received and acknowledged all that
    /// the broker held for it.
    pub fn has_left(&self) -> bool {
        self.inbox.has_left()
    }

    /// Whether there is a connection now.
    pub fn is_connected(&self) -> bool {
        self.stats.connected.get() == 1
    }

    /// The counters.
    pub fn stats(&self) -> &LinkStats {
        &self.stats
    }

    /// Sends the acknowledgements given so far and disconnects, within about two
    /// seconds. What is not acknowledged stays in the session. A subscriber that
    /// has left clears its session, and tries until the broker is there.
    pub async fn close(mut self) {
        self.closing.cancel();
        if let Err(error) = (&mut self.driver).await {
            tracing::error!(%error, "the subscriber's task ended badly");
        }
    }

    /// Like [`Subscriber::close`], but stops trying to clear the session when
    /// `given_up` is cancelled.
    pub async fn close_unless(self, given_up: &CancellationToken) {
        if !self.has_left() {
            return self.close().await;
        }
        tokio::select! {
            biased;
            () = self.close() => {}
            () = given_up.cancelled() => {
                tracing::warn!("the session could not be cleared: it goes on collecting; leave again");
            }
        }
    }
}

/// Makes a subscriber subscribe once more, and says when the broker has confirmed it:
/// from then on the broker knows the subscription, whatever it had forgotten.
#[derive(Debug, Default)]
pub struct Renewal {
    wanted: AtomicBool,
    attention: Arc<Notify>,
    confirmed: watch::Sender<u64>,
}

impl Renewal {
    /// Resolves when the broker has confirmed a subscription that was made after the
    /// call. Waits for a connection as long as it takes; cancel-safe.
    pub async fn renewed(&self) {
        let mut confirmed = self.confirmed.subscribe();
        let before = *confirmed.borrow_and_update();
        self.wanted.store(true, Ordering::Relaxed);
        self.attention.notify_one();
        // The sender is ours.
        let _ = confirmed.wait_for(|count| *count > before).await;
    }
}

/// Wakes the receiver for good when the connecting task ends, even by a panic.
struct EndsInbox(Arc<Inbox>);

impl Drop for EndsInbox {
    fn drop(&mut self) {
        self.0.end();
    }
}
