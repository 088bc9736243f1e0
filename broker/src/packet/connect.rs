//! CONNECT: the one packet that is read before anything is known of a client.

use super::property::{
    AUTHENTICATION_DATA, AUTHENTICATION_METHOD, CONTENT_TYPE, CORRELATION_DATA, MAXIMUM_PACKET,
    MESSAGE_EXPIRY, PAYLOAD_FORMAT, RECEIVE_MAXIMUM, REQUEST_PROBLEM, REQUEST_RESPONSE,
    RESPONSE_TOPIC, SESSION_EXPIRY, TOPIC_ALIAS_MAXIMUM, USER_PROPERTY, WILL_DELAY, properties,
};
use super::wire::Reader;
use super::{PacketError, Protocol, Qos, valid_name};

const WILL_FLAG: u8 = 0x04;
const WILL_RETAIN_FLAG: u8 = 0x20;
const PASSWORD_FLAG: u8 = 0x40;
const USERNAME_FLAG: u8 = 0x80;

/// What a client asks for when it connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// Which protocol it speaks.
    pub protocol: Protocol,
    /// Clean session (3.1.1), clean start (5).
    pub clean: bool,
    /// Seconds; 0 switches the keep-alive off.
    pub keep_alive_s: u16,
    /// May be empty.
    pub client_id: &'a str,
    /// To be published when the connection breaks.
    pub will: Option<Will<'a>>,
    /// User name.
    pub username: Option<&'a str>,
    /// Password; any bytes.
    pub password: Option<&'a [u8]>,
    /// How many PUBLISH packets of QoS 1 and 2 it takes unacknowledged.
    pub receive_maximum: u16,
    /// The longest packet it takes, bytes.
    pub maximum_packet_bytes: u32,
    /// How long it asks its session to outlive the connection, seconds.
    pub session_expiry_s: u32,
    /// It asks for extended authentication.
    pub extended_authentication: bool,
}

/// A last will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// Where to publish it.
    pub topic: &'a str,
    /// What to publish.
    pub payload: &'a [u8],
    /// At which quality.
    pub qos: Qos,
    /// Whether to retain it.
    pub retain: bool,
    /// The properties that travel with the message, as they came.
    pub properties: Vec<u8>,
}

/// Reads what stands behind the fixed header.
pub(super) fn connect(body: &[u8]) -> Result<Connect<'_>, PacketError> {
    let mut reader = Reader::new(body);
    let protocol = protocol(&mut reader)?;
    let flags = reader.u8()?;
    if flags & 1 != 0 && protocol != Protocol::V31 {
        return Err(PacketError::Malformed("the reserved flag of CONNECT is set"));
    }
    let mut connect = Connect {
        protocol,
        clean: flags & 0x02 != 0,
        keep_alive_s: reader.u16()?,
        client_id: "",
        will: None,
        username: None,
        password: None,
        receive_maximum: u16::MAX,
        maximum_packet_bytes: u32::MAX,
        session_expiry_s: 0,
        extended_authentication: false,
    };
    if protocol == Protocol::V5 {
        connect_properties(&mut reader, &mut connect)?;
    }
    connect.client_id = reader.text()?;
    connect.will = will(&mut reader, protocol, flags)?;
    // In MQTT 3.1 (3.1) the remaining length goes before the flags: the fields may be
    // missing although they are announced.
    let missing = |reader: &Reader<'_>| protocol == Protocol::V31 && reader.is_empty();
    if flags & USERNAME_FLAG != 0 && !missing(&reader) {
        connect.username = Some(reader.text()?);
    } else if flags & (USERNAME_FLAG | PASSWORD_FLAG) == PASSWORD_FLAG && protocol != Protocol::V5 {
        return Err(PacketError::Malformed("a password without a user name"));
    }
    if flags & PASSWORD_FLAG != 0 && !missing(&reader) {
        connect.password = Some(reader.binary()?);
    }
    if !reader.is_empty() {
        return Err(PacketError::Malformed("bytes behind the end of CONNECT"));
    }
    Ok(connect)
}

fn protocol(reader: &mut Reader<'_>) -> Result<Protocol, PacketError> {
    let name = reader.binary()?;
    match (name, reader.u8()?) {
        (b"MQIsdp", 3) => Ok(Protocol::V31),
        (b"MQTT", 4) => Ok(Protocol::V311),
        (b"MQTT", 5) => Ok(Protocol::V5),
        (b"MQTT" | b"MQIsdp", level) => Err(PacketError::Version(level)),
        _ => Err(PacketError::Malformed("not MQTT")),
    }
}

fn connect_properties<'a>(
    reader: &mut Reader<'a>,
    connect: &mut Connect<'a>,
) -> Result<(), PacketError> {
    const ALLOWED: [u8; 9] = [
        SESSION_EXPIRY,
        AUTHENTICATION_METHOD,
        AUTHENTICATION_DATA,
        REQUEST_PROBLEM,
        REQUEST_RESPONSE,
        RECEIVE_MAXIMUM,
        TOPIC_ALIAS_MAXIMUM,
        USER_PROPERTY,
        MAXIMUM_PACKET,
    ];
    properties(reader, &ALLOWED, |property| {
        match property.id {
            SESSION_EXPIRY => connect.session_expiry_s = property.number(),
            AUTHENTICATION_METHOD => connect.extended_authentication = true,
            RECEIVE_MAXIMUM => {
                connect.receive_maximum = u16::try_from(property.positive()?).unwrap_or(u16::MAX);
            }
            MAXIMUM_PACKET => connect.maximum_packet_bytes = property.positive()?,
            _ => {}
        }
        Ok(())
    })
    .map(|_| ())
}

fn will<'a>(
    reader: &mut Reader<'a>,
    protocol: Protocol,
    flags: u8,
) -> Result<Option<Will<'a>>, PacketError> {
    const ALLOWED: [u8; 7] = [
        WILL_DELAY,
        PAYLOAD_FORMAT,
        MESSAGE_EXPIRY,
        CONTENT_TYPE,
        RESPONSE_TOPIC,
        CORRELATION_DATA,
        USER_PROPERTY,
    ];
    let qos_bits = (flags >> 3) & 0x03;
    if flags & WILL_FLAG == 0 {
        return if qos_bits == 0 && flags & WILL_RETAIN_FLAG == 0 {
            Ok(None)
        } else {
            Err(PacketError::Malformed("flags of a will that is not there"))
        };
    }
    let qos = Qos::from_bits(qos_bits).ok_or(PacketError::Malformed("a will of QoS 3"))?;
    let mut travelling = Vec::new();
    if protocol == Protocol::V5 {
        properties(reader, &ALLOWED, |property| {
            // The session ends with the connection, and the delay with it.
            if property.id != WILL_DELAY {
                travelling.extend_from_slice(property.raw);
            }
            Ok(())
        })?;
    }
    let topic = reader.text()?;
    if !valid_name(topic) {
        return Err(PacketError::TopicName);
    }
    let payload = reader.binary()?;
    let retain = flags & WILL_RETAIN_FLAG != 0;
    Ok(Some(Will { topic, payload, qos, retain, properties: travelling }))
}
