//! One connection for tools: connects once, subscribes, publishes, receives. No
//! session, no second try: whoever uses it decides what a lost connection means.

use std::collections::VecDeque;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    Filter, Packet, PubAck, PubAckReason, Publish, PublishProperties, RetainForwardRule, Subscribe,
    SubscribeReasonCode as Granted,
};
use tokio::sync::Notify;

use crate::config::Endpoint;
use crate::config::Wanted;
use crate::link::{ConnectError, End, GOODBYE_WITHIN, goodbye_in_words, subscription_refusal};
use crate::offer::{Needs, Offer};
use crate::publisher::PublishError;
use crate::tls::Failure;
use crate::v5::{V5, connect, send_goodbye};
use crate::wire::{Happened, Wire};

/// A connection.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    wire: Wire<V5>,
    offer: Offer,
    last_id: u16,
    /// Came while something else was waited for.
    early: VecDeque<ClientEvent>,
}

/// What a [`Client`] receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// A message. At QoS 1 it is acknowledged at once.
    Message {
        /// Topic name.
        topic: String,
        /// Payload.
        payload: Bytes,
    },
    /// The broker's answer to a publish.
    Published {
        /// What [`Client::publish`] returned.
        packet_id: u16,
        /// Whether it was taken.
        answer: Result<(), PublishError>,
    },
}

/// How to subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// At QoS 1, without what is retained.
    Acknowledged,
    /// At QoS 0, with what is retained: figures of a broker, say.
    Figures,
}

impl Client {
    /// Connects, once, with a new session that ends with the connection; one that the
    /// broker kept under this client id is gone.
    ///
    /// # Errors
    /// No broker, or one that refuses us.
    pub async fn connect(endpoint: Endpoint) -> Result<Self, ConnectError> {
        let wanted = Wanted {
            clean_start: true,
            session_expiry_s: 0,
            receive_maximum: None,
            needs: Needs::default(),
        };
        Self::open(endpoint, wanted).await
    }

    /// Connects, once, and goes on with the session that the broker kept under this
    /// client id, or begins one; it is kept for `expiry_s` after the connection ends.
    /// [`Offer::session_present`] says which. The broker leaves `receive_maximum`
    /// messages unacknowledged at most.
    ///
    /// # Errors
    /// No broker, or one that refuses us or keeps no sessions.
    pub async fn resume(
        endpoint: Endpoint,
        expiry_s: u32,
        receive_maximum: u16,
    ) -> Result<Self, ConnectError> {
        let wanted = Wanted {
            clean_start: false,
            session_expiry_s: expiry_s,
            receive_maximum: Some(receive_maximum),
            needs: Needs { session: true, ..Needs::default() },
        };
        Self::open(endpoint, wanted).await
    }

    async fn open(endpoint: Endpoint, wanted: Wanted) -> Result<Self, ConnectError> {
        let connected = connect(&endpoint, &wanted).await;
        let (wire, offer) = connected.map_err(|end| end.into_error(&endpoint))?;
        Ok(Self { endpoint, wire, offer, last_id: 0, early: VecDeque::new() })
    }

