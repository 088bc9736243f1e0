//! Tells the senders of canaries that theirs were committed.

use std::time::Duration;

use bytes::Bytes;
use nemeses_mqtt::{PublishError, Publisher};
use nemeses_protocol::{Canary, CanaryStage, WorkerName, canary_replies};
use nemeses_runtime::Outage;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Canaries whose senders wait to be told. Beyond it they are not told, and count
/// theirs as lost: so many come in a minute from eighty workers.
const MOST_WAITING: usize = 1000;
/// A reply is given up after this; its sender has given the canary up by then.
const WORTH_FOR: Duration = Duration::from_secs(10);

/// Takes canaries of committed batches.
#[derive(Clone, Debug)]
pub(super) struct Committed(mpsc::Sender<Canary>);

impl Committed {
    /// Queues a reply; never waits.
    pub(super) fn reply_to(&self, canary: Canary) {
        // Full: see `MOST_WAITING`.
        let _ = self.0.try_send(canary);
    }
}

/// Sends the replies.
#[derive(Debug)]
pub(super) struct Replies {
    publisher: Publisher,
    by: WorkerName,
    /// The topic of batches.
    db: String,
    committed: mpsc::Receiver<Canary>,
    outage: Outage,
}

impl Replies {
    pub(super) fn new(publisher: Publisher, by: WorkerName, db: String) -> (Committed, Self) {
        let (sender, committed) = mpsc::channel(MOST_WAITING);
        let replies = Self { publisher, by, db, committed, outage: Outage::new() };
        (Committed(sender), replies)
    }

    /// Replies until nobody can commit any more.
    pub(super) async fn run(mut self) {
        while let Some(canary) = self.committed.recv().await {
            let topic = canary_replies(&self.db, &canary.sender);
            let payload = canary.reply(CanaryStage::Committed, &self.by).payload();
            // A sender that is not told by then counts its canary as lost.
            let _ = timeout(WORTH_FOR, self.send(&topic, payload.into())).await;
        }
        self.publisher.close().await;
    }

    async fn send(&self, topic: &str, payload: Bytes) {
        loop {
            match self.publisher.publish(topic, payload.clone()).await {
                // A sender that is gone needs no answer.
                Ok(_) | Err(PublishError::NoSubscriber) => {
                    self.outage.ends();
                }
                Err(PublishError::ConnectionLost) => continue,
                Err(error) => {
                    if self.outage.begins() {
                        tracing::warn!(topic, %error, "replies to canaries are not taken");
                    }
                }
            }
            return;
        }
    }
}
