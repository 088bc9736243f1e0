//! From bytes to packets.

use super::connect::{Connect, connect};
use super::property::{
    AUTHENTICATION_DATA, AUTHENTICATION_METHOD, CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY,
    PAYLOAD_FORMAT, REASON_STRING, RESPONSE_TOPIC, SESSION_EXPIRY, TOPIC_ALIAS, USER_PROPERTY,
    Value, properties,
};
use super::subscribe::{Subscribe, Unsubscribe, packet_id, subscribe, unsubscribe};
use super::wire::{Reader, varint};
use super::{PacketError, Protocol, Qos, Reason, valid_name};

/// What a client may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The first packet.
    Connect(Box<Connect<'a>>),
    /// A message.
    Publish(Publish<'a>),
    /// Answer to a message of QoS 1.
    PubAck(Acknowledgement),
    /// First answer to a message of QoS 2.
    PubRec(Acknowledgement),
    /// The client's release of a message of QoS 2.
    PubRel(Acknowledgement),
    /// Last answer to a message of QoS 2.
    PubComp(Acknowledgement),
    /// What it wants to hear.
    Subscribe(Subscribe<'a>),
    /// What it wants to hear no more.
    Unsubscribe(Unsubscribe<'a>),
    /// It is alive.
    PingReq,
    /// It goes.
    Disconnect(Disconnect),
    /// Extended authentication, which is not offered.
    Auth,
}

/// A message from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// A valid topic name.
    pub topic: &'a str,
    /// Any bytes.
    pub payload: &'a [u8],
    /// Quality.
    pub qos: Qos,
    /// Sent before.
    pub duplicate: bool,
    /// To be retained.
    pub retain: bool,
    /// Packet id; 0 at QoS 0.
    pub packet_id: u16,
    /// The MQTT 5 properties as they came, without their length. All of them
    /// travel with the message.
    pub properties: &'a [u8],
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Packet id.
    pub packet_id: u16,
    /// Reason code; success in 3.1.1.
    pub reason: Reason,
}

/// DISCONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Reason code; success in 3.1.1.
    pub reason: Reason,
}

/// The length of the packet at the front of `buffer`, fixed header included, as
/// soon as its header says so; `None` when more bytes are needed for that.
///
/// # Errors
/// A length that is no length, or is over `limit`.
pub fn measure(buffer: &[u8], limit: usize) -> Result<Option<usize>, PacketError> {
    let Some((_, lengths)) = buffer.split_first() else {
        return Ok(None);
    };
    let Some((remaining, length_bytes)) = varint(lengths)? else {
        return Ok(None);
    };
    let bytes = usize::try_from(remaining).unwrap_or(usize::MAX).saturating_add(1 + length_bytes);
    if bytes > limit {
        return Err(PacketError::TooLarge { bytes, limit });
    }
    Ok(Some(bytes))
}

/// Reads one packet. `packet` holds exactly what [`measure`] said.
///
/// # Errors
/// Everything the specifications call malformed or a protocol error.
pub fn decode(protocol: Protocol, packet: &[u8]) -> Result<Packet<'_>, PacketError> {
    let mut reader = Reader::new(packet);
    let first = reader.u8()?;
    let remaining = reader.varint()?;
    let body = reader.rest();
    if usize::try_from(remaining) != Ok(body.len()) {
        return Err(PacketError::Malformed("the length does not fit the packet"));
    }
    let (kind, flags) = (first >> 4, first & 0x0F);
    let wanted_flags = match kind {
        3 => flags,
        // MQTT 3.1 repeats these with DUP, and does not use the flags of the others.
        _ if protocol == Protocol::V31 => flags,
        6 | 8 | 10 => 0x02,
        _ => 0,
    };
    if flags != wanted_flags {
        return Err(PacketError::Malformed("reserved bits of the fixed header are set"));
    }
    match kind {
        1 => connect(body).map(|connect| Packet::Connect(Box::new(connect))),
        3 => publish(protocol, flags, body).map(Packet::Publish),
        4 => acknowledgement(protocol, body).map(Packet::PubAck),
        5 => acknowledgement(protocol, body).map(Packet::PubRec),
        6 => acknowledgement(protocol, body).map(Packet::PubRel),
        7 => acknowledgement(protocol, body).map(Packet::PubComp),
        8 => subscribe(protocol, body).map(Packet::Subscribe),
        10 => unsubscribe(protocol, body).map(Packet::Unsubscribe),
        12 if body.is_empty() => Ok(Packet::PingReq),
        12 => Err(PacketError::Malformed("a PINGREQ with a body")),
        14 => disconnect(protocol, body).map(Packet::Disconnect),
        15 if protocol == Protocol::V5 => auth(body),
        2 | 9 | 11 | 13 => Err(PacketError::Protocol("a packet that only servers send")),
        _ => Err(PacketError::Malformed("an unknown packet type")),
    }
}

