//! How the two ends connect, and the options of rumqttc that follow from it.

use std::time::Duration;

use rumqttc::NetworkOptions;
use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::v5::ConnectProperties;

use crate::url::BrokerUrl;

/// Largest packet either way. The largest payload the line uses is 256 KiB (a
/// `/DB` batch; `message_size_limit` of the broker says the same for frames), a
/// topic has up to 64 KiB, the rest is for headers and properties.
pub const DEFAULT_MAX_PACKET_BYTES: u32 = (256 + 64 + 4) * 1024;

/// Above this a subscriber's memory would be too large: see
/// [`SubscriberConfig::receive_maximum`].
pub const MAX_RECEIVE_MAXIMUM: u16 = 10_000;

/// What both ends need to know.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where the broker is.
    pub url: BrokerUrl,
    /// Stable over restarts for a subscriber: the broker keeps its session by this name.
    pub client_id: String,
    /// Largest packet, both ways. The broker does not deliver what is larger.
    pub max_packet_bytes: u32,
    /// How often to ask an idle connection for a sign of life; whole seconds, at
    /// least 5. A dead one is noticed within twice this time.
    pub keep_alive: Duration,
    /// First and longest wait before connecting again.
    pub retry: (Duration, Duration),
}

impl Endpoint {
    fn new(url: BrokerUrl, client_id: impl Into<String>) -> Self {
        Self {
            url,
            client_id: client_id.into(),
            max_packet_bytes: DEFAULT_MAX_PACKET_BYTES,
            keep_alive: Duration::from_secs(5),
            // Short: a broker that restarted drops what is published until its
            // subscribers are back (see the subscriber's driver).
            retry: (Duration::from_millis(50), Duration::from_secs(1)),
        }
    }

    fn options(&self, properties: ConnectProperties) -> MqttOptions {
        let mut options =
            MqttOptions::new(self.client_id.clone(), self.url.host.clone(), self.url.port);
        // rumqttc panics below 5 s.
        options.set_keep_alive(self.keep_alive.max(Duration::from_secs(5)));
        if let Some((user, password)) = &self.url.login {
            options.set_credentials(user, password);
        }
        options.set_connect_properties(ConnectProperties {
            max_packet_size: Some(self.max_packet_bytes),
            ..properties
        });
        options
    }
}

/// How a [`crate::Subscriber`] connects and what it asks for.
#[derive(Clone, Debug)]
pub struct SubscriberConfig {
    /// Where, and as whom.
    pub endpoint: Endpoint,
    /// Topic filters, `$share/{group}/{filter}` included; taken at QoS 1.
    pub filters: Vec<String>,
    /// Messages that the broker may leave unacknowledged at once, 1 to
    /// [`MAX_RECEIVE_MAXIMUM`]. A broker that sends more is not read from, so this
    /// is the bound of memory: as many messages, at the worst of
    /// [`Endpoint::max_packet_bytes`] each.
    pub receive_maximum: u16,
    /// How long the broker keeps the session of a worker that is away.
    pub session_expiry_s: u32,
}

impl SubscriberConfig {
    /// The defaults: 1000 unacknowledged messages and a session that is kept for ever.
    pub fn new(
        url: BrokerUrl,
        client_id: impl Into<String>,
        filters: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            endpoint: Endpoint::new(url, client_id),
            filters: filters.into_iter().map(Into::into).collect(),
            receive_maximum: 1000,
            session_expiry_s: u32::MAX,
        }
    }

    pub(crate) fn window(&self) -> usize {
        usize::from(self.receive_maximum.clamp(1, MAX_RECEIVE_MAXIMUM))
    }

    pub(crate) fn properties(&self) -> ConnectProperties {
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(self.session_expiry_s);
        properties.receive_maximum = Some(self.receive_maximum.clamp(1, MAX_RECEIVE_MAXIMUM));
        properties
    }
}

/// How a [`crate::Publisher`] connects.
#[derive(Clone, Debug)]
pub struct PublisherConfig {
    /// Where, and as whom. The id must differ from the subscriber's.
    pub endpoint: Endpoint,
    /// Publishes of QoS 1 that may be unacknowledged at once, and as many of
    /// QoS 0 unsent; the next wait. The broker may allow fewer.
    pub inflight: u16,
}

impl PublisherConfig {
    /// The defaults: 100 publishes in flight.
    pub fn new(url: BrokerUrl, client_id: impl Into<String>) -> Self {
        Self { endpoint: Endpoint::new(url, client_id), inflight: 100 }
    }

    pub(crate) fn options(&self) -> MqttOptions {
        let mut options = self.endpoint.options(ConnectProperties::new());
        options.set_clean_start(true).set_outgoing_inflight_upper_limit(self.inflight.max(1));
        // One write a batch, then a wait for its PUBACK: Nagle would hold the
        // last segment back.
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        options
    }
}
