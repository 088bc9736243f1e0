//! The two reliable ends over rumqttc: a [`Subscriber`] whose messages are
//! acknowledged when their work is done, in whatever order that happens, and a
//! [`Publisher`] whose `publish` returns when the broker has acknowledged.
//!
//! rumqttc speaks the protocol; this crate adds what it leaves to its user:
//! acknowledgements in order, a bound that holds whatever the broker does, a fresh
//! start for every connection, pairing of a publish with its PUBACK, and leaving a
//! shared subscription for good. No frames, no batches and no TLS in here.

mod config;
mod leaving;
mod link;
mod publisher;
mod stats;
mod subscriber;
mod url;
mod window;
mod wire;

pub use config::{
    DEFAULT_MAX_PACKET_BYTES, Endpoint, MAX_RECEIVE_MAXIMUM, PublisherConfig, SubscriberConfig,
};
pub use link::ConnectError;
pub use publisher::{Delivered, PublishError, Publisher};
pub use stats::LinkStats;
pub use subscriber::{Ack, Message, Subscriber};
pub use url::{BrokerUrl, ParseBrokerUrlError};
