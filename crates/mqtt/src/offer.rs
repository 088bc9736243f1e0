//! What a broker says in CONNACK that it can do, held against what is needed. Pure.
//!
//! A broker that grants what it cannot do takes frames and hands them to nobody
//! (RabbitMQ grants `$share/...` and says at once, in a property, that it has no
//! shared subscriptions). So a broker that lacks something is refused.

use rumqttc::v5::mqttbytes::v5::{ConnAck, ConnAckProperties};

/// What a broker offers on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "properties of the protocol")]
pub struct Offer {
    /// The session of an earlier connection goes on.
    pub session_present: bool,
    /// `$share/...` works.
    pub shared_subscriptions: bool,
    /// Filters with `+` and `#` work.
    pub wildcards: bool,
    /// Retained messages work.
    pub retain: bool,
    /// The highest quality of service.
    pub max_qos: u8,
    /// The largest packet that it takes; `None` sets no limit.
    pub max_packet_bytes: Option<u32>,
    /// Messages that we may leave unacknowledged by it at once.
    pub receive_maximum: u16,
    /// How long it keeps our session, where that is not what we asked for.
    pub session_expiry_s: Option<u32>,
    /// How often it wants to hear of us, where that is not what we said.
    pub server_keep_alive_s: Option<u16>,
}

/// What a connection needs of its broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "properties of the protocol")]
pub(crate) struct Needs {
    /// A filter begins with `$share/`.
    pub(crate) shared_subscriptions: bool,
    /// A filter has `+` or `#`.
    pub(crate) wildcards: bool,
    /// Messages are acknowledged.
    pub(crate) qos_1: bool,
    /// It takes packets of this size.
    pub(crate) packet_bytes: u32,
    /// It keeps a session while we are away.
    pub(crate) session: bool,
}

impl Needs {
    /// Of a subscriber at QoS 1 with these filters.
    pub(crate) fn of_filters(filters: &[String]) -> Self {
        Self {
            shared_subscriptions: filters.iter().any(|filter| filter.starts_with("$share/")),
            wildcards: filters.iter().any(|filter| filter.contains(['+', '#'])),
            qos_1: true,
            ..Self::default()
        }
    }
}

impl Offer {
    pub(crate) fn of(connack: &ConnAck) -> Self {
        let properties = connack.properties.as_ref();
        let flag = |pick: fn(&ConnAckProperties) -> Option<u8>| {
            properties.and_then(pick).is_none_or(|value| value != 0)
        };
        Self {
            session_present: connack.session_present,
            shared_subscriptions: flag(|given| given.shared_subscription_available),
            wildcards: flag(|given| given.wildcard_subscription_available),
            retain: flag(|given| given.retain_available),
            max_qos: properties.and_then(|given| given.max_qos).unwrap_or(2),
            max_packet_bytes: properties.and_then(|given| given.max_packet_size),
            receive_maximum: properties.and_then(|given| given.receive_max).unwrap_or(u16::MAX),
            session_expiry_s: properties.and_then(|given| given.session_expiry_interval),
            server_keep_alive_s: properties.and_then(|given| given.server_keep_alive),
        }
    }

    /// What is needed and not offered, in words.
    pub(crate) fn lacks(&self, needs: Needs) -> Option<String> {
        let mut lacks = Vec::new();
        if needs.shared_subscriptions && !self.shared_subscriptions {
            lacks.push(
                "it has no shared subscriptions (CONNACK says so, property 0x2A), and would hand \
                 frames to no worker; RabbitMQ is one such broker"
                    .to_owned(),
            );
        }
        if needs.wildcards && !self.wildcards {
            lacks.push("it has no wildcard subscriptions (property 0x28)".to_owned());
        }
        if needs.qos_1 && self.max_qos == 0 {
            lacks.push(
                "it takes QoS 0 alone (property 0x24): nothing would be acknowledged".to_owned(),
            );
        }
        if let Some(theirs) = self.max_packet_bytes.filter(|theirs| *theirs < needs.packet_bytes) {
            lacks.push(format!(
                "it takes packets of {theirs} bytes at most, {} are needed; raise its limit (docs/mosquitto.md, \"Other brokers\")",
                needs.packet_bytes
            ));
        }
        if needs.session && self.session_expiry_s == Some(0) {
            lacks.push(
                "it keeps no sessions (session expiry 0): what comes while a worker is away would \
                 be lost"
                    .to_owned(),
            );
        }
        (!lacks.is_empty()).then(|| lacks.join("; "))
    }

    /// How long it keeps a session that was asked to be kept for `asked_s`, if that
    /// is shorter.
    pub fn shortened_session_s(&self, asked_s: u32) -> Option<u32> {
        self.session_expiry_s.filter(|granted| *granted < asked_s)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use rumqttc::v5::mqttbytes::v5::Packet;

    use super::*;

    /// CONNACK with these bytes as its properties.
    fn offer(properties: &[u8]) -> Offer {
        let length = u8::try_from(properties.len()).unwrap();
        let mut packet = BytesMut::from([0x20, length + 3, 0, 0, length].as_slice());
        packet.extend_from_slice(properties);
        match Packet::read(&mut packet, None).unwrap() {
            Packet::ConnAck(connack) => Offer::of(&connack),
            other => panic!("{other:?}"),
        }
    }

    fn needs() -> Needs {
        let filters = ["$share/parsers//messenger".to_owned(), "$share/parsers/t/+".to_owned()];
        Needs { packet_bytes: 120_000, session: true, ..Needs::of_filters(&filters) }
    }

    #[test]
    fn a_broker_that_says_nothing_can_do_everything() {
        let offer = offer(&[]);
        assert_eq!((offer.max_qos, offer.receive_maximum), (2, u16::MAX));
        assert_eq!(offer.lacks(needs()), None);
        assert_eq!(offer.shortened_session_s(u32::MAX), None);
    }

    #[test]
    fn each_lack_is_named() {
        for (properties, says) in [
            (&[0x2A, 0][..], "no shared subscriptions"),
            (&[0x28, 0], "no wildcard"),
            (&[0x24, 0], "QoS 0 alone"),
            (&[0x27, 0, 1, 0, 0], "packets of 65536 bytes at most, 120000 are needed"),
            (&[0x11, 0, 0, 0, 0], "keeps no sessions"),
        ] {
            let lacks = offer(properties).lacks(needs()).unwrap();
            assert!(lacks.contains(says) && !lacks.contains("; it "), "{says}: {lacks}");
            assert_eq!(offer(properties).lacks(Needs::default()), None, "not needed");
        }
        let both = offer(&[0x2A, 0, 0x24, 0]).lacks(needs()).unwrap();
        assert!(both.contains("shared") && both.contains("QoS 0"), "{both}");
    }

    #[test]
    fn what_is_enough_is_no_lack() {
        let limits = offer(&[0x27, 0, 4, 0, 0, 0x24, 1, 0x21, 0, 10, 0x11, 0, 0, 0x0E, 0x10]);
        assert_eq!(limits.lacks(needs()), None);
        assert_eq!((limits.max_qos, limits.receive_maximum), (1, 10));
        assert_eq!(limits.shortened_session_s(u32::MAX), Some(3600));
        assert_eq!(limits.shortened_session_s(60), None);
    }
}
