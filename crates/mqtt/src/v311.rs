//! MQTT 3.1.1 on a [`Wire`], as trackers speak it: for the simulator. One connection,
//! no second try; packet ids and what is unacknowledged are the caller's.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{
    Connect, ConnectReturnCode, Packet, PubAck, PubComp, PubRec, PubRel, Publish, Subscribe,
};
use rumqttc::mqttbytes::{Error as CodecError, QoS, check};
use tokio::sync::Notify;

use crate::config::Endpoint;
use crate::link::{ConnectError, End, GOODBYE_WITHIN};
use crate::tls::Failure;
use crate::wire::{Happened, Version, Wire};

#[derive(Debug)]
struct V311;

impl Version for V311 {
    type Packet = Packet;

    fn read(bytes: &mut BytesMut, max_packet_bytes: u32) -> Result<Option<Packet>, Failure> {
        let largest = usize::try_from(max_packet_bytes).unwrap_or(usize::MAX);
        let unreadable =
            |error: CodecError| Failure::passing(format!("a packet that cannot be read: {error}"));
        match check(bytes.iter(), largest) {
            Ok(_) => Packet::read(bytes, largest).map(Some).map_err(unreadable),
            Err(CodecError::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(unreadable(error)),
        }
    }

    fn write(packet: &Packet, out: &mut BytesMut) {
        let written = packet.write(out, usize::MAX);
        debug_assert!(written.is_ok(), "{written:?}");
    }
}

/// Quality of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// 0
    AtMostOnce,
    /// 1
    AtLeastOnce,
    /// 2
    ExactlyOnce,
}

impl Qos {
    const fn code(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce => QoS::AtLeastOnce,
            Self::ExactlyOnce => QoS::ExactlyOnce,
        }
    }
}

/// What came of the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message on a topic that was subscribed.
    Message,
    /// The publish of this packet id is done: PUBACK, or PUBCOMP at QoS 2.
    Done(u16),
    /// Something was read or written.
    Something,
}

/// A connected client with a clean session.
#[derive(Debug)]
pub struct Connection {
    endpoint: Endpoint,
    wire: Wire<V311>,
}

impl Connection {
    /// Connects, once.
    ///
    /// # Errors
    /// No broker, or one that refuses us.
    pub async fn open(endpoint: Endpoint) -> Result<Self, ConnectError> {
        let failed = |failure| End::of(&endpoint, failure).into_error(&endpoint);
        let ping_every = endpoint.keep_alive.max(Duration::from_secs(1));
        let mut wire = Wire::<V311>::open(&endpoint.broker, ping_every, endpoint.max_packet_bytes)
            .await
            .map_err(failed)?;
        let mut connect = Connect::new(endpoint.client_id.clone());
        connect.keep_alive = u16::try_from(ping_every.as_secs() * 2).unwrap_or(u16::MAX);
        if let Some((user, password)) = &endpoint.broker.url().login {
            connect.set_login(user, password);
        }
        wire.send(&Packet::Connect(connect));
        match wire.answer().await.map_err(failed)? {
            Packet::ConnAck(connack) => match connack.code {
                ConnectReturnCode::Success => {}
                ConnectReturnCode::ServiceUnavailable => {
                    return Err(failed(Failure::passing("not now (return code 3)")));
                }
                code => return Err(refused(&endpoint, code)),
            },
            other => {
                return Err(failed(Failure::passing(format!("no CONNACK but {other:?}"))));
            }
        }
        Ok(Self { endpoint, wire })
    }

    /// Queues a subscription at QoS 0, sent by [`Connection::next`].
    pub fn subscribe(&mut self, filter: &str) {
        let mut subscribe = Subscribe::new(filter, QoS::AtMostOnce);
        subscribe.pkid = u16::MAX;
        self.wire.send(&Packet::Subscribe(subscribe));
    }

    /// Queues a publish; `packet_id` is 0 at QoS 0 and else below 65535. Returns the
    /// place in the stream that [`Connection::written`] reaches when it is out.
    pub fn publish(&mut self, packet_id: u16, topic: &str, qos: Qos, payload: Bytes) -> u64 {
        let mut publish = Publish::from_bytes(topic, qos.code(), payload);
        publish.pkid = packet_id;
        self.wire.send(&Packet::Publish(publish));
        self.wire.queued_until()
    }

    /// Bytes given to the socket so far.
    pub const fn written(&self) -> u64 {
        self.wire.written()
    }

    /// Bytes that are queued and not yet given to the socket.
    pub fn queued_bytes(&self) -> usize {
        self.wire.queued_bytes()
    }

    /// Reads and writes until something happens. Cancel-safe.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn next(&mut self) -> Result<Heard, ConnectError> {
        let happened = self.wire.next(true, &Notify::new()).await;
        let lost = |failure| End::of(&self.endpoint, failure).into_error(&self.endpoint);
        let Happened::Came(packet) = happened.map_err(lost)? else { return Ok(Heard::Something) };
        Ok(match *packet {
            Packet::Publish(publish) => {
                match publish.qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => self.wire.send(&Packet::PubAck(PubAck::new(publish.pkid))),
                    QoS::ExactlyOnce => self.wire.send(&Packet::PubRec(PubRec::new(publish.pkid))),
                }
                Heard::Message
            }
            Packet::PubAck(ack) => Heard::Done(ack.pkid),
            Packet::PubRec(received) => {
                self.wire.send(&Packet::PubRel(PubRel::new(received.pkid)));
                Heard::Something
            }
            Packet::PubRel(released) => {
                self.wire.send(&Packet::PubComp(PubComp::new(released.pkid)));
                Heard::Something
            }
            Packet::PubComp(done) => Heard::Done(done.pkid),
            _ => Heard::Something,
        })
    }

    /// Says goodbye, for as long as that may take.
    pub async fn close(mut self) {
        self.wire.send(&Packet::Disconnect);
        // A broker that does not hear the goodbye sees the connection close.
        self.wire.until_closed(GOODBYE_WITHIN).await;
    }
}

fn refused(endpoint: &Endpoint, code: ConnectReturnCode) -> ConnectError {
    let reason = match code {
        ConnectReturnCode::RefusedProtocolVersion => "it does not take MQTT 3.1.1 (return code 1)",
        ConnectReturnCode::BadClientId => "it does not take this client id (return code 2)",
        ConnectReturnCode::BadUserNamePassword => "wrong user name or password (return code 4)",
        _ => "this login may not connect (return code 5)",
    };
    ConnectError::Refused {
        broker: endpoint.broker.url().to_string(),
        client_id: endpoint.client_id.clone(),
        reason: reason.to_owned(),
    }
}
