//! The task behind a publisher: connect, pair packet ids with who waits, and
//! again after every loss.

use std::sync::Arc;

use rumqttc::Outgoing as Sent;
use rumqttc::v5::Event;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Packet};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::outgoing::Outgoing;
use crate::config::PublisherConfig;
use crate::link::{ConnectError, End, Link, Reconnect, until_closed};
use crate::stats::LinkStats;

pub(super) struct Driver {
    pub(super) config: PublisherConfig,
    pub(super) outgoing: watch::Sender<Option<Arc<Outgoing>>>,
    pub(super) stats: LinkStats,
    pub(super) closing: CancellationToken,
    /// Told once: connected, or refused.
    pub(super) ready: Option<oneshot::Sender<Result<(), ConnectError>>>,
}

impl Driver {
    pub(super) async fn run(mut self) {
        let mut reconnect = Reconnect::new(&self.config.endpoint, self.stats.clone());
        loop {
            let end = self.connection(&mut reconnect).await;
            let wait = reconnect.over(&end);
            match end {
                End::Closed => return,
                End::Refused(error) => {
                    if let Some(ready) = self.ready.take() {
                        // Nobody listens when `connect` was cancelled.
                        let _ = ready.send(Err(error));
                        return;
                    }
                }
                End::Lost(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.closing.cancelled() => return,
            }
        }
    }

    async fn connection(&mut self, reconnect: &mut Reconnect) -> End {
        // Every permit of both kinds, and the DISCONNECT.
        let requests = usize::from(self.config.inflight.max(1)) * 2 + 1;
        let closing = self.closing.clone();
        let opened = tokio::select! {
            opened = Link::open(&self.config.endpoint, self.config.options(), requests) => opened,
            () = closing.cancelled() => return End::Closed,
        };
        let (mut link, client, connack) = match opened {
            Ok(opened) => opened,
            Err(end) => return end,
        };
        reconnect.established();
        if let Some(ready) = self.ready.take() {
            // Nobody listens when `connect` was cancelled.
            let _ = ready.send(Ok(()));
        }
        let outgoing = Arc::new(Outgoing::new(client.clone(), self.max_packet_bytes(&connack)));
        let current = Current { outgoing: &outgoing, set: &self.outgoing };
        current.set.send_replace(Some(Arc::clone(&outgoing)));
        until_closed(&client, &closing, self.pump(&mut link, &outgoing)).await
    }

    /// The smaller of what the broker takes and what we agreed on ourselves.
    fn max_packet_bytes(&self, connack: &ConnAck) -> usize {
        let theirs = connack.properties.as_ref().and_then(|properties| properties.max_packet_size);
        let ours = self.config.endpoint.max_packet_bytes;
        usize::try_from(theirs.map_or(ours, |theirs| theirs.min(ours))).unwrap_or(usize::MAX)
    }

    async fn pump(&self, link: &mut Link, outgoing: &Outgoing) -> End {
        loop {
            match link.event().await {
                Ok(Event::Outgoing(Sent::Publish(packet_id))) => outgoing.sent(packet_id),
                Ok(Event::Incoming(Packet::PubAck(puback))) => {
                    if outgoing.acknowledged(&puback) {
                        self.stats.messages.inc();
                    }
                }
                Ok(_) => {}
                Err(end) => return end,
            }
        }
    }
}

/// Tells those who wait when the connection is over, even by a panic.
struct Current<'a> {
    outgoing: &'a Outgoing,
    set: &'a watch::Sender<Option<Arc<Outgoing>>>,
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        self.set.send_replace(None);
        self.outgoing.lost();
    }
}
