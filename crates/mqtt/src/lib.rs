//! The ends of MQTT connections: a [`Subscriber`] whose messages are acknowledged
//! when their work is done, in whatever order that happens, a [`Publisher`] whose
//! `publish` returns when the broker has acknowledged, and for tools a [`Client`]
//! that connects once.
//!
//! Packets are rumqttc's; sockets, TLS and what happens when are ours:
//! acknowledgements in order, a bound that holds whatever the broker does, a fresh
//! start for every connection, pairing of a publish with its PUBACK, leaving a
//! shared subscription for good, and refusing a broker that cannot do what is
//! needed. No frames and no batches in here.

mod broker;
mod client;
mod config;
mod leaving;
mod link;
mod offer;
mod publisher;
mod stats;
mod subscriber;
mod tls;
mod url;
pub mod v311;
mod v5;
mod window;
mod wire;

pub use broker::Broker;
pub use client::{Client, ClientEvent, Subscription};
pub use config::{
    DEFAULT_MAX_PACKET_BYTES, Endpoint, MAX_RECEIVE_MAXIMUM, PublisherConfig, SubscriberConfig,
};
pub use link::ConnectError;
pub use offer::Offer;
pub use publisher::{Delivered, PublishError, Publisher};
pub use stats::LinkStats;
pub use subscriber::{Ack, Message, Renewal, Subscriber};
pub use tls::{TlsFiles, TlsFilesError};
pub use url::{BrokerUrl, ParseBrokerUrlError};
