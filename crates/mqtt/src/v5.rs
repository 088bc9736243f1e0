//! MQTT 5 on a [`Wire`]: its packets, and CONNECT with what the broker answers.

use std::time::Duration;

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::Error as CodecError;
use rumqttc::v5::mqttbytes::v5::{
    Connect, ConnectProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode, Login, Packet,
    check,
};

use crate::config::{Endpoint, Wanted};
use crate::link::{End, refusal};
use crate::offer::Offer;
use crate::tls::Failure;
use crate::wire::{Version, Wire};

/// MQTT 5.
#[derive(Debug)]
pub(crate) struct V5;

impl Version for V5 {
    type Packet = Packet;

    fn read(bytes: &mut BytesMut, max_packet_bytes: u32) -> Result<Option<Packet>, Failure> {
        match check(bytes.iter(), Some(max_packet_bytes)) {
            Ok(_) if is_old_connack(bytes) => Err(Failure::for_good(NO_MQTT_5)),
            Ok(_) => Packet::read(bytes, Some(max_packet_bytes))
                .map(Some)
                .map_err(|error| unreadable(&error)),
            Err(CodecError::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(unreadable(&error)),
        }
    }

    fn write(packet: &Packet, out: &mut BytesMut) {
        // Fails for a packet that is too large, and no limit is given.
        let written = packet.write(out, None);
        debug_assert!(written.is_ok(), "{written:?}");
    }
}

fn unreadable(error: &CodecError) -> Failure {
    Failure::passing(format!("a packet that cannot be read: {error}"))
}

/// CONNACK (0x20) of two bytes, as 3.1.1 has it.
fn is_old_connack(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x20, 2])
}

const NO_MQTT_5: &str = "it speaks no MQTT 5, which workers need for shared subscriptions (NATS, for \
     one, speaks 3.1.1 alone); docs/mosquitto.md names brokers that do";

/// Connects and waits for the broker's CONNACK. A broker that cannot do what is
/// needed is refused.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    wanted: &Wanted,
) -> Result<(Wire<V5>, Offer), End> {
    let failed = |failure: Failure| End::of(endpoint, failure);
    let ping_every = endpoint.keep_alive.max(Duration::from_secs(1));
    let broker = &endpoint.broker;
    let mut wire =
        Wire::<V5>::open(broker, ping_every, endpoint.max_packet_bytes).await.map_err(failed)?;
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(wanted.session_expiry_s);
    properties.receive_maximum = wanted.receive_maximum;
    properties.max_packet_size = Some(endpoint.max_packet_bytes);
    let connect = Connect {
        // One and a half of this and the broker gives us up; we ping more often.
        keep_alive: u16::try_from(ping_every.as_secs() * 2).unwrap_or(u16::MAX),
        client_id: endpoint.client_id.clone(),
        clean_start: wanted.clean_start,
        properties: Some(properties),
    };
    let login = broker.url().login.as_ref().map(|(user, password)| Login::new(user, password));
    wire.send(&Packet::Connect(connect, None, login));
    let answer =
        wire.answer().await.map_err(|failure| failed(failure.or_closed_since(NO_ANSWER)))?;
    let Packet::ConnAck(connack) = answer else {
        return Err(failed(Failure::passing(format!("no CONNACK but {answer:?}"))));
    };
    if connack.code != ConnectReturnCode::Success {
        let reason = connack.properties.and_then(|properties| properties.reason_string);
        return Err(refusal(endpoint, connack.code, reason.as_deref()));
    }
    let offer = Offer::of(&connack);
    if let Some(lack) = offer.lacks(wanted.needs) {
        return Err(End::unfit(endpoint, lack));
    }
    if let Some(theirs) = offer.server_keep_alive_s {
        let half = Duration::from_secs(u64::from(theirs).div_ceil(2).max(1));
        wire.ping_at_least_every(half);
    }
    Ok((wire, offer))
}

const NO_ANSWER: &str = "it closed the connection instead of answering CONNECT: it may speak no MQTT 5, want \
     TLS on this port (mqtts://), or refuse this login without a word";

/// The farewell.
pub(crate) fn send_goodbye(wire: &mut Wire<V5>) {
    let goodbye = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
    wire.send(&Packet::Disconnect(goodbye));
}