    /// What the broker says that it can do.
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Subscribes and waits for the answer.
    ///
    /// # Errors
    /// The first filter that is refused, or a lost connection.
    pub async fn subscribe(
        &mut self,
        filters: &[String],
        how: Subscription,
    ) -> Result<(), ConnectError> {
        if let Some(lack) = self.offer.lacks(Needs { qos_1: false, ..Needs::of_filters(filters) }) {
            return Err(End::unfit(&self.endpoint, lack).into_error(&self.endpoint));
        }
        let (qos, retained) = match how {
            Subscription::Acknowledged => (QoS::AtLeastOnce, RetainForwardRule::Never),
            Subscription::Figures => (QoS::AtMostOnce, RetainForwardRule::OnEverySubscribe),
        };
        let all = filters.iter().map(|filter| {
            let mut filter = Filter::new(filter.clone(), qos);
            filter.retain_forward_rule = retained.clone();
            filter
        });
        let mut subscribe = Subscribe::new_many(all, None);
        subscribe.pkid = self.next_id();
        let asked = subscribe.pkid;
        self.wire.send(&Packet::Subscribe(subscribe));
        let answer = loop {
            let packet = self.wire.answer().await.map_err(|failure| self.lost(failure))?;
            match packet {
                Packet::SubAck(answer) if answer.pkid == asked => break answer,
                other => {
                    let early = self.take(other)?;
                    self.early.extend(early);
                }
            }
        };
        let mut pairs = filters.iter().zip(&answer.return_codes);
        let refused = |(filter, code): (&String, &_)| match how {
            Subscription::Figures if matches!(code, Granted::Success(_)) => None,
            _ => subscription_refusal(&self.endpoint, filter, *code),
        };
        pairs.find_map(refused).map_or(Ok(()), Err)
    }

    /// Queues a publish of QoS 1, which is sent by [`Client::next`]; `expiry_s` is how
    /// long the broker may hold it. Returns its packet id.
    pub fn publish(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
        expiry_s: Option<u32>,
    ) -> u16 {
        let properties = expiry_s.map(|seconds| PublishProperties {
            message_expiry_interval: Some(seconds),
            ..PublishProperties::default()
        });
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload, properties);
        publish.pkid = self.next_id();
        let packet_id = publish.pkid;
        self.wire.send(&Packet::Publish(publish));
        packet_id
    }

    /// Queues a publish of QoS 1 that the broker retains; as [`Client::publish`] else.
    pub fn retain(&mut self, topic: &str, payload: impl Into<Bytes>) -> u16 {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload, None);
        publish.retain = true;
        publish.pkid = self.next_id();
        let packet_id = publish.pkid;
        self.wire.send(&Packet::Publish(publish));
        packet_id
    }

    /// The next message or answer; writes what is queued meanwhile. Cancel-safe.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn next(&mut self) -> Result<ClientEvent, ConnectError> {
        let nobody = Notify::new();
        loop {
            if let Some(early) = self.early.pop_front() {
                return Ok(early);
            }
            let happened = self.wire.next(true, &nobody).await;
            if let Happened::Came(packet) = happened.map_err(|failure| self.lost(failure))?
                && let Some(event) = self.take(*packet)?
            {
                return Ok(event);
            }
        }
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        send_goodbye(&mut self.wire);
        // A broker that does not hear the goodbye sees the connection close.
        self.wire.until_closed(GOODBYE_WITHIN).await;
    }

    fn take(&mut self, packet: Packet) -> Result<Option<ClientEvent>, ConnectError> {
        Ok(match packet {
            Packet::Publish(publish) => {
                if publish.qos != QoS::AtMostOnce {
                    self.wire.send(&Packet::PubAck(PubAck::new(publish.pkid, None)));
                }
                Some(ClientEvent::Message {
                    topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                    payload: Bytes::copy_from_slice(&publish.payload),
                })
            }
            Packet::PubAck(puback) => Some(ClientEvent::Published {
                packet_id: puback.pkid,
                answer: published(puback.reason),
            }),
            Packet::Disconnect(goodbye) => {
                return Err(self.lost(Failure::passing(goodbye_in_words(goodbye.reason_code))));
            }
            _ => None,
        })
    }

    fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }

    fn lost(&self, failure: Failure) -> ConnectError {
        End::of(&self.endpoint, failure).into_error(&self.endpoint)
    }
}

/// What a PUBACK says.
pub(crate) fn published(reason: PubAckReason) -> Result<(), PublishError> {
    match reason {
        PubAckReason::Success => Ok(()),
        PubAckReason::NoMatchingSubscribers => Err(PublishError::NoSubscriber),
        PubAckReason::NotAuthorized => Err(PublishError::NotAuthorised),
        other => Err(PublishError::Refused(format!("{other:?}"))),
    }
}
