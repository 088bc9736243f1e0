//! The property block of MQTT 5 (section 2.2.2): one scan that checks each
//! property's type, its place and that it comes once.

use bytes::Bytes;
use nemeses_protocol::{TRACEPARENT, TraceContext};

use super::PacketError;
use super::wire::Reader;

pub(super) const PAYLOAD_FORMAT: u8 = 1;
pub(super) const MESSAGE_EXPIRY: u8 = 2;
pub(super) const CONTENT_TYPE: u8 = 3;
pub(super) const RESPONSE_TOPIC: u8 = 8;
pub(super) const CORRELATION_DATA: u8 = 9;
pub(super) const SUBSCRIPTION_ID: u8 = 11;
pub(super) const SESSION_EXPIRY: u8 = 17;
pub(super) const ASSIGNED_CLIENT_ID: u8 = 18;
pub(super) const SERVER_KEEP_ALIVE: u8 = 19;
pub(super) const AUTHENTICATION_METHOD: u8 = 21;
pub(super) const AUTHENTICATION_DATA: u8 = 22;
pub(super) const REQUEST_PROBLEM: u8 = 23;
pub(super) const WILL_DELAY: u8 = 24;
pub(super) const REQUEST_RESPONSE: u8 = 25;
pub(super) const REASON_STRING: u8 = 31;
pub(super) const RECEIVE_MAXIMUM: u8 = 33;
pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 34;
pub(super) const TOPIC_ALIAS: u8 = 35;
pub(super) const USER_PROPERTY: u8 = 38;
pub(super) const MAXIMUM_PACKET: u8 = 39;
pub(super) const SHARED_AVAILABLE: u8 = 42;

/// What a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u32),
    Text(&'a str),
    Binary(&'a [u8]),
    Pair,
}

/// One property.
#[derive(Clone, Copy, Debug)]
pub(super) struct Property<'a> {
    pub(super) id: u8,
    pub(super) value: Value<'a>,
    /// Identifier and value as they came.
    pub(super) raw: &'a [u8],
}

impl Property<'_> {
    pub(super) fn number(&self) -> u32 {
        if let Value::Number(number) = self.value { number } else { 0 }
    }

    /// A number that must not be 0.
    pub(super) fn positive(&self) -> Result<u32, PacketError> {
        match self.number() {
            0 => Err(PacketError::Protocol("a property that must not be 0 is 0")),
            number => Ok(number),
        }
    }
}

/// Takes the block off the front of `reader` and hands over each property.
pub(super) fn properties<'a>(
    reader: &mut Reader<'a>,
    allowed: &[u8],
    each: impl FnMut(Property<'a>) -> Result<(), PacketError>,
) -> Result<&'a [u8], PacketError> {
    let length = reader.varint()?;
    let length = usize::try_from(length).map_err(|_| PacketError::Malformed("a long block"))?;
    let block = reader.take(length)?;
    scan(block, allowed, each)?;
    Ok(block)
}

fn scan<'a>(
    block: &'a [u8],
    allowed: &[u8],
    mut each: impl FnMut(Property<'a>) -> Result<(), PacketError>,
) -> Result<(), PacketError> {
    let mut rest = Reader::new(block);
    let mut seen = 0_u64;
    while !rest.is_empty() {
        let before = rest.rest();
        let id = rest.u8()?;
        if !allowed.contains(&id) {
            return Err(PacketError::Protocol("a property that has no place in its packet"));
        }
        let value = value(id, &mut rest)?;
        let bit = 1_u64 << (id & 63);
        if id != USER_PROPERTY && seen & bit != 0 {
            return Err(PacketError::Protocol("a property comes twice"));
        }
        seen |= bit;
        let raw = &before[..before.len() - rest.rest().len()];
        each(Property { id, value, raw })?;
    }
    Ok(())
}

/// The properties of a message that is meant for so long, and has no others.
pub fn message_expiry(seconds: u32) -> Bytes {
    let [a, b, c, d] = seconds.to_be_bytes();
    Bytes::copy_from_slice(&[MESSAGE_EXPIRY, a, b, c, d])
}

/// The message expiry in a checked block of a PUBLISH or a will, seconds.
pub fn message_expiry_s(block: &[u8]) -> Option<u32> {
    find_expiry(block).map(|(_, seconds)| seconds)
}

