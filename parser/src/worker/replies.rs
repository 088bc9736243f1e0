//! Answers to pings, at once: without one a device stops sending live positions.
//!
//! At QoS 1 and repeated over a lost connection, since a lost answer costs the
//! user two minutes of his live map, but not for longer than it is worth: then
//! the device has given up waiting and will ask again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nemeses_mqtt::{PublishError, Publisher};
use nemeses_protocol::{Reply, Topics};
use nemeses_runtime::Summary;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::stats::Stats;

/// An answer is given up after this.
const WORTH_FOR: Duration = Duration::from_secs(10);
/// Answers on their way at once. 10 000 devices ping about 83 times a second, so
/// this is ten seconds of a fleet whose broker is away; beyond it answers are
/// dropped and counted.
const MAX_UNDER_WAY: usize = 1000;
/// For what is under way when the worker ends.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// Sends answers without being waited for.
pub(super) struct Replies {
    publisher: Publisher,
    topics: Arc<Topics>,
    stats: Stats,
    failed: Arc<Summary>,
    under_way: JoinSet<()>,
}

impl Replies {
    pub(super) fn new(publisher: Publisher, topics: Topics, stats: Stats) -> Self {
        Self {
            publisher,
            topics: Arc::new(topics),
            stats,
            failed: Arc::default(),
            under_way: JoinSet::new(),
        }
    }

    /// Publishes on the shared topic and on the device's own.
    pub(super) fn send(&mut self, reply: Reply) {
        while self.under_way.try_join_next().is_some() {}
        if self.under_way.len() >= MAX_UNDER_WAY {
            self.stats.replies_dropped.inc();
            return;
        }
        let (publisher, topics) = (self.publisher.clone(), Arc::clone(&self.topics));
        let (stats, failed) = (self.stats.clone(), Arc::clone(&self.failed));
        self.under_way.spawn(async move {
            let payload = Bytes::from(reply.payload);
            let own_topic = topics.ping_of(reply.device);
            let both = async {
                tokio::join!(
                    until_sent(&publisher, &topics.ping, &payload, &failed),
                    until_sent(&publisher, &own_topic, &payload, &failed),
                )
            };
            match timeout(WORTH_FOR, both).await {
                Ok((true, true)) => stats.replies.inc(),
                Ok(_) | Err(_) => stats.replies_dropped.inc(),
            };
        });
    }

    /// Tells the sender of a canary.
    pub(super) fn tell(&mut self, sender: &str, payload: String) {
        while self.under_way.try_join_next().is_some() {}
        if self.under_way.len() >= MAX_UNDER_WAY {
            return;
        }
        let topic = self.topics.canary_replies(sender);
        let (publisher, failed) = (self.publisher.clone(), Arc::clone(&self.failed));
        self.under_way.spawn(async move {
            let payload = Bytes::from(payload);
            // A sender that is not told by then counts its canary as lost.
            let _ = timeout(WORTH_FOR, until_sent(&publisher, &topic, &payload, &failed)).await;
        });
    }

    /// Waits for what is under way, within reason.
    pub(super) async fn drain(&mut self) {
        let all = async { while self.under_way.join_next().await.is_some() {} };
        // What is not sent by now is dropped with the set.
        let _ = timeout(LAST_WITHIN, all).await;
    }
}

/// Whether the broker took it. That nobody listens there is no failure: a device
/// subscribes one of the two topics.
async fn until_sent(publisher: &Publisher, topic: &str, payload: &Bytes, failed: &Summary) -> bool {
    loop {
        match publisher.publish(topic, payload.clone()).await {
            Ok(_) | Err(PublishError::NoSubscriber) => return true,
            Err(PublishError::ConnectionLost) => {}
            Err(error) => {
                failed.note("answers", 1);
                if let Some(counts) = failed.due() {
                    tracing::warn!(topic, %error, %counts, "answers to pings or canaries are not taken (at most a line a minute)");
                }
                return false;
            }
        }
    }
}
