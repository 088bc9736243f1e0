//! Retained messages: the last of each topic, bounded in number and bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::message::Message;

/// There is no room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The store.
#[derive(Debug)]
pub(crate) struct Retained {
    by_topic: BTreeMap<Arc<str>, (Message, Instant)>,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
}

impl Retained {
    pub(crate) const fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { by_topic: BTreeMap::new(), bytes: 0, max_messages, max_bytes }
    }

    /// Keeps a message as its topic's last; an empty payload clears the topic.
    pub(crate) fn set(&mut self, message: Message, now: Instant) -> Result<(), Full> {
        let old = self.by_topic.get(&message.topic).map_or(0, |(old, _)| size(old));
        if message.payload.is_empty() {
            self.by_topic.remove(&message.topic);
            self.bytes -= old;
            return Ok(());
        }
        let bytes = self.bytes - old + size(&message);
        let is_new = !self.by_topic.contains_key(&message.topic);
        if bytes > self.max_bytes || (is_new && self.by_topic.len() >= self.max_messages) {
            return Err(Full);
        }
        self.bytes = bytes;
        self.by_topic.insert(Arc::clone(&message.topic), (message, now));
        Ok(())
    }

    /// What matches a filter and has not expired, with the time that remains.
    pub(crate) fn matching(&mut self, filter: &str, now: Instant) -> Vec<Message> {
        let (mut found, mut expired) = (Vec::new(), Vec::new());
        for (topic, (message, since)) in &self.by_topic {
            if !nemeses_protocol::topic_matches(filter, topic) {
                continue;
            }
            let age = now.saturating_duration_since(*since);
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            match message.properties_after(age_ms) {
                Some(properties) => found.push(Message { properties, ..message.clone() }),
                None => expired.push(Arc::clone(topic)),
            }
        }
        for topic in expired {
            if let Some((message, _)) = self.by_topic.remove(&topic) {
                self.bytes -= size(&message);
            }
        }
        found
    }
}

fn size(message: &Message) -> usize {
    message.topic.len() + message.payload.len() + message.properties.len()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::packet::Qos;

    fn message(topic: &str, payload: &'static [u8], properties: &'static [u8]) -> Message {
        Message {
            publisher: 1,
            topic: topic.into(),
            payload: Bytes::from_static(payload),
            qos: Qos::AtLeastOnce,
            retain: true,
            properties: Bytes::from_static(properties),
        }
    }

    #[test]
    fn the_last_of_a_topic_stays_until_it_is_cleared() {
        let (mut retained, now) = (Retained::new(10, 1000), Instant::now());
        retained.set(message("a/b", b"1", b""), now).unwrap();
        retained.set(message("a/b", b"2", b""), now).unwrap();
        retained.set(message("c", b"3", b""), now).unwrap();
        let found = retained.matching("a/#", now);
        assert_eq!(found.iter().map(|found| found.payload.as_ref()).collect::<Vec<_>>(), [b"2"]);
        retained.set(message("a/b", b"", b""), now).unwrap();
        assert_eq!(retained.matching("#", now).len(), 1);
        assert_eq!(retained.bytes, 2);
    }

    #[test]
    fn bounds_hold_in_messages_and_bytes() {
        let (mut retained, now) = (Retained::new(2, 10), Instant::now());
        retained.set(message("a", b"1", b""), now).unwrap();
        retained.set(message("b", b"1", b""), now).unwrap();
        assert_eq!(retained.set(message("c", b"1", b""), now), Err(Full));
        retained.set(message("a", b"2", b""), now).unwrap();
        assert_eq!(retained.set(message("a", b"123456789", b""), now), Err(Full));
    }

    #[test]
    fn an_expired_message_is_gone() {
        let (mut retained, now) = (Retained::new(2, 100), Instant::now());
        retained.set(message("a", b"1", &[2, 0, 0, 0, 5]), now).unwrap();
        let found = retained.matching("a", now + Duration::from_secs(2));
        assert_eq!(found[0].properties.as_ref(), [2, 0, 0, 0, 3]);
        assert!(retained.matching("a", now + Duration::from_secs(5)).is_empty());
        assert_eq!(retained.bytes, 0);
    }
}
