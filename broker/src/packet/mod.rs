//! MQTT 3.1, 3.1.1 and 5 on the wire, seen from the server's side: packets of clients
//! are read, packets to clients are written.
//!
//! Pure and borrowed from the read buffer, so that a PUBLISH costs no
//! allocation. Everything a client sends is checked here once: lengths, reserved
//! bits, UTF-8, topic rules, properties. No bytes panic.

mod connect;
mod decode;
mod encode;
mod names;
mod property;
mod reason;
mod subscribe;
mod wire;

pub use connect::{Connect, Will};
pub use decode::{Acknowledgement, Disconnect, Packet, Publish, decode, measure};
pub use encode::{
    ConnAck, OutPublish, connack, disconnect, pingresp, puback, pubcomp, publish, pubrec, pubrel,
    suback, unsuback,
};
pub use names::{valid_filter, valid_name};
pub use property::{message_expiry, message_expiry_s, traceparent, with_message_expiry};
pub use reason::Reason;
pub use subscribe::{Filter, RetainHandling, Subscribe, Unsubscribe};

/// Which version of the protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1 (`MQIsdp`, level 3).
    V31,
    /// MQTT 3.1.1 (level 4).
    V311,
    /// MQTT 5 (level 5).
    V5,
}

/// Quality of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// 0: fire and forget.
    AtMostOnce,
    /// 1: acknowledged.
    AtLeastOnce,
    /// 2: acknowledged twice.
    ExactlyOnce,
}

impl Qos {
    /// From the two bits on the wire; 3 is no quality.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// The two bits on the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }
}

/// Why a client's bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The bytes are not a packet.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// The packet is well formed and not allowed.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// Longer than the door takes.
    #[error("a packet of {bytes} bytes; at most {limit} are taken")]
    TooLarge {
        /// Length of the whole packet as its header says.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Neither MQTT 3.1, 3.1.1 nor 5. A bridge of Mosquitto adds 0x80 to the level.
    #[error("MQTT protocol level {0}; accepted are 3 (MQTT 3.1), 4 (3.1.1) and 5")]
    Version(u8),
    /// Not a valid topic name.
    #[error("invalid topic name")]
    TopicName,
    /// A topic alias, although none was offered.
    #[error("a topic alias was used; none is offered")]
    TopicAlias,
}

impl PacketError {
    /// The MQTT 5 reason code.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::MALFORMED_PACKET,
            Self::Protocol(_) => Reason::PROTOCOL_ERROR,
            Self::TooLarge { .. } => Reason::PACKET_TOO_LARGE,
            Self::Version(_) => Reason::UNSUPPORTED_PROTOCOL_VERSION,
            Self::TopicName => Reason::TOPIC_NAME_INVALID,
            Self::TopicAlias => Reason::TOPIC_ALIAS_INVALID,
        }
    }
}

#[cfg(test)]
mod tests;
