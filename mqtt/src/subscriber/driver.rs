//! The task behind a subscriber: connect, subscribe or unsubscribe, hand over,
//! and again after every loss.

use std::sync::Arc;

use bytes::Bytes;
use rumqttc::v5;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, SubAck, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::ack::{Ack, Deliveries};
use super::inbox::Inbox;
use super::{Message, Mode};
use crate::config::SubscriberConfig;
use crate::leaving::Leaving;
use crate::link::{ConnectError, End, Link, Reconnect, lost, until_closed};
use crate::stats::LinkStats;

pub(super) struct Driver {
    pub(super) config: SubscriberConfig,
    pub(super) mode: Mode,
    pub(super) inbox: Arc<Inbox>,
    pub(super) stats: LinkStats,
    pub(super) closing: CancellationToken,
    /// Told once: subscribed, or refused.
    pub(super) ready: Option<oneshot::Sender<Result<(), ConnectError>>>,
}

/// A connection that is ready to deliver.
struct Session {
    link: Link,
    client: AsyncClient,
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
            let wait = reconnect.over(&end);
            match end {
                End::Closed => return,
                End::Refused(error) if self.ready.is_some() => return self.tell(Err(error)),
                End::Refused(_) | End::Lost(_) => {}
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
        let client = session.client.clone();
        let end = until_closed(&client, &closing, self.deliver(&mut session)).await;
        *drained = session.drained;
        end
    }

    /// Connects and sees to the subscription.
    async fn open(&mut self) -> Result<Session, End> {
        // One PUBACK for each unacknowledged delivery, an UNSUBSCRIBE for each
        // filter, the SUBSCRIBE, the question of leaving, the DISCONNECT.
        let requests = usize::from(self.config.receive_maximum) + self.config.filters.len() + 3;
        let (mut link, client, connack) =
            Link::open(&self.config.endpoint, self.config.options(), requests).await?;
        let filters = self.config.filters.len();
        let leaving = (self.mode == Mode::Leave).then(|| Leaving::new(filters));
        let question = self.config.filters.first().cloned().unwrap_or_default();
        let deliveries = Arc::new(Deliveries::new(client.clone(), question, leaving));
        let mut drained = false;
        match self.mode {
            Mode::Take => {
                // Filters may have changed since an earlier run: subscribe at
                // the first connection whatever the session holds.
                if self.ready.is_some() || !connack.session_present {
                    if self.ready.is_none() {
                        tracing::warn!(
                            client_id = self.config.endpoint.client_id,
                            "the broker has lost our session and what it held; subscribing anew"
                        );
                    }
                    self.subscribe(&mut link, &client, &deliveries).await?;
                }
            }
            Mode::Leave if connack.session_present => {
                for filter in &self.config.filters {
                    // Room was made above.
                    let _ = client.try_unsubscribe(filter.clone());
                }
            }
            Mode::Leave => drained = true,
        }
        Ok(Session { link, client, deliveries, drained })
    }

    /// Sends the subscription and hands over what comes before its answer.
    async fn subscribe(
        &self,
        link: &mut Link,
        client: &AsyncClient,
        deliveries: &Arc<Deliveries>,
    ) -> Result<(), End> {
        let filters = self.config.filters.iter().map(|filter| {
            let mut filter = Filter::new(filter.clone(), QoS::AtLeastOnce);
            // Retained messages are none of the line's.
            filter.retain_forward_rule = v5::mqttbytes::v5::RetainForwardRule::Never;
            filter
        });
        client.try_subscribe_many(filters).map_err(|error| End::Lost(error.to_string()))?;
        loop {
            match link.handshake_event().await.map_err(|error| lost(&error))? {
                Event::Incoming(Packet::SubAck(answer)) => return self.check(&answer),
                event => self.take(event, deliveries),
            }
        }
    }

    fn check(&self, answer: &SubAck) -> Result<(), End> {
        let mut pairs = self.config.filters.iter().zip(&answer.return_codes);
        let refused = pairs.find(|(_, code)| !matches!(code, SubscribeReasonCode::Success(_)));
        refused.map_or(Ok(()), |(filter, code)| {
            Err(End::Refused(ConnectError::Subscription {
                broker: self.config.endpoint.url.to_string(),
                filter: filter.clone(),
                reason: format!("{code:?}"),
            }))
        })
    }

    /// Hands over until the connection ends.
    async fn deliver(&self, session: &mut Session) -> End {
        while !session.drained {
            match session.link.event().await {
                Ok(Event::Incoming(Packet::UnsubAck(_))) => {
                    session.drained = session.deliveries.unsubscribed();
                }
                Ok(event) => self.take(event, &session.deliveries),
                Err(end) => return end,
            }
        }
        End::Closed
    }

    fn take(&self, event: Event, deliveries: &Arc<Deliveries>) {
        let Event::Incoming(Packet::Publish(publish)) = event else { return };
        self.stats.messages.inc();
        let ack = match publish.qos {
            QoS::AtMostOnce => Ack::none(),
            QoS::AtLeastOnce | QoS::ExactlyOnce => deliveries.deliver(publish.pkid),
        };
        if !self.inbox.push(message(&publish, ack)) {
            self.stats.dropped.inc();
        }
    }

    /// Ends the broker's memory of this client.
    async fn clear_session(&self, reconnect: &mut Reconnect) {
        loop {
            let opened = Link::open(&self.config.endpoint, self.config.clearing_options(), 1).await;
            let end = match opened {
                Ok((mut link, client, _)) => {
                    // The session ended with the CONNECT; the rest is manners.
                    let rest = async {
                        while link.event().await.is_ok() {}
                        End::Closed
                    };
                    until_closed(&client, &self.closing, rest).await;
                    self.stats.connected.set(0);
                    return;
                }
                Err(end) => end,
            };
            tokio::time::sleep(reconnect.over(&end)).await;
        }
    }
}

/// Copies topic and payload: rumqttc's share, and would pin, the read buffer.
fn message(publish: &Publish, ack: Ack) -> Message {
    Message {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: Bytes::copy_from_slice(&publish.payload),
        redelivered: publish.dup,
        ack,
    }
}
