//! A message on its way through the router, and the envelope it travels in.
//!
//! The router carries every message on one topic of its own, with the real topic
//! inside: its tables of topics and filters never shrink, and a topic that begins
//! with a non-ASCII character ends its thread.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::packet::{Qos, message_expiry_s, with_message_expiry};

/// A message from a client or from the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Number of the publishing connection; 0 for the node itself.
    pub(crate) publisher: u64,
    pub(crate) topic: Arc<str>,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// MQTT 5 properties as the publisher sent them.
    pub(crate) properties: Bytes,
}

impl Message {
    /// The properties `age_ms` after publishing, or `None` when the message has
    /// expired.
    pub(crate) fn properties_after(&self, age_ms: u64) -> Option<Bytes> {
        let Some(expiry_s) = message_expiry_s(&self.properties) else {
            return Some(self.properties.clone());
        };
        let whole_seconds = u32::try_from(age_ms / 1000).unwrap_or(u32::MAX);
        let remaining_s = expiry_s.checked_sub(whole_seconds).filter(|left| *left > 0)?;
        Some(with_message_expiry(&self.properties, remaining_s).into())
    }
}

/// A message with what the router's way adds to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Counts up by one; a gap tells a listener what the router dropped.
    pub(crate) sequence: u64,
    /// When it was published, milliseconds since the door was built.
    pub(crate) published_ms: u64,
    pub(crate) message: Message,
}

impl Envelope {
    pub(crate) fn encode(&self) -> Bytes {
        let message = &self.message;
        let (topic, block) = (message.topic.as_bytes(), &message.properties);
        let length = 33 + topic.len() + block.len() + message.payload.len();
        let mut bytes = BytesMut::with_capacity(length);
        bytes.put_u64(self.sequence);
        bytes.put_u64(self.published_ms);
        bytes.put_u64(message.publisher);
        bytes.put_u8(message.qos.bits() | u8::from(message.retain) << 7);
        for part in [topic, block] {
            bytes.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
            bytes.put_slice(part);
        }
        bytes.put_slice(&message.payload);
        bytes.freeze()
    }

    /// `None` for bytes that no envelope is made of.
    pub(crate) fn decode(mut bytes: Bytes) -> Option<Self> {
        let sequence = u64_of(&mut bytes)?;
        let published_ms = u64_of(&mut bytes)?;
        let publisher = u64_of(&mut bytes)?;
        let flags = split(&mut bytes, 1)?[0];
        let topic = part(&mut bytes)?;
        let properties = part(&mut bytes)?;
        let message = Message {
            publisher,
            topic: std::str::from_utf8(&topic).ok()?.into(),
            payload: bytes,
            qos: Qos::from_bits(flags & 0x7F)?,
            retain: flags & 0x80 != 0,
            properties,
        };
        Some(Self { sequence, published_ms, message })
    }
}

fn split(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (bytes.len() >= length).then(|| bytes.split_to(length))
}

fn u64_of(bytes: &mut Bytes) -> Option<u64> {
    let taken = split(bytes, 8)?;
    taken.as_ref().try_into().ok().map(u64::from_be_bytes)
}

fn part(bytes: &mut Bytes) -> Option<Bytes> {
    let length = split(bytes, 4)?.as_ref().try_into().ok().map(u32::from_be_bytes)?;
    split(bytes, usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_envelope_comes_out_as_it_went_in(
            sequence: u64, published_ms: u64, publisher: u64, qos in 0_u8..3, retain: bool,
            topic in ".{0,40}", payload: Vec<u8>, properties: Vec<u8>,
        ) {
            let message = Message {
                publisher,
                topic: topic.into(),
                payload: payload.into(),
                qos: Qos::from_bits(qos).unwrap(),
                retain,
                properties: properties.into(),
            };
            let envelope = Envelope { sequence, published_ms, message };
            prop_assert_eq!(Envelope::decode(envelope.encode()), Some(envelope));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Envelope::decode(bytes.into());
        }
    }

    #[test]
    fn a_message_expires_and_its_remaining_time_is_told() {
        let message = Message {
            publisher: 0,
            topic: "a".into(),
            payload: Bytes::new(),
            qos: Qos::AtMostOnce,
            retain: true,
            properties: Bytes::from_static(&[1, 1, 2, 0, 0, 0, 10]),
        };
        let after = |age_ms| message.properties_after(age_ms).map(|block| block.to_vec());
        assert_eq!(after(3999), Some(vec![1, 1, 2, 0, 0, 0, 7]));
        assert_eq!(after(10_000), None);
    }
}