fn publish(protocol: Protocol, flags: u8, body: &[u8]) -> Result<Publish<'_>, PacketError> {
    const ALLOWED: [u8; 7] = [
        PAYLOAD_FORMAT,
        MESSAGE_EXPIRY,
        CONTENT_TYPE,
        RESPONSE_TOPIC,
        CORRELATION_DATA,
        TOPIC_ALIAS,
        USER_PROPERTY,
    ];
    let qos = Qos::from_bits((flags >> 1) & 0x03).ok_or(PacketError::Malformed("QoS 3"))?;
    // At QoS 0 the flag must be 0 (3.3.1-2). Modems set it, and nothing depends on it:
    // closing the connection would lose the device for nothing.
    let duplicate = flags & 0x08 != 0;
    let mut reader = Reader::new(body);
    let topic = reader.text()?;
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { packet_id(&mut reader)? };
    let mut block: &[u8] = &[];
    if protocol == Protocol::V5 {
        block =
            properties(&mut reader, &ALLOWED, |property| match (property.id, property.value) {
                (TOPIC_ALIAS, _) => Err(PacketError::TopicAlias),
                (RESPONSE_TOPIC, Value::Text(name)) if !valid_name(name) => {
                    Err(PacketError::Protocol("a response topic with a wildcard"))
                }
                _ => Ok(()),
            })?;
    }
    if !valid_name(topic) {
        return Err(PacketError::TopicName);
    }
    Ok(Publish {
        topic,
        payload: reader.rest(),
        qos,
        duplicate,
        retain: flags & 1 != 0,
        packet_id,
        properties: block,
    })
}

fn acknowledgement(protocol: Protocol, body: &[u8]) -> Result<Acknowledgement, PacketError> {
    let mut reader = Reader::new(body);
    let packet_id = packet_id(&mut reader)?;
    let mut reason = Reason::SUCCESS;
    if protocol == Protocol::V5 && !reader.is_empty() {
        reason = Reason(reader.u8()?);
        if !reader.is_empty() {
            properties(&mut reader, &[REASON_STRING, USER_PROPERTY], |_| Ok(()))?;
        }
    }
    if !reader.is_empty() {
        return Err(PacketError::Malformed("bytes behind the end of an acknowledgement"));
    }
    Ok(Acknowledgement { packet_id, reason })
}

fn disconnect(protocol: Protocol, body: &[u8]) -> Result<Disconnect, PacketError> {
    let mut reader = Reader::new(body);
    let mut reason = Reason::SUCCESS;
    if protocol == Protocol::V5 && !reader.is_empty() {
        reason = Reason(reader.u8()?);
        if !reader.is_empty() {
            let allowed = [SESSION_EXPIRY, REASON_STRING, USER_PROPERTY];
            properties(&mut reader, &allowed, |_| Ok(()))?;
        }
    }
    if !reader.is_empty() {
        return Err(PacketError::Malformed("bytes behind the end of DISCONNECT"));
    }
    Ok(Disconnect { reason })
}

fn auth(body: &[u8]) -> Result<Packet<'_>, PacketError> {
    let mut reader = Reader::new(body);
    if !reader.is_empty() {
        reader.u8()?;
        let allowed = [AUTHENTICATION_METHOD, AUTHENTICATION_DATA, REASON_STRING, USER_PROPERTY];
        properties(&mut reader, &allowed, |_| Ok(()))?;
    }
    Ok(Packet::Auth)
}
