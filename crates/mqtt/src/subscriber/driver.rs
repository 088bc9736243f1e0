//! The task behind a subscriber: connect, subscribe or unsubscribe, hand over,
//! and again after every loss.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, RetainForwardRule, SubAck, Subscribe};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::ack::{Ack, Deliveries, unsubscribe};
use super::inbox::Inbox;
use super::{Message, Mode, Renewal};
use crate::config::SubscriberConfig;
use crate::config::Wanted;
use crate::leaving::Leaving;
use crate::link::{
    ConnectError, End, GOODBYE_WITHIN, Reconnect, goodbye_in_words, subscription_refusal,
};
use crate::offer::{Needs, Offer};
use crate::stats::LinkStats;
use crate::v5::{V5, connect, send_goodbye};
use crate::wire::{Happened, Wire};

pub(super) struct Driver {
    pub(super) config: SubscriberConfig,
    pub(super) mode: Mode,
    pub(super) inbox: Arc<Inbox>,
    pub(super) renewal: Arc<Renewal>,
    pub(super) stats: LinkStats,
    pub(super) closing: CancellationToken,
    /// Told once: subscribed, or refused.
    pub(super) ready: Option<oneshot::Sender<Result<(), ConnectError>>>,
    /// A session that is kept for a shorter time than asked is reported once.
    pub(super) session_reported: bool,
}

/// A connection that is ready to deliver.
struct Session {
    wire: Wire<V5>,
    deliveries: Arc<Deliveries>,
    drained: bool,
}