/// The block with the message expiry set to what remains of it, seconds.
pub fn with_message_expiry(block: &[u8], remaining_s: u32) -> Vec<u8> {
    let mut copy = block.to_vec();
    if let Some((at, _)) = find_expiry(block) {
        copy[at..at + 4].copy_from_slice(&remaining_s.to_be_bytes());
    }
    copy
}

/// The trace that the publisher began, in a checked block of a PUBLISH: its first user
/// property of that name; `None` for rubbish.
pub fn traceparent(block: &[u8]) -> Option<TraceContext> {
    if block.is_empty() {
        return None;
    }
    let mut found = None;
    scan(block, &OF_MESSAGES, |property| {
        if property.id == USER_PROPERTY && found.is_none() {
            let mut pair = Reader::new(&property.raw[1..]);
            if pair.text()? == TRACEPARENT {
                found = Some(pair.text()?);
            }
        }
        Ok(())
    })
    .ok()?;
    TraceContext::parse(found?)
}

/// What a PUBLISH and a will may have, once they were let in.
const OF_MESSAGES: [u8; 6] =
    [PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA, USER_PROPERTY];

/// Where the four bytes of the expiry stand, and what they say.
fn find_expiry(block: &[u8]) -> Option<(usize, u32)> {
    let (mut at, mut found) = (0, None);
    scan(block, &OF_MESSAGES, |property| {
        if property.id == MESSAGE_EXPIRY {
            found = Some((at + 1, property.number()));
        }
        at += property.raw.len();
        Ok(())
    })
    .ok()?;
    found
}

fn value<'a>(id: u8, reader: &mut Reader<'a>) -> Result<Value<'a>, PacketError> {
    match id {
        PAYLOAD_FORMAT | REQUEST_PROBLEM | REQUEST_RESPONSE => match reader.u8()? {
            flag @ (0 | 1) => Ok(Value::Number(u32::from(flag))),
            _ => Err(PacketError::Protocol("a flag that is neither 0 nor 1")),
        },
        RECEIVE_MAXIMUM | TOPIC_ALIAS_MAXIMUM | TOPIC_ALIAS => {
            reader.u16().map(|number| Value::Number(u32::from(number)))
        }
        MESSAGE_EXPIRY | SESSION_EXPIRY | WILL_DELAY | MAXIMUM_PACKET => {
            reader.u32().map(Value::Number)
        }
        SUBSCRIPTION_ID => reader.varint().map(Value::Number),
        CONTENT_TYPE | RESPONSE_TOPIC | AUTHENTICATION_METHOD | REASON_STRING => {
            reader.text().map(Value::Text)
        }
        CORRELATION_DATA | AUTHENTICATION_DATA => reader.binary().map(Value::Binary),
        USER_PROPERTY => {
            reader.text()?;
            reader.text()?;
            Ok(Value::Pair)
        }
        _ => Err(PacketError::Malformed("an unknown property")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn pair(name: &str, value: &str) -> Vec<u8> {
        let text = |text: &str| {
            let length = u16::try_from(text.len()).unwrap().to_be_bytes();
            [&length[..], text.as_bytes()].concat()
        };
        [vec![USER_PROPERTY], text(name), text(value)].concat()
    }

    #[test]
    fn the_publisher_s_trace_is_found_among_its_properties() {
        let found = |pairs: &[(&str, &str)]| {
            let block: Vec<u8> = pairs.iter().flat_map(|(name, value)| pair(name, value)).collect();
            traceparent(&[&[1, 1, 2, 0, 0, 0, 10], &block[..]].concat())
        };
        let good = TraceContext::parse(GOOD);
        assert_eq!(found(&[("a", "b"), ("traceparent", GOOD), ("c", "d")]), good);
        assert_eq!(found(&[("traceparent", GOOD), ("traceparent", "x")]), good);
        assert_eq!(found(&[("traceparent", "x"), ("traceparent", GOOD)]), None);
        assert_eq!(found(&[("Traceparent", GOOD)]), None);
        assert_eq!(found(&[]), None);
        assert_eq!(traceparent(&[]), None);
    }

    proptest! {
        #[test]
        fn no_block_panics(block: Vec<u8>) {
            let _ = traceparent(&block);
        }
    }
}
