//! One batch onto `/DB`, until the broker says that an exporter's session has it.

use std::time::Duration;

use nemeses_mqtt::{Delivered, PublishError, Publisher};
use nemeses_protocol::BatchMessage;
use nemeses_runtime::{Backoff, Outage};

use super::stats::Stats;

/// Where batches go.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) publisher: Publisher,
    pub(super) topic: String,
    /// First and longest wait before another attempt.
    pub(super) retry: (Duration, Duration),
    pub(super) outage: Outage,
    pub(super) stats: Stats,
}

impl Handover {
    /// Repeats the batch, under its one key, until it is acknowledged. Its
    /// exporter counts it once, however often it arrives.
    pub(super) async fn until_taken(&self, batch: &BatchMessage) {
        let payload = bytes::Bytes::from(batch.encode());
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        loop {
            match self.publisher.publish(&self.topic, payload.clone()).await {
                Ok(Delivered) => return self.taken(),
                // The publisher tells of lost connections, and waits for the next.
                Err(PublishError::ConnectionLost) => {}
                Err(error) => {
                    if self.outage.begins() {
                        let followed = batch.traces.first();
                        let trace_id = followed.map(|trace| trace.context.trace_id().to_string());
                        tracing::error!(
                            topic = self.topic,
                            %error,
                            trace_id,
                            "batches are not taken; frames are not acknowledged until they are, trying again"
                        );
                    }
                }
            }
            self.stats.retries.inc();
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    fn taken(&self) {
        self.stats.batches.inc();
        if let Some(down) = self.outage.ends() {
            tracing::info!(topic = self.topic, ?down, "batches are taken again");
        }
    }
}