impl Driver {
    pub(super) async fn run(mut self) {
        let mut reconnect = Reconnect::new(&self.config.endpoint, self.stats.clone());
        let mut drained = false;
        while !drained {
            let end = self.connection(&mut reconnect, &mut drained).await;
            if drained {
                break;
            }
            let end = match end {
                // Whoever connects reports it, and nothing is tried again.
                End::Refused(error) if self.ready.is_some() => return self.tell(Err(error)),
                end => end,
            };
            let wait = reconnect.over(&end);
            if matches!(end, End::Closed) {
                return;
            }
            self.inbox.clear();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.closing.cancelled() => return,
            }
        }
        self.inbox.leave();
        self.closing.cancelled().await;
        self.clear_session(&mut reconnect).await;
    }

    fn tell(&mut self, result: Result<(), ConnectError>) {
        if let Some(ready) = self.ready.take() {
            // Nobody listens when `connect` was cancelled; the abort follows.
            let _ = ready.send(result);
        }
    }

    async fn connection(&mut self, reconnect: &mut Reconnect, drained: &mut bool) -> End {
        let closing = self.closing.clone();
        let opened = tokio::select! {
            opened = self.open() => opened,
            () = closing.cancelled() => return End::Closed,
        };
        let mut session = match opened {
            Ok(session) => session,
            Err(end) => return end,
        };
        reconnect.established();
        self.tell(Ok(()));
        let end = self.deliver(&mut session, &closing).await;
        *drained = session.drained;
        end
    }

    /// Connects and sees to the subscription.
    async fn open(&mut self) -> Result<Session, End> {
        let endpoint = &self.config.endpoint;
        let (mut wire, offer) = connect(endpoint, &self.config.wanted()).await?;
        let filters = self.config.filters.len();
        let leaving = (self.mode == Mode::Leave).then(|| Leaving::new(filters));
        let question = self.config.filters.first().cloned().unwrap_or_default();
        let attention = Arc::clone(&self.renewal.attention);
        let deliveries = Arc::new(Deliveries::new(question, leaving, attention));
        let mut drained = false;
        match self.mode {
            // At every connection, whatever the session holds: filters may have
            // changed since an earlier run, and Mosquitto 2.0.11 restores
            // sessions from its file without their shared subscriptions, and then
            // drops what is published. Repeating one that exists changes nothing.
            Mode::Take => {
                if self.ready.is_none() && !offer.session_present {
                    tracing::warn!(
                        client_id = endpoint.client_id,
                        "the broker has lost our session and what it held; subscribing anew"
                    );
                }
                self.subscribe(&mut wire, &deliveries).await?;
                self.report_session(&offer);
            }
            Mode::Leave if offer.session_present => {
                for filter in &self.config.filters {
                    wire.send(&unsubscribe(filter));
                }
            }
            Mode::Leave => drained = true,
        }
        Ok(Session { wire, deliveries, drained })
    }

    /// Sends the subscription and waits for its answer; no longer than there is
    /// room for what a resumed session delivers before it. Then the answer is
    /// looked at when it comes.
    async fn subscribe(
        &self,
        wire: &mut Wire<V5>,
        deliveries: &Arc<Deliveries>,
    ) -> Result<(), End> {
        // What was asked for before is asked for now.
        self.renewal.wanted.store(false, Ordering::Relaxed);
        wire.send(&self.subscription());
        while deliveries.unacknowledged() < self.config.window() {
            let answer =
                wire.answer().await.map_err(|failure| End::of(&self.config.endpoint, failure))?;
            match answer {
                Packet::SubAck(answer) => return self.check(&answer),
                packet => self.take(packet, deliveries)?,
            }
        }
        Ok(())
    }

    fn subscription(&self) -> Packet {
        let filters = self.config.filters.iter().map(|filter| {
            let mut filter = Filter::new(filter.clone(), QoS::AtLeastOnce);
            // Retained messages are none of the line's.
            filter.retain_forward_rule = RetainForwardRule::Never;
            filter
        });
        let mut subscribe = Subscribe::new_many(filters, None);
        subscribe.pkid = 1;
        Packet::Subscribe(subscribe)
    }

    fn check(&self, answer: &SubAck) -> Result<(), End> {
        let endpoint = &self.config.endpoint;
        let mut pairs = self.config.filters.iter().zip(&answer.return_codes);
        let refused =
            pairs.find_map(|(filter, code)| subscription_refusal(endpoint, filter, *code));
        if let Some(error) = refused {
            return Err(End::Refused(error));
        }
        self.renewal.confirmed.send_modify(|count| *count += 1);
        Ok(())
    }

    fn report_session(&mut self, offer: &Offer) {
        let Some(kept_s) = offer.shortened_session_s(self.config.session_expiry_s) else { return };
        if !std::mem::replace(&mut self.session_reported, true) {
            tracing::warn!(
                broker = %self.config.endpoint.broker.url(),
                kept_s,
                "the broker keeps a worker's session for only so long after the worker is gone; then it loses what waits there: raise its limit, or be back sooner"
            );
        }
    }

    /// Hands over until the connection ends; from `closing` on for as long as
    /// the goodbye takes. It goes out behind the acknowledgements, and the broker
    /// closes: closing first could reset the connection, or let the next CONNECT
    /// overtake, and the last acknowledgements would be lost unread.
    async fn deliver(&self, session: &mut Session, closing: &CancellationToken) -> End {
        tokio::select! {
            end = self.pump(session) => return end,
            () = closing.cancelled() => {}
        }
        session.deliveries.flush_into(&mut session.wire);
        send_goodbye(&mut session.wire);
        // Nobody receives any more: what still comes stays the broker's.
        if !session.wire.until_closed(GOODBYE_WITHIN).await {
            tracing::warn!("the broker did not take our goodbye in time");
        }
        End::Closed
    }

    async fn pump(&self, session: &mut Session) -> End {
        let Session { wire, deliveries, drained } = session;
        while !*drained {
            deliveries.flush_into(wire);
            if self.mode == Mode::Take && self.renewal.wanted.swap(false, Ordering::Relaxed) {
                wire.send(&self.subscription());
            }
            let has_room = deliveries.unacknowledged() < self.config.window();
            match wire.next(has_room, &self.renewal.attention).await {
                Ok(Happened::Something) => {}
                Ok(Happened::Came(packet)) => match *packet {
                    Packet::UnsubAck(_) => *drained = deliveries.unsubscribed(),
                    packet => {
                        if let Err(end) = self.take(packet, deliveries) {
                            return end;
                        }
                    }
                },
                Err(failure) => return failure.into(),
            }
        }
        End::Closed
    }

    fn take(&self, packet: Packet, deliveries: &Arc<Deliveries>) -> Result<(), End> {
        let publish = match packet {
            Packet::Publish(publish) => publish,
            Packet::Disconnect(goodbye) => {
                return Err(End::Lost(goodbye_in_words(goodbye.reason_code)));
            }
            Packet::SubAck(answer) => return self.check(&answer),
            _ => return Ok(()),
        };
        self.stats.messages.inc();
        let ack = match publish.qos {
            QoS::AtMostOnce => Ack::none(),
            QoS::AtLeastOnce | QoS::ExactlyOnce => deliveries.deliver(publish.pkid),
        };
        if !self.inbox.push(message(&publish, ack)) {
            self.stats.dropped.inc();
        }
        Ok(())
    }

    /// Ends the broker's memory of this client: by the CONNECT itself, which
    /// begins a new session that ends with the connection.
    async fn clear_session(&self, reconnect: &mut Reconnect) {
        let wanted = Wanted { clean_start: true, session_expiry_s: 0, ..self.config.wanted() };
        let wanted = Wanted { needs: Needs::default(), ..wanted };
        loop {
            match connect(&self.config.endpoint, &wanted).await {
                Ok((mut wire, _)) => {
                    send_goodbye(&mut wire);
                    // The rest is manners, whether it comes in time or not.
                    wire.until_closed(GOODBYE_WITHIN).await;
                    self.stats.connected.set(0);
                    return;
                }
                Err(end) => tokio::time::sleep(reconnect.over(&end)).await,
            }
        }
    }
}

/// Copies topic and payload: rumqttc's share, and would pin, the read buffer.
fn message(publish: &Publish, ack: Ack) -> Message {
    Message {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: Bytes::copy_from_slice(&publish.payload),
        redelivered: publish.dup,
        traceparent: traceparent(publish),
        ack,
    }
}

/// A `traceparent` has 55 characters, of a later version perhaps some more. Publishers
/// may send what they like: what is longer is none, and is not held.
const MOST_TRACEPARENT_BYTES: usize = 128;

fn traceparent(publish: &Publish) -> Option<String> {
    let pairs = &publish.properties.as_ref()?.user_properties;
    let (_, value) = pairs.iter().find(|(name, _)| name == "traceparent")?;
    (value.len() <= MOST_TRACEPARENT_BYTES).then(|| value.clone())
}
