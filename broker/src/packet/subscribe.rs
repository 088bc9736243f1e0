//! SUBSCRIBE and UNSUBSCRIBE.

use super::property::{SUBSCRIPTION_ID, USER_PROPERTY, properties};
use super::wire::Reader;
use super::{PacketError, Protocol, Qos};

/// What a client wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// Packet id.
    pub packet_id: u16,
    /// Identifier to come back with each message.
    pub subscription_id: Option<u32>,
    /// The filters, at least one; whether each is valid is not checked here,
    /// since each is answered by itself.
    pub filters: Vec<Filter<'a>>,
}

/// One filter of a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    /// The filter.
    pub filter: &'a str,
    /// The highest quality to deliver at.
    pub qos: Qos,
    /// Leave out what this client publishes itself.
    pub no_local: bool,
    /// Keep the retain flag as it was published.
    pub retain_as_published: bool,
    /// Which retained messages to send.
    pub retain_handling: RetainHandling,
}

/// Which retained messages a SUBSCRIBE asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetainHandling {
    /// All that match.
    Send,
    /// All that match if the subscription is new.
    SendIfNew,
    /// None.
    Withhold,
}

/// What a client wants to hear no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Packet id.
    pub packet_id: u16,
    /// The filters, at least one.
    pub filters: Vec<&'a str>,
}

pub(super) fn subscribe(protocol: Protocol, body: &[u8]) -> Result<Subscribe<'_>, PacketError> {
    let mut reader = Reader::new(body);
    let packet_id = packet_id(&mut reader)?;
    let mut subscription_id = None;
    if protocol == Protocol::V5 {
        properties(&mut reader, &[SUBSCRIPTION_ID, USER_PROPERTY], |property| {
            if property.id == SUBSCRIPTION_ID {
                subscription_id = Some(property.positive()?);
            }
            Ok(())
        })?;
    }
    let mut filters = Vec::new();
    while !reader.is_empty() {
        let filter = reader.text()?;
        filters.push(with_options(protocol, filter, reader.u8()?)?);
    }
    if filters.is_empty() {
        return Err(PacketError::Protocol("a SUBSCRIBE without a filter"));
    }
    Ok(Subscribe { packet_id, subscription_id, filters })
}

fn with_options(protocol: Protocol, filter: &str, options: u8) -> Result<Filter<'_>, PacketError> {
    let reserved = match protocol {
        // "Not used" in MQTT 3.1, and no options either.
        Protocol::V31 => 0,
        Protocol::V311 => 0xFC,
        Protocol::V5 => 0xC0,
    };
    if options & reserved != 0 {
        return Err(PacketError::Malformed("reserved bits of a SUBSCRIBE are set"));
    }
    let options = if protocol == Protocol::V31 { options & 0x03 } else { options };
    let qos =
        Qos::from_bits(options & 0x03).ok_or(PacketError::Malformed("a subscription of QoS 3"))?;
    let retain_handling = match (options >> 4) & 0x03 {
        0 => RetainHandling::Send,
        1 => RetainHandling::SendIfNew,
        2 => RetainHandling::Withhold,
        _ => return Err(PacketError::Protocol("retain handling 3")),
    };
    Ok(Filter {
        filter,
        qos,
        no_local: options & 0x04 != 0,
        retain_as_published: options & 0x08 != 0,
        retain_handling,
    })
}

pub(super) fn unsubscribe(protocol: Protocol, body: &[u8]) -> Result<Unsubscribe<'_>, PacketError> {
    let mut reader = Reader::new(body);
    let packet_id = packet_id(&mut reader)?;
    if protocol == Protocol::V5 {
        properties(&mut reader, &[USER_PROPERTY], |_| Ok(()))?;
    }
    let mut filters = Vec::new();
    while !reader.is_empty() {
        filters.push(reader.text()?);
    }
    if filters.is_empty() {
        return Err(PacketError::Protocol("an UNSUBSCRIBE without a filter"));
    }
    Ok(Unsubscribe { packet_id, filters })
}

pub(super) fn packet_id(reader: &mut Reader<'_>) -> Result<u16, PacketError> {
    match reader.u16()? {
        0 => Err(PacketError::Malformed("packet id 0")),
        id => Ok(id),
    }
}
