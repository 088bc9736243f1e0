//! The task behind a publisher: connect, send what is queued, pair packet ids with
//! who waits, and again after every loss.

use std::sync::Arc;

use rumqttc::v5::mqttbytes::v5::Packet;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::outgoing::Outgoing;
use crate::config::PublisherConfig;
use crate::link::{ConnectError, End, GOODBYE_WITHIN, Reconnect, goodbye_in_words};
use crate::stats::LinkStats;
use crate::v5::{V5, connect, send_goodbye};
use crate::wire::{Happened, Wire};

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
            let end = match self.connection(&mut reconnect).await {
                // Whoever connects reports it, and nothing is tried again.
                End::Refused(error) if self.ready.is_some() => return self.tell(Err(error)),
                end => end,
            };
            let wait = reconnect.over(&end);
            if matches!(end, End::Closed) {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.closing.cancelled() => return,
            }
        }
    }

    fn tell(&mut self, result: Result<(), ConnectError>) {
        if let Some(ready) = self.ready.take() {
            // Nobody listens when `connect` was cancelled.
            let _ = ready.send(result);
        }
    }

    async fn connection(&mut self, reconnect: &mut Reconnect) -> End {
        let closing = self.closing.clone();
        let wanted = self.config.wanted();
        let opened = tokio::select! {
            opened = connect(&self.config.endpoint, &wanted) => opened,
            () = closing.cancelled() => return End::Closed,
        };
        let (mut wire, offer) = match opened {
            Ok(opened) => opened,
            Err(end) => return end,
        };
        reconnect.established();
        self.tell(Ok(()));
        let inflight = self.config.inflight.max(1).min(offer.receive_maximum);
        // The smaller of what the broker takes and what we agreed on ourselves.
        let ours = self.config.endpoint.max_packet_bytes;
        let largest = offer.max_packet_bytes.map_or(ours, |theirs| theirs.min(ours));
        let largest = usize::try_from(largest).unwrap_or(usize::MAX);
        let outgoing = Arc::new(Outgoing::new(largest, usize::from(inflight)));
        let current = Current { outgoing: &outgoing, set: &self.outgoing };
        current.set.send_replace(Some(Arc::clone(&outgoing)));
        tokio::select! {
            end = self.pump(&mut wire, &outgoing) => return end,
            () = closing.cancelled() => {}
        }
        outgoing.send_into(&mut wire);
        send_goodbye(&mut wire);
        // Behind all that was queued, and the broker closes: were we to close first,
        // the last of it could be lost to a reset.
        if !wire.until_closed(GOODBYE_WITHIN).await {
            tracing::warn!("the broker did not take our goodbye in time");
        }
        End::Closed
    }

    async fn pump(&self, wire: &mut Wire<V5>, outgoing: &Outgoing) -> End {
        loop {
            outgoing.send_into(wire);
            match wire.next(true, &outgoing.attention).await {
                Ok(Happened::Something) => {}
                Ok(Happened::Came(packet)) => match *packet {
                    Packet::PubAck(puback) if outgoing.acknowledged(&puback) => {
                        self.stats.messages.inc();
                    }
                    Packet::Disconnect(goodbye) => {
                        return End::Lost(goodbye_in_words(goodbye.reason_code));
                    }
                    _ => {}
                },
                Err(failure) => return failure.into(),
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
